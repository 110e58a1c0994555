// Which part of the map is on screen: the cell in the middle, and pixels a cell.

const CLOSEST = 160;

/** The whole map in a window of width x height. */
export function fitCamera(map, width, height) {
  const scale = Math.min(width / map.columns, height / map.height);
  return { x: map.columns / 2, y: map.height / 2, scale };
}

/** Keep the map in the window. */
export function clampCamera(camera, map, width, height) {
  const fit = fitCamera(map, width, height).scale;
  const scale = Math.min(CLOSEST, Math.max(fit, camera.scale));
  const clamp = (value, all, seen) => (seen >= all ? all / 2 : Math.min(all - seen / 2, Math.max(seen / 2, value)));
  return {
    x: clamp(camera.x, map.columns, width / scale),
    y: clamp(camera.y, map.height, height / scale),
    scale,
  };
}

/** Zoom by `factor`, keeping what lies under the window's point (px, py). */
export function zoomAt(camera, factor, px, py, width, height) {
  const scale = camera.scale * factor;
  const dx = px - width / 2;
  const dy = py - height / 2;
  return { x: camera.x + dx / camera.scale - dx / scale, y: camera.y + dy / camera.scale - dy / scale, scale };
}

/** The cell (with fractions) at a point of the window. */
export function cellAt(camera, px, py, width, height) {
  return [camera.x + (px - width / 2) / camera.scale, camera.y + (py - height / 2) / camera.scale];
}

/** The point of the window at a cell's upper left corner. */
export function pointOf(camera, x, y, width, height) {
  return [(x - camera.x) * camera.scale + width / 2, (y - camera.y) * camera.scale + height / 2];
}
