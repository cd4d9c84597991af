// What a snapshot holds, read by another program than the page's own.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";

import { launch, open, until } from "./browser.mjs";
import { start } from "./daemon.mjs";
import { listen } from "./layers.mjs";

let browser;
let daemon;
before(async () => {
  const patient = { QSEGMENT_PIPELINE_STALE_AFTER_MS: "8000" };
  [browser, daemon] = await Promise.all([launch(), start([], patient)]);
});
after(() => Promise.all([browser.close(), daemon.stop()]));

/** A page with a held frame; `prepare` gets it before it is loaded. */
async function held(t, prepare = () => {}) {
  let message;
  const before = (page) => {
    message = listen(page);
    prepare(page);
  };
  const { page, check, close } = await open(browser, daemon, { before });
  t.after(async () => {
    await page.unrouteAll({ behavior: "ignoreErrors" });
    await close();
  });
  await until(page, "live");
  await page.locator("#vessels").waitFor({ state: "visible" });
  await page.locator("#freeze").click();
  await page.locator("#held").waitFor({ state: "visible" });
  const sequence = Number(await page.locator("#picture").getAttribute("data-sequence"));
  return { page, check, mask: message(sequence) };
}

/** The archive's files by name. */
async function saved(page) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#snapshot").click()]);
  const program = "import base64, json, sys, zipfile\n"
    + "archive = zipfile.ZipFile(sys.argv[1])\n"
    + "assert archive.testzip() is None\n"
    + "print(json.dumps({name: base64.b64encode(archive.read(name)).decode() for name in archive.namelist()}))";
  const listed = execFileSync("python3", ["-c", program, await download.path()], { maxBuffer: 1 << 28 });
  return { name: download.suggestedFilename(), files: JSON.parse(listed) };
}

/** Size of both PNG, and how far they are from one another at each pixel of the mask: 0 to 255. */
function compared(page, pictures, { width, height }) {
  return page.evaluate(async ([pictures, across, down]) => {
    const [one, other] = await Promise.all(pictures.map(async (base64) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
      const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
      context.drawImage(bitmap, 0, 0);
      return context.getImageData(0, 0, bitmap.width, bitmap.height);
    }));
    const differences = [];
    for (let y = 0; y < down; y += 1) {
      for (let x = 0; x < across; x += 1) {
        const at = 4 * (Math.floor(((y + 0.5) * one.height) / down) * one.width + Math.floor(((x + 0.5) * one.width) / across));
        differences.push(Math.max(...[0, 1, 2].map((channel) => Math.abs(one.data[at + channel] - other.data[at + channel]))));
      }
    }
    return { sizes: [one, other].map((of) => [of.width, of.height]), differences };
  }, [pictures, width, height]);
}

test("a snapshot is the picture, the picture with the overlay, and all that is known of them", async (t) => {
  const { page, check, mask } = await held(t);
  await page.locator("#label").fill("Bench 3 / left");
  await page.locator("#opacity").fill("90");
  const { name, files } = await saved(page);
  const stem = new RegExp(`^qsegment-Bench-3-left-\\d{8}T\\d{6}Z-${mask.sequence}$`);
  assert.match(name.replace(/\.zip$/, ""), stem);
  const own = name.replace(/\.zip$/, "");
  assert.deepEqual(Object.keys(files), [`${own}-picture.png`, `${own}-overlay.png`, `${own}.json`]);

  const { sizes, differences } = await compared(page, [files[`${own}-picture.png`], files[`${own}-overlay.png`]], mask);
  assert.deepEqual(sizes, [[800, 800], [800, 800]]);
  const mean = (where) => {
    const there = differences.filter((_, at) => where(mask.probability[at]));
    return there.reduce((sum, by) => sum + by, 0) / there.length;
  };
  assert.ok(mean((p) => p >= 200) > 60, `${mean((p) => p >= 200)}: vessels are drawn`);
  assert.ok(mean((p) => p === 0) < 3, `${mean((p) => p === 0)}: and nothing else`);

  const said = JSON.parse(Buffer.from(files[`${own}.json`], "base64"));
  const status = await daemon.json("/status");
  assert.equal(said.disclaimer, "Research use only. Not a medical device.");
  assert.equal(said.session_label, "Bench 3 / left");
  assert.equal(said.network.sha256, status.network.sha256);
  assert.ok(said.network.trained_on.length > 20);
  assert.deepEqual(said.mirrored, status.source.flip);
  assert.deepEqual(said.window, { left: 508, top: 0, width: 3040, height: 3040 });
  assert.deepEqual([said.frame.sequence, said.frame.state, said.frame.held], [mask.sequence, "live", "frozen"]);
  assert.deepEqual(said.shown, { mode: "heat", opacity: 0.9, threshold: mask.threshold / 256 });
  assert.equal(said.threshold_of_the_daemon, mask.threshold / 256);
  assert.ok(Math.abs(said.measured_on_sequence - mask.sequence) <= 30);
  assert.ok(["good", "usable", "reject"].includes(said.quality.grade));
  assert.ok(said.quality.criteria.length > 5);
  const density = said.measurements.find((of) => of.name === "density");
  assert.ok(density.unit === "1" && density.definition.length > 20 && "uncertainty" in density);
  assert.equal(density.value === null, said.quality.grade === "reject");
  check();
});

test("a snapshot has no numbers that were measured through another window", async (t) => {
  const { page, check } = await held(t, (page) => page.route("**/status", async (route) => {
    const answer = await route.fetch();
    const status = await answer.json();
    if (status.vessels) status.vessels.window = { left: 1268, top: 760, width: 1520, height: 1520 };
    await route.fulfill({ response: answer, json: status });
  }));
  const { name, files } = await saved(page);
  const said = JSON.parse(Buffer.from(files[name.replace(/zip$/, "json")], "base64"));
  assert.equal(said.window.width, 3040);
  assert.deepEqual([said.quality, said.measurements, said.measured_on_sequence], [null, null, null]);
  check();
});
