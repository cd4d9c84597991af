// Fills the page from /status twice a second and points the picture at /stream.mjpg in the chosen style.
"use strict";

const POLL_MS = 500;
const ANSWER_MS = 1500;
const RESTART_MS = 1000;
const STYLE_MS = 150;

const COUNTS = {
  unpaired: "Unpaired",
  stale: "Stale",
  stalls: "Stalls",
  lost_buffers: "Lost buffers",
  no_output_region: "No output region",
  counter_jumps: "Counter jumps",
  truncated_buffers: "Truncated",
  corrupt_ap_params: "Corrupt ApParams",
  malformed_buffers: "Malformed",
};
const BADGES = { live: "LIVE", stale: "STALE", no_signal: "NO SIGNAL", no_connection: "NO CONNECTION" };

const byId = (id) => document.getElementById(id);
const picture = byId("picture");
const controls = byId("controls");

function set(id, text) {
  const element = byId(id);
  // Unchanged text is left alone, so that selecting and reading aloud are not disturbed.
  if (element.textContent !== text) element.textContent = text;
}

const fixed = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const ms = (value) => (value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0));
const words = (name) => name.replaceAll("_", " ");
const grouped = (count) => count.toLocaleString("en");

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

function row(name, value) {
  const div = make("div");
  div.append(make("dt", name), make("dd", grouped(value)));
  if (value > 0) div.className = "seen";
  return div;
}

function showState(state) {
  document.body.dataset.state = state;
  set("badge", BADGES[state]);
  document.title = state === "live" ? "qsegment" : `${BADGES[state]} – qsegment`;
  const cover = byId("cover");
  cover.hidden = state !== "no_connection";
  set("cover", state === "no_connection" ? "NO CONNECTION" : "");
}

function show(status) {
  showState(status.state);
  set("camera", status.ladder.camera);
  set("inference", status.ladder.inference);

  const recent = status.recent ?? {};
  const mask = status.newest_mask ?? {};
  set("tensors", fixed(recent.tensors_per_s, 1));
  set("pictures", fixed(recent.pictures_per_s, 1));
  set("frames", fixed(recent.buffers_per_s, 1));
  set("age", mask.age_ms > 9999 ? ">9999" : fixed(mask.age_ms, 0));
  set("lag", fixed(mask.lag_frames, 0));
  set("runtime", fixed(mask.dnn_runtime_ms, 1));
  const share = mask.vessel_fraction;
  set("share", fixed(share === null || share === undefined ? null : share * 100, 2));
  set("celsius", fixed(mask.sensor_temperature_celsius, 0));
  set("paired", grouped(status.counters.paired));
  set("quality", status.source.quality);

  byId("stages").replaceChildren(...status.stages.map((stage) => {
    const line = make("tr");
    const name = make("th", words(stage.name));
    name.scope = "row";
    name.append(make("span", stage.quality, "by"));
    const cells = [stage.p50_ms, stage.p95_ms, stage.p99_ms, stage.max_ms];
    line.append(name, ...cells.map((cell) => make("td", stage.count ? ms(cell) : "–")));
    return line;
  }));
  const definitions = byId("definitions");
  if (definitions.childElementCount !== status.stages.length * 2) {
    definitions.replaceChildren(...status.stages.flatMap((stage) => [
      make("dt", words(stage.name)),
      make("dd", `From ${stage.from} to ${stage.to}. Clock: ${stage.clock}.`),
    ]));
  }

  byId("counts").replaceChildren(
    ...Object.entries(COUNTS).map(([key, name]) => row(name, status.counters[key])),
    ...Object.entries(status.queue_drops).map(([queue, drops]) => {
      const dropped = row(`Skipped by ${words(queue)}`, drops);
      dropped.className = "";
      return dropped;
    }),
  );
  const injected = Object.entries(status.injected_faults);
  byId("injected-block").hidden = injected.length === 0;
  byId("injected").replaceChildren(...injected.map(([fault, count]) => row(words(fault), count)));
  byId("error").hidden = !status.last_error;
  set("error", status.last_error ? `Last error: ${status.last_error}` : "");

  const network = status.network;
  set("name", network.name);
  set("hash", network.sha256.slice(0, 12));
  byId("hash").title = network.sha256;
  set("size", `${grouped(network.parameters)} parameters, ${(network.macs / 1e6).toFixed(0)} M MAC`);
  const details = [status.source.scene, status.source.pace && `pace ${status.source.pace}`];
  if (status.source.seed !== null) details.push(`seed ${status.source.seed}`);
  set("scene", details.filter(Boolean).join(", ") || "–");
  set("threshold", fixed(mask.threshold, 2));
  set("version", status.qsegment);
}

let connected = true;
async function poll() {
  try {
    const answer = await fetch("/status", { signal: AbortSignal.timeout(ANSWER_MS) });
    if (!answer.ok) throw new Error(answer.statusText);
    show(await answer.json());
    if (!connected) restart();
    connected = true;
  } catch {
    connected = false;
    showState("no_connection");
  }
  setTimeout(poll, POLL_MS);
}

function query() {
  const chosen = new FormData(controls);
  const opacity = (Number(chosen.get("opacity")) / 100).toFixed(2);
  return `style=${chosen.get("style")}&skeleton=${chosen.has("skeleton") ? 1 : 0}&opacity=${opacity}`;
}

let starts = 0;
function restart() {
  // The number after # is not sent; it makes the browser open the stream again.
  starts += 1;
  picture.src = `/stream.mjpg?${query()}#${starts}`;
  byId("save").href = `/snapshot.png?${query()}`;
}

let pending;
function restartAfter(delay) {
  clearTimeout(pending);
  pending = setTimeout(restart, delay);
}

controls.addEventListener("input", () => {
  set("opacity", `${new FormData(controls).get("opacity")} %`);
  restartAfter(STYLE_MS);
});
controls.addEventListener("submit", (event) => event.preventDefault());
picture.addEventListener("error", () => { if (!document.hidden) restartAfter(RESTART_MS); });
// A page that nobody sees must not make the daemon draw.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) picture.removeAttribute("src");
  else restart();
});

restart();
poll();
