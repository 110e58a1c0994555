// Where the view is: camera and cursor, and the ways to move them.

import { put } from "../_front/shell.js";
import { GUTTER } from "./canvas.js";
import { clampCamera, fitCamera, pointOf, zoomAt } from "./camera.js";
import { indexOf, pfnOfRow, placeOf, zoneOf } from "./geometry.js";

const CLOSE = 24; // pixels a cell when going to a frame from afar
const APART = 5; // pixels that the eye can tell apart

/** Camera and cursor of a view. `camera` is null while the whole map is shown. */
export class Navigation {
  constructor(view) {
    this.view = view;
    this.camera = null;
    this.cursor = view.model.get("cursor");
  }

  get map() {
    return this.view.map;
  }

  /** Width and height of the map's window in CSS pixels. */
  size() {
    const { host } = this.view.parts;
    return [Math.max(1, host.clientWidth - GUTTER), Math.max(1, host.clientHeight)];
  }

  /** The camera in force. */
  now() {
    const size = this.size();
    return clampCamera(this.camera ?? fitCamera(this.map, ...size), this.map, ...size);
  }

  readCamera() {
    const [x, y, scale] = this.view.model.get("camera");
    this.camera = scale ? { x, y, scale } : null;
  }

  /** Show another part; null: the whole map. */
  look(next) {
    const size = this.size();
    const near = next && clampCamera(next, this.map, ...size);
    this.camera = near && near.scale > fitCamera(this.map, ...size).scale * 1.0001 ? near : null;
    this.view.card.hide();
    this.view.draw();
    // ipywidgets has one message on the way at most and sends the latest after it: no need to hold back here.
    const { x, y, scale } = this.camera ?? {};
    put(this.view.model, { camera: this.camera ? [x, y, scale] : [] });
  }

  /** Zoom around a point of the window: the cursor if it is on screen, else the middle, where none is given. */
  zoom(factor, point) {
    const [width, height] = this.size();
    this.look(zoomAt(this.now(), factor, ...(point ?? this.cursorPoint() ?? [width / 2, height / 2]), width, height));
  }

  /** Where the cursor is in the window; null where it is not. */
  cursorPoint() {
    const place = this.cursor === null ? null : placeOf(this.map, this.cursor);
    if (!place) return null;
    const [width, height] = this.size();
    const [x, y] = pointOf(this.now(), place[0] + 0.5, place[1] + 0.5, width, height);
    return x >= 0 && x <= width && y >= 0 && y <= height ? [x, y] : null;
  }

  /** Bring a frame to the middle. */
  goTo(pfn) {
    const place = placeOf(this.map, pfn);
    if (place) this.look({ x: place[0] + 0.5, y: place[1] + 0.5, scale: Math.max(this.now().scale, this.camera ? 0 : CLOSE) });
  }

  /** Put the cursor on a frame, and follow it with the camera. */
  setCursor(pfn, { follow = true } = {}) {
    this.view.card.hide();
    this.cursor = Math.min(this.map.end - 1, Math.max(this.map.start, pfn));
    if (follow && this.camera && !this.cursorPoint()) this.goTo(this.cursor);
    this.view.tell();
    put(this.view.model, { cursor: this.cursor });
    this.view.draw();
  }

  /** Move the cursor; from afar a step is what the eye can tell apart. */
  move(columns, rows) {
    if (this.cursor === null) {
      this.setCursor(this.map.start);
      return;
    }
    const { scale } = this.now();
    const far = scale >= APART ? 1 : 2 ** Math.ceil(Math.log2(APART / scale));
    this.setCursor(this.cursor + (columns + rows * this.map.columns) * far * this.map.step);
  }

  /** To the next frame of another kind. */
  nextKind() {
    const codes = this.view.shared.wire.state.bytes;
    const { map } = this;
    let at = indexOf(map, this.cursor ?? map.start);
    const kind = map.kind[codes[at]];
    while (at < codes.length && map.kind[codes[at]] === kind) at += 1;
    if (at < codes.length) this.setCursor(map.start + at * map.step);
  }

  /** A screen up (-1) or down (1). */
  screens(sign) {
    const now = this.now();
    const rows = Math.max(1, Math.floor((this.size()[1] / now.scale) * 0.9)) * sign;
    this.look({ ...now, y: now.y + rows });
    if (this.cursor !== null) this.setCursor(this.cursor + rows * this.map.columns * this.map.step);
  }

  /** Frames of the rows on screen: first, and the one behind the last. */
  onScreen() {
    const { map } = this;
    const now = this.now();
    const half = this.size()[1] / now.scale / 2;
    const rows = [Math.max(0, Math.floor(now.y - half)), Math.min(map.height - 1, Math.ceil(now.y + half) - 1)];
    const [first, last] = rows.map((row) => pfnOfRow(map, row));
    return [Math.max(map.start, first), Math.min(map.end, last + map.columns * map.step)];
  }

  /** Show all of a zone. */
  showZone(zone) {
    const { map } = this;
    const first = zone && placeOf(map, Math.max(zone.start, map.start));
    const last = zone && placeOf(map, Math.min(zone.end, map.end) - 1);
    if (!first || !last) return;
    const [width, height] = this.size();
    const rows = last[1] - first[1] + 1;
    const columns = rows > 1 ? map.columns : last[0] - first[0] + 1;
    const x = rows > 1 ? map.columns / 2 : first[0] + columns / 2;
    this.look({ x, y: first[1] + rows / 2, scale: Math.min(width / columns, height / rows) });
  }

  /** Choose frames, for all linked widgets. */
  choose(start, count = this.map.step) {
    const zone = zoneOf(this.map, start);
    this.view.shared.focus.set({ ...(zone ? { node: zone.node, zone: zone.zone } : {}), start, count });
  }

  /** Show a kind only, or no longer only. */
  toggle(name) {
    const only = this.view.model.get("only");
    put(this.view.model, { only: only.includes(name) ? only.filter((each) => each !== name) : [...only, name] });
  }
}
