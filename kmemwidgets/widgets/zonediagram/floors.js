// The three floors as SVG, with their chips.

import { element, fill, svgElement } from "../_front/dom.js";
import { count, sizeWords } from "../_front/format.js";
import { text } from "../_front/strings.js";
import { bandsOf, extent, hasAddresses, pagesOf, pieceOf, scale, spread, ticks } from "./geometry.js";

const LEFT = 104;
const RIGHT = 6;
const GAP = 6;
const NODE = { top: 34, height: 34 };
const ZONE = { top: 132, height: 84 };
const PAGE = { top: 268, height: 54 };
const HEIGHT = PAGE.top + PAGE.height + 30;

/** Draw everything into `stage`. `now` is {node, zone, start, frames}. */
export function drawFloors(stage, data, now, actions) {
  const width = Math.max(320, stage.clientWidth);
  const bounds = [LEFT, width - RIGHT];
  const node = now.node ?? data.nodes.find((each) => each.zones.some((zone) => !zone.empty)) ?? data.nodes[0];
  if (!node) {
    fill(stage);
    return;
  }
  const zone = now.zone ?? largest(node);
  const bands = bandsOf(data.nodes);
  const own = bands.filter((band) => band.node === node);
  const machine = scale(extent(bands), bounds);
  const inNode = scale(extent(own), bounds);
  const band = own.find((each) => each.zone === zone);

  const svg = svgElement("svg", { class: "kmem-zd-svg", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" });
  const chips = element("div", { class: "kmem-zd-chips" });
  const known = hasAddresses(data.nodes);

  if (own.length) svg.append(lens(extent(own).map(machine), NODE.top + NODE.height, bounds, ZONE.top, "node"));
  if (band) svg.append(lens([inNode(band.from), inNode(band.to)], ZONE.top + ZONE.height, bounds, PAGE.top, hue(zone.name)));
  if (known) axis(svg, extent(bands), machine, NODE.top, data.page_size);

  drawNodes(svg, chips, data, bands, machine, node, now, actions);
  drawZones(svg, chips, data, own, inNode, node, zone, now, bounds, actions);
  if (band) drawPages(svg, stage, data, node, zone, now, bounds, actions);
  if (now.start !== null && band) {
    mark(svg, machine(band.from + now.start - zone.start_pfn), NODE);
    mark(svg, inNode(now.start), ZONE);
  }
  for (const [name, floor, of] of [
    ["nodes", NODE, text("zonediagram.of_machine")],
    ["zones", ZONE, text("zonediagram.of_node", { node: node.nid })],
    ["pages", PAGE, zone ? text("zonediagram.of_zone", { zone: zone.name }) : ""],
  ]) {
    chips.append(caption(name, floor, of, actions));
  }
  fill(stage, svg, chips);
  stage.append(legend(data, zone));
  if (!known) stage.append(element("p", { class: "kmem-zd-note", text: text("zonediagram.noscale") }));
}

/** Style name of a zone. */
export function hue(name) {
  const known = ["DMA", "DMA32", "Normal", "HighMem", "Movable", "Device"];
  return known.includes(name) ? name.toLowerCase() : "device";
}

function largest(node) {
  return [...node.zones].sort((a, b) => pagesOf(b) - pagesOf(a))[0] ?? null;
}

function caption(name, floor, of, actions) {
  const term = { nodes: "node", zones: "zone", pages: "page frame" }[name];
  return element("div", {
    class: "kmem-zd-caption", role: "button", tabindex: -1, "data-floor": name,
    style: `top:${floor.top}px;height:${floor.height}px`, on: { click: () => actions.floor(name) },
  }, element("b", { text: text(`zonediagram.${name}`), "data-term": term }), element("span", { text: of }));
}

function lens([a, b], top, [left, right], bottom, look) {
  const wide = Math.max(b, a + 1.5);
  const middle = (top + bottom) / 2;
  return svgElement("path", {
    class: `kmem-zd-lens kmem-zd-${look}`,
    d: `M${a} ${top}C${a} ${middle} ${left} ${middle} ${left} ${bottom}H${right}C${right} ${middle} ${wide} ${middle} ${wide} ${top}Z`,
  });
}

function axis(svg, [from, to], at, y, pageSize) {
  for (const tick of ticks(from * pageSize, to * pageSize)) {
    const x = at(tick / pageSize);
    svg.append(svgElement("line", { class: "kmem-zd-tick", x1: x, x2: x, y1: y - 6, y2: y }));
    svg.append(svgElement("text", { class: "kmem-zd-ticktext", x, y: y - 10, "text-anchor": anchor(x, at(to)), text: sizeWords(tick) }));
  }
}

function anchor(x, right) {
  if (x < LEFT + 24) return "start";
  return x > right - 24 ? "end" : "middle";
}

function drawNodes(svg, chips, data, bands, at, node, now, actions) {
  for (const each of data.nodes) {
    const own = bands.filter((band) => band.node === each);
    const index = data.nodes.indexOf(each);
    for (const band of own) {
      const x = at(band.from);
      const wide = Math.max(1, at(band.to) - x);
      svg.append(svgElement("rect", {
        class: `kmem-zd-nodeband kmem-zd-n${index % 4}${each === node ? " kmem-on" : ""}`,
        x, y: NODE.top, width: wide, height: NODE.height, "data-node": each.nid, on: { click: () => actions.node(each) },
      }));
    }
    if (!own.length) continue;
    const [from, to] = extent(own).map(at);
    const label = `${text("zonediagram.node", { node: each.nid })}${to - from > 150 ? ` · ${sizeWords(total(each) * data.page_size)}` : ""}`;
    chips.append(chip({
      label, term: "", says: each.says, pressed: now.node === each, left: from, width: to - from, top: NODE.top, height: NODE.height,
      inside: true, attributes: { "data-node": each.nid }, onClick: () => actions.node(each),
    }));
  }
}

function total(node) {
  return node.zones.reduce((sum, zone) => sum + (zone.pages ?? pagesOf(zone)), 0);
}

function drawZones(svg, chips, data, own, at, node, zone, now, bounds, actions) {
  const labels = [];
  for (const { zone: each, from, to } of own) {
    const x = at(from);
    const wide = Math.max(1.5, at(to) - x);
    const look = `kmem-zd-${hue(each.name)}${each === zone ? " kmem-on" : ""}`;
    const open = () => actions.zone(node, each);
    svg.append(svgElement("rect", {
      class: `kmem-zd-zoneband ${look}`, x, y: ZONE.top, width: wide, height: ZONE.height, "data-zone": each.name, on: { click: open },
    }));
    if (each.pages && each.free !== null) {
      const level = ZONE.height * Math.min(1, each.free / each.pages);
      svg.append(svgElement("rect", {
        class: `kmem-zd-level ${look}`, x, y: ZONE.top + ZONE.height - level, width: wide, height: level,
      }));
      for (const name of ["min", "low", "high"]) {
        if (!each[name]) continue;
        const y = ZONE.top + ZONE.height * (1 - Math.min(1, each[name] / each.pages));
        svg.append(svgElement("line", { class: `kmem-zd-mark kmem-zd-mark-${name}`, x1: x, x2: x + wide, y1: y, y2: y }));
      }
    }
    labels.push({ zone: each, middle: x + wide / 2, x: x + wide / 2, label: `${each.name} · ${sizeWords((each.pages ?? pagesOf(each)) * data.page_size)}` });
  }
  for (const each of node.zones.filter((z) => !own.some((band) => band.zone === z))) {
    labels.push({ zone: each, middle: 1e9, x: null, label: `${each.name} · ${text("zonediagram.empty")}` });
  }
  const widths = fitted(labels, bounds);
  const edges = spread(labels.map((each, i) => ({ middle: each.middle, ...widths[i] })), bounds, GAP);
  const top = ZONE.top - 32;
  labels.forEach((each, i) => {
    if (each.x !== null) {
      const foot = edges[i] + widths[i].width / 2;
      svg.append(svgElement("path", {
        class: `kmem-zd-leader kmem-zd-${hue(each.zone.name)}`, d: `M${foot} ${top + 22}L${each.x} ${ZONE.top}`,
      }));
    }
    chips.append(chip({
      label: each.label, says: each.zone.says, pressed: now.zone === each.zone, left: edges[i], width: widths[i].width, top, height: 22,
      look: `kmem-zd-${hue(each.zone.name)}${each.x === null ? " kmem-zd-empty" : ""}`,
      attributes: { "data-zone": each.zone.name }, onClick: () => actions.zone(node, each.zone),
    }));
  });
}

// Widths of the labels; where they don't fit into the row, only the zones' names stay, and then what room there is.
function fitted(labels, [left, right]) {
  const needed = () => labels.map(({ label }) => label.length * 7 + 18);
  const room = right - left - GAP * (labels.length - 1);
  const sum = (widths) => widths.reduce((all, each) => all + each, 0);
  if (sum(needed()) > room) for (const each of labels) each.label = each.zone.name;
  const share = Math.min(1, room / sum(needed()));
  return needed().map((width) => ({ width: width * share }));
}

function chip({ label, says, pressed, left, width, top, height, inside, look = "", attributes, onClick }) {
  return element("div", {
    class: `kmem-zd-chip ${inside ? "kmem-zd-inside" : ""} ${look}`, role: "button", tabindex: -1,
    "aria-pressed": String(pressed), "aria-label": says, title: says,
    style: `left:${left}px;top:${top}px;width:${width}px;height:${height}px`, ...attributes, on: { click: onClick }, text: label,
  });
}

function drawPages(svg, stage, data, node, zone, now, [left, right], actions) {
  const wide = right - left;
  const hit = (event) => {
    const box = stage.querySelector("svg").getBoundingClientRect();
    const pieces = Math.min(240, zone.spanned);
    const part = (event.clientX - box.left - left) / wide;
    actions.piece(node, zone, Math.floor(part * pieces));
  };
  svg.append(svgElement("rect", { class: "kmem-zd-paper", x: left, y: PAGE.top, width: wide, height: PAGE.height }));
  if (zone.uses) {
    const kinds = data.kinds.filter(([name]) => zone.uses[name]);
    const pieces = zone.uses[kinds[0][0]].length;
    const per = wide / pieces;
    for (const [name, , light, darkly] of kinds) {
      let path = "";
      for (let i = 0; i < pieces; i += 1) {
        const share = zone.uses[name][i];
        if (!share) continue;
        let below = 0;
        let all = 0;
        let seen = false;
        for (const [other] of kinds) {
          all += zone.uses[other][i];
          if (other === name) seen = true;
          else if (!seen) below += zone.uses[other][i];
        }
        const y = PAGE.top + PAGE.height * (1 - (below + share) / all);
        path += `M${left + i * per} ${y}h${per}v${(PAGE.height * share) / all}h${-per}z`;
      }
      svg.append(svgElement("path", { d: path, class: "kmem-zd-use", style: `--light:${light};--dark:${darkly}`, "data-use": name }));
    }
  } else {
    const free = zone.pages ? (wide * (zone.free ?? 0)) / zone.pages : 0;
    svg.append(svgElement("rect", { class: `kmem-zd-level kmem-zd-${hue(zone.name)}`, x: left, y: PAGE.top, width: free, height: PAGE.height }));
    svg.append(svgElement("text", {
      class: "kmem-zd-unknown", x: left + 10, y: PAGE.top + PAGE.height / 2 + 4,
      text: zone.pages ? text("zonediagram.nopages", { free: count(zone.free ?? 0), managed: count(zone.pages) })
        : text("zonediagram.nopages.at_all"),
    }));
  }
  if (zone.start_pfn !== null && zone.spanned) {
    for (const [x, pfn, anchor] of [[left, zone.start_pfn, "start"], [right, zone.start_pfn + zone.spanned, "end"]]) {
      svg.append(svgElement("text", { class: "kmem-zd-ticktext", x, y: PAGE.top + PAGE.height + 16, "text-anchor": anchor, text: `pfn ${count(pfn)}` }));
    }
    if (now.start !== null) {
      const pieces = Math.min(240, zone.spanned);
      const index = pieceOf(zone, now.start, pieces);
      svg.append(svgElement("rect", {
        class: "kmem-zd-cursor", x: left + (wide * index) / pieces, y: PAGE.top - 2, width: Math.max(3, wide / pieces), height: PAGE.height + 4,
      }));
    }
    svg.append(svgElement("rect", {
      class: "kmem-zd-hit", x: left, y: PAGE.top, width: wide, height: PAGE.height, "data-pages": zone.name, on: { click: hit },
    }));
  }
}

// What colours and lines stand for: only what is on screen.
function legend(data, zone) {
  const keys = data.kinds.filter(([name]) => zone?.uses?.[name]).map(([name, label, light, dark]) =>
    element("span", { class: "kmem-chart-key", "data-kind": name },
      element("i", { class: "kmem-zd-kind", style: `--light:${light};--dark:${dark}` }), label));
  const marks = zone?.pages ? ["min", "low", "high"].map((name) =>
    element("span", { class: "kmem-chart-key" }, element("i", { class: `kmem-zd-rule kmem-zd-mark-${name}` }),
      element("span", { text: name, "data-term": name }))) : [];
  const level = zone?.pages
    ? [element("span", { class: "kmem-chart-key" }, element("i", { class: `kmem-zd-water kmem-zd-${hue(zone.name)}` }), text("zonediagram.water"))]
    : [];
  return element("div", { class: "kmem-zd-legend" },
    element("div", { class: "kmem-chart-legend" }, element("b", { text: text("zonediagram.zones") }), ...level, ...marks),
    element("div", { class: "kmem-chart-legend" }, element("b", { text: text("zonediagram.pages") }), ...keys));
}

function mark(svg, x, floor) {
  svg.append(svgElement("path", { class: "kmem-zd-caret", d: `M${x - 5} ${floor.top - 7}h10l-5 7z` }));
}
