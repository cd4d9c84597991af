// Debian's Chromium, and what every page of it must not do.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { chromium } from "playwright-core";

import { pixelsOfPicture } from "./pixels.mjs";

const require = createRequire(import.meta.url);
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
// What a slow, busy machine needs; a page that is right takes a fraction of it.
export const PATIENCE_MS = 20_000;

/** Without the sandbox, which root in a container has not; without a graphics card, as on a test machine. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu"],
  });
}

/**
 * The page of `daemon`, watched: `check` fails on errors in its console and on requests to anybody else. `before` gets
 * it before anything is loaded.
 */
export async function open(browser, daemon, { before = () => {}, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  await page.addInitScript(pixelsOfPicture);
  const [errors, strangers] = [[], []];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  const ours = new URL(daemon.address).host;
  const judge = (url) => {
    const { protocol, host } = new URL(url);
    if (!["blob:", "data:"].includes(protocol) && host !== ours) strangers.push(url);
  };
  page.on("request", (request) => judge(request.url()));
  page.on("websocket", (socket) => judge(socket.url()));
  before(page);
  await page.goto(daemon.address);
  const check = () => {
    assert.deepEqual(strangers, [], "requests to other machines");
    assert.deepEqual(errors, [], "errors in the console");
  };
  return { page, check, close: () => context.close(), forgive: () => { errors.length = 0; } };
}

/** Waits for the page's own word for its state. */
export async function until(page, state) {
  await page.waitForFunction((wanted) => document.body.dataset.state === wanted, state);
}

/** What axe finds, in sentences. */
export async function accessibility(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${node.target.join(" ")}: ${node.failureSummary}`));
}

/** For people to look at. */
export async function picture(page, name, { fullPage = false } = {}) {
  await page.screenshot({ path: `target/browser/${name}.png`, fullPage });
}
