// The last frames, for the sharpest of them and for the mean of those that did not move.

const KEPT = 30;
// At 640 x 640 that is 60 MB of pictures and masks.
const KEPT_PIXELS = 30 * 640 * 640;
const PATCH = 128;
// Share of two probability maps that is in both: one pixel of motion halves it, noise leaves it above this.
const STILL = 0.7;

export class Gather {
  #frames = [];
  #patch = document.createElement("canvas");

  constructor() {
    this.#patch.width = this.#patch.height = PATCH;
  }

  get count() { return this.#frames.length; }

  // `graded` is what the daemon said of the quality lately. Gives the frames that nobody keeps any more.
  add(frame, graded) {
    if (frame.state !== "live" || this.#frames.at(-1)?.sequence === frame.sequence) return [frame];
    this.#frames.push(Object.assign(frame, { sharpness: sharpness(this.#green(frame)), graded }));
    const most = Math.max(4, Math.min(KEPT, Math.floor(KEPT_PIXELS / (frame.width * frame.height))));
    return this.#frames.splice(0, this.#frames.length - most);
  }

  // Frames before a gap do not belong to what comes after it.
  clear() {
    return this.#frames.splice(0);
  }

  best() {
    const usable = this.#frames.filter((frame) => frame.graded !== "reject");
    const best = (usable.length ? usable : this.#frames).reduce((a, b) => (b.sharpness > a.sharpness ? b : a));
    return { ...best, held: `the sharpest of the last ${this.#frames.length} frames` };
  }

  // The newest picture with the mean probability of the frames that show the same.
  mean() {
    const newest = this.#frames.at(-1);
    const still = [];
    for (const frame of [...this.#frames].reverse()) {
      if (frame.maskWidth !== newest.maskWidth || frame.maskHeight !== newest.maskHeight
        || overlap(frame.probability, newest.probability) < STILL) break;
      still.push(frame);
    }
    const sums = new Uint16Array(newest.probability.length);
    for (const { probability } of still) {
      for (let i = 0; i < sums.length; i += 1) sums[i] += probability[i];
    }
    const probability = Uint8Array.from(sums, (sum) => Math.round(sum / still.length));
    const held = still.length > 1 ? `the mean of the last ${still.length} frames that did not move`
      : "one frame: the ones before it moved";
    return { ...newest, probability, meanOf: still.length, held };
  }

  // From the middle, at its own resolution: scaling would take the very detail that tells sharp from blurred.
  #green({ bitmap, width, height }) {
    const context = this.#patch.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, (width - PATCH) / 2, (height - PATCH) / 2, PATCH, PATCH, 0, 0, PATCH, PATCH);
    const { data } = context.getImageData(0, 0, PATCH, PATCH);
    return Uint8Array.from({ length: PATCH * PATCH }, (_, i) => data[i * 4 + 1]);
  }
}

// Mean square of the Laplacian.
function sharpness(patch) {
  let squares = 0;
  for (let y = 1; y + 1 < PATCH; y += 1) {
    for (let i = y * PATCH + 1; i < (y + 1) * PATCH - 1; i += 1) {
      const value = 4 * patch[i] - patch[i - 1] - patch[i + 1] - patch[i - PATCH] - patch[i + PATCH];
      squares += value * value;
    }
  }
  return squares / patch.length;
}

function overlap(a, b) {
  let both = 0, either = 0;
  for (let i = 0; i < a.length; i += 1) {
    both += Math.min(a[i], b[i]);
    either += Math.max(a[i], b[i]);
  }
  return either > 0 ? both / either : 1;
}
