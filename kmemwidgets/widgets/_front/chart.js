// A plot: a bqplot figure where Python could make one, else the same series as SVG; a legend and a table beside both.

import { element, fill } from "./dom.js";
import { text } from "./strings.js";

const PREFIX = "IPY_MODEL_";

/** A place for a plot in `el`. `show({title, legend, table, svg})` draws it; the figure is the model's trait `trait`. */
export function openChart({ model, el, signal, trait = "chart" }) {
  const legend = element("div", { class: "kmem-chart-legend" });
  const holder = element("div", { class: "kmem-chart-holder" });
  const numbers = element("details", { class: "kmem-chart-table" });
  fill(el, legend, holder, numbers);
  el.classList.add("kmem-chart");
  let mounted = "";
  let view = null;
  // As we told it that it is attached, we must tell it that it is not any more, or removing it throws.
  // A figure that Python closed is gone already.
  const discard = (old) => {
    if (old?.luminoWidget?.isDisposed) return;
    for (const type of ["before-detach", "after-detach"]) old?.luminoWidget?.processMessage({ type });
    old?.remove();
  };
  const drop = () => {
    discard(view);
    view = null;
    mounted = "";
  };
  const mount = async () => {
    const name = model.get(trait);
    if (typeof name !== "string" || !name.startsWith(PREFIX) || name === mounted) return;
    mounted = name;
    const figure = await model.widget_manager.get_model(name.slice(PREFIX.length));
    const made = await model.widget_manager.create_view(figure);
    if (signal.aborted || mounted !== name) {
      made.remove();
      return;
    }
    discard(view);
    view = made;
    // What a Lumino panel would say: the figure waits for it before it draws.
    made.luminoWidget?.processMessage({ type: "before-attach" });
    fill(holder, made.el);
    if (made.luminoWidget) made.luminoWidget.processMessage({ type: "after-attach" });
    else made.trigger("displayed");
  };
  const again = () => mount().catch((error) => console.error(error));
  const resize = new ResizeObserver(() => view?.luminoWidget?.processMessage({ type: "resize", width: -1, height: -1 }));
  resize.observe(holder);
  model.on(`change:${trait}`, again);
  signal.addEventListener("abort", () => {
    resize.disconnect();
    model.off(`change:${trait}`, again);
    drop();
  });
  return {
    show(chart) {
      fill(legend, ...chart.legend.map(([name, color, kind]) =>
        element("span", { class: "kmem-chart-key" },
          element("i", { class: `kmem-chart-${kind}`, style: `--c:${color}` }), name)));
      fill(numbers, element("summary", { text: text("chart.table") }), tableOf(chart.table));
      holder.setAttribute("aria-label", chart.title);
      holder.setAttribute("role", "img");
      if (chart.svg) {
        drop();
        fill(holder, document.importNode(new DOMParser().parseFromString(chart.svg, "image/svg+xml").documentElement, true));
      } else {
        again();
      }
    },
  };
}

/** {caption, head, rows} as a table. */
export function tableOf({ caption, head, rows }) {
  return element("table", { class: "kmem-table" },
    element("caption", { text: caption }),
    element("thead", {}, element("tr", {}, ...head.map((word) => element("th", { scope: "col", text: word })))),
    element("tbody", {}, ...rows.map(([first, ...rest]) =>
      element("tr", {}, element("th", { scope: "row", text: first }), ...rest.map((cell) => element("td", { text: cell }))))));
}
