// Light or dark: what the widget is told to be, else what the page around it is.

const OBSERVED = ["data-jp-theme-light", "data-jp-theme-name", "data-vscode-theme-kind", "class", "style"];
// JupyterLab sets the attribute first and loads the theme's style sheet after.
const SETTLE_MS = [0, 120, 400, 1000];

/** Relative luminance (WCAG 2) of "rgb(r, g, b)", null where it is transparent. */
export function luminance(color) {
  const parts = color.match(/[\d.]+/g)?.map(Number);
  if (!parts || parts.length < 3 || parts[3] === 0) return null;
  const [r, g, b] = parts.map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Whether what lies behind a node is dark. */
export function isDark(node) {
  for (let at = node; at; at = at.parentElement) {
    const seen = luminance(getComputedStyle(at).backgroundColor);
    if (seen !== null) return seen < 0.18;
  }
  return false;
}

/**
 * Keep root's data-theme right ("light" or "dark"), now and after every change of
 * the page's theme or of the model's; call `onChange` after a change.
 */
export function followTheme({ root, model, signal, onChange }) {
  const timers = new Set();
  const look = () => {
    const told = model.get("theme");
    root.toggleAttribute("data-told", Boolean(told));
    const name = told || (isDark(root.parentElement) ? "dark" : "light");
    if (root.dataset.theme !== name) {
      root.dataset.theme = name;
    }
    onChange(name);
  };
  const soon = () => {
    for (const wait of SETTLE_MS) {
      const timer = setTimeout(() => {
        timers.delete(timer);
        look();
      }, wait);
      timers.add(timer);
    }
  };
  const observer = new MutationObserver(soon);
  observer.observe(document.body, { attributes: true, attributeFilter: OBSERVED });
  // However long the style sheet takes. The event of a link doesn't bubble.
  const loaded = (event) => event.target.localName === "link" && look();
  document.addEventListener("load", loaded, { signal, capture: true });
  model.on("change:theme", look);
  signal.addEventListener("abort", () => {
    observer.disconnect();
    model.off("change:theme", look);
    timers.forEach(clearTimeout);
  });
  look();
  soon(); // a widget made while the theme changes
}

/** Value of a custom property of the shell, as the theme has it now. */
export function themeColor(root, name) {
  return getComputedStyle(root).getPropertyValue(name).trim();
}
