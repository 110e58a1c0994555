// The legend (a filter), and the list of zones (a way to get there).

import { element, fill } from "../_front/dom.js";
import { count, sizeWords } from "../_front/format.js";
import { text } from "../_front/strings.js";

/** With more kinds than this the legend goes below the map. */
const MANY = 13;

/** Build the list of kinds. `onToggle(name)` when one is chosen. */
export function buildLegend(map, { onToggle, onAll }) {
  const rows = new Map();
  const list = element("ul", { class: "kmem-framemap-kinds" });
  map.kinds.forEach((kind) => {
    const number = element("span", { class: "kmem-framemap-number" });
    const share = element("span", { class: "kmem-framemap-size" });
    const swatch = element("span", { class: "kmem-framemap-swatch", "aria-hidden": "true" });
    const label = element("span", { class: "kmem-framemap-label", text: kind.label, "data-term": kind.term || null });
    const made = element("button", { type: "button", "data-kind": kind.name, "aria-pressed": "false" }, swatch, label, number, share);
    made.addEventListener("click", () => onToggle(kind.name));
    const item = element("li", {}, made);
    rows.set(kind.name, { item, made, swatch, number, share });
    list.append(item);
  });
  const all = element("button", { type: "button", class: "kmem-button", text: text("framemap.all"), hidden: true });
  all.addEventListener("click", onAll);
  const node = element("div", { class: "kmem-framemap-legend", role: "group", "aria-label": text("framemap.legend") }, list, all);
  return {
    node,
    /** Show the theme's colours, and which kinds are chosen. */
    show(theme, only) {
      for (const kind of map.kinds) {
        const row = rows.get(kind.name);
        row.swatch.style.background = kind[theme];
        row.made.setAttribute("aria-pressed", String(only.includes(kind.name)));
        row.made.classList.toggle("kmem-dim", only.length > 0 && !only.includes(kind.name));
      }
      all.hidden = only.length === 0;
    },
    /** Show how many frames there are of each code; return how many frames that are not holes. */
    count(counts) {
      const perKind = new Array(map.kinds.length).fill(0);
      // Where a cell is several frames, Python has counted these.
      map.kind.forEach((index, code) => {
        perKind[index] += (map.counts ?? counts)[code];
      });
      map.kinds.forEach((kind, index) => {
        const row = rows.get(kind.name);
        row.item.hidden = perKind[index] === 0 || kind.name === "hole";
        row.number.textContent = `${map.step > 1 ? "≈ " : ""}${count(perKind[index])}`;
        row.share.textContent = sizeWords(perKind[index] * map.page_size);
      });
      node.closest(".kmem-framemap-body")?.classList.toggle("kmem-framemap-many", perKind.filter(Boolean).length > MANY);
      return map.kinds.reduce((sum, kind, index) => sum + (kind.name === "hole" ? 0 : perKind[index]), 0);
    },
  };
}

/** Build the list of zones. `onZone(zone)` when one is chosen. */
export function buildZones(map, zoneWords, onZone) {
  const list = element("ul", { class: "kmem-framemap-zones" });
  for (const zone of map.zones) {
    const made = element(
      "button",
      { type: "button", "data-zone": `${zone.node}/${zone.zone}` },
      element("span", { class: "kmem-framemap-label", text: zoneWords(zone) }),
      element("span", { class: "kmem-framemap-size", text: sizeWords((zone.end - zone.start) * map.page_size) }),
    );
    made.addEventListener("click", () => onZone(zone));
    list.append(element("li", {}, made));
  }
  return { node: list, mark: (place) => mark(list, place) };
}

function mark(list, place) {
  for (const button of list.querySelectorAll("button")) {
    const on = button.dataset.zone === `${place.node}/${place.zone}`;
    if (on) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

/** What is shown where no position is known: totals, per zone and order. */
export function buildTotals(data, zoneWords) {
  const orders = Math.max(0, ...data.totals.map((zone) => zone.orders?.length ?? 0));
  const heads = [text("framemap.zone"), text("framemap.free"), ...Array.from({ length: orders }, (_, order) => String(order))];
  const rows = data.totals.map((zone) =>
    element(
      "tr",
      {},
      element("th", { scope: "row", text: zoneWords(zone) }),
      element("td", { text: zone.free === null ? text("framemap.notknown") : count(zone.free) }),
      ...Array.from({ length: orders }, (_, order) =>
        element("td", { text: zone.orders ? count(zone.orders[order] ?? 0) : text("framemap.notknown") }),
      ),
    ),
  );
  const box = element("div", { class: "kmem-framemap-totals" });
  return fill(
    box,
    element("p", {}, element("strong", { text: text("framemap.unknown") }), ` ${text("framemap.unknown.why")}`),
    element(
      "table",
      {},
      element("caption", { text: text("framemap.totals") }),
      element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col", text: head })))),
      element("tbody", {}, ...rows),
    ),
  );
}
