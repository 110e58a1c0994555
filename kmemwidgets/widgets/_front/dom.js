// Small helpers around the DOM. Whatever comes from a file goes in as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element. `attributes`: "class", "text" (textContent), "on" ({event: handler}), else attributes. */
export function element(tag, attributes = {}, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svgElement(tag, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, tag), attributes, children);
}

function dress(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, fn] of Object.entries(value)) node.addEventListener(event, fn);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...real(children));
  return node;
}

/** Replace all children. What had the keyboard has it still, if there is the same at its place. */
export function fill(node, ...children) {
  const active = node.getRootNode().activeElement;
  const way = active && active !== node && node.contains(active) ? wayTo(node, active) : null;
  node.replaceChildren(...real(children));
  const next = way?.reduce((at, index) => at?.children[index], node);
  if (next && next !== next.ownerDocument.activeElement && next.tagName === active.tagName) next.focus({ preventScroll: true });
  return node;
}

// What is null is left out; the DOM would write the word.
function real(children) {
  return children.filter((child) => child !== null && child !== undefined);
}

function wayTo(node, inner) {
  const way = [];
  for (let at = inner; at !== node; at = at.parentElement) way.unshift([...at.parentElement.children].indexOf(at));
  return way;
}

/**
 * Let a click count whose target is drawn anew between press and release: a browser sends none then. What is there
 * now gets it if it is the same; else what was pressed, which still knows what it stood for, and what is around it.
 */
export function keepClicks(root, signal) {
  const FAR = 4; // pixels; farther, and it is a drag
  let pressed = null;
  const press = (event) => {
    pressed = event.button === 0 ? { path: event.composedPath(), x: event.clientX, y: event.clientY, count: 1 } : null;
  };
  const counted = (event) => {
    if (pressed) pressed.count = event.detail;
  };
  const release = (event) => {
    const { path = [], x, y, count } = pressed ?? {};
    pressed = null;
    if (!path.length || path[0].isConnected || Math.hypot(event.clientX - x, event.clientY - y) > FAR) return;
    const now = root.getRootNode().elementFromPoint(event.clientX, event.clientY);
    const same = now && root.contains(now) && now.isEqualNode(path[0]);
    const about = { bubbles: true, cancelable: true, clientX: event.clientX, clientY: event.clientY, detail: count };
    for (const node of same ? [now] : [path[0], path.find((each) => each.isConnected)]) {
      node.dispatchEvent(new MouseEvent("click", about));
    }
    // The second of two clicks is also a double click, on whatever stands there now.
    if (count === 2) (now && root.contains(now) ? now : path[0]).dispatchEvent(new MouseEvent("dblclick", about));
  };
  root.addEventListener("pointerdown", press, { signal, capture: true });
  root.addEventListener("mousedown", counted, { signal, capture: true });
  root.addEventListener("pointerup", release, { signal, capture: true });
}

/** Call `fn` at the next animation frame, once however often it is asked for. */
export function onceAFrame(fn, signal) {
  let asked = 0;
  signal?.addEventListener("abort", () => cancelAnimationFrame(asked));
  return () => {
    if (!asked && !signal?.aborted) {
      asked = requestAnimationFrame(() => {
        asked = 0;
        fn();
      });
    }
  };
}

/**
 * Tell `fn` a node's inner width (CSS pixels) now and whenever it changes. Not to be read when painting: while
 * JupyterLab changes its theme, a node has no width for a moment. 0 is never told.
 */
export function followWidth(node, signal, fn) {
  const observer = new ResizeObserver((entries) => {
    const { width } = entries[entries.length - 1].contentRect;
    if (width) fn(width);
  });
  observer.observe(node);
  signal.addEventListener("abort", () => observer.disconnect());
}

/** Offer a blob as a download. */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
