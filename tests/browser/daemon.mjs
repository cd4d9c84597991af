// A daemon on the simulated sensor, at a free port.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const PROGRAM = process.env.QSEGMENT_PROGRAM ?? "target/debug/qsegment";
const START_MS = 30_000;

/** Starts one that sends the same bytes every time; `options` are those of `qsegment run`. */
export async function start(options = [], environment = {}) {
  const network = options.includes("--network") ? [] : ["--network", "fast"];
  const child = spawn(
    PROGRAM,
    ["run", "--source", "simulated", "--listen", "127.0.0.1:0", ...network, ...options],
    { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...environment } },
  );
  // Whatever becomes of this process.
  process.once("exit", () => child.kill("SIGKILL"));
  let log = "";
  child.stderr.on("data", (text) => { log += text; });
  const lines = createInterface({ input: child.stdout });
  const timer = setTimeout(() => child.kill(), START_MS);
  const first = await Promise.race([once(lines, "line"), once(child, "exit")]);
  clearTimeout(timer);
  const address = /^http:\/\/\S+$/.exec(String(first[0]))?.[0];
  if (!address) throw new Error(`the daemon did not start: ${first[0]}\n${log}`);
  return new Daemon(child, address);
}

class Daemon {
  constructor(child, address) {
    this.child = child;
    this.address = address;
  }

  async json(path) {
    const answer = await fetch(new URL(path, this.address));
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** It keeps its port and says nothing any more. */
  freeze() {
    this.child.kill("SIGSTOP");
  }

  async stop() {
    const gone = once(this.child, "exit");
    this.child.kill("SIGCONT");
    this.child.kill("SIGTERM");
    await gone;
  }
}
