// What is chosen, in figures and in words: a machine, a node or a zone.

import { element, fill, svgElement } from "../_front/dom.js";
import { count, sizeWords } from "../_front/format.js";
import { text } from "../_front/strings.js";
import { hue } from "./floors.js";

/** Draw the panel under the floors. */
export function drawDetail(place, data, now, actions) {
  if (now.zone) fill(place, ...zonePanel(now.zone, data));
  else fill(place, ...nodesPanel(data, now.node, actions));
}

function card(title, ...content) {
  return element("section", { class: "kmem-zd-card" }, element("h4", { text: title }), ...content);
}

function zonePanel(zone, data) {
  const cards = [card(text("zonediagram.figures"), figures(zone, data))];
  if (zone.min !== null && zone.pages) cards.push(card(text("zonediagram.marks"), gauge(zone)));
  const lists = element("div");
  if (zone.free_area?.length) {
    lists.append(card(text("zonediagram.blocks"), blocks(zone), element("p", { class: "kmem-zd-small", text: text("zonediagram.blocks.all") })));
  }
  if (zone.pcp.length) lists.append(card(text("zonediagram.pcp"), pcp(zone)));
  if (lists.childElementCount) cards.push(lists);
  if (zone.answers.length && zone.min !== null) {
    const told = card(text("zonediagram.may"), answers(zone));
    told.classList.add("kmem-zd-wide");
    cards.push(told);
  }
  return cards;
}

function figures(zone, data) {
  const list = element("dl", { class: "kmem-zd-figures" });
  const add = (name, value, term = name) =>
    list.append(element("dt", {}, element("span", { text: name, "data-term": term, tabindex: 0 })), element("dd", { text: value }));
  for (const name of ["spanned", "present", "managed", "free"]) {
    if (zone[name] !== null) add(name, text("zonediagram.pages_size", { pages: count(zone[name]), size: sizeWords(zone[name] * data.page_size) }));
  }
  if (zone.boost) add("boost", count(zone.boost));
  if (zone.cma) add("CMA", count(zone.cma), "cma");
  if (zone.protection.length) {
    add("protection", zone.protection.map(([name, pages]) => `${name} ${count(pages)}`).join(", "));
  }
  return list;
}

// The lowest pages of the zone under a magnifying glass: marks, reserves, and free where it fits.
function gauge(zone) {
  const width = 310;
  const height = 170;
  const reserve = Math.max(0, ...zone.protection.map(([, pages]) => pages));
  const tops = [zone.min, zone.low, zone.high, zone.promo ?? 0, zone.low + reserve].map((value) => value + (zone.boost ?? 0));
  const most = Math.max(1, ...tops) * 1.15;
  const fits = zone.free !== null && zone.free <= most;
  const at = (pages) => height - 8 - (height - 26) * (pages / most);
  const svg = svgElement("svg", { class: "kmem-zd-gauge", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const level = fits ? at(zone.free) : 10;
  svg.append(svgElement("rect", { class: `kmem-zd-level kmem-zd-${hue(zone.name)}`, x: 8, y: level, width: 66, height: height - 8 - level }));
  svg.append(svgElement("path", { class: "kmem-zd-tank", d: `M8 4V${height - 8}H74V4` }));
  if (!fits && zone.free !== null) {
    svg.append(svgElement("text", { class: "kmem-zd-ticktext", x: 82, y: 14, text: text("zonediagram.above", { free: count(zone.free) }) }));
  }
  const lines = [["min", zone.min], ["low", zone.low], ["high", zone.high]].concat(zone.promo ? [["promo", zone.promo]] : [])
    .map(([name, pages]) => [name, pages + (zone.boost ?? 0), name]);
  for (const [name, pages] of distinct(zone.protection)) {
    lines.push([`low + protection[${name}]`, zone.low + (zone.boost ?? 0) + pages, "reserve"]);
  }
  if (fits) lines.push(["free", zone.free, "free"]);
  lines.sort((a, b) => a[1] - b[1]);
  let last = height + 6;
  for (const [name, pages, look] of lines) {
    const y = at(pages);
    const label = Math.min(y + 4, last - 13);
    last = label;
    svg.append(svgElement("line", { class: `kmem-zd-mark kmem-zd-mark-${look}`, x1: 8, x2: 74, y1: y, y2: y }));
    svg.append(svgElement("path", { class: "kmem-zd-leader", d: `M74 ${y}L82 ${label - 4}` }));
    svg.append(svgElement("text", { class: "kmem-zd-ticktext", x: 85, y: label, text: `${name} ${count(pages)}` }));
  }
  return svg;
}

function distinct(protection) {
  const seen = new Set([0]);
  return protection.filter(([, pages]) => !seen.has(pages) && seen.add(pages));
}

function answers(zone) {
  return element("table", { class: "kmem-table kmem-zd-answers" },
    element("tbody", {}, ...zone.answers.map(([gfp, verdict, says]) =>
      element("tr", { "data-gfp": gfp },
        element("th", { scope: "row" }, element("code", { text: gfp })),
        element("td", {}, element("span", { class: `kmem-zd-verdict kmem-zd-${verdict}`, text: text(`zonediagram.${verdict}`) })),
        element("td", { class: "kmem-zd-says", text: says })))));
}

function blocks(zone) {
  const pages = zone.free_area.map(([order, blocksOf]) => blocksOf * 2 ** order);
  const most = Math.max(1, ...pages);
  return element("ol", { class: `kmem-zd-blocks kmem-zd-${hue(zone.name)}`, start: 0 },
    ...zone.free_area.map(([order, number, byType], i) => {
      const types = Object.entries(byType ?? {}).filter(([, n]) => n).map(([type, n]) => `${type} ${count(n)}`);
      const says = `${text("zonediagram.block", { order, blocks: count(number), pages: count(pages[i]) })}${types.length ? ` (${types.join(", ")})` : ""}`;
      return element("li", { "aria-label": says, title: says, "data-order": order },
        element("i", { style: `height:${(64 * pages[i]) / most}px` }),
        element("b", { text: count(number) }), element("span", { text: order }));
    }));
}

function pcp(zone) {
  return element("ul", { class: "kmem-zd-pcp" }, ...zone.pcp.map(([cpu, pages, high, batch]) => {
    const says = text("zonediagram.pcp.row", { cpu, count: count(pages), high: count(high), batch: count(batch) });
    const share = Math.min(1, pages / Math.max(high, 1));
    return element("li", {}, element("span", { text: says }),
      element("i", { class: `kmem-zd-bar kmem-zd-${hue(zone.name)}` }, element("i", { style: `width:${100 * share}%` })));
  }));
}

function nodesPanel(data, node, actions) {
  const cards = [];
  const shown = node ? [node] : data.nodes;
  const list = element("ul", { class: "kmem-zd-list" }, ...shown.flatMap((each) => [
    element("li", {}, element("b", { text: each.says })),
    ...each.zones.filter((zone) => !zone.empty).map((zone) => element("li", { class: "kmem-zd-sub" },
      element("span", { class: "kmem-zd-link", role: "button", tabindex: -1, text: zone.says, on: { click: () => actions.zone(each, zone) } }))),
    emptyZones(each),
  ]));
  cards.push(card(text("zonediagram.nodes"), list));
  if (data.nodes.some((each) => each.distance.length > 1)) cards.push(card(text("zonediagram.distances"), distances(data)));
  for (const each of shown.filter((one) => one.fallback.length > 1)) {
    const order = each.fallback.map((nid) => text("zonediagram.node", { node: nid })).join(" → ");
    cards[cards.length - 1].append(element("p", { class: "kmem-zd-small", text: text("zonediagram.fallback", { node: each.nid, order }) }));
  }
  for (const note of data.notes) cards.push(element("p", { class: "kmem-zd-small", text: note }));
  return cards;
}

function emptyZones(node) {
  const names = node.zones.filter((zone) => zone.empty).map((zone) => zone.name);
  return names.length ? element("li", { class: "kmem-zd-sub", text: `${text("zonediagram.empty")}: ${names.join(", ")}` }) : "";
}

function distances(data) {
  return element("table", { class: "kmem-table kmem-zd-distances" },
    element("thead", {}, element("tr", {}, element("td", {}), ...data.nodes.map((each) => element("th", { scope: "col", text: each.nid })))),
    element("tbody", {}, ...data.nodes.map((each) =>
      element("tr", {}, element("th", { scope: "row", text: each.nid }), ...each.distance.map((far) => element("td", { text: far }))))));
}
