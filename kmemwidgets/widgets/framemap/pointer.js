// Mouse, pen and finger on the map and on its overview.

import { cellAt } from "./camera.js";
import { GUTTER } from "./canvas.js";
import { pfnAt } from "./geometry.js";

const STILL = 3; // pixels that a click may tremble

/** Bind them to a view. */
export function bindPointer(view) {
  const { canvas, overview, host } = view.parts;
  const known = () => Boolean(view.map?.known);
  let drag = null;

  const point = (event) => {
    const box = host.getBoundingClientRect();
    return [event.clientX - box.left - GUTTER, event.clientY - box.top];
  };
  const frameAt = (event) => {
    const [px, py] = point(event);
    if (px < 0) return null;
    const [x, y] = cellAt(view.at.now(), px, py, ...view.at.size()).map(Math.floor);
    return pfnAt(view.map, x, y);
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || !known()) return;
    canvas.setPointerCapture(event.pointerId);
    drag = { at: point(event), camera: view.at.now(), moved: false, from: frameAt(event) };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!known()) return;
    if (drag) {
      const [px, py] = point(event);
      const [dx, dy] = [px - drag.at[0], py - drag.at[1]];
      drag.moved ||= Math.hypot(dx, dy) > STILL;
      const { x, y, scale } = drag.camera;
      if (drag.moved && !event.shiftKey) view.at.look({ x: x - dx / scale, y: y - dy / scale, scale });
    }
    view.card.show(drag?.moved ? null : frameAt(event), event);
  });
  canvas.addEventListener("pointerup", (event) => {
    const done = drag;
    drag = null;
    const pfn = done && frameAt(event);
    if (pfn === null) return;
    if (!done.moved) click(pfn);
    else if (event.shiftKey && done.from !== null) {
      view.at.choose(Math.min(done.from, pfn), Math.abs(done.from - pfn) + view.map.step);
    }
  });
  canvas.addEventListener("pointercancel", () => {
    drag = null;
  });
  canvas.addEventListener("pointerleave", () => view.card.hide());
  canvas.addEventListener("dblclick", (event) => known() && view.at.zoom(4, point(event)));

  function click(pfn) {
    host.focus({ preventScroll: true });
    if (view.chosen?.start === pfn && view.chosen.count === view.map.step) {
      view.shared.focus.set({});
      return;
    }
    view.at.setCursor(pfn, { follow: false });
    view.at.choose(pfn);
  }

  host.addEventListener(
    "wheel",
    (event) => {
      // Without Ctrl the wheel scrolls the notebook, unless the reader has stepped into the map.
      if (!known() || !(event.ctrlKey || host.ownerDocument.activeElement === host)) return;
      event.preventDefault();
      view.at.zoom(2 ** (-event.deltaY / (event.deltaMode ? 6 : 240)), point(event));
    },
    { passive: false },
  );

  const overviewMove = (event) => {
    if (!(event.buttons & 1)) return;
    const box = overview.getBoundingClientRect();
    view.at.look({
      ...view.at.now(),
      x: ((event.clientX - box.left) / box.width) * view.map.columns,
      y: ((event.clientY - box.top) / box.height) * view.map.height,
    });
  };
  overview.addEventListener("pointerdown", overviewMove);
  overview.addEventListener("pointermove", overviewMove);
}
