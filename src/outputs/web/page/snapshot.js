// A snapshot: the picture, the picture with what is drawn over it, and what is known of both, in one archive.

import { byId, say } from "./dom.js";
import { near } from "./measure.js";
import { zip } from "./zip.js";

// Output pixels a pixel of the picture, so that lines lie beside thin vessels, not on them.
const SCALE = 2;

export async function snapshot(painter, frame, view, status, frozen) {
  const when = new Date();
  const label = byId("label").value.trim();
  const safe = label.replaceAll(/[^\p{L}\p{N}_-]+/gu, "-");
  const stamp = when.toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const name = ["qsegment", safe, stamp, frame.sequence].filter(Boolean).join("-");
  const aspect = view.aspect * frame.height / frame.width;
  // Both are painted before anything is waited for: the frame's bitmap may be gone then.
  const [bare, over] = await Promise.all([true, false].map((each) => picture(painter, frame, view, aspect, each)));
  const document = JSON.stringify(describe(frame, view, status, { label, when, frozen }), null, 2);
  const files = [
    { name: `${name}-picture.png`, blob: bare },
    { name: `${name}-overlay.png`, blob: over },
    { name: `${name}.json`, blob: new Blob([`${document}\n`], { type: "application/json" }) },
  ];
  const link = window.document.createElement("a");
  link.href = URL.createObjectURL(await zip(files, when));
  link.download = `${name}.zip`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  say(`Saved ${name}.zip.`);
}

// The whole picture in its true aspect, whatever the page is zoomed to.
function picture(painter, frame, view, aspect, bare) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(frame.width * SCALE * Math.max(1, aspect));
  canvas.height = Math.round(frame.height * SCALE / Math.min(1, aspect));
  const panes = [{ x: 0, y: 0, width: canvas.width, height: canvas.height, bare }];
  painter.paint(canvas, frame, { ...view, zoom: { factor: 1, x: 0.5, y: 0.5 }, panes, line: 1.5 });
  return new Promise((resolve) => canvas.toBlob(resolve));
}

function describe(frame, view, status, { label, when, frozen }) {
  const vessels = near(frame);
  return {
    version: 1,
    disclaimer: status.disclaimer,
    qsegment: status.qsegment,
    taken_at: when.toISOString(),
    session_label: label || null,
    network: { ...status.network, trained_on: status.model_card },
    inference: status.ladder,
    source: status.source,
    frame: {
      sequence: frame.sequence,
      frame_count: frame.frameCount,
      state: frame.state,
      age_ms_when_sent: frame.ageMs,
      came_at: new Date(frame.came).toISOString(),
      held: frozen ? frame.held ?? "frozen" : null,
      mean_of_frames: frame.meanOf ?? 1,
      picture_px: [frame.width, frame.height],
      mask_px: [frame.maskWidth, frame.maskHeight],
      picture_encoding: `JPEG, quality ${frame.jpegQuality}, on its way to the browser`,
    },
    shown: { mode: view.mode, opacity: view.opacity, threshold: view.threshold / 256 },
    threshold_of_the_daemon: frame.threshold / 256,
    // By the camera (camera.flip); optics may, too.
    mirrored: status.source.flip,
    window: frame.window,
    quality: vessels?.quality ?? null,
    pixel_size_um: vessels?.pixel_size_um ?? null,
    measurements: vessels?.measurements ?? null,
    // By the daemon, of one picture at its own threshold: not of a mean, nor at the slider's.
    measured_on_sequence: vessels?.sequence ?? null,
    stable_frames: vessels?.stable_frames ?? null,
  };
}
