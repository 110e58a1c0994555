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
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Replace all children. */
export function fill(node, ...children) {
  node.replaceChildren(...children);
  return node;
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
