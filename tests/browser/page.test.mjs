// The page with frames: what is drawn, what people do to it, how it looks, what it asks for.

import assert from "node:assert/strict";
import { test } from "node:test";

import { accessibility, open, picture, until } from "./browser.mjs";
import { browser, daemon, drawn, freeze, live } from "./live.mjs";
import { differences, fingerprint, overlap, remember, share } from "./pixels.mjs";

const mode = (page, name) => page.locator(`label:has(#mode-${name})`).click();
const slide = (page, name, value) => page.locator(`#${name}`).fill(String(value));

/** Which pixels of the mask look other than without an overlay. */
async function marked(page, mask, least = 24) {
  await drawn(page);
  return (await differences(page, mask)).map((by) => (by >= least ? 1 : 0));
}

test("the overlay is where the mask says, and follows the sliders", async (t) => {
  const { page, check, message } = await live(t);
  const mask = message(await freeze(page));
  const vessels = (threshold) => mask.probability.map((p) => (p >= threshold ? 1 : 0));
  await mode(page, "off");
  await drawn(page);
  await remember(page);

  await mode(page, "heat");
  await slide(page, "opacity", 100);
  const heat = await marked(page, mask, 48);
  const held = overlap(heat, vessels(mask.threshold), mask);
  assert.ok(held > 0.8, `${held} of the heat is where the mask is`);
  for (const [across, down] of [[2, 0], [-2, 0], [0, 2], [0, -2], [2, 2]]) {
    const moved = overlap(heat, vessels(mask.threshold), mask, across, down);
    assert.ok(moved < held, `moved by ${across}, ${down} it fits better: ${moved}, not ${held}`);
  }
  const clear = share(mask.probability.map((p) => (p === 0 ? 1 : 0)), (at) => !heat[at]);
  assert.ok(clear > 0.99, `${clear} of what is certainly no vessel is clear`);

  await slide(page, "threshold", 230);
  const strict = await marked(page, mask, 48);
  assert.ok(overlap(strict, vessels(230), mask) > 0.75);
  await page.locator("#threshold-differs").waitFor({ state: "visible" });
  await page.locator("#threshold-reset").click();
  await page.locator("#threshold-differs").waitFor({ state: "hidden" });
  assert.deepEqual(await marked(page, mask, 48), heat, "the daemon's threshold draws what it drew");

  const full = await differences(page, mask);
  await slide(page, "opacity", 30);
  await drawn(page);
  const faint = await differences(page, mask);
  const mean = (map) => map.reduce((sum, by) => sum + by, 0) / map.length;
  assert.ok(mean(faint) < 0.5 * mean(full) && mean(faint) > 0.1 * mean(full), `${mean(faint)}, ${mean(full)}`);
  await slide(page, "opacity", 0);
  assert.equal(mean(await marked(page, mask, 1)), 0, "an overlay of opacity 0 is none");

  await slide(page, "opacity", 100);
  for (const lines of ["outline", "skeleton", "width"]) {
    await mode(page, lines);
    const within = await marked(page, mask);
    assert.ok(within.some(Boolean), `${lines} draws nothing`);
    // A line is a few pixels wide: no further from the mask than that.
    const near = nearby(vessels(mask.threshold), mask, 3);
    const astray = share(within, (at) => !near[at]);
    assert.ok(astray < 0.01, `${astray} of ${lines} is far from the mask`);
    await picture(page, lines);
  }
  check();
});

/** The mask grown by so many pixels. */
function nearby(map, { width, height }, by) {
  const grown = new Uint8Array(map.length);
  map.forEach((is, at) => {
    if (!is) return;
    const [x, y] = [at % width, Math.floor(at / width)];
    for (let row = Math.max(0, y - by); row <= Math.min(height - 1, y + by); row += 1) {
      grown.fill(1, row * width + Math.max(0, x - by), row * width + Math.min(width - 1, x + by) + 1);
    }
  });
  return grown;
}

test("the API gives the mask that the page was sent", async (t) => {
  const { page, check, message } = await live(t);
  let probability, sequence;
  do {
    const answer = await fetch(new URL("/api/v1/probability", daemon.address));
    probability = new Uint8Array(await answer.arrayBuffer());
    sequence = Number(answer.headers.get("x-sequence"));
    // The page may get it a moment later; on a busy machine it skips frames.
    await page.waitForTimeout(500);
  } while (!message.came(sequence));
  assert.deepEqual(probability, new Uint8Array(message(sequence).probability));
  check();
});

test("freeze holds picture and mask while frames go on", async (t) => {
  const { page, check } = await live(t);
  const newest = async () => (await daemon.json("/status")).newest_mask.sequence;
  const sequence = await freeze(page);
  await drawn(page);
  const frozen = await fingerprint(page);
  await picture(page, "frozen");
  while (await newest() < sequence + 20) await page.waitForTimeout(100);
  assert.equal(await fingerprint(page), frozen);
  assert.equal(await page.locator("#freeze").getAttribute("aria-pressed"), "true");
  await page.locator("#freeze").click();
  await page.locator("#held").waitFor({ state: "hidden" });
  await page.waitForTimeout(500);
  assert.notEqual(await fingerprint(page), frozen, "the scene drifts");
  check();
});

test("everything can be done with the keyboard alone", async (t) => {
  const { page, check } = await live(t);
  const focus = () => page.evaluate(() => {
    const { activeElement: element } = document;
    const { outlineStyle, boxShadow } = getComputedStyle(element);
    const shown = getComputedStyle(element.nextElementSibling ?? element);
    const visible = outlineStyle !== "none" || boxShadow !== "none" || shown.outlineStyle !== "none";
    return { id: element.id, visible };
  });
  const reached = new Map();
  for (let presses = 0; presses < 40; presses += 1) {
    await page.keyboard.press("Tab");
    const { id, visible } = await focus();
    if (id) reached.set(id, visible);
  }
  for (const id of ["picture", "mode-heat", "opacity", "threshold", "freeze", "snapshot", "zoom-in"]) {
    assert.ok(reached.has(id), `Tab does not reach ${id}; ${[...reached.keys()]}`);
    assert.ok(reached.get(id), `${id} does not show that it has the focus`);
  }
  await page.locator("#mode-heat").focus();
  await page.keyboard.press("ArrowRight");
  assert.ok(await page.locator("#mode-outline").isChecked());
  await page.locator("#picture").focus();
  await page.keyboard.press("Space");
  await page.locator("#held").waitFor({ state: "visible" });
  await page.keyboard.press("Space");
  await page.locator("#held").waitFor({ state: "hidden" });
  await page.keyboard.press("+");
  assert.notEqual(await page.locator("#zoom-factor").innerText(), "1.0×");
  await page.keyboard.press("0");
  assert.equal(await page.locator("#zoom-factor").innerText(), "1.0×");
  await page.keyboard.press("?");
  await page.locator("#help").waitFor({ state: "visible" });
  await picture(page, "keys");
  assert.deepEqual(await accessibility(page), []);
  await page.keyboard.press("Escape");
  await page.locator("#help").waitFor({ state: "hidden" });
  check();
});

for (const colorScheme of ["light", "dark"]) {
  test(`${colorScheme}: whole, readable and accessible, also side by side`, async (t) => {
    const { page, check } = await live(t, { colorScheme });
    assert.match(await page.locator("footer").innerText(), /Research use only\. Not a medical device\./);
    // What is measured over the last seconds is there, too.
    await page.waitForTimeout(2000);
    await until(page, "live");
    await picture(page, `live-${colorScheme}`);
    assert.deepEqual(await accessibility(page), []);
    await page.locator("#beside").check();
    await until(page, "live");
    await drawn(page);
    await picture(page, `beside-${colorScheme}`);
    for (const closed of await page.locator("details").all()) {
      if (await closed.isVisible()) await closed.locator("summary").click();
    }
    assert.deepEqual(await accessibility(page), []);
    check();
  });
}

test("numbers come with their uncertainty, and on reject not at all", async (t) => {
  const { page, check } = await live(t);
  let grade = "good";
  let window = { left: 508, top: 0, width: 3040, height: 3040 };
  // The daemon's own document, with a verdict that no scene gives every time.
  await page.route("**/status", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...await answer.json(), vessels: { ...vessels(grade), window } } });
  });
  const density = page.locator("#measurements tr", { hasText: /density/i });
  await density.getByText("0.1021 ± 0.0013").waitFor();
  assert.match(await page.locator("#grade").innerText(), /good/i);
  await picture(page, "measured");
  assert.deepEqual(await accessibility(page), []);
  // Until the first measurement of another window there is none.
  const whole = window;
  window = { ...whole, width: 1520, height: 1520 };
  await density.getByText("–", { exact: true }).waitFor();
  await page.locator("#quality-advice", { hasText: "not measured now" }).waitFor();
  assert.ok(await page.locator("#grade").isHidden());
  window = whole;
  await density.getByText("0.1021 ± 0.0013").waitFor();
  grade = "reject";
  await page.locator("#advice", { hasText: "Refocus" }).waitFor();
  assert.match(await page.locator("#grade").innerText(), /reject/i);
  assert.doesNotMatch(await page.locator("#measurements").innerText(), /[0-9]/, "a number is shown");
  await picture(page, "reject");
  assert.deepEqual(await accessibility(page), []);
  check();
});

/** `vessels` in /status, as openapi.json describes it. */
function vessels(grade) {
  const rejected = grade === "reject";
  const advice = rejected ? "Refocus: turn the ring until small vessels are sharp" : null;
  const criterion = (name, of, said) => ({
    name, unit: "1", value: rejected ? 0.3 : 1.4, grade: of, good_from: 1.0, usable_from: 0.6,
    definition: `what ${name} is`, advice: said,
  });
  const measurement = (name, unit, value, uncertainty) => ({
    name, unit, value: rejected ? null : value, uncertainty: rejected ? null : uncertainty,
    definition: `what ${name} is`,
  });
  return {
    sequence: 123,
    quality: { grade, advice, criteria: [criterion("brightness", "good", null), criterion("focus", grade, advice)] },
    stable_frames: rejected ? 0 : 12,
    pixel_size_um: null,
    measurements: [measurement("density", "1", 0.10213, 0.00131), measurement("length", "px", 5230.4, 41.2)],
  };
}

test("a box dragged on the picture becomes the window of the sensor, and the whole view comes back", async (t) => {
  const { page, check } = await live(t);
  const asked = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/api/v1/window")) asked.push([request.method(), request.headers()["content-type"]]);
  });
  const seen = () => page.evaluate(async () => (await (await fetch("/status")).json()).newest_mask?.window);
  const isSeen = async (wanted) => {
    for (let now = await seen(); !wanted(now); now = await seen()) await page.waitForTimeout(100);
  };
  await page.locator("#closer").click();
  const { x, y, width, height } = await page.locator("#picture").boundingBox();
  await page.mouse.move(x + 0.25 * width, y + 0.25 * height);
  // It zooms nothing now.
  await page.mouse.wheel(0, -500);
  await page.mouse.down();
  await page.mouse.move(x + 0.5 * width, y + 0.5 * height, { steps: 5 });
  await picture(page, "look-closer");
  await page.mouse.up();
  await page.locator("#said", { hasText: "shows 800 × 800 pixels" }).waitFor();
  // 760 were asked for; the network has 400, of two of the sensor's each.
  const wanted = { left: 508 + 740, top: 740, width: 800, height: 800 };
  await isSeen((now) => Object.entries(wanted).every(([key, value]) => Math.abs(now?.[key] - value) < 30));
  await page.locator("#window-size", { hasText: "800 × 800" }).waitFor();
  await page.locator("#quality-grade", { hasText: /good|usable|reject/i }).waitFor();
  await picture(page, "closer");
  await page.locator("#whole").click();
  await page.locator("#said", { hasText: "shows 3040 × 3040 pixels" }).waitFor();
  await isSeen((now) => now?.width === 3040);
  assert.deepEqual(asked, [["PUT", "application/json"], ["DELETE", "application/json"]]);
  check();
});

test("a phone held upright shows it all without scrolling sideways", async (t) => {
  const phone = { viewport: { width: 375, height: 812 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
  const { page, check } = await live(t, { ...phone, colorScheme: "light" });
  const width = () => page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(await width() <= 375, `it is ${await width()} pixels wide`);
  await picture(page, "phone");
  await picture(page, "phone-whole", { fullPage: true });
  await page.locator("#beside").check();
  await freeze(page);
  for (const closed of await page.locator("details").all()) {
    if (await closed.isVisible()) await closed.locator("summary").click();
  }
  assert.ok(await width() <= 375, `frozen, with everything open, it is ${await width()} pixels wide`);
  assert.deepEqual(await accessibility(page), []);
  check();
});

test("its scripts are less than 60 kB, and nothing is asked of anybody else", async (t) => {
  const scripts = [];
  const before = (page) => page.on("response", (response) => {
    if (response.request().resourceType() === "script") scripts.push(response.body());
  });
  const { page, check, close } = await open(browser, daemon, { before });
  t.after(close);
  await until(page, "live");
  const bytes = (await Promise.all(scripts)).reduce((sum, body) => sum + body.length, 0);
  assert.ok(bytes > 1000 && bytes < 60_000, `${bytes} bytes`);
  check();
});
