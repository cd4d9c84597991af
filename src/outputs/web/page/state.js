// What may be believed: one state for the whole page, and no picture that says another (docs/live.md).

import { byId, set } from "./dom.js";

const BADGES = {
  waiting: "CONNECTING",
  live: "LIVE",
  stale: "STALE",
  no_signal: "NO SIGNAL",
  no_picture: "NO PICTURE",
  no_connection: "NO CONNECTION",
};

let picture = "waiting";
let reason = "";
let ageMs = 0;
let connected = true;
let held = null;

export const current = () => (connected ? picture : "no_connection");

export function ofPicture(state, { why = "", age = 0 } = {}) {
  picture = state;
  reason = why;
  ageMs = age;
  show();
}

export function ofConnection(answers) {
  connected = answers;
  show();
}

export function ofHeld(frame) {
  held = frame;
  show();
}

function show() {
  const state = current();
  document.body.dataset.state = state;
  document.body.toggleAttribute("data-frozen", held !== null);
  const badge = held && state === "live" ? "FROZEN" : BADGES[state];
  set("badge", badge);
  document.title = badge === "LIVE" ? "qsegment" : `${badge} – qsegment`;

  byId("cover").hidden = held !== null || (state !== "no_connection" && state !== "no_picture");
  set("cover-title", BADGES[state]);
  set("cover-reason", connected ? reason : "The daemon does not answer.");
  byId("plate").hidden = held !== null || (state !== "stale" && state !== "no_signal");
  set("plate-title", state === "stale" ? `STALE ${(ageMs / 1000).toFixed(1)} s` : "NO SIGNAL");
  set("plate-reason", state === "stale" ? "mask withheld" : "no output tensor");
  byId("held").hidden = held === null;
  if (held) {
    const since = new Date(held.came).toLocaleTimeString("en-GB");
    set("held-what", `${held.held ?? "this frame"}, no. ${held.sequence}, ${since}; the live state is ${BADGES[state]}`);
  }
}
