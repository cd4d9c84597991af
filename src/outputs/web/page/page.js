// What comes from the daemon is shown; what a person does to the view acts here, in the browser.

import { course } from "./charts.js";
import { byId, fixed, say, set } from "./dom.js";
import { Painter, widestClass } from "./draw.js";
import { Gather } from "./gather.js";
import * as keys from "./keys.js";
import { Live } from "./live.js";
import * as measure from "./measure.js";
import * as recording from "./recording.js";
import { Closer } from "./sensor.js";
import { snapshot } from "./snapshot.js";
import * as state from "./state.js";
import * as statusPanel from "./status.js";
import { Zoom } from "./zoom.js";

const POLL_MS = 500;
const ANSWER_MS = 1500;
const AGES = 150;
const STEP = 1.4;
// Side by side where there is room, else one above the other.
const NARROW_PX = 640;

const canvas = byId("picture");
const controls = byId("controls");
const painter = new Painter();
const gather = new Gather();

let newest = null;
let held = null;
let status = null;
let aspect = 1;
// Null: as the daemon has it.
let threshold = null;
const ages = [];
const cameAt = [];

const shown = () => held ?? newest;

let asked = false;
function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    draw();
  });
}

function view() {
  const chosen = new FormData(controls);
  return {
    mode: chosen.get("mode"),
    opacity: Number(chosen.get("opacity")) / 100,
    threshold: threshold ?? shown()?.threshold ?? 128,
    beside: chosen.has("beside"),
    zoom,
    aspect: shape(),
    grey: shown()?.state === "stale",
  };
}

// Of the window: the network's input may squeeze what it sees. The last while one settles.
function shape() {
  const seen = shown()?.window;
  if (seen) aspect = seen.width / seen.height;
  return aspect;
}

const stacked = () => byId("frame").clientWidth < NARROW_PX;

function panes({ beside }, { width, height }) {
  if (!beside) return [{ x: 0, y: 0, width, height, bare: false }];
  const across = stacked() ? { width, height: height / 2 } : { width: width / 2, height };
  const second = stacked() ? { x: 0, y: height / 2 } : { x: width / 2, y: 0 };
  return [{ x: 0, y: 0, ...across, bare: true }, { ...second, ...across, bare: false }];
}

function draw() {
  const now = view();
  const whole = !now.beside ? aspect : stacked() ? aspect / 2 : aspect * 2;
  canvas.style.setProperty("--aspect", String(whole));
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const frame = shown();
  painter.paint(canvas, frame, { ...now, panes: panes(now, canvas), line: 1.25 * ratio });
  Object.assign(canvas.dataset, {
    sequence: frame?.sequence ?? "", mode: now.mode, threshold: now.threshold, zoom: zoom.factor.toFixed(2),
  });
  legend(frame, now.mode);
}

function legend(frame, mode) {
  byId("legend").hidden = mode !== "width" || !frame?.probability;
  if (byId("legend").hidden) return;
  const size = measure.near(frame)?.pixel_size_um;
  const widest = widestClass(frame);
  set("legend-low", "0");
  set("legend-high", size ? `≥ ${Math.round(widest * size)} µm` : `≥ ${widest} px`);
}

// The pane under the pointer, and where in its picture that is.
function paneAt(event) {
  const box = canvas.getBoundingClientRect();
  const x = event.clientX - box.left, y = event.clientY - box.top;
  const found = panes(view(), box).find((pane) =>
    x >= pane.x && y >= pane.y && x < pane.x + pane.width && y < pane.y + pane.height);
  return found && { u: (x - found.x) / found.width, v: (y - found.y) / found.height, ...found };
}
paneAt.first = () => {
  const pane = panes(view(), canvas.getBoundingClientRect()).at(-1);
  return { left: pane.x, top: pane.y, width: pane.width, height: pane.height };
};

// A bitmap that nobody shows or keeps is given back at once.
let retired = [];
function retire(frames) {
  retired.push(...frames);
  const used = new Set([newest?.bitmap, held?.bitmap]);
  for (const frame of retired) if (!used.has(frame.bitmap)) frame.bitmap?.close();
  retired = retired.filter((frame) => used.has(frame.bitmap));
}

function onFrame(frame) {
  const before = newest;
  newest = frame;
  retire(frame.state === "live" ? gather.add(frame, measure.grade()) : [...gather.clear(), frame]);
  state.ofPicture(frame.state, { age: frame.ageMs });
  if (frame.sequence !== before?.sequence || frame.state !== before.state) {
    ages.push(frame.state === "live" ? frame.ageMs : null);
    ages.splice(0, ages.length - AGES);
    if (frame.state === "live") cameAt.push(frame.came);
    cameAt.splice(0, cameAt.length - AGES);
  }
  if (status && frame.state !== before?.state) showStatus();
  else offer();
  if (!held) redraw();
}

function onLost(why) {
  state.ofPicture("no_picture", { why });
  retire(gather.clear());
  offer();
}

function offer() {
  const seen = held || (newest?.bitmap && ["live", "stale"].includes(state.current()));
  byId("best").disabled = byId("mean").disabled = gather.count === 0;
  byId("freeze").disabled = !seen;
  byId("snapshot").disabled = !status || !seen;
}

function hold(frame) {
  held = frame;
  byId("freeze").setAttribute("aria-pressed", String(held !== null));
  byId("freeze").textContent = held ? "Go live" : "Freeze";
  state.ofHeld(held);
  retire([]);
  offer();
  redraw();
}

const freeze = () => hold(held || byId("freeze").disabled ? null : newest);
const best = () => gather.count && hold(gather.best());
const mean = () => gather.count && hold(gather.mean());

async function save() {
  if (byId("snapshot").disabled) return;
  try {
    await snapshot(painter, shown(), view(), status, held !== null);
  } catch (error) {
    say(`No snapshot: ${error.message}`);
  }
  redraw();
}

function showControls() {
  const daemon = shown()?.threshold ?? 128;
  set("opacity-value", `${controls.elements.opacity.value} %`);
  if (threshold === null) controls.elements.threshold.value = String(daemon);
  const now = threshold ?? daemon;
  set("threshold-value", (now / 256).toFixed(2));
  const differs = now !== daemon;
  byId("threshold-differs").hidden = !differs;
  set("threshold-note", differs
    ? `Shown here at ${(now / 256).toFixed(3)}; the daemon's is ${(daemon / 256).toFixed(3)}, and all its numbers are made with that.` : "");
}

function setThreshold(value) {
  threshold = value === null ? null : Math.min(255, Math.max(1, value));
  if (threshold !== null) controls.elements.threshold.value = String(threshold);
  showControls();
  redraw();
}

function showZoom() {
  set("zoom-factor", `${zoom.factor.toFixed(1)}×`);
  byId("zoom-reset").disabled = zoom.factor === 1;
  canvas.classList.toggle("zoomed", zoom.factor > 1);
  redraw();
}

const zoom = new Zoom(showZoom);
const closer = new Closer(canvas, zoom, paneAt, () => shown()?.window);
zoom.listen(canvas, paneAt, () => !closer.choosing);

controls.addEventListener("input", ({ target }) => {
  if (target.name === "threshold") setThreshold(Number(target.value));
  showControls();
  redraw();
});
controls.addEventListener("submit", (event) => event.preventDefault());
const press = {
  "threshold-reset": () => setThreshold(null),
  freeze, best, mean,
  snapshot: save,
  record: recording.toggle,
  "zoom-in": () => closer.choosing || zoom.by(STEP),
  "zoom-out": () => closer.choosing || zoom.by(1 / STEP),
  "zoom-reset": () => zoom.reset(),
};
for (const [id, run] of Object.entries(press)) byId(id).addEventListener("click", run);

const mode = (name) => {
  byId(`mode-${name}`).checked = true;
  showControls();
  redraw();
};
const nudge = (by) => setThreshold((threshold ?? shown()?.threshold ?? 128) + by);
const MODES = ["heat", "outline", "skeleton", "width", "off"];
const PAN = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
keys.listen([
  { on: ["Escape", "Enter", ...Object.keys(PAN), "+", "=", "-"], run: (key) => {
    if (closer.key(key)) return true;
    if (key === "+" || key === "=") zoom.by(STEP);
    else if (key === "-") zoom.by(1 / STEP);
    else if (PAN[key] && zoom.factor > 1) zoom.move(...PAN[key]);
    else return false;
    return true;
  } },
  { on: [" "], run: freeze },
  { on: ["1", "2", "3", "4", "5"], run: (key) => mode(MODES[key - 1]) },
  { on: ["b"], run: () => byId("beside").click() },
  { on: ["[", "]"], run: (key) => nudge(key === "[" ? -4 : 4) },
  { on: ["t"], run: () => setThreshold(null) },
  { on: ["f"], run: best },
  { on: ["m"], run: mean },
  { on: ["s"], run: save },
  { on: ["r"], run: recording.toggle },
  { on: ["0"], run: () => zoom.reset() },
  { on: ["l"], run: () => closer.toggle() },
  { on: ["w"], run: () => closer.whole() },
]);

function showStatus() {
  statusPanel.show(status);
  const live = newest?.state === "live" && state.current() === "live";
  // Either may know first that the mask is no longer true.
  measure.show(status.vessels, live && status.state === "live" && measure.sameView(status.vessels, newest));
  closer.show(status.window);
  recording.show(status.recording);
  if (ages.some((age) => age !== null)) course(byId("age-course"), ages, { low: 0 });
  set("age-now", live ? `${fixed(newest.ageMs, 0)} ms` : "–");
  set("shown", live ? fixed(cameAt.filter((came) => came > Date.now() - 3000).length / 3, 1) : "–");
  showControls();
  offer();
}

async function poll() {
  try {
    const answer = await fetch("/status", { signal: AbortSignal.timeout(ANSWER_MS) });
    // A new token: the page asks for it.
    if (answer.status === 401) location.reload();
    if (!answer.ok) throw new Error(answer.statusText);
    status = await answer.json();
    state.ofConnection(true);
  } catch {
    state.ofConnection(false);
  }
  if (status && state.current() !== "no_connection") showStatus();
  else {
    measure.show(status?.vessels, false);
    offer();
  }
  setTimeout(poll, POLL_MS);
}

const live = new Live({ onFrame, onLost });
// Nobody sees it: the daemon need not encode.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    live.stop();
    retire(gather.clear());
    state.ofPicture("waiting");
    offer();
  } else {
    live.start();
  }
});
new ResizeObserver(redraw).observe(byId("frame"));
showControls();
live.start();
poll();
