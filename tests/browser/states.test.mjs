// What the page says when frames stop, and when it says nothing of its own accord.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { accessibility, launch, open, picture, until } from "./browser.mjs";
import { start } from "./daemon.mjs";
import { parse } from "./layers.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const badge = (page) => page.locator("#badge").innerText();

test("stale appears when the source stalls, and goes when it returns", async (t) => {
  // For a second, every two.
  const daemon = await start(["--fault", "stalled-source:60-999999:every=60"]);
  t.after(() => daemon.stop());
  const { page, check } = await open(browser, daemon);
  await until(page, "live");
  await until(page, "stale");
  assert.match(await badge(page), /stale/i);
  await until(page, "live");
  assert.match(await badge(page), /live/i);
  check();
});

test("no mask is shown while it is stale, and in the end there is no signal", async (t) => {
  // Pictures go on and no tensor comes any more; the step that would help waits for ten minutes.
  const daemon = await start(
    ["--fault", "lost-network:30-30"],
    { QSEGMENT_RECOVERY_TENSOR_PATIENCE_MS: "600000" },
  );
  t.after(() => daemon.stop());
  const messages = [];
  const before = (page) => page.on("websocket", (socket) => {
    socket.on("framereceived", ({ payload }) => messages.push(parse(payload)));
  });
  const { page, check } = await open(browser, daemon, { before });
  await until(page, "live");
  await until(page, "stale");
  await picture(page, "stale");
  assert.deepEqual(await accessibility(page), []);
  await until(page, "no_signal");
  await picture(page, "no-signal");
  assert.match(await badge(page), /no signal/i);
  assert.match(await page.title(), /no signal/i);
  assert.deepEqual(await accessibility(page), []);
  const sent = (wanted) => messages.filter(({ state }) => state === wanted);
  assert.ok(sent("live").every(({ probability }) => probability));
  for (const state of ["stale", "no_signal"]) {
    assert.ok(sent(state).length > 0 && sent(state).every(({ probability }) => !probability), state);
  }
  check();
});

test("a daemon that falls silent is told from one that has no frames", async (t) => {
  const daemon = await start();
  t.after(() => daemon.stop());
  const { page, check, forgive } = await open(browser, daemon);
  await until(page, "live");
  check();
  daemon.freeze();
  await until(page, "no_connection");
  assert.match(await badge(page), /no connection/i);
  await picture(page, "no-connection");
  assert.ok(await page.locator("#grade").isHidden(), "what was good is not said to be");
  const values = await page.locator("#measurements td:nth-child(2)").allInnerTexts();
  assert.ok(values.every((value) => value === "–"), `numbers that nobody vouches for: ${values}`);
  // A connection that is refused is told to the console by the browser itself.
  forgive();
});
