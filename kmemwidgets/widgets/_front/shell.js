// What every widget has around its picture: title, buttons, error line, live region,
// the table of gestures, words explained on hover and on focus.

import { element, fill, keepClicks } from "./dom.js";
import { text } from "./strings.js";
import { followTheme } from "./theme.js";

let serial = 0;

/**
 * Build the shell in `el`.
 *
 * `handlers` maps the name of each gesture (Python: GESTURES) to what the front end does;
 * the keys come from Python's table, so the table, the help and the keys cannot differ.
 */
export function openShell({ model, el, signal, handlers = {}, onTheme = () => {} }) {
  const about = model.get("about");
  const id = `kmem-${Date.now().toString(36)}-${(serial += 1)}`;
  const title = element("span", { class: "kmem-title", id: `${id}-title`, text: about.title });
  const subtitle = element("span", { class: "kmem-subtitle" });
  const tools = element("div", { class: "kmem-tools", role: "toolbar", "aria-label": about.title });
  const body = element("div", { class: "kmem-body" });
  const error = element("div", { class: "kmem-error", role: "alert", hidden: true });
  const live = element("div", { class: "kmem-live", role: "status", "aria-live": "polite" });
  const head = element("div", { class: "kmem-head" }, title, subtitle, tools);
  const root = element("section", { class: `kmem kmem-${about.widget}`, "aria-labelledby": title.id }, head, error, body, live);
  // Until there is something to say: a kernel that is busy answers when its cells are done.
  subtitle.textContent = text("shell.waiting");
  fill(el, root);

  size(root, model);
  model.on("change:width", () => size(root, model));
  model.on("change:height", () => size(root, model));

  const help = helpPanel(about, root, signal);
  root.append(help.panel);
  const all = { help: help.toggle, ...handlers };
  const say = (words) => {
    if (live.textContent !== words) live.textContent = words;
  };
  for (const gesture of about.gestures) {
    if (gesture.verb && !gesture.off) all[gesture.name] ??= () => ask(model, gesture.name);
    if (gesture.off) all[gesture.name] = () => say(text("shell.noverb", { verb: gesture.says }));
  }
  bindKeys({ root, about, handlers: all, signal });
  bindTerms({ root, about, signal });
  keepClicks(root, signal);
  followTheme({ root, model, signal, onChange: onTheme });

  const showError = () => {
    const said = model.get("error");
    error.hidden = !said;
    fill(
      error,
      element("strong", { text: text("shell.error") }),
      element("span", { text: ` ${said}` }),
      button({ label: "×", says: text("shell.close"), onClick: () => put(model, { error: "" }) }),
    );
  };
  model.on("change:error", showError);
  showError();

  tools.append(button({ label: "?", says: text("shell.help"), onClick: help.toggle, gesture: "help", about }));
  return {
    root,
    head,
    tools,
    body,
    about,
    /** Add a button before the help button. `gesture` names the gesture it makes. */
    tool(options) {
      const made = button({ ...options, about });
      tools.insertBefore(made, tools.lastChild);
      return made;
    },
    subtitle(words) {
      subtitle.textContent = words;
    },
    /** Say something to a screen reader, and to whoever looks. */
    say,
    handlers: all,
  };
}

/** Set traits and send them, also where there is no kernel. */
export function put(model, values) {
  for (const [name, value] of Object.entries(values)) model.set(name, value);
  try {
    model.save_changes();
  } catch {
    // no kernel: the views of this page still agree
  }
}

/** Ask Python to carry out a gesture's method. */
export function ask(model, gesture, args = {}) {
  try {
    model.send({ kmem: "do", gesture, args });
  } catch {
    // no kernel, no verbs
  }
}

/** A button that has words as well as a sign. */
export function button({ label, says, onClick, gesture, about, pressed }) {
  const entry = about?.gestures.find((each) => each.name === gesture);
  const keys = entry?.keys ?? [];
  if (entry?.off) says = text("shell.noverb", { verb: says });
  const made = element("button", {
    type: "button",
    class: "kmem-button",
    text: label,
    title: keys.length ? `${says} (${keys.map(keyName).join(", ")})` : says,
    "aria-label": says,
    "aria-pressed": pressed === undefined ? null : String(pressed),
    "data-gesture": gesture,
    "aria-disabled": entry?.off ? "true" : null,
  });
  made.addEventListener("click", onClick);
  return made;
}

const NAMES = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };

function keyName(key) {
  return NAMES[key] ?? key;
}

function size(root, model) {
  const px = (value) => (value ? `${value}px` : "");
  root.style.width = px(model.get("width"));
  root.style.setProperty("--kmem-height", px(model.get("height")) || null);
}

function bindKeys({ root, about, handlers, signal }) {
  const byKey = new Map();
  for (const gesture of about.gestures) {
    if (!handlers[gesture.name]) console.error(`${about.widget}: nobody handles the gesture ${gesture.name}`);
    for (const key of gesture.keys) byKey.set(key, gesture.name);
  }
  root.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      const onControl = event.target.closest("button, select, input, a[href]");
      if (onControl && (event.key === "Enter" || event.key === " " || event.key.startsWith("Arrow"))) {
        event.stopPropagation(); // the control's own key, not the notebook's
        return;
      }
      if (event.target.closest("input, select")) return;
      const name = byKey.get(event.key);
      if (!name || !handlers[name]) return;
      event.preventDefault();
      event.stopPropagation();
      handlers[name]({ key: event.key, shift: event.shiftKey, event });
    },
    { signal },
  );
}

function helpPanel(about, root, signal) {
  const rows = about.gestures.map((gesture) =>
    element(
      "tr",
      {},
      element("th", { scope: "row", text: gesture.says }),
      element("td", { text: gesture.mouse }),
      element("td", {}, ...gesture.keys.flatMap((key, i) => [i ? " " : "", element("kbd", { text: keyName(key) })])),
      element("td", {}, element("code", { text: gesture.method })),
    ),
  );
  const heads = ["gesture", "mouse", "key", "method"].map((name) =>
    element("th", { scope: "col", text: text(`shell.help.${name}`) }),
  );
  const close = button({ label: "×", says: text("shell.close"), onClick: () => toggle() });
  const panel = element(
    "div",
    { class: "kmem-help", role: "dialog", "aria-label": text("shell.help"), tabindex: "-1", hidden: true },
    element("div", { class: "kmem-help-head" }, element("strong", { text: text("shell.help") }), close),
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows)),
  );
  let before = null;
  const toggle = () => {
    panel.hidden = !panel.hidden;
    if (panel.hidden) before?.focus();
    else {
      before = root.ownerDocument.activeElement;
      panel.focus();
    }
  };
  panel.addEventListener(
    "keydown",
    (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        toggle();
      }
    },
    { signal },
  );
  return { panel, toggle };
}

// Elements with data-term="..." show that word's meaning (about.terms) on hover and on focus.
function bindTerms({ root, about, signal }) {
  const key = (word) => word.dataset.term.toLowerCase();
  const tip = element("div", { class: "kmem-tip", role: "tooltip", id: `kmem-tip-${(serial += 1)}`, hidden: true });
  root.append(tip);
  const show = (event) => {
    const word = event.target.closest?.("[data-term]");
    const meaning = word && about.terms[key(word)];
    tip.hidden = !meaning;
    if (!meaning) return;
    tip.textContent = meaning;
    word.setAttribute("aria-describedby", tip.id);
    const box = root.getBoundingClientRect();
    const at = word.getBoundingClientRect();
    tip.style.left = `${Math.max(0, Math.min(at.left - box.left, box.width - tip.offsetWidth - 8))}px`;
    tip.style.top = `${at.bottom - box.top + 6}px`;
  };
  const hide = () => {
    tip.hidden = true;
  };
  root.addEventListener("pointerover", show, { signal });
  root.addEventListener("focusin", show, { signal });
  root.addEventListener("pointerleave", hide, { signal });
  root.addEventListener("focusout", hide, { signal });
  root.addEventListener("keydown", (event) => event.key === "Escape" && hide(), { signal });
}
