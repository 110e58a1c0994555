// One view of a frame map: its elements, and what follows from each change of state.

import { element, fill, onceAFrame } from "../_front/dom.js";
import { openShell, put } from "../_front/shell.js";
import { text } from "../_front/strings.js";
import { openTold } from "../_front/told.js";
import { openCard } from "./card.js";
import { gesturesOf } from "./gestures.js";
import { buildLegend, buildTotals, buildZones } from "./legend.js";
import { Navigation } from "./navigation.js";
import { bindPointer } from "./pointer.js";
import { openPainter } from "./painter.js";
import { describe, sentence, zoneWords } from "./words.js";

const BUTTONS = [
  ["+", "zoom_in"],
  ["−", "zoom_out"],
  ["⤢", "fit"],
  ["▣", "part"],
  ["↶", "undo"],
  ["|◀", "reset"],
  [text("framemap.why.label"), "why"],
  ["PNG", "png"],
  ["SVG", "svg"],
];

/** Build a view in `el`. `shared`: wire, focus, raster and counts of the model. */
export function openView({ model, el, signal, shared }) {
  const { wire, focus } = shared;
  const parts = elements();
  const view = { model, signal, shared, parts, map: null, chosen: null, legend: null, zones: null, theme: "light" };
  const painter = openPainter(view);
  const draw = onceAFrame(painter.paint, signal);
  Object.assign(view, {
    draw,
    painter,
    card: openCard(view),
    /** What the keyboard's cursor is on, in words and as flags that explain themselves. */
    tell() {
      const frame = describe(view.map, wire.state.bytes, view.at.cursor);
      view.shell.say(sentence(view.map, frame));
      const chip = (word) => element("span", { tabindex: "0", "data-term": word.toLowerCase(), text: word });
      fill(parts.detail, ...(frame?.words ?? []).map(chip));
    },
  });
  view.at = new Navigation(view);
  view.handlers = gesturesOf(view);
  view.shell = openShell({
    model,
    el,
    signal,
    handlers: view.handlers,
    onTheme(theme) {
      view.theme = theme;
      painter.recolor();
      draw();
    },
  });
  parts.told = openTold({ model, signal });
  dressShell(view);
  bindPointer(view);

  model.on("change:only", () => {
    painter.recolor();
    draw();
  });
  model.on("change:camera", () => {
    view.at.readCamera();
    if (view.map?.known) draw();
  });
  model.on("change:cursor", () => {
    view.at.cursor = model.get("cursor");
    if (!view.map?.known) return;
    if (view.at.cursor !== null) view.tell();
    draw();
  });
  model.on("change:color_by", () => {
    parts.colorBy.value = model.get("color_by");
  });
  followSize(parts, view.shell.body, draw, signal);

  wire.subscribe((what, state) => {
    if (what === "full") build(view, state.data);
    draw();
  }, signal);
  focus.subscribe((place, mine) => {
    look(view, place, mine);
    draw();
  }, signal);
}

function elements() {
  const canvas = element("canvas", { class: "kmem-framemap-canvas" });
  const overview = element("canvas", { class: "kmem-framemap-overview", title: text("framemap.overview"), hidden: true });
  const card = element("div", { class: "kmem-framemap-card", hidden: true });
  const attributes = { tabindex: "0", role: "application", "aria-label": text("framemap.label") };
  const host = element("div", { class: "kmem-framemap-host", ...attributes }, canvas, overview, card);
  const detail = element("div", { class: "kmem-framemap-detail", role: "group", "aria-label": text("framemap.flags") });
  const side = element("div", { class: "kmem-framemap-side" });
  const colorBy = element("select", { "aria-label": text("framemap.color_by"), hidden: true });
  return { canvas, overview, card, host, detail, side, colorBy };
}

function dressShell({ model, shell, parts }) {
  parts.colorBy.addEventListener("change", () => put(model, { color_by: parts.colorBy.value }));
  shell.tools.prepend(parts.colorBy);
  const off = shell.about.gestures.find((gesture) => gesture.name === "why").off;
  for (const [label, gesture] of BUTTONS.filter(([, name]) => name !== "why" || !off)) {
    shell.tool({ label, says: text(`framemap.${gesture}`), gesture, onClick: () => shell.handlers[gesture]() });
  }
  shell.body.classList.add("kmem-framemap-body");
  fill(shell.body);
}

function followSize(parts, body, draw, signal) {
  const resized = new ResizeObserver(draw);
  resized.observe(body);
  signal.addEventListener("abort", () => resized.disconnect());
  const ratioChanged = () => {
    draw();
    const query = matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
    query.addEventListener("change", ratioChanged, { once: true, signal });
  };
  ratioChanged();
  parts.host.addEventListener("focus", draw);
  parts.host.addEventListener("blur", draw);
}

/** Take in all but the frames; the elements stay if nothing of it changed. */
function build(view, map) {
  const { parts, shell, model, at } = view;
  view.map = map;
  at.readCamera();
  const drawn = JSON.stringify(map);
  if (drawn === view.drawn) return;
  view.drawn = drawn;
  view.painter.recolor();
  shell.subtitle(map.name);
  if (!map.known) {
    fill(shell.body, buildTotals(map, zoneWords));
    shell.say(text("framemap.unknown"));
    view.painter.painted();
    return;
  }
  view.legend = buildLegend(map, { onToggle: (name) => at.toggle(name), onAll: () => view.handlers.all() });
  view.zones = buildZones(map, zoneWords, (zone) => {
    at.showZone(zone);
    view.shared.focus.set({ node: zone.node, zone: zone.zone });
  });
  view.zones.mark(view.shared.focus.get());
  fill(parts.side, view.zones.node, view.legend.node);
  // Only once: an element that is moved loses the keyboard.
  if (!parts.host.isConnected) fill(shell.body, element("div", {}, parts.host, parts.detail, parts.told), parts.side);
  const option = (name) => element("option", { value: name, text: text(`framemap.by.${name}`) });
  fill(parts.colorBy, ...map.tables.map(option));
  parts.colorBy.value = model.get("color_by");
  parts.colorBy.hidden = map.tables.length < 2;
  // By another table a frame is called something else.
  if (at.cursor !== null) view.tell();
}

/** Follow the focus: show what another widget chose. */
function look(view, place, mine) {
  view.chosen = place.start === undefined ? null : { start: place.start, count: place.count ?? 1 };
  view.zones?.mark(place);
  if (!view.map?.known || mine) return;
  if (view.chosen) {
    view.at.cursor = place.start;
    view.tell();
    if (view.at.camera) view.at.goTo(place.start);
  } else if (place.zone !== undefined) {
    view.at.showZone(view.map.zones.find((zone) => zone.node === place.node && zone.zone === place.zone));
  }
}
