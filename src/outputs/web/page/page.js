// Fills the page from /status twice a second and draws the parts of /stream.mjpg in the chosen
// style. The stream is read here and not by an <img>: an image whose stream has broken off keeps
// its last picture and says nothing, and that picture would stand under a badge that says LIVE.
"use strict";

const POLL_MS = 500;
const ANSWER_MS = 1500;
// The server repeats itself four times a second when nothing new comes.
const SILENCE_MS = 1500;
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
  missing_pictures: "Pictures missing",
  skipped_inputs: "Skipped by host",
};
const BADGES = {
  waiting: "CONNECTING",
  live: "LIVE",
  stale: "STALE",
  no_signal: "NO SIGNAL",
  no_picture: "NO PICTURE",
  no_connection: "NO CONNECTION",
};

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
const digits = (milli) => (milli < 99.95 ? milli.toFixed(1) : milli.toFixed(0));
const milli = ({ value, uncertainty }) => {
  if (value === null) return "–";
  const by = uncertainty === null ? "" : ` ± ${digits(uncertainty * 1e3)}`;
  return digits(value * 1e3) + by;
};
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

// What the parts of the stream say, and whether /status answers.
let pictureState = "waiting";
let pictureProblem = "";
let connected = true;

function showState() {
  const state = connected ? pictureState : "no_connection";
  document.body.dataset.state = state;
  set("badge", BADGES[state]);
  document.title = state === "live" ? "qsegment" : `${BADGES[state]} – qsegment`;
  byId("cover").hidden = state !== "no_connection" && state !== "no_picture";
  set("cover-title", BADGES[state]);
  set("cover-reason", connected ? pictureProblem : "The daemon does not answer.");
}

function show(status) {
  set("camera", status.ladder.camera);
  byId("camera").title = status.ladder.camera_reason ?? "";
  const { inference, inference_reason: reason } = status.ladder;
  set("inference", inference === "host" ? "on the host" : "in the sensor");
  set("where", reason ? `on the host: ${reason}` : "in the sensor");

  // The network's input may squeeze what it sees: the picture is shown in its true aspect.
  const { width_px: across, height_px: down } = status.seen ?? { width_px: 1, height_px: 1 };
  picture.style.setProperty("--aspect", String(across / down));

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
  const sensor = mask.sensor ?? {};
  set("celsius", fixed(sensor.temperature_celsius, 0));
  set("exposure", fixed(sensor.exposure_ms, 1));
  set("gain", fixed(sensor.analogue_gain, 2));
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

  const { power } = status;
  byId("power-block").hidden = power.length === 0;
  byId("instruments").replaceChildren(...power.map((instrument) => {
    const line = make("tr");
    const name = make("th", instrument.scope);
    name.scope = "row";
    name.title = instrument.instrument;
    name.append(make("span", instrument.quality, "by"));
    const cells = [instrument.power, instrument.mean_power, instrument.energy_per_frame];
    line.append(name, ...cells.map((figure) => make("td", milli(figure))));
    return line;
  }));
  const meant = byId("power-definitions");
  if (meant.childElementCount !== power.length * 2) {
    meant.replaceChildren(...power.flatMap((instrument) => [
      make("dt", `${instrument.scope}, ${instrument.instrument}`),
      make("dd", `${instrument.definition}. Uncertainty (±): ${instrument.uncertainty}.`),
    ]));
  }

  byId("counts").replaceChildren(
    ...Object.entries(COUNTS).map(([key, name]) => row(name, status.counters[key])),
    ...Object.entries(status.recovery.steps).filter(([, steps]) => steps > 0)
      .map(([remedy, steps]) => row(`Recovery: ${words(remedy)}`, steps)),
    ...Object.entries(status.device_events).map(([event, count]) => row(words(event), count)),
    ...Object.entries(status.queue_drops).map(([queue, drops]) => {
      const dropped = row(`Skipped by ${words(queue)}`, drops);
      dropped.className = "";
      return dropped;
    }),
  );
  const injected = Object.entries(status.injected_faults);
  byId("injected-block").hidden = injected.length === 0;
  byId("injected").replaceChildren(...injected.map(([fault, count]) => row(words(fault), count)));
  byId("screen-row").hidden = !status.screen;
  set("screen", status.screen ?? "–");
  byId("error").hidden = !status.last_error;
  set("error", status.last_error ? `Last error: ${status.last_error}` : "");

  const network = status.network;
  set("name", network.name);
  set("hash", network.sha256.slice(0, 12));
  byId("hash").title = network.sha256;
  const size = network.parameters === null ? "packed for the sensor"
    : `${grouped(network.parameters)} parameters, ${(network.macs / 1e6).toFixed(0)} M MAC`;
  set("size", size);
  const details = [status.source.scene, status.source.pace && `pace ${status.source.pace}`];
  if (status.source.seed !== null) details.push(`seed ${status.source.seed}`);
  set("scene", details.filter(Boolean).join(", ") || "–");
  set("threshold", fixed(mask.threshold, 2));
  set("version", status.qsegment);
}

async function poll() {
  try {
    const answer = await fetch("/status", { signal: AbortSignal.timeout(ANSWER_MS) });
    // A new token: the page asks for it.
    if (answer.status === 401) location.reload();
    if (!answer.ok) throw new Error(answer.statusText);
    show(await answer.json());
    connected = true;
  } catch {
    connected = false;
  }
  showState();
  setTimeout(poll, POLL_MS);
}

function query() {
  const chosen = new FormData(controls);
  const opacity = (Number(chosen.get("opacity")) / 100).toFixed(2);
  return `style=${chosen.get("style")}&skeleton=${chosen.has("skeleton") ? 1 : 0}&opacity=${opacity}`;
}

// One part: headers up to an empty line, then as many bytes as they say. The boundary between parts
// reads like one more header line.
const HEADERS_END = [13, 10, 13, 10];
function partOf(bytes) {
  const end = bytes.findIndex((_, i) => HEADERS_END.every((byte, j) => bytes[i + j] === byte));
  if (end < 0) return null;
  const head = new TextDecoder().decode(bytes.subarray(0, end));
  const length = Number(/^Content-Length: (\d+)/m.exec(head)?.[1]);
  const state = /^X-State: (\w+)/m.exec(head)?.[1];
  const start = end + HEADERS_END.length;
  if (!(start + length <= bytes.length)) return null;
  return { state, jpeg: bytes.slice(start, start + length), rest: bytes.slice(start + length) };
}

async function draw(jpeg) {
  const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
  if (picture.width !== bitmap.width) picture.width = bitmap.width;
  if (picture.height !== bitmap.height) picture.height = bitmap.height;
  picture.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
}

// Until the stream ends, breaks, falls silent or is replaced by another style.
async function watch(signal, alive) {
  const answer = await fetch(`/stream.mjpg?${query()}`, { signal });
  if (!answer.ok) throw new Error(await answer.text());
  const reader = answer.body.getReader();
  let bytes = new Uint8Array(0);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("The daemon has ended the stream.");
    const longer = new Uint8Array(bytes.length + value.length);
    longer.set(bytes);
    longer.set(value, bytes.length);
    bytes = longer;
    for (let part = partOf(bytes); part; part = partOf(bytes)) {
      bytes = part.rest;
      await draw(part.jpeg);
      if (signal.aborted) return;
      alive();
      pictureState = part.state;
      showState();
    }
  }
}

let watching = new AbortController();
let pending;
function restart() {
  clearTimeout(pending);
  watching.abort();
  const mine = new AbortController();
  watching = mine;
  let silence;
  const lost = (reason) => {
    if (mine !== watching || document.hidden) return;
    mine.abort();
    pictureState = "no_picture";
    pictureProblem = reason;
    showState();
    restartAfter(RESTART_MS);
  };
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(lost, SILENCE_MS, "The stream has fallen silent.");
  };
  alive();
  watch(mine.signal, alive).catch((error) => lost(error.message)).finally(() => clearTimeout(silence));
  byId("save").href = `/snapshot.png?${query()}`;
}

function restartAfter(delay) {
  clearTimeout(pending);
  pending = setTimeout(restart, delay);
}

controls.addEventListener("input", () => {
  set("opacity", `${new FormData(controls).get("opacity")} %`);
  restartAfter(STYLE_MS);
});
controls.addEventListener("submit", (event) => event.preventDefault());
// A page that nobody sees must not make the daemon draw.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(pending);
    watching.abort();
    pictureState = "waiting";
    showState();
  } else {
    restart();
  }
});

restart();
poll();
