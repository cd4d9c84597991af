// What a snapshot holds, read by another program than the page's own.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { daemon, freeze, live } from "./live.mjs";
import { comparedPictures } from "./pixels.mjs";

/** A page with a held frame, and with the measurements of one. */
async function held(t, options) {
  const { page, check, message } = await live(t, options);
  await page.locator("#vessels").waitFor({ state: "visible" });
  return { page, check, mask: message(await freeze(page)) };
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

test("a snapshot is the picture, the picture with the overlay, and all that is known of them", async (t) => {
  const { page, check, mask } = await held(t);
  await page.locator("#label").fill("Bench 3 / left");
  await page.locator("#opacity").fill("90");
  const { name, files } = await saved(page);
  const stem = new RegExp(`^qsegment-Bench-3-left-\\d{8}T\\d{6}Z-${mask.sequence}$`);
  assert.match(name.replace(/\.zip$/, ""), stem);
  const own = name.replace(/\.zip$/, "");
  assert.deepEqual(Object.keys(files), [`${own}-picture.png`, `${own}-overlay.png`, `${own}.json`]);

  const { sizes, differences } = await comparedPictures(page, [files[`${own}-picture.png`], files[`${own}-overlay.png`]], mask);
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
  const { page, check } = await held(t, { prepare: (page) => page.route("**/status", async (route) => {
    const answer = await route.fetch();
    const status = await answer.json();
    if (status.vessels) status.vessels.window = { left: 1268, top: 760, width: 1520, height: 1520 };
    await route.fulfill({ response: answer, json: status });
  }) });
  const { name, files } = await saved(page);
  const said = JSON.parse(Buffer.from(files[name.replace(/zip$/, "json")], "base64"));
  assert.equal(said.window.width, 3040);
  assert.deepEqual([said.quality, said.measurements, said.measured_on_sequence], [null, null, null]);
  check();
});
