// Quality and measurements, as /status has them under `vessels`. A number that may not be trusted is not shown.

import { course, svg } from "./charts.js";
import { byId, define, make, missing, proper, set } from "./dom.js";

const KEPT = 120;
// A second; what is further away was another picture.
const NEAR = 30;
const courses = new Map();
let last = null;

const view = (of) => JSON.stringify(of?.window);
export const sameView = (one, other) => view(one) === view(other);

// The newest that was said of `frame`, or of one near it; null where there was none.
const said = [];
export function near(frame) {
  const apart = (vessels) => Math.abs(vessels.sequence - frame.sequence);
  return said.filter((vessels) => apart(vessels) <= NEAR && sameView(vessels, frame))
    .reduce((best, vessels) => (best && apart(best) <= apart(vessels) ? best : vessels), null);
}
export const grade = () => last?.quality?.grade ?? null;

export function show(vessels, live) {
  last = vessels ?? null;
  byId("vessels").hidden = !vessels;
  const quality = live ? vessels?.quality : null;
  byId("grade").hidden = !quality;
  byId("advice").hidden = !quality?.advice;
  if (!vessels) return;
  const grade = quality?.grade ?? "";
  for (const id of ["grade", "advice", "quality-grade"]) byId(id).dataset.grade = grade;
  set("grade", `Picture: ${grade}`);
  set("advice", quality?.advice ?? "");
  set("quality-grade", grade ? proper(grade) : "–");
  set("quality-advice", quality ? quality.advice ?? "" : "not measured now");

  const before = said.at(-1);
  // Another run counts from the beginning.
  if (before?.sequence > vessels.sequence) said.length = 0;
  if (!said.length || !sameView(before, vessels)) courses.clear();
  const fresh = before?.sequence !== vessels.sequence;
  if (fresh) {
    said.push(vessels);
    said.splice(0, said.length - KEPT);
  }
  byId("measurements").replaceChildren(...vessels.measurements.map((measurement) => {
    const value = live ? measurement.value : null;
    const values = courses.get(measurement.name) ?? [];
    courses.set(measurement.name, values);
    if (fresh) values.push(value);
    values.splice(0, values.length - KEPT);
    const line = make("tr");
    const name = headed(measurement);
    const picture = svg(80, 20);
    picture.classList.add("spark");
    if (values.some((each) => each !== null)) course(picture, values);
    const cell = make("td");
    cell.append(picture);
    const unit = measurement.unit === "1" ? "" : measurement.unit;
    line.append(name, make("td", valueOf(value, measurement.uncertainty)), make("td", unit, "unit"), cell);
    return line;
  }));
  byId("criteria").replaceChildren(...vessels.quality.criteria.map((criterion) => {
    const line = make("tr");
    const name = headed(criterion);
    const graded = make("td", criterion.grade);
    graded.dataset.grade = criterion.grade;
    line.append(name, make("td", valueOf(criterion.value, null)), graded, make("td", criterion.advice ?? "", "advised"));
    return line;
  }));
  define("measurement-definitions", vessels.measurements.map(({ name, definition }) => [proper(name), definition]));
  const size = missing(vessels.pixel_size_um) ? "no pixel size configured" : `${vessels.pixel_size_um} µm a pixel`;
  set("vessels-note", `At the daemon's threshold, over ${vessels.stable_frames} stable frames; ${size}. ± from those frames.`);
}

function headed({ name, definition }) {
  const cell = make("th", proper(name.replace(/(_per)?_(px|um|mm)$/, "")));
  cell.scope = "row";
  cell.title = definition;
  return cell;
}

// As many digits as the uncertainty leaves, or four.
function valueOf(value, uncertainty) {
  if (missing(value)) return "–";
  const magnitude = (number) => Math.floor(Math.log10(Math.abs(number)));
  const digits = uncertainty > 0 ? 1 - magnitude(uncertainty) : value === 0 ? 0 : 3 - magnitude(value);
  const shown = Math.min(6, Math.max(0, digits));
  const by = missing(uncertainty) ? "" : ` ± ${uncertainty.toFixed(shown)}`;
  return value.toFixed(shown) + by;
}
