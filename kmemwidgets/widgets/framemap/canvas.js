// The map's canvas: cells, words in them where there is room, zones, cursor, choice.

import { hex } from "../_front/format.js";
import { NONE } from "./raster.js";
import { cellAt, pointOf } from "./camera.js";
import { pfnAt, placeOf, shortHoles } from "./geometry.js";

export const GUTTER = 84;
const SEPARATE = 7; // from this many pixels a cell on, cells stand apart
const LABELLED = 46; // ... have their number
const WORDED = 84; // ... and their flags

/** "#rrggbb" as a pixel of little-endian ImageData. */
export function pixel(color) {
  const value = Number.parseInt(color.slice(1, 7), 16);
  return ((255 << 24) | ((value & 255) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}

/** Mix two colours; share 0 is the first. */
export function mix(a, b, share) {
  const part = (color, shift) => (Number.parseInt(color.slice(1, 7), 16) >> shift) & 255;
  const out = [16, 8, 0].map((shift) => Math.round(part(a, shift) * (1 - share) + part(b, shift) * share));
  return "#" + out.map((value) => value.toString(16).padStart(2, "0")).join("");
}

/** Colour of every code: dimmed where the legend has other kinds chosen. */
export function palette(map, theme, only, paper) {
  const colors = new Array(256).fill(paper);
  map.kind.forEach((index, code) => {
    const kind = map.kinds[index];
    const shown = !only.length || only.includes(kind.name);
    colors[code] = shown ? kind[theme] : mix(kind[theme], paper, 0.88);
  });
  return { colors, lut: Uint32Array.from(colors, pixel) };
}

/** Paint all. `scene`: canvas, map, raster, camera, width, height, ratio, theme, colors, lut, ink, soft, paper, accent, ... */
export function paint(scene) {
  const { canvas, width, height, ratio } = scene;
  const context = canvas.getContext("2d");
  const w = Math.round(width * ratio);
  const h = Math.round(height * ratio);
  const gutter = Math.round(GUTTER * ratio);
  if (canvas.width !== w + gutter || canvas.height !== h) {
    canvas.width = w + gutter;
    canvas.height = h;
  }
  paintCells(context, scene, gutter, w, h);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, GUTTER, height);
  context.save();
  context.beginPath();
  context.rect(GUTTER, 0, width, height);
  context.clip();
  context.translate(GUTTER, 0);
  paintHoles(context, scene);
  if (scene.camera.scale >= SEPARATE) paintGrid(context, scene);
  paintZoneLines(context, scene);
  paintMarks(context, scene);
  context.restore();
  paintGutter(context, scene);
}

function paintCells(context, scene, gutter, w, h) {
  const { raster, camera, ratio, lut } = scene;
  if (!scene.image || scene.image.width !== w || scene.image.height !== h) scene.image = new ImageData(w, h);
  const out = new Uint32Array(scene.image.data.buffer);
  const scale = camera.scale * ratio;
  raster.paint(out, w, h, camera.x - w / 2 / scale, camera.y - h / 2 / scale, scale, lut);
  context.putImageData(scene.image, gutter, 0);
}

function paintHoles(context, scene) {
  const { map, camera, width, height } = scene;
  for (const hole of shortHoles(map)) {
    const [x, y] = pointOf(camera, 0, hole.at, width, height);
    const w = map.columns * camera.scale;
    const h = hole.rows * camera.scale;
    if (y > height || y + h < 0) continue;
    context.save();
    context.beginPath();
    context.rect(x, y, w, h);
    context.clip();
    context.strokeStyle = scene.line;
    context.lineWidth = 1;
    context.beginPath();
    for (let at = Math.max(x, -h) - h; at < Math.min(x + w, width) + h; at += 8) {
      context.moveTo(at, y + h);
      context.lineTo(at + h, y);
    }
    context.stroke();
    if (h >= 13) {
      const words = scene.holeWords(hole.frames);
      context.font = scene.font(11);
      const middle = Math.max(0, x) + Math.min(w, width) / 2;
      const long = context.measureText(words).width + 16;
      context.fillStyle = scene.paper;
      context.fillRect(middle - long / 2, y + h / 2 - 8, long, 16);
      context.fillStyle = scene.soft;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillText(words, middle, y + h / 2);
    }
    context.restore();
  }
}

function visible(scene) {
  const { map, camera, width, height } = scene;
  const [x0, y0] = cellAt(camera, 0, 0, width, height).map(Math.floor);
  const [x1, y1] = cellAt(camera, width, height, width, height).map(Math.ceil);
  return [Math.max(0, x0), Math.max(0, y0), Math.min(map.columns, x1), Math.min(map.height, y1)];
}

function paintGrid(context, scene) {
  const { map, camera, raster, width, height, paper } = scene;
  const [x0, y0, x1, y1] = visible(scene);
  const { scale } = camera;
  const gap = scale > 24 ? 2 : 1;
  context.fillStyle = paper;
  for (let x = x0; x <= x1; x += 1) {
    const [px] = pointOf(camera, x, 0, width, height);
    context.fillRect(Math.round(px) - gap / 2, 0, gap, height);
  }
  for (let y = y0; y <= y1; y += 1) {
    const [, py] = pointOf(camera, 0, y, width, height);
    context.fillRect(0, Math.round(py) - gap / 2, width, gap);
  }
  if (scale < LABELLED) return;
  context.textBaseline = "top";
  context.textAlign = "left";
  for (let y = y0; y < y1; y += 1) {
    for (let x = x0; x < x1; x += 1) {
      const pfn = pfnAt(map, x, y);
      const code = raster.code(x, y);
      if (pfn === null || code === NONE) continue;
      const [px, py] = pointOf(camera, x, y, width, height);
      context.fillStyle = readable(scene.colors[code]);
      context.font = scene.mono(scale >= WORDED ? 11 : 10);
      context.fillText(hex(pfn).slice(2), px + 5, py + 5);
      if (scale < WORDED) continue;
      context.font = scene.font(10);
      const room = Math.floor((scale - 22) / 12);
      const words = map.words[code];
      const lines = words.length > room ? [...words.slice(0, room - 1), "…"] : words;
      lines.forEach((word, i) => context.fillText(word.toLowerCase(), px + 5, py + 20 + 12 * i, scale - 9));
    }
  }
}

/** Black or white, whichever is told apart better from `color`. */
export function readable(color) {
  const value = Number.parseInt(color.slice(1, 7), 16);
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = [value >> 16, (value >> 8) & 255, value & 255].map((v) => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

function paintZoneLines(context, scene) {
  const { map, camera, width, height } = scene;
  context.fillStyle = scene.ink;
  for (const zone of map.zones) {
    const place = placeOf(map, Math.max(zone.start, map.start));
    if (!place || zone.start <= map.start) continue;
    const [px, py] = pointOf(camera, ...place, width, height);
    const [left] = pointOf(camera, 0, 0, width, height);
    const [right] = pointOf(camera, map.columns, 0, width, height);
    context.fillRect(px, Math.round(py) - 1, right - px, 1);
    if (place[0] > 0) {
      context.fillRect(left, Math.round(py + camera.scale) - 1, px - left, 1);
      context.fillRect(px, py, 1, camera.scale);
    }
  }
}

function paintMarks(context, scene) {
  const { map, camera, width, height } = scene;
  const outline = (pfn, cells, color, wide) => {
    const place = placeOf(map, pfn);
    if (!place) return;
    // A range may go over several rows: one outline for each, at least 5 pixels large.
    for (let left = cells, [x, y] = place; left > 0 && y < map.height; [x, y] = [0, y + 1]) {
      const now = Math.min(left, map.columns - x);
      left -= now;
      const [px, py] = pointOf(camera, x, y, width, height);
      const w = Math.max(5, now * camera.scale);
      const h = Math.max(5, camera.scale);
      if (py > height || py + h < 0) continue;
      const cx = px + (now * camera.scale) / 2;
      const cy = py + camera.scale / 2;
      for (const [stroke, line] of [[scene.paper, wide + 3], [color, wide]]) {
        context.strokeStyle = stroke;
        context.lineWidth = line;
        context.strokeRect(cx - w / 2 - 1, cy - h / 2 - 1, w + 2, h + 2);
      }
      if (cells > map.columns * 400) break;
    }
  };
  if (scene.chosen) outline(scene.chosen.start, Math.ceil(scene.chosen.count / map.step), scene.accent, 2.5);
  if (scene.cursor !== null && scene.cursorShown) outline(scene.cursor, 1, scene.ink, 1.5);
}

function paintGutter(context, scene) {
  const { map, camera, height, width } = scene;
  context.save();
  context.beginPath();
  context.rect(0, 0, GUTTER, height);
  context.clip();
  // Zones as bands at the very left, named where there is room.
  for (const [i, zone] of map.zones.entries()) {
    const first = placeOf(map, Math.max(zone.start, map.start));
    const last = placeOf(map, Math.min(zone.end, map.end) - 1);
    if (!first || !last) continue;
    const y0 = Math.max(0, pointOf(camera, 0, first[1], width, height)[1]);
    const y1 = Math.min(height, pointOf(camera, 0, last[1] + 1, width, height)[1]);
    if (y1 <= y0) continue;
    context.fillStyle = i % 2 ? scene.band2 : scene.band;
    context.fillRect(0, y0, 16, y1 - y0 - (y1 < height ? 1 : 0));
    const name = scene.zoneWords(zone);
    context.font = scene.font(11);
    const long = context.measureText(name).width;
    const label = long + 8 <= y1 - y0 ? name : zone.zone;
    if (context.measureText(label).width + 6 <= y1 - y0) {
      context.save();
      context.translate(8, (y0 + y1) / 2);
      context.rotate(-Math.PI / 2);
      context.fillStyle = scene.ink;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillText(label, 0, 0.5);
      context.restore();
    }
  }
  // Page frame numbers of rows, at least 22 pixels apart, at even multiples.
  context.font = scene.mono(10.5);
  context.fillStyle = scene.soft;
  context.textAlign = "right";
  context.textBaseline = "middle";
  const every = 2 ** Math.max(0, Math.ceil(Math.log2(30 / camera.scale)));
  for (const [at, first, rows] of map.bands) {
    for (let row = Math.ceil(first / every) * every; row < first + rows; row += every) {
      const y = pointOf(camera, 0, at + row - first, width, height)[1] + Math.min(camera.scale / 2, 8);
      if (y < 6 || y > height - 4) continue;
      const pfn = Math.max(map.start, map.first + row * map.columns * map.step);
      context.fillText(hex(pfn), GUTTER - 6, y);
    }
  }
  context.restore();
}
