// Brings a view's state onto its canvases.

import { count, sizeWords } from "../_front/format.js";
import { text } from "../_front/strings.js";
import { themeColor } from "../_front/theme.js";
import { GUTTER, paint, palette } from "./canvas.js";
import { overviewBox, paintOverview } from "./overview.js";
import { zoneWords } from "./words.js";

const HEIGHT = 460;
const LEAST = 120;
const COUNT_MS = 150;

/** `paint()` paints all; `recolor()` has it read the theme's and the legend's colours anew. */
export function openPainter(view) {
  const { model, parts, shared, signal } = view;
  const scene = {};
  let colored = false;
  let counting = 0;
  let counted = "";
  const state = () => `${shared.wire.state.epoch}.${shared.wire.state.seq}`;

  // What is on screen is the state of this number; tests and benchmarks wait for it.
  const painted = () => {
    view.shell.root.dataset.painted = state();
  };

  const readColors = () => {
    const { root } = view.shell;
    const color = (name) => themeColor(root, `--kmem-${name}`);
    const only = model.get("only");
    const family = getComputedStyle(root).fontFamily;
    const mono = color("mono");
    Object.assign(scene, {
      theme: view.theme,
      ink: color("ink"),
      soft: color("ink-soft"),
      line: color("line"),
      accent: color("accent"),
      band: color("band"),
      band2: color("band-2"),
      paper: opaque(color("paper"), view.theme),
      font: (px) => `${px}px ${family}`,
      mono: (px) => `${px}px ${mono}`,
    });
    Object.assign(scene, palette(view.map, view.theme, only, scene.paper));
    view.legend.show(view.theme, only);
    colored = true;
  };

  // Counting all frames takes longer than painting those on screen, so it waits for a quiet moment.
  const countLater = () => {
    if (counting || counted === state()) return;
    const countNow = () => {
      counting = 0;
      if (!shared.raster || !view.legend) return;
      if (shared.counted !== state()) {
        shared.counted = state();
        shared.counts = shared.raster.counts();
      }
      counted = state();
      view.shell.subtitle(headline(view.map, view.legend.count(shared.counts)));
      view.shell.root.dataset.counted = counted;
    };
    counting = setTimeout(countNow, shared.counts ? COUNT_MS : 0);
  };
  signal.addEventListener("abort", () => clearTimeout(counting));

  return {
    scene,
    painted,
    recolor() {
      colored = false;
      counted = "";
    },
    paint() {
      const { map, at } = view;
      if (!map?.known || !shared.raster) return;
      parts.host.style.height = `${hostHeight(map, parts.host, model.get("height"))}px`;
      if (!parts.host.clientWidth) return; // in a hidden tab; the size observer calls again
      if (!colored) readColors();
      const [width, height] = at.size();
      Object.assign(scene, {
        canvas: parts.canvas,
        map,
        raster: shared.raster,
        camera: at.now(),
        width,
        height,
        ratio: window.devicePixelRatio || 1,
        chosen: view.chosen,
        cursor: at.cursor,
        cursorShown: parts.host.matches(":focus-within"),
        zoneWords,
        holeWords: (frames) => `${text("framemap.gap")} · ${sizeWords(frames * map.page_size)}`,
      });
      paint(scene);
      parts.overview.hidden = !at.camera;
      if (at.camera) paintOverview(parts.overview, scene, overviewBox(map));
      painted();
      countLater();
    },
  };
}

function headline(map, frames) {
  const words = text("framemap.frames", { count: `${map.step > 1 ? "≈ " : ""}${count(frames)}` });
  return [map.name, words, sizeWords(frames * map.page_size)].join(" · ");
}

function hostHeight(map, host, told) {
  if (told) return told;
  const width = Math.max(1, host.clientWidth - GUTTER);
  return Math.round(Math.min(HEIGHT, Math.max(LEAST, (width / map.columns) * map.height)));
}

// The canvas mixes colours with the paper, so it has to know it as #rrggbb.
function opaque(color, theme) {
  if (/^#[0-9a-f]{6}$/i.test(color)) return color;
  if (/^#[0-9a-f]{3}$/i.test(color)) return "#" + [...color.slice(1)].map((digit) => digit + digit).join("");
  const parts = color.match(/^rgb\((\d+), ?(\d+), ?(\d+)\)$/);
  if (parts) return "#" + parts.slice(1).map((part) => Number(part).toString(16).padStart(2, "0")).join("");
  return { white: "#ffffff", black: "#000000" }[color] ?? (theme === "dark" ? "#16191d" : "#ffffff");
}
