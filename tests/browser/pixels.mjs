// Where the page has drawn something over the picture, looked up pixel by pixel on its canvas.

/** To be given to a page before it is loaded. Reads a copy: a browser makes a canvas that is read slow to draw on. */
export function pixelsOfPicture() {
  globalThis.pixelsOfPicture = () => {
    const canvas = document.getElementById("picture");
    const copy = new OffscreenCanvas(canvas.width, canvas.height);
    const context = copy.getContext("2d", { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    return context.getImageData(0, 0, canvas.width, canvas.height);
  };
  // A letter for every pixel of the mask: the largest difference of a channel.
  globalThis.apart = (one, other, across, down) => {
    if (one.width !== other.width || one.height !== other.height) throw new Error("resized");
    let differences = "";
    for (let y = 0; y < down; y += 1) {
      for (let x = 0; x < across; x += 1) {
        const column = Math.floor(((x + 0.5) * one.width) / across);
        const row = Math.floor(((y + 0.5) * one.height) / down);
        const at = 4 * (row * one.width + column);
        const by = [0, 1, 2].map((channel) => Math.abs(one.data[at + channel] - other.data[at + channel]));
        differences += String.fromCharCode(Math.max(...by));
      }
    }
    return differences;
  };
}

/** Remembers the canvas as it is, without an overlay. */
export function remember(page) {
  return page.evaluate(() => {
    globalThis.remembered = globalThis.pixelsOfPicture();
  });
}

/** How far each pixel of the mask is from what was remembered: the largest difference of a channel, 0 to 255. */
export async function differences(page, { width, height }) {
  const text = await page.evaluate(
    ([across, down]) => globalThis.apart(globalThis.pixelsOfPicture(), globalThis.remembered, across, down),
    [width, height],
  );
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** Size of two PNG in base64, and how far they are from one another, likewise. */
export async function comparedPictures(page, pictures, { width, height }) {
  const { sizes, text } = await page.evaluate(async ([pictures, across, down]) => {
    const [one, other] = await Promise.all(pictures.map(async (base64) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
      const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
      context.drawImage(bitmap, 0, 0);
      return context.getImageData(0, 0, bitmap.width, bitmap.height);
    }));
    const sizes = [one, other].map((of) => [of.width, of.height]);
    return { sizes, text: globalThis.apart(one, other, across, down) };
  }, [pictures, width, height]);
  return { sizes, differences: Array.from(text, (letter) => letter.charCodeAt(0)) };
}

/** A number that changes with the canvas. */
export function fingerprint(page) {
  return page.evaluate(() => {
    const { data } = globalThis.pixelsOfPicture();
    let sum = 7;
    for (let i = 0; i < data.length; i += 1) sum = (Math.imul(sum, 31) + data[i]) | 0;
    return sum;
  });
}

/** Share of the pixels of `here` at which `what` holds. */
export function share(here, what) {
  let [of, held] = [0, 0];
  here.forEach((is, at) => {
    if (!is) return;
    of += 1;
    held += what(at) ? 1 : 0;
  });
  if (of === 0) throw new Error("no such pixel");
  return held / of;
}

/** Intersection over union of two maps, the second moved by so many pixels. */
export function overlap(one, other, { width, height }, across = 0, down = 0) {
  let [both, either] = [0, 0];
  for (let y = Math.max(0, -down); y < Math.min(height, height - down); y += 1) {
    for (let x = Math.max(0, -across); x < Math.min(width, width - across); x += 1) {
      const [a, b] = [one[y * width + x], other[(y + down) * width + x + across]];
      both += a && b ? 1 : 0;
      either += a || b ? 1 : 0;
    }
  }
  return both / either;
}
