// Zoom and pan of the picture alone: the sensor and its network see what they saw before.

const MAX_FACTOR = 16;

export class Zoom {
  factor = 1;
  // What of the picture is in the middle, 0 to 1.
  x = 0.5;
  y = 0.5;
  #onChange;
  #fingers = new Map();

  constructor(onChange) {
    this.#onChange = onChange;
  }

  reset() {
    this.by(1 / this.factor);
  }

  // Keeps the place at (u, v) of the pane, 0 to 1, where it is.
  by(times, u = 0.5, v = 0.5) {
    const factor = Math.min(MAX_FACTOR, Math.max(1, this.factor * times));
    this.x += (u - 0.5) * (1 / this.factor - 1 / factor);
    this.y += (v - 0.5) * (1 / this.factor - 1 / factor);
    this.factor = factor;
    this.move(0, 0);
  }

  // By shares of the pane.
  move(across, down) {
    const half = 0.5 / this.factor;
    const within = (value) => Math.min(1 - half, Math.max(half, value));
    this.x = within(this.x + across / this.factor);
    this.y = within(this.y + down / this.factor);
    this.#onChange();
  }

  // `paneAt(event)` gives { u, v, width, height } of the pane under the pointer, sizes in CSS pixels.
  listen(canvas, paneAt, isOurs) {
    canvas.addEventListener("wheel", (event) => {
      const pane = paneAt(event);
      if (!pane || !isOurs()) return;
      event.preventDefault();
      this.by(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), pane.u, pane.v);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      if (!isOurs() || event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.#fingers.set(event.pointerId, event);
    });
    canvas.addEventListener("pointermove", (event) => this.#drag(event, paneAt));
    for (const over of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(over, (event) => this.#fingers.delete(event.pointerId));
    }
  }

  #drag(event, paneAt) {
    const before = this.#fingers.get(event.pointerId);
    if (!before) return;
    const others = [...this.#fingers.values()].filter((other) => other.pointerId !== event.pointerId);
    this.#fingers.set(event.pointerId, event);
    const pane = paneAt(event);
    if (!pane) return;
    if (others.length) {
      const apart = (finger) => Math.hypot(finger.clientX - others[0].clientX, finger.clientY - others[0].clientY);
      if (apart(before) > 0) this.by(apart(event) / apart(before), pane.u, pane.v);
    } else {
      this.move((before.clientX - event.clientX) / pane.width, (before.clientY - event.clientY) / pane.height);
    }
  }
}
