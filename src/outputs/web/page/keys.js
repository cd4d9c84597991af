// Keyboard shortcuts; the list of them is in the page.

import { byId } from "./dom.js";

const PRESSED = "button, summary, a, [type=checkbox]";
const TYPED = "input[type=text], textarea, select";

export function listen(keys) {
  const help = byId("help");
  byId("help-open").addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open || event.target.matches(TYPED)) return;
    // Space presses what has the focus, arrows move a slider.
    const own = { " ": PRESSED, Enter: PRESSED }[event.key] ?? (event.key.startsWith("Arrow") ? "input" : "nothing");
    if (event.target.matches(own)) return;
    if (event.key === "?") return help.showModal();
    const found = keys.find(({ on }) => on.includes(event.key));
    if (found && found.run(event.key) !== false) event.preventDefault();
  });
}
