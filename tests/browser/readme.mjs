// Makes docs/live.jpg: the page as README shows it, on the built-in picture, which is ours.

import { launch, open, until } from "./browser.mjs";
import { start } from "./daemon.mjs";

const [browser, daemon] = await Promise.all([launch(), start(["--network", "accurate"])]);
try {
  const { page } = await open(browser, daemon, {
    colorScheme: "dark",
    viewport: { width: 1440, height: 900 },
  });
  // Until the charts have something to show.
  await page.waitForTimeout(15_000);
  await until(page, "live");
  await page.screenshot({ path: "docs/live.jpg", type: "jpeg", quality: 82 });
} finally {
  await browser.close();
  await daemon.stop();
}
