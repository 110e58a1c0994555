// A zone's buddy lists: a row an order, a box a block; splits and merges fly from where they come to where they go.

import { element, fill, onceAFrame } from "../_front/dom.js";
import { openChart } from "../_front/chart.js";
import { count, hex, sizeWords } from "../_front/format.js";
import { ask, openShell, put } from "../_front/shell.js";
import { text } from "../_front/strings.js";
import { openTold } from "../_front/told.js";
import { widgetOf } from "../_front/widget.js";
import { fly, places } from "./motion.js";

export const widget = widgetOf(openView);

function openView({ model, el, signal, wire, focus }) {
  let data = null;
  const orders = () => data?.rows.length ?? 1;
  const step = (by) => put(model, { order: Math.min(Math.max(model.get("order") + by, 0), orders() - 1) });
  const stepHeld = (by) => ask(model, by > 0 ? "next" : "previous", { step: by });
  const cycle = (name, list, now) => list.length && put(model, { [name]: list[(list.indexOf(now) + 1) % list.length] });

  const shell = openShell({
    model, el, signal,
    handlers: {
      higher: () => step(1), lower: () => step(-1), highest: () => step(orders()), lowest: () => step(-orders()), next: () => stepHeld(1), previous: () => stepHeld(-1),
      gfp: () => cycle("gfp", data?.requests ?? [], model.get("gfp")),
      cpu: () => cycle("cpu", [...Array(data?.cpus ?? 1).keys()], model.get("cpu")),
      zone: () => ask(model, "zone"),
      time: () => put(model, { time: !model.get("time") }),
    },
  });
  const allocate = shell.tool({ label: "", says: "", gesture: "allocate", onClick: () => shell.handlers.allocate() });
  const free = shell.tool({ label: text("buddypanel.free"), says: text("buddypanel.free.says"), gesture: "free", onClick: () => shell.handlers.free() });
  shell.tool({ label: text("buddypanel.why"), says: text("buddypanel.why.says"), gesture: "why", onClick: () => shell.handlers.why() });
  shell.tool({ label: "↶", says: text("buddypanel.undo"), gesture: "undo", onClick: () => shell.handlers.undo() });
  shell.tool({ label: "|◀", says: text("buddypanel.reset"), gesture: "reset", onClick: () => shell.handlers.reset() });
  const off = shell.about.gestures.find((gesture) => gesture.name === "allocate").off;

  const select = (key, onChange) => {
    const made = element("select", { class: "kmem-bp-select", "data-select": key, "aria-label": text(`buddypanel.${key}`) });
    made.addEventListener("change", () => onChange(made.value), { signal });
    return made;
  };
  const zoneBox = select("zone", (value) => {
    const [nid, name] = JSON.parse(value);
    focus.set({ node: nid, zone: name });
    model.send({ kmem: "show", node: nid, zone: name });
  });
  const gfpBox = select("gfp", (value) => put(model, { gfp: value }));
  const cpuBox = select("cpu", (value) => put(model, { cpu: Number(value) }));
  const bar = element("div", { class: "kmem-bp-bar" }, labelled("zone", zoneBox),
    ...(off ? [] : [labelled("gfp", gfpBox, "gfp flags"), labelled("cpu", cpuBox)]));
  const lists = element("div", { class: "kmem-bp-lists", role: "listbox", tabindex: 0, "aria-label": text("buddypanel.lists") });
  const said = openTold({ model, signal });
  const legend = element("div", { class: "kmem-chart-legend" });
  const held = element("div", { class: "kmem-bp-held" });
  const pcp = element("div", { class: "kmem-bp-pcp", role: "group", tabindex: 0, "aria-label": text("buddypanel.pcp") });
  const plotPlace = element("div");
  const timeButton = element("button", { type: "button", class: "kmem-button", "data-gesture": "time", text: text("buddypanel.time"), title: text("buddypanel.time.says") });
  timeButton.addEventListener("click", () => shell.handlers.time(), { signal });
  fill(shell.body, bar, lists, legend, said,
    element("div", { class: "kmem-bp-columns" },
      ...(off ? [] : [element("section", {}, element("h4", { text: text("buddypanel.held") }), held)]),
      element("section", {}, element("h4", {}, element("span", { text: text("buddypanel.pcp"), "data-term": "pcp" })), pcp)),
    element("section", {}, element("h4", {}, text("buddypanel.plot"), timeButton), plotPlace));
  const chart = openChart({ model, el: plotPlace, signal });
  const fields = { zoneBox, gfpBox, cpuBox };

  const draw = onceAFrame(() => {
    if (!data) return;
    const order = model.get("order");
    allocate.textContent = text("buddypanel.allocate", { order });
    if (!off) allocate.setAttribute("aria-label", text("buddypanel.allocate.says", { order }));
    free.disabled = !off && !model.get("held").length;
    timeButton.setAttribute("aria-pressed", String(model.get("time")));
    options(fields.zoneBox, data.zones.map(([nid, name]) => [JSON.stringify([nid, name]), `${nid} ${name}`]), JSON.stringify([data.nid, data.zone]));
    const asked = data.requests.includes(model.get("gfp")) ? data.requests : [...data.requests, model.get("gfp")];
    options(fields.gfpBox, asked.map((gfp) => [gfp, gfp]), model.get("gfp"));
    options(fields.cpuBox, [...Array(data.cpus).keys()].map((cpu) => [String(cpu), text("buddypanel.cpu.n", { cpu })]), String(model.get("cpu")));
    const before = places(lists);
    drawLists(lists, data, order, { choose: (row) => put(model, { order: row }), look: (block) => look(block) });
    drawHeld(held, data, model);
    drawPcp(pcp, data, look);
    fly(shell.root, before, lists);
    legendOf(legend, data);
  }, signal);
  const look = ({ pfn, order, says }) => {
    shell.say(says);
    focus.set({ node: data.nid, zone: data.zone, start: pfn, count: 2 ** order });
  };

  held.addEventListener("click", (event) => {
    const block = event.target.closest("[data-held]");
    if (block) model.send({ kmem: "choose", pfn: Number(block.dataset.held) });
  }, { signal });
  lists.addEventListener("click", () => lists.focus({ preventScroll: true }), { signal });
  for (const name of ["order", "gfp", "cpu", "held", "chosen", "time", "said"]) {
    const changed = () => {
      draw();
      if (!data) return;
      if (name === "order") shell.say(data.rows.find((row) => row.order === model.get("order"))?.says ?? "");
      if (name === "gfp") shell.say(model.get("gfp"));
      if (name === "cpu") shell.say(text("buddypanel.cpu.n", { cpu: model.get("cpu") }));
    };
    model.on(`change:${name}`, changed);
    signal.addEventListener("abort", () => model.off(`change:${name}`, changed));
  }
  wire.subscribe((what, state) => {
    data = state.data;
    shell.subtitle([data.name, data.line].filter(Boolean).join(" · "));
    chart.show(data.chart);
    // What was read out of a row is of the moment before.
    shell.say("");
    draw();
  }, signal);
}

function labelled(key, box, term) {
  return element("label", { class: "kmem-bp-label" }, element("span", { text: text(`buddypanel.${key}`), "data-term": term ?? null }), box);
}

function options(box, pairs, now) {
  const key = JSON.stringify(pairs);
  if (box.dataset.key !== key) {
    box.dataset.key = key;
    fill(box, ...pairs.map(([value, words]) => element("option", { value, text: words })));
  }
  if (box.value !== now) box.value = now;
}

/** How wide a block is drawn: growing with its order, so that all orders can be seen together. */
const wide = (order) => 16 + 7 * order;

function drawLists(lists, data, chosen, { choose, look }) {
  const most = Math.max(1, ...data.rows.map((row) => row.blocks * 2 ** row.order));
  const rows = data.rows.map((row) => {
    const lane = element("div", { class: "kmem-bp-lane" });
    for (const [type, blocks, pfns] of row.lists) {
      const [light, dark] = data.types[type];
      const group = element("div", { class: "kmem-bp-list", style: `--light:${light};--dark:${dark}`, "data-type": type });
      for (const pfn of pfns) {
        const says = text("buddypanel.block", { type, order: row.order, start: hex(pfn), end: hex(pfn + 2 ** row.order - 1) });
        group.append(element("span", {
          class: "kmem-bp-block", style: `width:${wide(row.order)}px`, title: says, "data-pfn": pfn, "data-order": row.order,
          text: row.order >= 5 ? hex(pfn) : "", on: { click: () => look({ pfn, order: row.order, says }) },
        }));
      }
      if (!pfns.length) {
        const share = Math.max(2, (260 * blocks * 2 ** row.order) / most);
        group.append(element("span", { class: "kmem-bp-bulk", style: `width:${share}px` }), element("span", { class: "kmem-bp-more", text: count(blocks) }));
      } else if (blocks > pfns.length) {
        group.append(element("span", { class: "kmem-bp-more", text: text("buddypanel.more", { count: count(blocks - pfns.length) }) }));
      }
      lane.append(group);
    }
    if (!row.lists.length && row.blocks) {
      const share = Math.max(2, (300 * row.blocks * 2 ** row.order) / most);
      lane.append(element("span", { class: "kmem-bp-bulk kmem-bp-any", style: `width:${share}px` }));
    }
    const on = row.order === chosen;
    return element("div", {
      class: `kmem-bp-row${on ? " kmem-on" : ""}`, role: "option", "aria-selected": String(on), "aria-label": row.says, "data-row": row.order,
      on: { click: () => choose(row.order) },
    },
    element("span", { class: "kmem-bp-order" }, element("b", { text: text("buddypanel.order", { order: row.order }) }),
      element("i", { text: sizeWords(data.page_size * 2 ** row.order) })),
    lane, element("span", { class: "kmem-bp-count", text: text("buddypanel.row", { blocks: count(row.blocks) }) }));
  });
  fill(lists, ...rows);
}

function legendOf(place, data) {
  const used = new Set(data.rows.flatMap((row) => row.lists.map(([type]) => type)));
  const keys = Object.entries(data.types).filter(([type]) => used.has(type)).map(([type, [light, dark]]) =>
    element("span", { class: "kmem-chart-key" }, element("i", { class: "kmem-bp-key", style: `--light:${light};--dark:${dark}` }),
      element("span", { text: type, "data-term": type.toLowerCase() })));
  fill(place, ...keys, element("span", { text: text(data.positions ? "buddypanel.scale" : "buddypanel.nopositions") }));
}

function drawHeld(place, data, model) {
  const blocks = model.get("held");
  if (!blocks.length) {
    fill(place, element("p", { class: "kmem-bp-soft", text: text("buddypanel.held.none") }));
    return;
  }
  fill(place, ...blocks.map(([pfn, order, gfp]) => {
    const says = text("buddypanel.held.block", { pfn: hex(pfn), order, gfp });
    return element("span", {
      class: `kmem-bp-block kmem-bp-mine${pfn === model.get("chosen") ? " kmem-on" : ""}`, role: "button", tabindex: -1, "data-held": pfn,
      "data-pfn": pfn, "data-order": order, style: `min-width:${wide(order)}px`, title: says, "aria-label": says, text: hex(pfn),
      "aria-pressed": String(pfn === model.get("chosen")),
    });
  }));
}

function drawPcp(place, data, look) {
  fill(place, ...data.pcp.map((pcp) => {
    const lists = (pcp.lists ?? []).map((list) => {
      const [light, dark] = data.types[list.type];
      return element("div", { class: "kmem-bp-pcplist", style: `--light:${light};--dark:${dark}` },
        element("span", { class: "kmem-bp-soft", text: text("buddypanel.pcp.list", { name: list.name, count: count(list.count) }) }),
        element("span", { class: "kmem-bp-pages" },
          ...list.pfns.map((pfn) => {
            const says = text("buddypanel.pcp.block", { cpu: pcp.cpu, name: list.name, start: hex(pfn), end: hex(pfn + 2 ** list.order - 1) });
            return element("span", { class: "kmem-bp-block kmem-bp-page", title: says, "data-pfn": pfn, "data-order": list.order, on: { click: () => look({ pfn, order: list.order, says }) } });
          }),
          list.count > list.pfns.length ? element("span", { class: "kmem-bp-more", text: text("buddypanel.more", { count: count(list.count - list.pfns.length) }) }) : null));
    });
    return element("div", {}, element("div", { text: text("buddypanel.pcp.cpu", { cpu: pcp.cpu, count: count(pcp.count), high: count(pcp.high), batch: count(pcp.batch) }) }), ...lists);
  }));
}
