// SlabPanel: caches at the left, the slabs of one of them by place, an object opened to its bytes below.

import { element, fill } from "../_front/dom.js";
import { count } from "../_front/format.js";
import { ask, openShell, put } from "../_front/shell.js";
import { text } from "../_front/strings.js";
import { widgetOf } from "../_front/widget.js";
import { freePointer, hexRows } from "./bytes.js";

const PLACES = ["cpu slab", "cpu partial", "node partial", "full", "slabs_partial", "slabs_free", "slabs_full"];
const MOST_RECORDED = 24; // slabs of a place that are drawn; more are only counted
const STATES = ["used", "free", "next", "sheaf", "unknown", "array"];

export const widget = widgetOf(openView);

function openView({ model, el, signal, wire, focus }) {
  let data = null;
  let cells = []; // [cell, address] of every drawn object
  let chosen = null; // address, BigInt
  let drawnCaches = null;
  let listed = null; // the cache that the list was scrolled to
  let drawn = []; // [element, group] of every drawn slab of a recording
  let picked = -1; // which of them is chosen

  const handlers = {
    next: () => step(1),
    previous: () => step(-1),
    down: () => stepSlab(1),
    up: () => stepSlab(-1),
    next_cache: () => stepCache(1),
    previous_cache: () => stepCache(-1),
    find: () => search.focus(),
    allocate: () => ask(model, "allocate"),
    // With nothing chosen Python says what to do first.
    free: () => ask(model, "free", chosen === null ? {} : { address: `0x${chosen.toString(16)}` }),
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
            text: text("slabpanel.objects", { size: number(cache.size), active: number(cache.active), total: number(cache.total) }) }));
        row.addEventListener("click", () => put(model, { cache: cache.name }));
        return row;
      }));
      filter();
    }
    [...list.children].forEach((row, i) => row.setAttribute("aria-pressed", String(data.caches[i].name === data.shown)));
    oneStop();
    if (data.shown === listed) return;
    listed = data.shown;
    // Into sight within the list; the page stays where it is.
    const row = [...list.children].find((each) => each.getAttribute("aria-pressed") === "true");
    if (row && (row.offsetTop < list.offsetTop + list.scrollTop || row.offsetTop + row.offsetHeight > list.offsetTop + list.scrollTop + list.clientHeight)) {
      list.scrollTop = row.offsetTop - list.offsetTop - row.offsetHeight;
    }
  }
  // Tab stops once in the list, however long it is; the arrow keys go through it.
  function oneStop(row = null) {
    const rows = [...list.children].filter((each) => !each.hidden);
    const stop = row ?? rows.find((each) => each.getAttribute("aria-pressed") === "true") ?? rows[0];
    for (const each of list.children) each.tabIndex = each === stop ? 0 : -1;
  }
  list.addEventListener("keydown", (event) => {
    const rows = [...list.children].filter((each) => !each.hidden);
    const now = rows.indexOf(event.target);
    const next = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (next === undefined || now < 0) return;
    event.preventDefault();
    event.stopPropagation();
    const row = rows[Math.max(0, Math.min(rows.length - 1, next))];
    oneStop(row);
    row.focus();
  }, { signal });
  function filter() {
    const wanted = search.value.trim().toLowerCase();
    for (const row of list.children) row.hidden = Boolean(wanted) && !row.dataset.name.toLowerCase().includes(wanted);
    oneStop();
  }

  function writeCache() {
    heading.textContent = data.shown;
    fill(factsBox, ...data.facts.map(([name, value]) => element("div", {}, element("dt", { text: name }), element("dd", { text: value }))));
    cells = [];
    for (const state of STATES) {
      legend.querySelector(`[data-state=${state}]`).hidden = data.live
        ? !data.slabs.some(({ objects }) => objects.includes(STATES.indexOf(state)))
        : !data.totals?.some((group) => STATES[group.state] === state);
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
    const grid = element("div", { class: "kmem-slab-grid", style: columns(slab.objects.length) });
    slab.objects.forEach((state, i) => {
      const address = first + BigInt(i) * BigInt(slab.size);
      const cell = element("span", { class: `kmem-slab-cell kmem-slab-${STATES[state]}` });
      cell.addEventListener("click", (event) => {
        event.stopPropagation();
        open(address);
      });
      grid.append(cell);
      cells.push([cell, address, slab, state]);
    });
    const pfn = `0x${slab.pfn.toString(16)}`;
    const words = text("slabpanel.slab.said", { used, objects: slab.objects.length, pfn });
    const box = element("div", { class: "kmem-slab-slab", role: "img", "aria-label": words, title: words }, grid, element("code", { text: `pfn ${pfn}` }));
    // Beside the objects: the slab as a whole.
    box.addEventListener("click", () => open(first));
    return box;
  }
  function recorded() {
    if (!data.totals) return [element("p", { text: text("slabpanel.nototals") })];
    const objects = data.geometry?.objects ?? 1;
    drawn = [];
    const made = data.totals.map((group) => {
      const many = Math.min(group.many, MOST_RECORDED);
      const words = text(`slabpanel.recorded.${group.place}`, {
        many: count(group.many), used: group.used === null ? "" : count(group.used), objects: count(group.many * objects),
      });
      const slabs = Array.from({ length: many }, () => {
        const slab = element("div", { class: "kmem-slab-slab kmem-slab-recorded" }, element("div", { class: "kmem-slab-grid", style: columns(objects) },
          ...Array.from({ length: Math.min(256, objects) }, () => element("span", { class: `kmem-slab-cell kmem-slab-${STATES[group.state]}` }))));
        const number = drawn.push([slab, group]) - 1;
        slab.addEventListener("click", () => pickSlab(number));
        return slab;
      });
      return element("section", { class: "kmem-slab-group" }, element("h4", { text: words }),
        element("div", { class: "kmem-slab-row", role: "img", "aria-label": words }, ...slabs,
          group.many > many ? element("span", { class: "kmem-slab-faint", text: text("slabpanel.more", { count: count(group.many - many) }) }) : null));
    });
    const why = data.totals.some(({ place }) => place === "all") ? "slabpanel.unknown.why" : "slabpanel.unknown.places";
    return [...made, element("p", { class: "kmem-slab-faint", text: text(why) })];
  }
  // A recorded slab: what is known of it stands where a simulated machine shows an object's bytes.
  function pickSlab(number) {
    picked = Math.max(0, Math.min(drawn.length - 1, number));
    drawn.forEach(([slab], i) => slab.classList.toggle("kmem-slab-chosen", i === picked));
    const found = drawn[picked];
    opened.hidden = !found;
    if (!found) return;
    const [slab, { place, state }] = found;
    slab.scrollIntoView({ block: "nearest" });
    const head = text("slabpanel.picked", { cache: data.shown, place: text(`slabpanel.picked.${place}`) });
    const known = text(`slabpanel.known.${STATES[state]}`);
    fill(opened, element("h4", { text: head }),
      data.geometry ? element("p", { text: text("slabpanel.geometry", {
        objects: count(data.geometry.objects), size: count(data.geometry.size), left: count(data.geometry.left),
        pages: data.geometry.pages === 1 ? text("kmallocpanel.one") : text("kmallocpanel.many", { count: data.geometry.pages }),
      }) }) : null,
      element("p", { text: known }));
    shell.say(`${head}. ${known}`);
  }

  function writeOpened() {
    const one = data.opened;
    picked = -1;
    opened.hidden = !one;
    if (!one) return;
    const rows = hexRows(one);
    const bytes = new Map(one.parts.map(([name]) => [name, []]));
    const meaning = element("p", { class: "kmem-slab-meaning", text: text("slabpanel.part.hint") });
    const choosePart = (name) => {
      for (const [each, { button, cells: held }] of parts) {
        button.setAttribute("aria-pressed", String(each === name));
        held.forEach((cell) => cell.classList.toggle("kmem-slab-marked", each === name));
      }
      meaning.textContent = text(`slabpanel.part.${partClass(name)}`);
      shell.say(`${name}: ${meaning.textContent}`);
    };
    const hex = element("div", { class: "kmem-slab-hex", tabindex: "0", role: "group", "aria-label": text("slabpanel.bytes") },
      ...rows.map((row) => element("div", {}, element("code", { text: row.address }), element("span", {},
        ...row.bytes.map(({ value, part, damaged }) => {
          const cell = element("span", { class: `kmem-slab-byte${damaged ? " kmem-slab-damaged" : ""}`, "data-part": partClass(part), title: part, text: value });
          cell.addEventListener("click", () => choosePart(part));
          bytes.get(part)?.push(cell);
          return cell;
        })))));
    const parts = new Map([...bytes].map(([name, held]) => {
      const of = one.parts.filter(([each]) => each === name).map(([, from, to]) => `${from}–${to - 1}`).join(", ");
      const button = element("button", { type: "button", class: "kmem-slab-part", "aria-pressed": "false" },
        element("i", { class: "kmem-slab-byte", "data-part": partClass(name) }), element("span", { text: name }),
        element("span", { class: "kmem-slab-faint", text: of }));
      button.addEventListener("click", () => choosePart(name));
      return [name, { button, cells: held }];
    }));
    fill(opened,
      element("h4", { text: text("slabpanel.opened", { address: one.address, state: text(`slabpanel.state.${STATES[one.state]}`) }) }),
      one.damaged.length ? element("p", { class: "kmem-slab-trouble", text: text("slabpanel.damaged", {
        count: count(one.damaged.length), address: `0x${(BigInt(one.start) + BigInt(one.damaged[0])).toString(16)}`,
      }) }) : null,
      follows(one),
      element("div", { class: "kmem-slab-bytes" }, hex,
        element("div", { class: "kmem-slab-parts", role: "group", "aria-label": text("slabpanel.parts") }, ...[...parts.values()].map(({ button }) => button), meaning)));
  }
  // Where a free object's pointer leads; the bytes are scrambled where the kernel is hardened.
  function follows(one) {
    if (one.follows === null) return null;
    if (BigInt(one.follows) === 0n) return element("p", { text: text("slabpanel.follows.none") });
    const to = element("button", { type: "button", class: "kmem-slab-link", text: one.follows });
    to.addEventListener("click", () => open(BigInt(one.follows)));
    const stored = freePointer(one);
    return element("p", {}, text("slabpanel.follows"), " ", to, " ",
      stored !== null && stored !== BigInt(one.follows) ? text("slabpanel.follows.scrambled", { stored: `0x${stored.toString(16)}` }) : "");
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
    if (!data.live) pickSlab(picked + way);
    if (!cells.length) return;
    const from = at();
    open(cells[Math.max(0, Math.min(cells.length - 1, from < 0 ? 0 : from + way))][1]);
  }
  function stepSlab(way) {
    if (!data.live) pickSlab(picked + way);
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

function columns(objects) {
  return `--n:${Math.min(16, Math.ceil(Math.sqrt(objects * 1.6)))}`;
}

function number(value) {
  return value === null || value === undefined ? "?" : count(value);
}

function partClass(name) {
  return name.split(" ").filter((word) => ["red", "object", "free", "tracks", "size", "padding"].includes(word))[0] ?? "other";
}
