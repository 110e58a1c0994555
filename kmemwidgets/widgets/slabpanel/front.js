// SlabPanel: caches at the left, the slabs of one of them by place, an object opened to its bytes below.

import { element, fill } from "../_front/dom.js";
import { count } from "../_front/format.js";
import { ask, openShell, put } from "../_front/shell.js";
import { text } from "../_front/strings.js";
import { widgetOf } from "../_front/widget.js";
import { hexRows } from "./bytes.js";

const PLACES = ["cpu slab", "cpu partial", "node partial", "full", "slabs_partial", "slabs_free", "slabs_full"];
const STATES = ["used", "free", "next", "sheaf", "unknown", "array"];

export const widget = widgetOf(openView);

function openView({ model, el, signal, wire, focus }) {
  let data = null;
  let cells = []; // [cell, address] of every drawn object
  let chosen = null; // address, BigInt
  let drawnCaches = null;

  const handlers = {
    next: () => step(1),
    previous: () => step(-1),
    down: () => stepSlab(1),
    up: () => stepSlab(-1),
    next_cache: () => stepCache(1),
    previous_cache: () => stepCache(-1),
    find: () => search.focus(),
    allocate: () => ask(model, "allocate"),
    free: () => chosen !== null && ask(model, "free", { address: `0x${chosen.toString(16)}` }),
  };
  const shell = openShell({ model, el, signal, handlers });
  for (const [gesture, label] of [["allocate", "kmem_cache_alloc"], ["free", "kmem_cache_free"]]) {
    const made = shell.tool({ label, says: text(`slabpanel.${gesture}`), onClick: handlers[gesture], gesture });
    made.disabled = shell.about.gestures.find((each) => each.name === gesture).off;
    if (made.disabled) made.title = text("shell.noverb", { verb: label });
  }
  const search = element("input", {
    type: "search", class: "kmem-slab-search", spellcheck: "false", autocomplete: "off",
    placeholder: text("slabpanel.search"), "aria-label": text("slabpanel.search"),
  });
  const list = element("div", { class: "kmem-slab-list", role: "group", "aria-label": text("slabpanel.caches") });
  const factsBox = element("dl", { class: "kmem-slab-facts" });
  const heading = element("h3", { class: "kmem-slab-heading" });
  const stage = element("div", { class: "kmem-slab-stage", tabindex: "0", role: "group", "aria-label": text("slabpanel.slabs") });
  const opened = element("div", { class: "kmem-slab-opened", hidden: true });
  const legend = element("div", { class: "kmem-slab-legend" }, ...STATES.map((state) =>
    element("span", { "data-state": state }, element("i", { class: `kmem-slab-cell kmem-slab-${state}` }), text(`slabpanel.state.${state}`))));
  fill(shell.body, element("div", { class: "kmem-slab-two" },
    element("div", { class: "kmem-slab-side" }, search, list),
    element("div", { class: "kmem-slab-main" }, heading, factsBox, legend, stage, opened)));

  search.addEventListener("input", filter, { signal });
  wire.subscribe((what, state) => {
    data = state.data;
    shell.subtitle(data.subtitle);
    writeList();
    writeCache();
  }, signal);
  // A view that is new shows what the panel shows; it goes along with what is chosen here from then on.
  let begun = false;
  focus.subscribe((place, mine) => {
    if ((begun || !mine) && place.cache && data && place.cache !== model.get("cache") && data.caches.some(({ name }) => name === place.cache)) {
      put(model, { cache: place.cache });
    }
    chosen = place.address === undefined ? null : BigInt(place.address);
    mark();
  }, signal);
  begun = true;

  function writeList() {
    const rows = JSON.stringify(data.caches);
    if (rows !== drawnCaches) {
      drawnCaches = rows;
      fill(list, ...data.caches.map((cache) => {
        const part = cache.total ? cache.active / cache.total : 0;
        const row = element("button", { type: "button", class: "kmem-slab-cache", "data-name": [cache.name, ...cache.aliases].join(" ") },
          element("span", { class: "kmem-slab-name", text: cache.name }),
          element("span", { class: "kmem-slab-memory", text: cache.memory }),
          element("span", { class: "kmem-slab-meter", "aria-hidden": "true" }, element("i", { style: `width:${100 * part}%` })),
          element("span", { class: "kmem-slab-count",
            text: text("slabpanel.objects", { size: cache.size ?? "?", active: number(cache.active), total: number(cache.total) }) }));
        row.addEventListener("click", () => put(model, { cache: cache.name }));
        return row;
      }));
      filter();
    }
    [...list.children].forEach((row, i) => row.setAttribute("aria-pressed", String(data.caches[i].name === data.shown)));
  }
  function filter() {
    const wanted = search.value.trim().toLowerCase();
    for (const row of list.children) row.hidden = Boolean(wanted) && !row.dataset.name.toLowerCase().includes(wanted);
  }

  function writeCache() {
    heading.textContent = data.shown;
    fill(factsBox, ...data.facts.flatMap(([name, value]) => [element("dt", { text: name }), element("dd", { text: value })]));
    cells = [];
    for (const state of STATES) {
      legend.querySelector(`[data-state=${state}]`).hidden = data.live
        ? !data.slabs.some(({ objects }) => objects.includes(STATES.indexOf(state)))
        : state !== "unknown";
    }
    fill(stage, ...(data.live ? liveGroups() : recorded()));
    writeOpened();
    mark();
  }
  function liveGroups() {
    const groups = new Map();
    for (const slab of data.slabs) {
      const key = slab.cpu === null ? (slab.place === "full" ? "full" : `${slab.place}:${slab.nid}`) : `${slab.place}:${slab.cpu}`;
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(slab);
    }
    const made = [...groups.values()].map((slabs) => element("section", { class: "kmem-slab-group" },
      element("h4", { text: groupWords(slabs[0], slabs.length) }), element("div", { class: "kmem-slab-row" }, ...slabs.map(drawSlab))));
    if (!made.length) made.push(element("p", { class: "kmem-slab-faint", text: text("slabpanel.none") }));
    if (data.more) made.push(element("p", { class: "kmem-slab-faint", text: text("slabpanel.more", { count: count(data.more) }) }));
    return made;
  }
  function groupWords(slab, many) {
    const where = slab.cpu === null ? slab.nid : slab.cpu;
    return text(`slabpanel.place.${PLACES.indexOf(slab.place)}`, { where, many: count(many) });
  }
  function drawSlab(slab) {
    const first = BigInt(slab.first);
    const used = slab.objects.filter((state) => state === 0).length;
    const grid = element("div", { class: "kmem-slab-grid", style: `--n:${Math.min(16, Math.ceil(Math.sqrt(slab.objects.length * 1.6)))}` });
    slab.objects.forEach((state, i) => {
      const address = first + BigInt(i) * BigInt(slab.size);
      const cell = element("span", { class: `kmem-slab-cell kmem-slab-${STATES[state]}` });
      cell.addEventListener("click", () => open(address));
      grid.append(cell);
      cells.push([cell, address, slab, state]);
    });
    return element("div", {
      class: "kmem-slab-slab", role: "img",
      "aria-label": text("slabpanel.slab.said", { used, objects: slab.objects.length, pfn: `0x${slab.pfn.toString(16)}` }),
    }, grid, element("code", { text: `pfn 0x${slab.pfn.toString(16)}` }));
  }
  function recorded() {
    if (!data.totals) return [element("p", { text: text("slabpanel.nototals") })];
    const made = Object.entries(data.totals).map(([place, many]) => element("section", { class: "kmem-slab-group" },
      element("h4", { text: text("slabpanel.recorded", { place, many: count(many) }) }),
      element("div", { class: "kmem-slab-row" }, ...Array.from({ length: Math.min(many, 24) }, () =>
        element("div", { class: "kmem-slab-slab" }, element("div", {
          class: "kmem-slab-grid", style: `--n:${Math.min(16, Math.ceil(Math.sqrt((data.per_slab ?? 1) * 1.6)))}`,
        }, ...Array.from({ length: Math.min(256, data.per_slab ?? 1) }, () => element("span", { class: "kmem-slab-cell kmem-slab-unknown" }))))))));
    return [...made, element("p", { class: "kmem-slab-faint", text: text("slabpanel.unknown.why") })];
  }

  function writeOpened() {
    const one = data.opened;
    opened.hidden = !one;
    if (!one) return;
    const rows = hexRows(one);
    const names = [...new Set(one.parts.map(([name]) => name))];
    fill(opened,
      element("h4", { text: text("slabpanel.opened", { address: one.address, state: text(`slabpanel.state.${STATES[one.state]}`) }) }),
      element("div", { class: "kmem-slab-legend" }, ...names.map((name) =>
        element("span", {}, element("i", { class: "kmem-slab-byte", "data-part": partClass(name) }), name))),
      element("div", { class: "kmem-slab-hex", tabindex: "0", role: "group", "aria-label": text("slabpanel.bytes") },
        ...rows.map(({ address, bytes }) => element("div", {}, element("code", { text: address }), element("span", {},
          ...bytes.map(({ value, part }) => element("span", { class: "kmem-slab-byte", "data-part": partClass(part), title: part, text: value })))))));
  }

  function open(address) {
    const name = `0x${address.toString(16)}`;
    focus.set({ cache: data.shown, address: name });
    ask(model, "next", { address: name });
  }
  function at() {
    return chosen === null ? -1 : cells.findIndex(([, address, slab]) => chosen >= address && chosen < address + BigInt(slab.size));
  }
  function step(way) {
    if (!cells.length) return;
    const from = at();
    open(cells[Math.max(0, Math.min(cells.length - 1, from < 0 ? 0 : from + way))][1]);
  }
  function stepSlab(way) {
    const slabs = [...new Set(cells.map(([, , slab]) => slab))];
    if (!slabs.length) return;
    const now = at();
    const next = now < 0 ? 0 : Math.max(0, Math.min(slabs.length - 1, slabs.indexOf(cells[now][2]) + way));
    open(cells.find(([, , slab]) => slab === slabs[next])[1]);
  }
  function stepCache(way) {
    const shown = data.caches.filter((_, i) => !list.children[i].hidden);
    const now = shown.findIndex(({ name }) => name === data.shown);
    const next = shown[Math.max(0, Math.min(shown.length - 1, now + way))];
    if (next) put(model, { cache: next.name });
  }
  function mark() {
    stage.querySelector(".kmem-slab-chosen")?.classList.remove("kmem-slab-chosen");
    const i = at();
    if (i < 0) return;
    const [cell, address, , state] = cells[i];
    cell.classList.add("kmem-slab-chosen");
    shell.say(text("slabpanel.said", { address: `0x${address.toString(16)}`, state: text(`slabpanel.state.${STATES[state]}`) }));
  }
}

function number(value) {
  return value === null || value === undefined ? "?" : count(value);
}

function partClass(name) {
  return name.split(" ").filter((word) => ["red", "object", "free", "tracks", "size", "padding"].includes(word))[0] ?? "other";
}
