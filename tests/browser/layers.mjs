// What came over /live, read by code that shares none with the page.

import { inflateRawSync } from "node:zlib";

const STATES = ["no_signal", "stale", "live"];

/** One message, as docs/live.md lays it out. */
export function parse(bytes) {
  if (bytes.toString("latin1", 0, 4) !== "qsl1") throw new Error("no message of /live");
  const [pictureLength, maskLength] = [bytes.readUInt32LE(28), bytes.readUInt32LE(32)];
  const mask = bytes.subarray(44 + pictureLength, 44 + pictureLength + maskLength);
  return {
    state: STATES[bytes[4]],
    threshold: bytes[5],
    sequence: Number(bytes.readBigUInt64LE(8)),
    width: bytes.readUInt16LE(24),
    height: bytes.readUInt16LE(26),
    probability: maskLength > 0 ? inflateRawSync(mask) : null,
  };
}

/** Keeps the newest messages of a page by their frame's number. */
export function listen(page) {
  const kept = new Map();
  page.on("websocket", (socket) => {
    socket.on("framereceived", ({ payload }) => {
      if (typeof payload === "string") return;
      const sequence = Number(payload.readBigUInt64LE(8));
      if (payload[4] === 2) kept.set(sequence, payload);
      if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    });
  });
  const message = (sequence) => {
    const bytes = kept.get(sequence);
    if (!bytes) throw new Error(`frame ${sequence} did not come over /live; ${[...kept.keys()]}`);
    return parse(bytes);
  };
  message.came = (sequence) => kept.has(sequence);
  return message;
}

// Some seconds.
const KEPT = 200;
