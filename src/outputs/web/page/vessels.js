// What a mask shows beside itself: its contour, its centrelines and how wide it is along them. All in mask pixels,
// with (0, 0) at the corner of the first pixel.

// Marching squares between pixel centres. The picture's own edge is no contour: the vessel goes on there.
export function contour({ probability: p, maskWidth: w, maskHeight: h }, threshold) {
  const path = new Path2D();
  const level = threshold - 0.5;
  for (let y = 0; y + 1 < h; y += 1) {
    for (let x = 0, i = y * w; x + 1 < w; x += 1, i += 1) {
      const a = p[i], b = p[i + 1], c = p[i + w + 1], d = p[i + w];
      const inside = (a > level ? 8 : 0) | (b > level ? 4 : 0) | (c > level ? 2 : 0) | (d > level ? 1 : 0);
      const sides = SIDES[inside];
      if (!sides) continue;
      // Where the contour meets each side, between two centres.
      const across = [(level - a) / (b - a), 1, (level - d) / (c - d), 0];
      const down = [0, (level - b) / (c - b), 1, (level - a) / (d - a)];
      for (let n = 0; n < sides.length; n += 2) {
        path.moveTo(x + 0.5 + across[sides[n]], y + 0.5 + down[sides[n]]);
        path.lineTo(x + 0.5 + across[sides[n + 1]], y + 0.5 + down[sides[n + 1]]);
      }
    }
  }
  return path;
}

// Which sides of a cell (0 top, 1 right, 2 bottom, 3 left) its contour joins, by the corners that are inside.
const SIDES = ["", "32", "21", "31", "01", "0321", "02", "03", "03", "02", "0132", "01", "31", "21", "32", ""]
  .map((sides) => (sides ? [...sides].map(Number) : null));

// Guo and Hall's thinning (CACM 32(3), 1989, A1), as the daemon's own: 1 where a centreline is.
export function skeleton({ probability, maskWidth: w, maskHeight: h }, threshold) {
  const stride = w + 2;
  const framed = new Uint8Array(stride * (h + 2));
  let standing = [];
  for (let y = 0; y < h; y += 1) {
    for (let x = 0; x < w; x += 1) {
      if (probability[y * w + x] < threshold) continue;
      const at = (y + 1) * stride + x + 1;
      framed[at] = 1;
      standing.push(at);
    }
  }
  // From the right one above, clockwise from the one above.
  const around = [-stride, 1 - stride, 1, stride + 1, stride, stride - 1, -1, -stride - 1];
  for (let before = -1; before !== standing.length;) {
    before = standing.length;
    for (const deletable of DELETABLE) {
      const deleted = [];
      const left = [];
      for (const at of standing) {
        let bits = 0;
        for (let n = 0; n < 8; n += 1) bits |= framed[at + around[n]] << n;
        (deletable[bits] ? deleted : left).push(at);
      }
      for (const at of deleted) framed[at] = 0;
      standing = left;
    }
  }
  return { places: standing.map((at) => [(at % stride) - 1, Math.floor(at / stride) - 1]), framed, stride };
}

function deletableIn(step) {
  return Array.from({ length: 256 }, (_, bits) => {
    const [p2, p3, p4, p5, p6, p7, p8, p9] = Array.from({ length: 8 }, (__, n) => (bits >> n) & 1);
    const parts = (!p2 & (p3 | p4)) + (!p4 & (p5 | p6)) + (!p6 & (p7 | p8)) + (!p8 & (p9 | p2));
    const pairs = Math.min(
      (p9 | p2) + (p3 | p4) + (p5 | p6) + (p7 | p8),
      (p2 | p3) + (p4 | p5) + (p6 | p7) + (p8 | p9),
    );
    const rim = step === 0 ? (p6 | p7 | !p9) & p8 : (p2 | p3 | !p5) & p4;
    return parts === 1 && (pairs === 2 || pairs === 3) && !rim;
  });
}
const DELETABLE = [deletableIn(0), deletableIn(1)];

// Calls `line` once for every two neighbours on a centreline; a diagonal only where no corner joins them.
export function links({ places, framed, stride }, line) {
  for (const [x, y] of places) {
    const at = (y + 1) * stride + x + 1;
    const right = framed[at + 1], below = framed[at + stride], left = framed[at - 1];
    let alone = !right && !below;
    if (right) line(x, y, x + 1, y);
    if (below) line(x, y, x, y + 1);
    if (framed[at + stride + 1] && !right && !below) { line(x, y, x + 1, y + 1); alone = false; }
    if (framed[at + stride - 1] && !left && !below) { line(x, y, x - 1, y + 1); alone = false; }
    // A vessel of one pixel must be seen, too.
    if (alone) line(x, y, x, y);
  }
}

// The width at every place of a centreline: the mean of the places around it, for one alone is right to a pixel only.
export function widthsAlong(frame, threshold, { places }) {
  const { maskWidth: w } = frame;
  const alone = new Float32Array(frame.probability.length);
  for (const [x, y] of places) alone[y * w + x] = widthAt(frame, threshold, x, y);
  const along = new Float32Array(alone.length);
  for (const [x, y] of places) {
    let sum = 0, count = 0;
    for (let row = y - REACH; row <= y + REACH; row += 1) {
      for (let column = Math.max(0, x - REACH); column <= Math.min(w - 1, x + REACH); column += 1) {
        const width = alone[row * w + column];
        if (width > 0) { sum += width; count += 1; }
      }
    }
    along[y * w + x] = sum / count;
  }
  return along;
}
const REACH = 4;

// As the daemon's: twice the distance to the nearest pixel outside, less the half pixel that whole pixels leave open.
function widthAt({ probability, maskWidth: w, maskHeight: h }, threshold, x, y) {
  const outside = (column, row) =>
    column < 0 || row < 0 || column >= w || row >= h || probability[row * w + column] < threshold;
  let nearest = Infinity;
  for (let reach = 1; reach * reach < nearest && reach <= 64; reach += 1) {
    for (let side = -reach; side <= reach; side += 1) {
      const square = reach * reach + side * side;
      if (square < nearest && (outside(x + side, y - reach) || outside(x + side, y + reach)
        || outside(x - reach, y + side) || outside(x + reach, y + side))) nearest = square;
    }
  }
  return Math.min(2 * Math.sqrt(nearest) - 0.5, 128);
}
