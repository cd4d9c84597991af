// Pages with live frames: one browser and one daemon for all tests of a file.

import { after, before } from "node:test";

import { launch, open, until } from "./browser.mjs";
import { start } from "./daemon.mjs";
import { listen } from "./layers.mjs";

export let browser;
export let daemon;
before(async () => {
  // However busy this machine is, a frame is live here; states.test.mjs is about those that are not.
  const patient = { QSEGMENT_PIPELINE_STALE_AFTER_MS: "8000" };
  [browser, daemon] = await Promise.all([launch(), start([], patient)]);
});
after(() => Promise.all([browser.close(), daemon.stop()]));

/** A page that shows the newest frames, with whatever came over its WebSocket. `prepare` gets it before it is loaded. */
export async function live(t, { prepare = () => {}, ...options } = {}) {
  let message;
  const before = (page) => {
    message = listen(page);
    prepare(page);
  };
  const opened = await open(browser, daemon, { before, ...options });
  t.after(async () => {
    await opened.page.unrouteAll({ behavior: "ignoreErrors" });
    await opened.close();
  });
  await until(opened.page, "live");
  return { ...opened, message };
}

/** Freezes and says which frame is held. */
export async function freeze(page) {
  await page.locator("#freeze").click();
  await page.locator("#held").waitFor({ state: "visible" });
  await drawn(page);
  return Number(await page.locator("#picture").getAttribute("data-sequence"));
}

/** Waits for the next picture on the screen; what was chosen is drawn in it. */
export const drawn = (page) => page.evaluate(() => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(() => done()));
}));
