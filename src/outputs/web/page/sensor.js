// "Look closer": a box dragged on the picture becomes the sensor's inference window, so that its network sees that
// region at its full input size. Another thing than zooming the picture, which shows no more than there is.

import { send } from "./api.js";
import { byId, say, set } from "./dom.js";

const STEP = 0.05;
const LEAST = 0.05;

export class Closer {
  #window = null;
  #box = null;
  #from = null;
  #canvas;
  #zoom;
  #paneAt;
  #seen;
  #refused = null;

  // `seen` gives the window of the picture that is shown.
  constructor(canvas, zoom, paneAt, seen) {
    this.#canvas = canvas;
    this.#zoom = zoom;
    this.#paneAt = paneAt;
    this.#seen = seen;
    byId("closer").addEventListener("click", () => this.toggle());
    byId("whole").addEventListener("click", () => this.whole());
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#drag(event));
    canvas.addEventListener("pointerup", (event) => this.#end(event));
    canvas.addEventListener("pointercancel", () => { this.#from = null; });
  }

  get choosing() { return this.#box !== null; }
  get offered() { return Boolean(this.#window?.adjustable); }

  // `status.window`; absent or null where the source has none.
  show(window) {
    this.#window = window ?? null;
    byId("window-group").hidden = !window;
    if (!window) return this.#choose(false);
    if (window.refused && window.refused !== this.#refused) say(`The camera did not take the window: ${window.refused}`);
    this.#refused = window.refused;
    const { left, top, width, height, sensor_width: across, sensor_height: down } = window;
    byId("map").style.aspectRatio = `${across} / ${down}`;
    const share = (part, whole) => `${(100 * part) / whole}%`;
    Object.assign(byId("map-window").style, {
      left: share(left, across), top: share(top, down), width: share(width, across), height: share(height, down),
    });
    set("window-size", `Sensor ${width} × ${height}`);
    for (const id of ["closer", "whole"]) {
      byId(id).disabled = !window.adjustable;
      if (!window.adjustable) byId(id).title = "This source has one view only";
    }
  }

  toggle() {
    if (this.offered && !this.choosing && !this.#seen()) say("The window is moving; wait a moment.");
    else if (this.offered) this.#choose(!this.choosing);
  }

  // Gives whether the key was for the box.
  key(key) {
    if (!this.choosing) return false;
    const { x, y, size } = this.#box;
    const moves = { ArrowLeft: [-STEP, 0, 0], ArrowRight: [STEP, 0, 0], ArrowUp: [0, -STEP, 0], ArrowDown: [0, STEP, 0],
      "+": [0, 0, STEP], "=": [0, 0, STEP], "-": [0, 0, -STEP] };
    if (key === "Escape") this.#choose(false);
    else if (key === "Enter") this.#apply();
    else if (moves[key]) {
      const [across, down, wider] = moves[key];
      this.#place(x + across - wider / 2, y + down - wider / 2, size + wider);
    } else return false;
    return true;
  }

  async whole() {
    if (this.offered) await this.#ask("DELETE");
    this.#choose(false);
  }

  #choose(on) {
    this.#box = null;
    this.#from = null;
    byId("closer").setAttribute("aria-pressed", String(on));
    byId("closer").textContent = on ? "Cancel" : "Look closer";
    document.body.toggleAttribute("data-choosing", on);
    byId("box").hidden = !on;
    if (!on) return;
    this.#zoom.reset();
    this.#place(0.25, 0.25, 0.5);
    this.#canvas.focus({ preventScroll: true });
    say("Drag a box on the picture; or move it with the arrow keys, size it with plus and minus, and press Enter.");
  }

  // Of the picture's shape, so that the network's input is filled and nothing is squeezed.
  #place(x, y, size) {
    const side = Math.min(1, Math.max(LEAST, size));
    const within = (value) => Math.min(1 - side, Math.max(0, value));
    this.#box = { x: within(x), y: within(y), size: side };
    const canvas = this.#canvas.getBoundingClientRect();
    const frame = byId("frame").getBoundingClientRect();
    const pane = this.#paneAt.first();
    Object.assign(byId("box").style, {
      left: `${canvas.left - frame.left + pane.left + this.#box.x * pane.width}px`,
      top: `${canvas.top - frame.top + pane.top + this.#box.y * pane.height}px`,
      width: `${side * pane.width}px`,
      height: `${side * pane.height}px`,
    });
  }

  #begin(event) {
    const at = this.choosing && event.button === 0 && this.#paneAt(event);
    if (!at) return;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#from = at;
  }

  #drag(event) {
    const to = this.#from && this.#paneAt(event);
    if (!to) return;
    const { u, v } = this.#from;
    const size = Math.max(Math.abs(to.u - u), Math.abs(to.v - v));
    this.#place(to.u < u ? u - size : u, to.v < v ? v - size : v, size);
  }

  #end(event) {
    const from = this.#from;
    const to = from && this.#paneAt(event);
    this.#from = null;
    // A click chooses nothing.
    if (to && Math.hypot(to.u - from.u, to.v - from.v) > LEAST / 2) this.#apply();
  }

  async #apply() {
    const { x, y, size } = this.#box;
    const { left, top, width, height } = this.#seen() ?? this.#window;
    const window = {
      left: Math.round(left + x * width),
      top: Math.round(top + y * height),
      width: Math.round(size * width),
      height: Math.round(size * height),
    };
    this.#choose(false);
    await this.#ask("PUT", window);
  }

  async #ask(method, window) {
    const { refused, width, height } = await send(method, "window", window);
    say(refused ? `The window is as it was: ${refused}` : `The sensor shows ${width} × ${height} pixels.`);
  }
}
