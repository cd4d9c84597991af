// Draws one frame: its picture and, over it, what its own mask says.
// A layer is made once for a frame, mode and threshold; opacity, zoom and panes cost nothing but drawing.

import { contour, links, skeleton, widthsAlong } from "./vessels.js";

const WIDTH_CLASSES = 10;

export class Painter {
  #made = {};
  #heat = document.createElement("canvas");

  // `view`: mode, opacity (0 to 1), threshold (1 to 255), zoom { factor, x, y }, panes [{ x, y, width, height, bare }],
  // grey, line (thickness of one line in canvas pixels).
  paint(canvas, frame, view) {
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalAlpha = 1;
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (!frame?.bitmap) return;
    for (const pane of view.panes) {
      context.save();
      context.beginPath();
      context.rect(pane.x, pane.y, pane.width, pane.height);
      context.clip();
      const { factor, x, y } = view.zoom;
      context.translate(pane.x + pane.width * (0.5 - x * factor), pane.y + pane.height * (0.5 - y * factor));
      context.scale(pane.width * factor, pane.height * factor);
      // Pixels are shown as pixels once they are large.
      context.imageSmoothingEnabled = (pane.width * factor) / frame.width < 6;
      context.imageSmoothingQuality = "high";
      context.drawImage(frame.bitmap, 0, 0, 1, 1);
      if (view.grey) grey(context);
      else if (!pane.bare) this.#layer(context, frame, view, pane);
      context.restore();
    }
  }

  #layer(context, frame, view, pane) {
    if (!frame.probability || view.mode === "off") return;
    context.globalAlpha = view.opacity;
    const draw = this.#of(frame, view.mode, view.threshold);
    // From here on a unit is a pixel of the mask, and what a line's thickness is divided by is how large that is.
    context.scale(1 / frame.maskWidth, 1 / frame.maskHeight);
    draw(context, (view.line * frame.maskWidth) / (pane.width * view.zoom.factor));
  }

  #of(frame, mode, threshold) {
    const made = this.#made;
    const same = made.frame === frame && made.mode === mode && made.threshold === threshold;
    if (!same) this.#made = { frame, mode, threshold, draw: this.#make(frame, mode, threshold) };
    return this.#made.draw;
  }

  #make(frame, mode, threshold) {
    if (mode === "heat") return this.#heatOf(frame, threshold);
    if (mode === "outline") {
      const path = contour(frame, threshold);
      return (context, line) => stroke(context, path, line, "#00ff5a");
    }
    const centre = skeleton(frame, threshold);
    if (mode === "skeleton") {
      const path = new Path2D();
      links(centre, (...ends) => between(path, ...ends));
      return (context, line) => stroke(context, path, line * 1.4, "#fff");
    }
    const widest = widestClass(frame);
    const widths = widthsAlong(frame, threshold, centre);
    const paths = Array.from({ length: WIDTH_CLASSES }, () => new Path2D());
    links(centre, (x, y, ...to) => {
      const of = Math.floor((widths[y * frame.maskWidth + x] / widest) * WIDTH_CLASSES);
      between(paths[Math.min(WIDTH_CLASSES - 1, of)], x, y, ...to);
    });
    return (context) => paths.forEach((path, of) =>
      stroke(context, path, Math.max(1, ((of + 0.5) * widest) / WIDTH_CLASSES), widthColour(of)));
  }

  // The more certain the more opaque; below the threshold only a trace, so that the slider is seen to act.
  #heatOf({ probability, maskWidth, maskHeight }, threshold) {
    const layer = this.#heat;
    if (layer.width !== maskWidth || layer.height !== maskHeight) {
      layer.width = maskWidth;
      layer.height = maskHeight;
    }
    const looks = new Uint32Array(256);
    for (let value = 0; value < 256; value += 1) {
      const [red, green, blue] = heatColour(value);
      const alpha = value >= threshold ? Math.max(value, 96) : value >> 3;
      // Little-endian: red is the lowest byte.
      looks[value] = ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    }
    const image = new ImageData(maskWidth, maskHeight);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < pixels.length; i += 1) pixels[i] = looks[probability[i]];
    layer.getContext("2d").putImageData(image, 0, 0);
    return (context) => context.drawImage(layer, 0, 0);
  }
}

// The upper end of the width colours in mask pixels: the large vessels of a fundus that fills the picture.
export function widestClass({ maskWidth }) {
  return Math.max(4, Math.round(maskWidth / 50));
}

// Violet, blue, cyan, yellow, as in the legend (page.css): no red of a fundus, and lightness rises with width.
function widthColour(of) {
  return along([[112, 60, 255], [0, 150, 255], [0, 230, 200], [255, 250, 110]], of / (WIDTH_CLASSES - 1), true);
}

// Blue over cyan to lime, as the daemon's own pictures.
function heatColour(value) {
  return along([[40, 50, 220], [0, 180, 230], [140, 255, 70]], value / 255, false);
}

function along(stops, share, css) {
  const place = Math.min(stops.length - 2, Math.floor(share * (stops.length - 1)));
  const rest = share * (stops.length - 1) - place;
  const mixed = stops[place].map((from, n) => Math.round(from + (stops[place + 1][n] - from) * rest));
  return css ? `rgb(${mixed.join(" ")})` : mixed;
}

function stroke(context, path, width, colour) {
  context.lineCap = "round";
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke(path);
}

function between(path, x, y, toX, toY) {
  path.moveTo(x + 0.5, y + 0.5);
  path.lineTo(toX + 0.5, toY + 0.5);
}

// Takes colour and half the light from a picture that is no longer true.
function grey(context) {
  context.globalCompositeOperation = "saturation";
  context.fillStyle = "#808080";
  context.fillRect(0, 0, 1, 1);
  context.globalCompositeOperation = "source-over";
  context.fillStyle = "rgb(0 0 0 / 50%)";
  context.fillRect(0, 0, 1, 1);
}
