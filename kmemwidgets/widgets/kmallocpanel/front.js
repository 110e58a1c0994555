// KmallocPanel: a size, the cache that serves it, the object with what is wasted, a slab full of such objects.

import { element, fill, followWidth, onceAFrame, svgElement } from "../_front/dom.js";
import { count, sizeWords } from "../_front/format.js";
import { openShell, put } from "../_front/shell.js";
import { text } from "../_front/strings.js";
import { widgetOf } from "../_front/widget.js";
import { answerTo, firstOrder } from "./answer.js";

const SLAB_COLUMNS = 32;
const MOST_CELLS = 512;
const CURVE_HEIGHT = 136;

export const widget = widgetOf(openView);

function openView({ model, el, signal, wire }) {
  let data = null;
  let wide = 0; // of the saw
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
  followWidth(curve, signal, (width) => {
    wide = width;
    draw();
  });
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
    const piece = (kind, share, bytes) => element("span", {
      class: `kmem-kmalloc-${kind}`, style: `flex-grow:${share}`, title: text(`kmallocpanel.${kind}`, { bytes: count(bytes) }),
      text: share > 0.3 ? text(`kmallocpanel.${kind}`, { bytes: count(bytes) }) : share > 0.1 ? `${count(bytes)} B` : "",
    });
    bar.hidden = !taken;
    fill(bar, piece("used", part, size), piece("waste", 1 - part, taken - size));
  }

  function paintLadder({ taken, kind }) {
    const names = data.requests[model.get("gfp")].names;
    const most = Math.log2(data.classes[data.classes.length - 1][0]);
    fill(ladder, ...data.classes.map(([size, order, objects], i) => {
      const button = element("button", {
        type: "button", class: "kmem-kmalloc-class", "aria-pressed": String(kind === "cache" && size === taken),
      },
        element("span", { text: names[i] ?? String(size) }),
        element("span", { class: "kmem-kmalloc-rung", "aria-hidden": "true" }, element("i", { style: `width:${100 * (Math.log2(size) + 1) / (most + 1)}%` })),
        element("span", { class: "kmem-kmalloc-faint", text: text("kmallocpanel.class", { objects, pages: pagesWords(1 << order) }) }));
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
    const where = element("span", { class: "kmem-kmalloc-where" });
    for (let i = 0; i < shown; i += 1) {
      const [x, y] = [(i % columns) * cell.width, Math.floor(i / columns) * cell.height];
      const object = svgElement("g", {},
        svgElement("rect", { x: x + 0.5, y: y + 0.5, width: cell.width - 1, height: cell.height - 1, class: "kmem-kmalloc-waste" }),
        svgElement("rect", { x: x + 0.5, y: y + 0.5, width: (cell.width - 1) * part, height: cell.height - 1, class: "kmem-kmalloc-used" }));
      object.addEventListener("click", () => {
        where.textContent = text("kmallocpanel.object", { number: count(i + 1), first: count(i * taken), last: count((i + 1) * taken - 1) });
        for (const each of picture.children) each.classList.toggle("kmem-kmalloc-picked", each === object);
        shell.say(where.textContent);
      });
      picture.append(object);
    }
    const tail = bytes - objects * taken;
    fill(slab, picture, element("figcaption", {},
      element("span", { "data-term": "slab", text: label }),
      found ? element("span", { "data-term": "tail of a slab", text: text("kmallocpanel.tail", { tail: count(tail) }) }) : null,
      shown < objects ? element("span", { text: text("kmallocpanel.some", { shown: count(shown) }) }) : null,
      where));
  }

  // How much of each size is wasted, over all sizes up to twice the largest class: the saw, with what was recorded on it.
  function paintCurve(size) {
    if (!wide) return;
    const largest = data.classes[data.classes.length - 1][0];
    const [left, right, top, base] = [44, wide - 8, 14, CURVE_HEIGHT - 22];
    const x = (bytes) => left + (Math.log2(Math.max(1, bytes)) / Math.log2(largest * 2)) * (right - left);
    const y = (share) => base - share * (base - top);
    const share = (bytes) => {
      const { taken } = answerTo(data, bytes, model.get("gfp"));
      return taken ? (taken - bytes) / taken : 0;
    };
    let path = `M${left} ${base}`;
    let before = 0;
    for (const [taken] of [...data.classes, [largest * 2]]) {
      path += ` L${x(before + 1)} ${y((taken - before - 1) / taken)}`;
      for (let i = 1; i <= 24; i += 1) {
        const at = before + 1 + ((taken - before - 1) * i) / 24;
        path += ` L${x(at)} ${y((taken - at) / taken)}`;
      }
      before = taken;
    }
    const word = (words, at, anchor) => svgElement("text", { x: at[0], y: at[1], "text-anchor": anchor, text: words });
    const grid = [0, 0.5, 1].flatMap((part) => [
      svgElement("path", { d: `M${left} ${y(part)} H${right}`, class: "kmem-kmalloc-grid" }),
      word(`${100 * part} %`, [left - 6, y(part) + 4], "end"),
    ]);
    // Powers of two first; the others are written where there is room beside them.
    const written = [];
    const inOrder = data.classes.map(([bytes]) => bytes).sort((a, b) => (a & (a - 1) ? 1 : 0) - (b & (b - 1) ? 1 : 0));
    const sizes = inOrder.flatMap((bytes) => {
      if (written.some((at) => Math.abs(at - x(bytes)) < 30)) return [];
      written.push(x(bytes));
      return [svgElement("path", { d: `M${x(bytes)} ${base} v4`, class: "kmem-kmalloc-grid" }), word(shortSize(bytes), [x(bytes), base + 17], "middle")];
    });
    const most = Math.max(1, ...(data.sizes ?? []).map(([, times]) => times));
    const dots = (data.sizes ?? []).filter(([bytes]) => bytes > 0 && bytes <= largest * 2).map(([bytes, times]) => {
      const dot = svgElement("circle", { cx: x(bytes), cy: y(share(bytes)), r: 3 + 5 * Math.sqrt(times / most), class: "kmem-kmalloc-dot" });
      dot.append(svgElement("title", { text: text("kmallocpanel.dot", { bytes: count(bytes), times: count(times) }) }));
      dot.addEventListener("click", (event) => {
        event.stopPropagation();
        set(bytes);
      });
      return dot;
    });
    const here = size > 0 && size <= largest * 2
      ? [svgElement("path", { d: `M${x(size)} ${top - 8} V${base}`, class: "kmem-kmalloc-here" }),
        svgElement("circle", { cx: x(size), cy: y(share(size)), r: 4, class: "kmem-kmalloc-now" })]
      : [];
    const picture = svgElement("svg", { width: wide, height: CURVE_HEIGHT, role: "img", "aria-label": text("kmallocpanel.curve", { most: count(largest * 2) }) },
      ...grid, svgElement("path", { d: `${path} L${right} ${base} Z`, class: "kmem-kmalloc-saw" }), ...sizes, ...dots, ...here);
    picture.addEventListener("click", (event) => {
      const at = event.clientX - picture.getBoundingClientRect().left;
      set(2 ** (Math.max(0, Math.min(1, (at - left) / (right - left))) * Math.log2(largest * 2)));
    });
    fill(curve, picture, element("figcaption", { text: text(data.sizes?.length ? "kmallocpanel.curve.dots" : "kmallocpanel.curve", { most: count(largest * 2) }) }));
  }
}

/** 8192 -> "8k", as the caches are named. */
function shortSize(bytes) {
  return bytes >= 1024 ? `${bytes / 1024}k` : String(bytes);
}

function pagesWords(pages) {
  return pages === 1 ? text("kmallocpanel.one") : text("kmallocpanel.many", { count: count(pages) });
}

function percent(part, whole) {
  return whole ? `${((100 * part) / whole).toFixed(1)} %` : "0.0 %";
}
