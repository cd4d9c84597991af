// The panel beside the picture, from /status.

import { bar } from "./charts.js";
import { byId, define, fixed, grouped, make, missing, proper, set, words } from "./dom.js";

const COUNTS = ["unpaired", "stale", "stalls", "lost_buffers", "no_output_region", "counter_jumps", "truncated_buffers",
  "corrupt_ap_params", "malformed_buffers", "missing_pictures", "skipped_inputs"];

const ms = (value) => (value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0));
const digits = (milli) => (milli < 99.95 ? milli.toFixed(1) : milli.toFixed(0));
const milli = ({ value, uncertainty }) => {
  if (value === null) return "–";
  const by = uncertainty === null ? "" : ` ± ${digits(uncertainty * 1e3)}`;
  return digits(value * 1e3) + by;
};

function row(name, value) {
  const div = make("div");
  div.append(make("dt", name), make("dd", grouped(value)));
  if (value > 0) div.className = "seen";
  return div;
}

function headed(name, by) {
  const cell = make("th", name);
  cell.scope = "row";
  cell.append(make("span", by, "by"));
  return cell;
}

export function show(status) {
  const { ladder } = status;
  set("camera", ladder.camera);
  byId("camera").title = ladder.camera_reason ?? "";
  set("inference", ladder.inference === "host" ? "on the host" : "in the sensor");
  set("source", ladder.camera_reason ? `${ladder.camera}: ${ladder.camera_reason}` : ladder.camera);
  set("where", ladder.inference_reason ? `on the host: ${ladder.inference_reason}` : "in the sensor");
  now(status);
  latency(status.stages);
  power(status.power);
  faults(status);
  network(status);
}

function now(status) {
  const recent = status.recent ?? {};
  const mask = status.newest_mask ?? {};
  const sensor = mask.sensor ?? {};
  set("tensors", fixed(recent.tensors_per_s, 1));
  set("pictures", fixed(recent.pictures_per_s, 1));
  set("frames", fixed(recent.buffers_per_s, 1));
  set("age", mask.age_ms > 9999 ? ">9999" : fixed(mask.age_ms, 0));
  set("lag", fixed(mask.lag_frames, 0));
  set("runtime", fixed(mask.dnn_runtime_ms, 1));
  set("share", fixed(missing(mask.vessel_fraction) ? null : mask.vessel_fraction * 100, 2));
  set("celsius", fixed(sensor.temperature_celsius, 0));
  set("exposure", fixed(sensor.exposure_ms, 1));
  set("gain", fixed(sensor.analogue_gain, 2));
  set("paired", grouped(status.counters.paired));
  set("quality", status.source.quality);
}

function latency(stages) {
  const most = Math.max(0, ...stages.filter(({ count }) => count).map(({ p99_ms: p99 }) => p99));
  byId("stages").replaceChildren(...stages.map((stage) => {
    const line = make("tr");
    const { p50_ms: p50, p95_ms: p95, p99_ms: p99, max_ms: max } = stage;
    const drawn = make("td", undefined, "wide");
    if (stage.count) drawn.append(bar(p50, p95, p99, most));
    line.append(headed(words(stage.name), stage.quality), drawn);
    line.append(...[p50, p95, p99, max].map((cell) => make("td", stage.count ? ms(cell) : "–")));
    return line;
  }));
  define("definitions", stages.map(({ name, from, to, clock }) => [words(name), `From ${from} to ${to}. Clock: ${clock}.`]));
}

function power(instruments) {
  byId("power-block").hidden = instruments.length === 0;
  byId("instruments").replaceChildren(...instruments.map((instrument) => {
    const line = make("tr");
    const name = headed(instrument.scope, instrument.quality);
    name.title = instrument.instrument;
    const cells = [instrument.power, instrument.mean_power, instrument.energy_per_frame];
    line.append(name, ...cells.map((figure) => make("td", milli(figure))));
    return line;
  }));
  define("power-definitions", instruments.map(({ scope, instrument, definition, uncertainty }) =>
    [`${scope}, ${instrument}`, `${definition}. Uncertainty (±): ${uncertainty}.`]));
}

function faults(status) {
  byId("counts").replaceChildren(
    ...COUNTS.map((name) => row(proper(name), status.counters[name])),
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
  byId("error").hidden = !status.last_error;
  set("error", status.last_error ? `Last error: ${status.last_error}` : "");
}

function network(status) {
  const { network: facts, source } = status;
  set("name", facts.name);
  set("trained", status.model_card ?? "not known: it is none of qsegment's own");
  set("hash", facts.sha256.slice(0, 12));
  byId("hash").title = facts.sha256;
  set("size", facts.parameters === null ? "packed for the sensor"
    : `${grouped(facts.parameters)} parameters, ${(facts.macs / 1e6).toFixed(0)} M MAC`);
  const details = [source.scene, source.pace && `pace ${source.pace}`];
  if (source.seed !== null) details.push(`seed ${source.seed}`);
  set("scene", details.filter(Boolean).join(", ") || "–");
  byId("screen-row").hidden = !status.screen;
  set("screen", status.screen ?? "–");
  set("daemon-threshold", fixed(status.newest_mask?.threshold, 2));
  set("version", status.qsegment);
}
