// KmallocPanel: a size, the cache that serves it, the object with what is wasted, a slab full of such objects.

import { element, fill, onceAFrame, svgElement } from "../_front/dom.js";
import { count, sizeWords } from "../_front/format.js";
import { openShell, put } from "../_front/shell.js";
import { text } from "../_front/strings.js";
import { widgetOf } from "../_front/widget.js";
import { answerTo, firstOrder } from "./answer.js";

const SLAB_COLUMNS = 32;
const MOST_CELLS = 512;
const CURVE = { width: 640, height: 96 };

export const widget = widgetOf(openView);

function openView({ model, el, signal, wire }) {
  let data = null;
  const set = (size) => put(model, { size: Math.max(0, Math.min(2 ** 31, Math.round(size))) });
  const classes = () => data.classes.map(([size]) => size);
  const handlers = {
    more: () => set(model.get("size") + 1),
    less: () => set(model.get("size") - 1),
    next_class: () => set(classes().find((size) => size > model.get("size")) ?? model.get("size") * 2),
    previous_class: () => set(classes().findLast((size) => size < model.get("size")) ?? 0),
    type: () => field.focus(),
  };
  const shell = openShell({ model, el, signal, handlers });
  const field = element("input", { type: "number", min: "0", step: "1", "aria-label": text("kmallocpanel.size") });
  const slider = element("input", { type: "range", min: "0", max: "1000", "aria-label": text("kmallocpanel.slider") });
  const request = element("select", { "aria-label": text("kmallocpanel.request") });
  const verdict = element("p", { class: "kmem-kmalloc-verdict" });
  const bar = element("div", { class: "kmem-kmalloc-bar", "aria-hidden": "true" });
  const slab = element("figure", { class: "kmem-kmalloc-slab" });
  const ladder = element("div", { class: "kmem-kmalloc-ladder", role: "group", "aria-label": text("kmallocpanel.classes") });
  const curve = element("figure", { class: "kmem-kmalloc-curve" });
  const recorded = element("p", { class: "kmem-kmalloc-recorded", hidden: true });
  const stage = element("div", { class: "kmem-kmalloc-stage", tabindex: "0", role: "group", "aria-label": shell.about.title },
    verdict, bar, element("div", { class: "kmem-kmalloc-two" }, ladder, slab), curve, recorded);
  fill(shell.body, element("div", { class: "kmem-kmalloc-ask" },
    element("code", { text: "kmalloc(" }), field, element("code", { text: "," }), request, element("code", { text: ")" }), slider), stage);

  const draw = onceAFrame(paint, signal);
  field.addEventListener("input", () => field.value !== "" && set(Number(field.value)), { signal });
  slider.addEventListener("input", () => set(fromSlider(Number(slider.value))), { signal });
  request.addEventListener("change", () => put(model, { gfp: request.selectedIndex }), { signal });
  for (const name of ["size", "gfp"]) {
    model.on(`change:${name}`, draw);
    signal.addEventListener("abort", () => model.off(`change:${name}`, draw));
  }
  wire.subscribe((what, state) => {
    data = state.data;
    shell.subtitle(data.subtitle);
    fill(request, ...data.requests.map(({ words }) => element("option", { text: words })));
    recorded.hidden = !data.recorded;
    if (data.recorded) {
      const [asked, taken] = data.recorded;
      recorded.textContent = text("kmallocpanel.recorded", {
        asked: sizeWords(asked), taken: sizeWords(taken), share: percent(taken - asked, taken),
      });
    }
    draw();
  }, signal);

  const top = () => Math.log2(data.largest * 2);
  const fromSlider = (value) => (value <= 0 ? 0 : 2 ** ((value / 1000) * top()));
  const toSlider = (size) => (size < 1 ? 0 : (Math.log2(size) / top()) * 1000);

  function paint() {
    if (!data) return;
    const size = model.get("size");
    const answer = answerTo(data, size, model.get("gfp"));
    if (root().activeElement !== field) field.value = String(size);
    slider.value = String(toSlider(size));
    slider.setAttribute("aria-valuetext", `${count(size)} B`);
    request.selectedIndex = model.get("gfp");
    const words = sentence(answer, size);
    verdict.textContent = words;
    shell.say(words);
    paintBar(answer, size);
    paintLadder(answer);
    paintSlab(answer);
    paintCurve(size);
  }
  const root = () => stage.getRootNode();

  function sentence({ kind, cache, taken, pages }, size) {
    if (kind === "nothing") return text("kmallocpanel.nothing");
    if (kind === "refused") return text("kmallocpanel.refused", { bound: data.bound, largest: count(data.largest) });
    return text(kind === "cache" ? "kmallocpanel.cache" : "kmallocpanel.pages", {
      cache, taken: count(taken), wasted: count(taken - size), share: percent(taken - size, taken), pages: pagesWords(pages),
      order: firstOrder(taken, data.page_size),
    });
  }

  function paintBar({ taken }, size) {
    const part = taken ? Math.min(1, size / taken) : 0;
    bar.hidden = !taken;
    fill(bar,
      element("span", { class: "kmem-kmalloc-used", style: `flex-grow:${part}`, text: part > 0.12 ? `${count(size)} B` : "" }),
      element("span", { class: "kmem-kmalloc-waste", style: `flex-grow:${1 - part}`, text: part < 0.88 ? `${count(taken - size)} B` : "" }));
  }

  function paintLadder({ taken, kind }) {
    const names = data.requests[model.get("gfp")].names;
    const most = Math.log2(data.classes[data.classes.length - 1][0]);
    fill(ladder, ...data.classes.map(([size, order, objects], i) => {
      const button = element("button", {
        type: "button", class: "kmem-kmalloc-class", "aria-pressed": String(kind === "cache" && size === taken),
        title: text("kmallocpanel.class", { objects, pages: pagesWords(1 << order) }),
      },
        element("span", { text: names[i] ?? String(size) }),
        element("i", { style: `width:${6 + (62 * Math.log2(size)) / most}px` }));
      button.addEventListener("click", () => set(size));
      return button;
    }));
  }

  function paintSlab({ kind, taken, pages }) {
    const found = kind === "cache" ? data.classes.find(([size]) => size === taken) : null;
    slab.hidden = kind === "nothing" || kind === "refused";
    if (slab.hidden) return;
    const bytes = found ? data.page_size << found[1] : pages * data.page_size;
    const objects = found ? found[2] : 1;
    const shown = Math.min(objects, MOST_CELLS);
    const columns = Math.min(SLAB_COLUMNS, Math.max(1, Math.ceil(Math.sqrt(objects * 2))));
    const rows = Math.ceil(shown / columns);
    const [wide, high] = [320, Math.max(60, Math.min(190, rows * 22))];
    const cell = { width: wide / columns, height: high / rows };
    const picture = svgElement("svg", { viewBox: `0 0 ${wide} ${high}`, role: "img" });
    const label = text(found ? "kmallocpanel.slab" : "kmallocpanel.alone", {
      objects: count(objects), pages: pagesWords(bytes / data.page_size),
    });
    picture.setAttribute("aria-label", label);
    const part = Math.min(1, model.get("size") / taken);
    for (let i = 0; i < shown; i += 1) {
      const [x, y] = [(i % columns) * cell.width, Math.floor(i / columns) * cell.height];
      picture.append(
        svgElement("rect", { x: x + 0.5, y: y + 0.5, width: cell.width - 1, height: cell.height - 1, class: "kmem-kmalloc-waste" }),
        svgElement("rect", { x: x + 0.5, y: y + 0.5, width: (cell.width - 1) * part, height: cell.height - 1, class: "kmem-kmalloc-used" }));
    }
    const tail = bytes - objects * taken;
    fill(slab, picture, element("figcaption", {},
      element("span", { "data-term": "slab", text: label }),
      found ? element("span", { "data-term": "tail of a slab", text: text("kmallocpanel.tail", { tail: count(tail) }) }) : null));
  }

  // How much of each size is wasted, over all sizes up to the largest class: the saw.
  function paintCurve(size) {
    const largest = data.classes[data.classes.length - 1][0];
    const x = (bytes) => (Math.log2(Math.max(1, bytes)) / Math.log2(largest * 2)) * CURVE.width;
    const y = (share) => CURVE.height - share * (CURVE.height - 6);
    let path = `M0 ${CURVE.height}`;
    let before = 0;
    for (const [taken] of [...data.classes, [largest * 2]]) {
      path += ` L${x(before + 1)} ${y((taken - before - 1) / taken)}`;
      for (let i = 1; i <= 24; i += 1) {
        const at = before + 1 + ((taken - before - 1) * i) / 24;
        path += ` L${x(at)} ${y((taken - at) / taken)}`;
      }
      before = taken;
    }
    const picture = svgElement("svg", {
      viewBox: `0 0 ${CURVE.width} ${CURVE.height}`, preserveAspectRatio: "none", role: "img",
      "aria-label": text("kmallocpanel.curve"),
    },
      svgElement("path", { d: `${path} L${CURVE.width} ${CURVE.height} Z`, class: "kmem-kmalloc-saw" }),
      size > 0 && size <= largest * 2
        ? svgElement("path", { d: `M${x(size)} 0 V${CURVE.height}`, class: "kmem-kmalloc-here" })
        : null);
    picture.addEventListener("click", (event) => {
      const box = curve.querySelector("svg").getBoundingClientRect();
      set(2 ** (((event.clientX - box.left) / box.width) * Math.log2(largest * 2)));
    });
    fill(curve, picture, element("figcaption", { text: text("kmallocpanel.curve") }));
  }
}

function pagesWords(pages) {
  return pages === 1 ? text("kmallocpanel.one") : text("kmallocpanel.many", { count: count(pages) });
}

function percent(part, whole) {
  return whole ? `${((100 * part) / whole).toFixed(1)} %` : "0.0 %";
}
