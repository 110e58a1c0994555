// The frame map's front end: one view of it.

import { element, fill, onceAFrame, download } from "../_front/dom.js";
import { address, count, hex, sizeWords } from "../_front/format.js";
import { text } from "../_front/strings.js";
import { openFocus } from "../_front/focus.js";
import { openShell, put } from "../_front/shell.js";
import { themeColor } from "../_front/theme.js";
import { openWire } from "../_front/wire.js";
import { clampCamera, cellAt, fitCamera, zoomAt } from "./camera.js";
import { GUTTER, paint, palette } from "./canvas.js";
import { indexOf, pfnAt, pfnOfRow, placeOf, zoneOf } from "./geometry.js";
import { buildLegend, buildTotals, buildZones } from "./legend.js";
import { Raster } from "./raster.js";
import { overviewBox, paintOverview } from "./overview.js";
import { exportSvg } from "./export.js";
import { describe, sentence } from "./words.js";

const HEIGHT = 460;
const COUNT_MS = 150;
const CLOSE = 24; // pixels a cell when going to a frame from afar

const zoneWords = (zone) => text("framemap.node_zone", zone);

/** A model's state: the wire and the raster are shared by its views. */
export const widget = () => {
  let wire = null;
  let focus = null;
  const rasters = { raster: null, epoch: 0, seq: 0 };
  return {
    initialize({ model }) {
      wire = openWire(model);
      focus = openFocus(model, model.get("_kmem_id"));
      wire.subscribe((what, state) => {
        if (!state.bytes) rasters.raster = null;
        else if (what === "full") rasters.raster = new Raster(state.data, state.bytes);
        else rasters.raster.update(state.ranges);
      });
    },
    render({ model, el, signal }) {
      openView({ model, el, signal, wire, focus, rasters });
    },
  };
};

function openView({ model, el, signal, wire, focus, rasters }) {
  const view = { map: null, camera: null, cursor: model.get("cursor"), hover: null, theme: "light", scene: {} };
  const draw = onceAFrame(() => drawNow(), signal);

  const canvas = element("canvas", { class: "kmem-framemap-canvas" });
  const overview = element("canvas", { class: "kmem-framemap-overview", title: text("framemap.overview"), hidden: true });
  const card = element("div", { class: "kmem-framemap-card", hidden: true });
  const host = element(
    "div",
    { class: "kmem-framemap-host", tabindex: "0", role: "application", "aria-label": text("framemap.label") },
    canvas,
    overview,
    card,
  );
  const detail = element("div", { class: "kmem-framemap-detail", role: "group", "aria-label": text("framemap.flags") });
  const side = element("div", { class: "kmem-framemap-side" });
  let legend = null;
  let zones = null;

  // The view and its gestures ------------------------------------------------------------

  const size = () => [Math.max(1, host.clientWidth - GUTTER), Math.max(1, host.clientHeight)];
  const camera = () => {
    const [width, height] = size();
    const wanted = view.camera ?? fitCamera(view.map, width, height);
    return clampCamera(wanted, view.map, width, height);
  };
  const look = (next) => {
    const [width, height] = size();
    const near = next && clampCamera(next, view.map, width, height);
    view.camera = near && near.scale > fitCamera(view.map, width, height).scale * 1.0001 ? near : null;
    card.hidden = true;
    draw();
    // ipywidgets has one message on the way at most and sends the latest after it: no need to hold back here.
    put(model, { camera: view.camera ? [view.camera.x, view.camera.y, view.camera.scale] : [] });
  };
  const zoom = (factor, px, py) => {
    const [width, height] = size();
    const at = cursorPoint() ?? [width / 2, height / 2];
    look(zoomAt(camera(), factor, px ?? at[0], py ?? at[1], width, height));
  };
  const cursorPoint = () => {
    const place = view.cursor === null ? null : placeOf(view.map, view.cursor);
    if (!place) return null;
    const [width, height] = size();
    const now = camera();
    const point = [(place[0] + 0.5 - now.x) * now.scale + width / 2, (place[1] + 0.5 - now.y) * now.scale + height / 2];
    return point[0] >= 0 && point[0] <= width && point[1] >= 0 && point[1] <= height ? point : null;
  };
  const goTo = (pfn, closer = false) => {
    const place = placeOf(view.map, pfn);
    if (!place) return;
    const now = camera();
    look({ x: place[0] + 0.5, y: place[1] + 0.5, scale: closer ? Math.max(now.scale, CLOSE) : now.scale });
  };
  // Whole rows, from the first on screen to the last.
  const onScreen = () => {
    const { map } = view;
    const [, height] = size();
    const now = camera();
    const half = height / now.scale / 2;
    const rows = [Math.max(0, Math.floor(now.y - half)), Math.min(map.height - 1, Math.ceil(now.y + half) - 1)];
    const from = rows.map((row) => pfnOfRow(map, row));
    return [Math.max(map.start, from[0]), Math.min(map.end, from[1] + map.columns * map.step)];
  };
  const setCursor = (pfn, { follow = true } = {}) => {
    card.hidden = true;
    view.cursor = Math.min(view.map.end - 1, Math.max(view.map.start, pfn));
    if (follow && !cursorPoint()) goTo(view.cursor);
    tellCursor();
    put(model, { cursor: view.cursor });
    draw();
  };
  const tellCursor = () => {
    const frame = describe(view.map, wire.state.bytes, view.cursor);
    shell.say(sentence(view.map, frame));
    const words = frame?.words ?? [];
    fill(detail, ...words.map((word) => element("span", { tabindex: "0", "data-term": word.toLowerCase(), text: word })));
  };
  const moveCursor = (columns, rows) => {
    if (view.cursor === null) return setCursor(view.map.start);
    const now = camera();
    // From afar a step is what the eye can tell apart.
    const far = now.scale >= 5 ? 1 : 2 ** Math.ceil(Math.log2(5 / now.scale));
    return setCursor(view.cursor + (columns + rows * view.map.columns) * far * view.map.step);
  };
  const nextKind = () => {
    const { map } = view;
    const codes = wire.state.bytes;
    let at = indexOf(map, view.cursor ?? map.start);
    const kind = map.kind[codes[at]];
    while (at < codes.length && map.kind[codes[at]] === kind) at += 1;
    if (at < codes.length) setCursor(map.start + at * map.step);
  };
  const choose = (pfn) => {
    const zone = zoneOf(view.map, pfn);
    focus.set({ ...(zone ? { node: zone.node, zone: zone.zone } : {}), start: pfn, count: view.map.step });
  };
  const toggle = (name) => {
    const only = model.get("only");
    put(model, { only: only.includes(name) ? only.filter((each) => each !== name) : [...only, name] });
  };
  const screens = (sign) => {
    const [, height] = size();
    const now = camera();
    const rows = Math.max(1, Math.floor((height / now.scale) * 0.9)) * sign;
    look({ ...now, y: now.y + rows });
    if (view.cursor !== null) setCursor(view.cursor + rows * view.map.columns * view.map.step);
  };
  const known = (gesture) => (given) => {
    if (view.map?.known) gesture(given);
  };
  const nextTable = () => {
    const { tables } = view.map;
    if (tables.length > 1) put(model, { color_by: tables[(tables.indexOf(model.get("color_by")) + 1) % tables.length] });
  };
  const handlers = {
    left: () => moveCursor(-1, 0),
    right: () => moveCursor(1, 0),
    up: () => moveCursor(0, -1),
    down: () => moveCursor(0, 1),
    page_up: () => screens(-1),
    page_down: () => screens(1),
    home: () => setCursor(view.map.start),
    end: () => setCursor(view.map.end - 1),
    next_kind: nextKind,
    zoom_in: () => zoom(2),
    zoom_out: () => zoom(0.5),
    fit: () => {
      if (!view.map.whole) put(model, { part: [] });
      look(null);
    },
    part: () => {
      const [start, end] = onScreen();
      put(model, { part: [start, end], camera: [] });
    },
    select: () => view.cursor !== null && choose(view.cursor),
    clear: () => focus.set({}),
    filter: () => {
      const frame = describe(view.map, wire.state.bytes, view.cursor);
      if (frame) toggle(frame.kind.name);
    },
    all: () => put(model, { only: [] }),
    color: nextTable,
    png: () => canvas.toBlob((blob) => download(blob, `${view.map.name}-frames.png`)),
    svg: () => download(exportSvg(view.scene, model.get("only")), `${view.map.name}-frames.svg`),
  };
  for (const name of Object.keys(handlers)) handlers[name] = known(handlers[name]);

  const shell = openShell({
    model,
    el,
    signal,
    handlers,
    onTheme(theme) {
      view.theme = theme;
      view.scene.colorsOf = null;
      draw();
    },
  });
  const colorBy = element("select", { "aria-label": text("framemap.color_by"), hidden: true });
  colorBy.addEventListener("change", () => put(model, { color_by: colorBy.value }));
  shell.tools.prepend(colorBy);
  for (const [label, says, gesture] of [
    ["+", "framemap.zoom_in", "zoom_in"],
    ["−", "framemap.zoom_out", "zoom_out"],
    ["⤢", "framemap.fit", "fit"],
    ["▣", "framemap.part", "part"],
    ["↶", "framemap.undo", "undo"],
    ["⟲", "framemap.reset", "reset"],
    ["PNG", "framemap.png", "png"],
    ["SVG", "framemap.svg", "svg"],
  ]) {
    shell.tool({ label, says: text(says), gesture, onClick: () => shell.handlers[gesture]() });
  }
  shell.body.classList.add("kmem-framemap-body");
  fill(shell.body, element("p", { class: "kmem-waiting", text: text("shell.waiting") }));

  // Mouse and touch ----------------------------------------------------------------------

  const point = (event) => {
    const box = host.getBoundingClientRect();
    return [event.clientX - box.left - GUTTER, event.clientY - box.top];
  };
  const frameAt = (event) => {
    const [width, height] = size();
    const [px, py] = point(event);
    if (px < 0) return null;
    const [x, y] = cellAt(camera(), px, py, width, height).map(Math.floor);
    return pfnAt(view.map, x, y);
  };
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || !view.map?.known) return;
    canvas.setPointerCapture(event.pointerId);
    drag = { at: point(event), camera: camera(), moved: false, from: frameAt(event) };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!view.map?.known) return;
    if (drag) {
      const [px, py] = point(event);
      const [dx, dy] = [px - drag.at[0], py - drag.at[1]];
      if (Math.hypot(dx, dy) > 3) drag.moved = true;
      if (drag.moved && !event.shiftKey) {
        look({ ...drag.camera, x: drag.camera.x - dx / drag.camera.scale, y: drag.camera.y - dy / drag.camera.scale });
      }
    }
    hover(drag?.moved ? null : frameAt(event), event);
  });
  canvas.addEventListener("pointerup", (event) => {
    const done = drag;
    drag = null;
    const pfn = frameAt(event);
    if (!done || pfn === null) return;
    if (done.moved) {
      if (event.shiftKey && done.from !== null) {
        const [low, high] = [Math.min(done.from, pfn), Math.max(done.from, pfn)];
        const zone = zoneOf(view.map, low);
        focus.set({ ...(zone ? { node: zone.node, zone: zone.zone } : {}), start: low, count: high - low + view.map.step });
      }
      return;
    }
    host.focus({ preventScroll: true });
    const chosen = view.scene.chosen;
    if (chosen && chosen.start === pfn && chosen.count === view.map.step) focus.set({});
    else {
      setCursor(pfn, { follow: false });
      choose(pfn);
    }
  });
  canvas.addEventListener("pointercancel", () => {
    drag = null;
  });
  canvas.addEventListener("dblclick", (event) => view.map?.known && zoom(4, ...point(event)));
  canvas.addEventListener("pointerleave", () => hover(null));
  host.addEventListener(
    "wheel",
    (event) => {
      // Without Ctrl the wheel scrolls the notebook, unless the reader has stepped into the map.
      if (!view.map?.known || !(event.ctrlKey || host.ownerDocument.activeElement === host)) return;
      event.preventDefault();
      zoom(2 ** (-event.deltaY / (event.deltaMode ? 6 : 240)), ...point(event));
    },
    { passive: false },
  );
  const overviewMove = (event) => {
    if (!(event.buttons & 1) && event.type !== "pointerdown") return;
    const box = overview.getBoundingClientRect();
    const { map } = view;
    look({
      ...camera(),
      x: ((event.clientX - box.left) / box.width) * map.columns,
      y: ((event.clientY - box.top) / box.height) * map.height,
    });
  };
  overview.addEventListener("pointerdown", overviewMove);
  overview.addEventListener("pointermove", overviewMove);
  host.addEventListener("focus", draw);
  host.addEventListener("blur", draw);

  function hover(pfn, event) {
    const frame = pfn === null ? null : describe(view.map, wire.state.bytes, pfn);
    card.hidden = !frame;
    if (!frame) return;
    const swatch = element("span", { class: "kmem-framemap-swatch", "aria-hidden": "true" });
    swatch.style.background = frame.kind[view.theme];
    const where = { pfn: hex(frame.pfn), address: address(frame.pfn, view.map.page_size) };
    fill(
      card,
      element("div", { class: "kmem-framemap-card-kind" }, swatch, element("strong", { text: frame.kind.label })),
      element("div", { class: "kmem-mono", text: text("framemap.frame", where) }),
      element("div", { text: frame.zone ? zoneWords(frame.zone) : "" }),
      element("div", { class: "kmem-framemap-flags" }, ...frame.words.map((word) => element("span", { text: word }))),
    );
    const box = host.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    card.style.left = `${Math.max(0, x + 16 + card.offsetWidth > box.width ? x - card.offsetWidth - 12 : x + 16)}px`;
    card.style.top = `${Math.max(0, Math.min(y + 16, box.height - card.offsetHeight))}px`;
  }

  // State --------------------------------------------------------------------------------

  model.on("change:only", () => {
    view.scene.colorsOf = null;
    draw();
  });
  model.on("change:camera", () => {
    const [x, y, scale] = model.get("camera");
    view.camera = scale ? { x, y, scale } : null;
    if (view.map?.known) draw();
  });
  model.on("change:cursor", () => {
    view.cursor = model.get("cursor");
    if (!view.map?.known) return;
    if (view.cursor !== null) tellCursor();
    draw();
  });
  model.on("change:color_by", () => {
    colorBy.value = model.get("color_by");
  });

  function showZone(zone) {
    if (!zone) return;
    const { map } = view;
    const first = placeOf(map, Math.max(zone.start, map.start));
    const last = placeOf(map, Math.min(zone.end, map.end) - 1);
    if (!first || !last) return;
    const [width, height] = size();
    const rows = last[1] - first[1] + 1;
    const columns = rows > 1 ? map.columns : last[0] - first[0] + 1;
    const scale = Math.min(width / columns, height / rows);
    look({ x: rows > 1 ? map.columns / 2 : first[0] + columns / 2, y: first[1] + rows / 2, scale });
  }

  function build(map) {
    view.map = map;
    const [x, y, scale] = model.get("camera");
    view.camera = scale ? { x, y, scale } : null;
    view.scene.colorsOf = null;
    counted = "";
    if (!map.known) {
      fill(shell.body, buildTotals(map, zoneWords));
      shell.say(text("framemap.unknown"));
      shell.root.dataset.painted = wire.state.seq;
      return;
    }
    legend = buildLegend(map, { onToggle: toggle, onAll: () => handlers.all() });
    zones = buildZones(map, zoneWords, (zone) => {
      showZone(zone);
      focus.set({ node: zone.node, zone: zone.zone });
    });
    fill(side, zones.node, legend.node);
    fill(shell.body, element("div", {}, host, detail), side);
    fill(colorBy, ...map.tables.map((name) => element("option", { value: name, text: text(`framemap.by.${name}`) })));
    colorBy.value = model.get("color_by");
    colorBy.hidden = map.tables.length < 2;
    const frames = map.end - map.start;
    shell.subtitle(`${map.name} · ${text("framemap.frames", { count: count(frames) })} · ${sizeWords(frames * map.page_size)}`);
    zones.mark(focus.get());
    draw();
  }

  function drawNow() {
    const { map, scene } = view;
    if (!map?.known || !rasters.raster) return;
    host.style.height = hostHeight();
    const [width, height] = size();
    if (!host.clientWidth) return; // in a hidden tab; the size observer calls again
    const only = model.get("only");
    if (!scene.colorsOf) {
      for (const name of ["ink", "ink-soft", "paper", "line", "accent"]) {
        scene[name === "ink-soft" ? "soft" : name] = themeColor(shell.root, `--kmem-${name}`);
      }
      scene.paper = opaque(scene.paper, view.theme);
      scene.band = themeColor(shell.root, "--kmem-band");
      scene.band2 = themeColor(shell.root, "--kmem-band-2");
      const style = getComputedStyle(shell.root);
      const mono = themeColor(shell.root, "--kmem-mono");
      scene.font = (px) => `${px}px ${style.fontFamily}`;
      scene.mono = (px) => `${px}px ${mono}`;
      Object.assign(scene, palette(map, view.theme, only, scene.paper));
      scene.colorsOf = true;
      legend.show(view.theme, only);
    }
    Object.assign(scene, {
      canvas, map, raster: rasters.raster, camera: camera(), width, height,
      ratio: window.devicePixelRatio || 1, cursor: view.cursor, zoneWords,
      cursorShown: host.matches(":focus-within"),
      holeWords: (frames) => `${text("framemap.gap")} · ${sizeWords(frames * map.page_size)}`,
    });
    paint(scene);
    overview.hidden = !view.camera;
    if (view.camera) paintOverview(overview, scene, overviewBox(map));
    countLater();
    shell.root.dataset.painted = wire.state.seq;
    shell.root.dataset.epoch = wire.state.epoch;
  }

  // Counting all frames takes longer than painting those on screen, so it waits for a quiet moment.
  let counting = 0;
  let counted = "";
  const countLater = () => {
    const state = () => `${wire.state.epoch}/${wire.state.seq}`;
    if (counting || counted === state()) return;
    counting = setTimeout(
      () => {
        counting = 0;
        if (!rasters.raster || !legend) return;
        if (rasters.counted !== state()) {
          rasters.counted = state();
          rasters.counts = rasters.raster.counts();
        }
        counted = state();
        legend.count(rasters.counts);
        shell.root.dataset.counted = wire.state.seq;
      },
      counted ? COUNT_MS : 0,
    );
  };
  signal.addEventListener("abort", () => clearTimeout(counting));

  const hostHeight = () => {
    const told = model.get("height");
    if (told) return `${told}px`;
    const { map } = view;
    const width = Math.max(1, host.clientWidth - GUTTER);
    return `${Math.round(Math.min(HEIGHT, Math.max(120, (width / map.columns) * map.height)))}px`;
  };

  const resized = new ResizeObserver(draw);
  resized.observe(shell.body);
  const ratioChanged = () => {
    draw();
    matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`).addEventListener("change", ratioChanged, { once: true, signal });
  };
  ratioChanged();
  signal.addEventListener("abort", () => resized.disconnect());

  // Last, as both may call at once.
  wire.subscribe((what, state) => {
    if (what === "full") build(state.data);
    draw();
  }, signal);
  focus.subscribe((place, mine) => {
    view.scene.chosen = place.start === undefined ? null : { start: place.start, count: place.count ?? 1 };
    zones?.mark(place);
    if (!view.map?.known) return;
    if (view.scene.chosen && !mine) {
      view.cursor = place.start;
      tellCursor();
      if (view.camera && !cursorPoint()) goTo(place.start);
    } else if (!view.scene.chosen && !mine && place.zone !== undefined) {
      showZone(view.map.zones.find((zone) => zone.node === place.node && zone.zone === place.zone));
    }
    draw();
  }, signal);
}

function opaque(color, theme) {
  return /^#[0-9a-f]{6}$/i.test(color) ? color : expand(color) ?? (theme === "dark" ? "#16191d" : "#ffffff");
}

function expand(color) {
  if (/^#[0-9a-f]{3}$/i.test(color)) return "#" + [...color.slice(1)].map((digit) => digit + digit).join("");
  const parts = color.match(/^rgb\((\d+), ?(\d+), ?(\d+)\)$/);
  if (parts) return "#" + parts.slice(1).map((part) => Number(part).toString(16).padStart(2, "0")).join("");
  return { white: "#ffffff", black: "#000000" }[color] ?? null;
}
