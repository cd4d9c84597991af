// Small pictures of numbers, as SVG.

const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// For the eye alone: the numbers stand beside it.
export function svg(width, height) {
  return shape("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
}

// A course of values; a gap where there was none (null). From `low` to `high`, or as far as the values go.
export function course(element, values, { low, high } = {}) {
  const { width, height } = element.viewBox.baseVal;
  const known = values.filter((value) => value !== null);
  const least = low ?? Math.min(...known);
  const most = Math.max(high ?? Math.max(...known), least);
  // All alike: on the ground line.
  const span = most - least || 1;
  const step = width / Math.max(1, values.length - 1);
  let path = "";
  values.forEach((value, n) => {
    if (value === null) return;
    const begins = n === 0 || values[n - 1] === null;
    const y = height - 2 - ((Math.min(value, most) - least) / span) * (height - 4);
    path += `${begins ? "M" : "L"}${(n * step).toFixed(1)} ${y.toFixed(1)}`;
  });
  const line = element.firstChild ?? element.appendChild(shape("path", { class: "line" }));
  line.setAttribute("d", path);
}

// A bar to the median, a lighter one to p95, a tick at p99; all on one scale.
export function bar(p50, p95, p99, most) {
  const element = svg(100, 10);
  const x = (value) => (most > 0 ? Math.min(100, (value / most) * 100) : 0);
  element.append(
    shape("rect", { class: "p95", x: 0, y: 3, width: x(p95), height: 4 }),
    shape("rect", { class: "p50", x: 0, y: 1, width: x(p50), height: 8 }),
    shape("rect", { class: "p99", x: Math.max(0, x(p99) - 1), y: 0, width: 1, height: 10 }),
  );
  return element;
}
