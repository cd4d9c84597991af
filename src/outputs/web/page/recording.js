// The record button: the daemon records, and chooses the file's name.

import { send } from "./api.js";
import { byId, say } from "./dom.js";

let active = false;

// `status.recording`; without it there is no button.
export function show(recording) {
  const button = byId("record");
  button.hidden = !recording;
  if (!recording) return;
  active = recording.active;
  button.disabled = !recording.available && !active;
  button.setAttribute("aria-pressed", String(active));
  button.textContent = active ? `Stop (${(recording.bytes / 1e6).toFixed(1)} MB)` : "Record";
  button.title = recording.reason ?? (active ? `into ${recording.file}` : "Record frames on the daemon's machine (r)");
}

export async function toggle() {
  const button = byId("record");
  if (button.hidden || button.disabled) return;
  const { refused } = await send("POST", "recording", { active: !active });
  say(refused ? `Not ${active ? "stopped" : "recorded"}: ${refused}` : active ? "The recording is closed." : "Recording.");
}
