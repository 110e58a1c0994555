// The floors node, zone, page: each the one above under a lens, all to scale.

import { element, fill, onceAFrame } from "../_front/dom.js";
import { openChart } from "../_front/chart.js";
import { count, sizeWords } from "../_front/format.js";
import { openShell } from "../_front/shell.js";
import { text } from "../_front/strings.js";
import { widgetOf } from "../_front/widget.js";
import { drawFloors } from "./floors.js";
import { drawDetail } from "./detail.js";
import { piece, pieceOf } from "./geometry.js";

const PIECES = 240;

export const widget = widgetOf(openView);

function openView({ model, el, signal, wire, focus }) {
  let data = null;

  const nodeOf = (nid) => data?.nodes.find((node) => node.nid === nid) ?? null;
  /** What is looked at, as far as this machine has it. */
  const at = () => {
    const place = focus.get();
    let node = nodeOf(place.node);
    let zone = node?.zones.find((each) => each.name === place.zone) ?? null;
    if (!node && place.start !== undefined && data) {
      for (const each of data.nodes) {
        const found = each.zones.find((z) => z.spanned && z.start_pfn <= place.start && place.start < z.start_pfn + z.spanned);
        if (found) [node, zone] = [each, found];
      }
    }
    const inside = zone?.spanned && place.start !== undefined && place.start >= zone.start_pfn
      && place.start < zone.start_pfn + zone.spanned;
    return { node, zone, start: inside ? place.start : null, frames: inside ? place.count ?? 1 : 0 };
  };
  const pieces = (zone) => Math.min(PIECES, zone.spanned ?? 0);
  const goPiece = (node, zone, index) => {
    const total = pieces(zone);
    if (!total || zone.start_pfn === null) return;
    const [start, frames] = piece(zone, Math.min(Math.max(index, 0), total - 1), total);
    focus.set({ node: node.nid, zone: zone.name, start, count: frames });
  };
  const pick = (list, now, step) => list[Math.min(Math.max(list.indexOf(now) + step, 0), list.length - 1)];

  const across = (step) => {
    const now = at();
    if (!data?.nodes.length) return;
    if (now.start !== null) goPiece(now.node, now.zone, pieceOf(now.zone, now.start, pieces(now.zone)) + step);
    else if (now.zone) focus.set({ node: now.node.nid, zone: pick(now.node.zones, now.zone, step).name });
    else if (now.node) focus.set({ node: pick(data.nodes, now.node, step).nid });
    else focus.set({ node: data.nodes[0].nid });
  };
  const down = () => {
    const now = at();
    if (!data?.nodes.length) return;
    if (!now.node) focus.set({ node: data.nodes[0].nid });
    else if (!now.zone) {
      const zone = now.node.zones.find((each) => !each.empty) ?? now.node.zones[0];
      if (zone) focus.set({ node: now.node.nid, zone: zone.name });
    } else if (now.start === null) goPiece(now.node, now.zone, 0);
  };
  const up = () => {
    const now = at();
    if (now.start !== null) focus.set({ node: now.node.nid, zone: now.zone.name });
    else if (now.zone) focus.set({ node: now.node.nid });
    else focus.set({});
  };

  const shell = openShell({
    model, el, signal,
    handlers: {
      previous: () => across(-1), next: () => across(1), down, up,
      first: () => across(-1e9), last: () => across(1e9),
    },
  });
  const stage = element("div", {
    class: "kmem-zd-stage", tabindex: 0, role: "group", "aria-label": text("zonediagram.stage"),
  });
  const detail = element("div", { class: "kmem-zd-detail" });
  const plot = element("section", { class: "kmem-zd-plot" },
    element("h4", { text: text("zonediagram.chart") }));
  const plotPlace = element("div");
  plot.append(plotPlace);
  fill(shell.body, stage, detail, plot);
  const chart = openChart({ model, el: plotPlace, signal });

  const actions = {
    node: (node) => focus.set({ node: node.nid }),
    zone: (node, zone) => focus.set({ node: node.nid, zone: zone.name }),
    piece: (node, zone, index) => goPiece(node, zone, index),
    floor: (name) => {
      const now = at();
      if (name === "nodes") focus.set({});
      else if (name === "zones" && now.node) focus.set({ node: now.node.nid });
      else if (name === "pages" && now.zone) focus.set({ node: now.node.nid, zone: now.zone.name });
    },
  };
  const draw = onceAFrame(() => {
    // In a hidden tab, or while JupyterLab changes its theme: the size observer calls again.
    if (!data || !stage.clientWidth) return;
    const now = at();
    drawFloors(stage, data, now, actions);
    drawDetail(detail, data, now, actions);
  }, signal);
  const speak = () => {
    if (!data) return;
    const now = at();
    if (now.start !== null) shell.say(saysPiece(data, now));
    else if (now.zone) shell.say(now.zone.says);
    else if (now.node) shell.say(now.node.says);
    else shell.say("");
  };

  wire.subscribe((what, state) => {
    data = state.data;
    const zones = data.nodes.flatMap((node) => node.zones).filter((zone) => !zone.empty);
    shell.subtitle([data.name, text("zonediagram.machine", {
      nodes: many("node", data.nodes.length), zones: many("zone", zones.length),
    })]
      .filter(Boolean).join(" · "));
    plot.hidden = !data.chart;
    if (data.chart) chart.show(data.chart);
    draw();
    speak();
  }, signal);
  focus.subscribe(() => {
    draw();
    speak();
  }, signal);
  stage.addEventListener("pointerup", () => stage.focus({ preventScroll: true }), { signal });
  const resize = new ResizeObserver(draw);
  resize.observe(stage);
  signal.addEventListener("abort", () => resize.disconnect());
}

function many(what, number) {
  return number === 1 ? text(`zonediagram.one_${what}`) : text(`zonediagram.many_${what}s`, { count: count(number) });
}

/** A piece of pages in words. */
function saysPiece(data, { zone, start, frames }) {
  const total = Math.min(PIECES, zone.spanned);
  const index = pieceOf(zone, start, total);
  const uses = Object.entries(zone.uses ?? {})
    .map(([name, pieces]) => [data.kinds.find((kind) => kind[0] === name)[1], pieces[index]])
    .filter(([, pages]) => pages)
    .map(([label, pages]) => `${label} ${count(pages)}`);
  return text("zonediagram.piece", {
    start: count(start), end: count(start + frames - 1), zone: zone.name,
    uses: uses.join(", ") || sizeWords(frames * data.page_size),
  });
}
