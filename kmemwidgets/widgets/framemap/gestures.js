// What each gesture of the table (Python: FrameMap.GESTURES) does in the browser.

import { download } from "../_front/dom.js";
import { put } from "../_front/shell.js";
import { exportSvg } from "./export.js";
import { describe } from "./words.js";

/** Gesture -> what it does; nothing where no frame's position is known. */
export function gesturesOf(view) {
  const { model, shared } = view;
  const named = (ending) => `${view.map.name}-frames.${ending}`;
  const gestures = {
    left: () => view.at.move(-1, 0),
    right: () => view.at.move(1, 0),
    up: () => view.at.move(0, -1),
    down: () => view.at.move(0, 1),
    page_up: () => view.at.screens(-1),
    page_down: () => view.at.screens(1),
    home: () => view.at.setCursor(view.map.start),
    end: () => view.at.setCursor(view.map.end - 1),
    next_kind: () => view.at.nextKind(),
    zoom_in: () => view.at.zoom(2),
    zoom_out: () => view.at.zoom(0.5),
    fit() {
      if (!view.map.whole) put(model, { part: [] });
      view.at.look(null);
    },
    part: () => put(model, { part: view.at.onScreen(), camera: [] }),
    select: () => view.at.cursor !== null && view.at.choose(view.at.cursor),
    clear: () => shared.focus.set({}),
    filter() {
      const frame = describe(view.map, shared.wire.state.bytes, view.at.cursor);
      if (frame) view.at.toggle(frame.kind.name);
    },
    all: () => put(model, { only: [] }),
    color() {
      const { tables } = view.map;
      if (tables.length > 1) put(model, { color_by: tables[(tables.indexOf(model.get("color_by")) + 1) % tables.length] });
    },
    png: () => view.parts.canvas.toBlob((blob) => download(blob, named("png"))),
    svg: () => download(exportSvg(view.painter.scene, model.get("only")), named("svg")),
  };
  const where = (gesture) => (given) => {
    if (view.map?.known) gesture(given);
  };
  return Object.fromEntries(Object.entries(gestures).map(([name, gesture]) => [name, where(gesture)]));
}
