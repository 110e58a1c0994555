// HighmemPanel: low and high memory, the kernel's addresses, and the three ways between them.

import { element, fill, followWidth, onceAFrame, svgElement } from "../_front/dom.js";
import { count, hex, sizeWords } from "../_front/format.js";
import { ask, button, openShell, put } from "../_front/shell.js";
import { text } from "../_front/strings.js";
import { widgetOf } from "../_front/widget.js";
import { areaScale, mappings } from "./geometry.js";
import { drawStage, frameAt, onMemory } from "./stage.js";

const HEIGHT = 300;
const LEAST_WIDTH = 540; // narrower, and the picture scrolls
const FAR = 32; // parts of high memory that one far step is
const MOTION_MS = 420;
const WAYS = [
  ["pkmap", [["kmap", "kmap"], ["kunmap", "kunmap"], ["wrap", text("highmempanel.wrap.label")]]],
  ["fixmap", [["map_local", "kmap_local"], ["unmap_local", "kunmap_local"]]],
  ["vmalloc", [["allocate", "vmalloc"], ["free", "vfree"]]],
];

export const widget = widgetOf(openView);

function openView({ model, el, signal, wire, focus }) {
  let data = null;
  let wide = 0;
  let scale = null;
  let lines = [];
  let before = null; // what was mapped when it was painted last: slots, flushes, lines
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const far = () => Math.max(1, Math.floor((data.end - data.first) / FAR));
  const pick = (pfn) => {
    if (!data || !Number.isFinite(pfn)) return;
    const chosen = Math.max(0, Math.min(data.end - 1, Math.floor(pfn)));
    put(model, { pfn: chosen });
    focus.set({ start: chosen, count: 1 });
  };
  const now = () => model.get("pfn");
  const handlers = {
    next: () => pick(now() + 1),
    previous: () => pick(now() - 1),
    higher: () => pick(now() + far()),
    lower: () => pick(now() - far()),
    first: () => pick(data?.first),
    last: () => pick(data?.end - 1),
    type: () => field.focus(),
    next_type: () => ask(model, "next_type"),
  };
  for (const [, gestures] of WAYS) for (const [gesture] of gestures) handlers[gesture] = () => ask(model, gesture);
  const shell = openShell({ model, el, signal, handlers });
  for (const [gesture, label] of [["undo", "↶"], ["reset", "|◀"]]) {
    shell.tool({ label, says: text(`framemap.${gesture}`), onClick: () => shell.handlers[gesture](), gesture });
  }
  const field = element("input", {
    type: "text", class: "kmem-high-field", size: "10", spellcheck: "false", autocomplete: "off", "aria-label": text("highmempanel.frame"),
  });
  field.addEventListener("change", () => pick(Number(field.value.trim() || NaN)), { signal });
  shell.tools.prepend(element("label", { class: "kmem-high-label" }, text("highmempanel.frame"), field));

  const picture = svgElement("svg", { role: "img", "aria-label": text("highmempanel.stage") });
  const said = element("p", { class: "kmem-high-said" });
  const asked = element("p", { class: "kmem-high-asked" }); // what was clicked and is no frame
  const stage = element("div", {
    class: "kmem-high-stage", tabindex: "0", role: "group", "aria-label": text("highmempanel.stage"),
  }, picture, said, asked);
  const slots = element("div", { class: "kmem-high-slots", role: "img" });
  const locals = element("div", { class: "kmem-high-locals", role: "img" });
  const areas = element("ul", { class: "kmem-high-areas" });
  const shows = { pkmap: slots, fixmap: locals, vmalloc: areas };
  const key = element("div", { class: "kmem-high-key" }, ...["used", "unused", "free", "last"].map((state) =>
    element("span", {}, element("i", { class: `kmem-high-slot kmem-high-slot-${state}` }), text(`highmempanel.key.${state}`))));
  const heads = {};
  const figures = {};
  const buttons = {};
  const cards = WAYS.map(([kind, gestures]) => {
    heads[kind] = element("h3", { class: "kmem-high-head", "data-term": kind });
    figures[kind] = element("p", { class: "kmem-high-figure" });
    const row = element("div", { class: "kmem-high-buttons", role: "group" }, ...gestures.map(([gesture, label]) => {
      const made = button({
        label, says: text(`highmempanel.${gesture}`), onClick: () => shell.handlers[gesture](), gesture, about: shell.about,
      });
      buttons[gesture] = made;
      return made;
    }));
    return element("section", { class: `kmem-high-card kmem-high-card-${kind}` },
      heads[kind], row, figures[kind], shows[kind], kind === "pkmap" ? key : null);
  });
  const ways = element("div", { class: "kmem-high-ways" }, ...cards);
  const recorded = element("p", { class: "kmem-high-figure", text: text("highmempanel.recorded"), hidden: true });
  const splits = element("dl", { class: "kmem-high-splits" });
  const splitsBox = element("details", {}, element("summary", { text: text("highmempanel.splits") }), splits);
  fill(shell.body, stage, recorded, ways, splitsBox);

  slots.addEventListener("click", (event) => {
    const slot = [...slots.children].indexOf(event.target);
    if (slot < 0) return;
    if (data.live.pfns[slot] >= 0) pick(data.live.pfns[slot]);
    answer(event.target.title);
  }, { signal });
  locals.addEventListener("click", (event) => {
    const { type, pfn } = event.target.dataset ?? {};
    if (type) put(model, { km_type: type });
    if (pfn) pick(Number(pfn));
    if (event.target.title) answer(event.target.title);
  }, { signal });
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    if (!data) return;
    const { pfn, area } = event.target.dataset ?? {};
    if (onMemory(event.clientX - box.left)) pick(frameAt(event.clientY - box.top, box.height, data.end));
    else if (pfn) pick(Number(pfn));
    else if (area) answer(aboutArea(scale.placed[Number(area)]));
  }, { signal });
  function answer(words) {
    asked.textContent = words;
    shell.say(words);
  }
  function aboutArea({ name, kind, start, end }) {
    const there = lines.filter(({ address }) => address >= start && address < end).length;
    const parts = [
      text("highmempanel.window", { name, start: hex(start), end: hex(end - 1n), size: sizeWords(end - start) }),
      shell.about.terms[kind === "direct" ? "low memory" : kind],
      ["pkmap", "fixmap", "vmalloc"].includes(kind) && data.live ? text("highmempanel.window.lines", { count: count(there) }) : null,
    ];
    return parts.filter(Boolean).join(" ");
  }

  const draw = onceAFrame(paint, signal);
  followWidth(stage, signal, (width) => {
    wide = width;
    draw();
  });
  for (const name of ["change:pfn", "change:km_type"]) {
    model.on(name, draw);
    signal.addEventListener("abort", () => model.off(name, draw));
  }
  wire.subscribe((what, state) => {
    data = state.data;
    scale = areaScale(data.windows.map((each) => ({ ...each, start: BigInt(each.start), end: BigInt(each.end) })));
    lines = data.live ? mappings(data.live, data.page_size) : [];
    shell.subtitle(data.subtitle);
    draw();
  }, signal);
  focus.subscribe((place, mine) => {
    if (!mine && data && place.start !== undefined && place.start < data.end && place.start !== now()) put(model, { pfn: place.start });
  }, signal);

  function paint() {
    if (!data || !wide) return;
    const pfn = now();
    const page = data.page_size;
    const named = drawStage(picture, {
      wide: Math.max(LEAST_WIDTH, wide), height: model.get("height") ?? HEIGHT, data, scale, lines, pfn,
    });
    if (shell.root.getRootNode().activeElement !== field) field.value = hex(pfn);
    const words = sentence(pfn, page);
    said.textContent = words;
    shell.say(words);
    ways.hidden = splitsBox.hidden = !data.live;
    recorded.hidden = Boolean(data.live);
    if (data.live) {
      paintKmap(data.live, pfn, page);
      paintLocals(data.live, pfn);
      paintAreas(data.live, pfn);
      fill(splits, ...data.live.splits.flatMap(([name, size, ours]) => [
        element("dt", { text: name }), element("dd", { class: ours ? "kmem-high-ours" : "", text: size })]));
      move(named);
    }
    before = { counts: data.live?.counts ?? [], flushes: data.live?.flushes ?? 0, lines: new Set(named.keys()) };
    shell.root.dataset.painted = `${wire.state.epoch}.${wire.state.seq}.${pfn}`;
  }

  function sentence(pfn, page) {
    const frame = hex(pfn);
    if (pfn < data.first) {
      return text("highmempanel.said.low", { pfn: frame, address: hex(BigInt(data.offset) + BigInt(pfn) * BigInt(page)) });
    }
    if (!data.live) return text("highmempanel.said.unknown", { pfn: frame });
    const found = lines.filter((line) => line.pfn === pfn).map(({ kind, address, slot, users }) =>
      text(`highmempanel.said.${kind}`, { address: hex(address), slot, users }));
    return found.length
      ? text("highmempanel.said.mapped", { pfn: frame, ways: found.join("; ") })
      : text("highmempanel.said.none", { pfn: frame });
  }

  function paintKmap(live, pfn, page) {
    heads.pkmap.textContent = text("highmempanel.way.pkmap");
    if (slots.children.length !== live.counts.length) {
      fill(slots, ...live.counts.map(() => element("span", { class: "kmem-high-slot" })));
    }
    const state = (n) => (n > 1 ? "used" : n === 1 ? "unused" : "free");
    live.counts.forEach((n, slot) => {
      const cell = slots.children[slot];
      const name = `kmem-high-slot kmem-high-slot-${state(n)}${slot === live.last ? " kmem-high-slot-last" : ""}${live.pfns[slot] === pfn ? " kmem-high-slot-mine" : ""}`;
      if (cell.className !== name) cell.className = name;
      if (cell.dataset.is === `${n} ${live.pfns[slot]}`) return;
      cell.dataset.is = `${n} ${live.pfns[slot]}`;
      cell.title = text("highmempanel.slot", {
        slot, address: hex(BigInt(live.base) + BigInt(slot * page)),
        state: text(`highmempanel.slot.${state(n)}`, { pfn: hex(Math.max(0, live.pfns[slot])), users: n - 1 }),
      });
    });
    figures.pkmap.textContent = text("highmempanel.slots", {
      used: count(live.counts.filter((n) => n > 1).length), all: count(live.counts.length),
      unused: count(live.counts.filter((n) => n === 1).length), flushes: count(live.flushes),
    });
    slots.setAttribute("aria-label", figures.pkmap.textContent);
  }

  function paintLocals(live, pfn) {
    heads.fixmap.textContent = text("highmempanel.way.fixmap", { name: data.local_name });
    buttons.map_local.textContent = data.local_name;
    buttons.unmap_local.textContent = data.local_name.replace("kmap", "kunmap");
    figures.fixmap.textContent = text(live.types.length ? "highmempanel.typed" : "highmempanel.locals", {
      used: live.local.filter((each) => each[5] === "used").length, all: live.local_slots,
      owner: text(`highmempanel.owner.${live.of_task ? "task" : "cpu"}`), flushes: count(live.local_flushes),
      type: model.get("km_type"),
    });
    locals.setAttribute("aria-label", figures.fixmap.textContent);
    // With kinds of users each has its cell; a stack has as many as one owner may fill.
    const step = live.types.length ? live.cpu_slots / live.types.length | 0 : Math.max(1, live.cpu_slots / (live.local_slots + 1) | 0);
    fill(locals, ...Array.from({ length: live.types.length || live.local_slots }, (_, number) => {
      const held = live.local.find(([, slot, , , cpu, state]) => slot === (number + 1) * step - 1 && cpu === 0 && state !== "out");
      const kind = live.types[number] ?? "";
      const state = held ? ` kmem-high-slot-${held[5] === "left" ? "unused" : "used"}${held[2] === pfn ? " kmem-high-slot-mine" : ""}` : "";
      return element("span", {
        class: `kmem-high-slot kmem-high-local${kind ? " kmem-high-kind" : ""}${state}${kind && kind === model.get("km_type") ? " kmem-high-slot-last" : ""}`,
        text: held ? hex(held[2]) : kind.replace("KM_", ""), title: [kind, held?.[3]].filter(Boolean).join(" ") || null,
        "data-type": kind || null, "data-pfn": held ? held[2] : null,
      });
    }));
  }

  function paintAreas(live, pfn) {
    heads.vmalloc.textContent = text("highmempanel.way.vmalloc");
    const pages = live.areas.reduce((sum, [, , many]) => sum + many, 0);
    figures.vmalloc.textContent = text("highmempanel.areas", { pages: pagesWords(pages), areas: count(live.areas.length) });
    fill(areas, ...live.areas.slice(-6).map(([start, pfns, many]) => {
      const made = element("button", {
        type: "button", class: `kmem-high-area${pfns.includes(pfn) ? " kmem-high-ours" : ""}`,
        text: text("highmempanel.area", { address: start, pages: pagesWords(many), pfn: hex(pfns[0]) }),
      });
      made.addEventListener("click", () => pick(pfns[0]));
      return element("li", {}, made);
    }));
  }

  /** What is new since the last time comes into sight, what was flushed goes out of it. */
  function move(named) {
    if (!before || still.matches) return;
    for (const [name, line] of named) {
      if (before.lines.has(name)) continue;
      line.animate([{ strokeDasharray: "1", strokeDashoffset: 1 }, { strokeDasharray: "1", strokeDashoffset: 0 }], MOTION_MS);
    }
    const flushed = data.live.flushes !== before.flushes;
    data.live.counts.forEach((n, slot) => {
      const was = before.counts[slot];
      if (was === undefined || was === n) return;
      slots.children[slot].animate(flushed && n === 0
        ? [{ background: "var(--kmem-h-unused)" }, { background: "var(--kmem-warn)", offset: 0.3 }, { background: "var(--kmem-h-free)" }]
        : [{ transform: "scale(1.9)" }, { transform: "none" }], MOTION_MS);
    });
  }
}

function pagesWords(pages) {
  return pages === 1 ? text("kmallocpanel.one") : text("kmallocpanel.many", { count: count(pages) });
}
