// The page's elements, and how values are written into them.

export const byId = (id) => document.getElementById(id);

// Unchanged text is left alone, so that selecting and reading aloud are not disturbed.
export function set(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

export function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

// Terms and what they mean; written once, for they do not change.
export function define(id, meanings) {
  const list = byId(id);
  if (list.childElementCount === meanings.length * 2) return;
  list.replaceChildren(...meanings.flatMap(([term, meaning]) => [make("dt", term), make("dd", meaning)]));
}

export const missing = (value) => value === null || value === undefined;
export const fixed = (value, digits) => (missing(value) ? "–" : value.toFixed(digits));
export const words = (name) => name.replaceAll("_", " ");
export const grouped = (count) => count.toLocaleString("en");
export const proper = (name) => name.charAt(0).toUpperCase() + words(name).slice(1);

// What a person did and what came of it; read aloud.
export const say = (text) => set("said", text);
