// Reads /live (docs/live.md).
// Mask and picture of one message stay together from here on.

// The daemon repeats itself four times a second when nothing new comes.
const SILENCE_MS = 1500;
const RESTART_MS = 1000;
const HEADER_LEN = 44;
const STATES = ["no_signal", "stale", "live"];

export class Live {
  #onFrame;
  #onLost;
  #socket = null;
  #silence;
  #restart;
  #next = null;
  #decoding = false;

  constructor({ onFrame, onLost }) {
    this.#onFrame = onFrame;
    this.#onLost = onLost;
  }

  start() {
    this.stop();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/live`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#wait(socket);
      this.#next = data;
      if (!this.#decoding) this.#decode();
    };
    socket.onclose = ({ reason }) => this.#lost(socket, reason || "The live picture broke off.");
    this.#wait(socket);
  }

  stop() {
    clearTimeout(this.#silence);
    clearTimeout(this.#restart);
    const socket = this.#socket;
    this.#socket = null;
    this.#next = null;
    socket?.close();
  }

  #wait(socket) {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#lost(socket, "The live picture has fallen silent."), SILENCE_MS);
  }

  #lost(socket, reason) {
    if (socket !== this.#socket) return;
    this.stop();
    this.#onLost(reason);
    this.#restart = setTimeout(() => this.start(), RESTART_MS);
  }

  async #decode() {
    this.#decoding = true;
    while (this.#next) {
      const socket = this.#socket;
      const data = this.#next;
      this.#next = null;
      try {
        const frame = await decoded(parse(data));
        if (socket === this.#socket) this.#onFrame(frame);
        else frame.bitmap?.close();
      } catch (error) {
        this.#lost(socket, `A message could not be read: ${error.message}`);
      }
    }
    this.#decoding = false;
  }
}

function parse(data) {
  const view = new DataView(data);
  const magic = String.fromCharCode(...new Uint8Array(data, 0, 4));
  if (magic !== "qsl1") throw new Error(`it begins with ${magic}; reload the page`);
  const u16 = (at) => view.getUint16(at, true);
  const u32 = (at) => view.getUint32(at, true);
  const pictureEnd = HEADER_LEN + u32(28);
  const maskEnd = pictureEnd + u32(32);
  if (maskEnd !== data.byteLength) throw new Error(`it has ${data.byteLength} bytes and says ${maskEnd}`);
  return {
    state: STATES[view.getUint8(4)],
    threshold: view.getUint8(5),
    frameCount: view.getUint8(6),
    jpegQuality: view.getUint8(7),
    sequence: Number(view.getBigUint64(8, true)),
    ageMs: u32(16) / 1000,
    width: u16(20),
    height: u16(22),
    maskWidth: u16(24),
    maskHeight: u16(26),
    // Of the sensor; null where nobody knows.
    window: u16(40) ? { left: u16(36), top: u16(38), width: u16(40), height: u16(42) } : null,
    jpeg: new Uint8Array(data, HEADER_LEN, pictureEnd - HEADER_LEN),
    deflated: new Uint8Array(data, pictureEnd, maskEnd - pictureEnd),
  };
}

async function decoded({ jpeg, deflated, ...frame }) {
  const picture = jpeg.length ? createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })) : null;
  const mask = deflated.length ? inflated(deflated) : null;
  const [bitmap, probability] = await Promise.all([picture, mask]);
  if (probability && probability.length !== frame.maskWidth * frame.maskHeight) {
    throw new Error("its mask has another size than it says");
  }
  return { ...frame, bitmap, probability, came: Date.now() };
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
