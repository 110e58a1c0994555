// Frames and places on the map: the same arithmetic as layout.py.

/** Row of frames that is shown in map row `row`; -1 in a shortened hole or outside. */
export function frameRow(map, row) {
  for (const [at, first, rows] of map.bands) if (row >= at && row < at + rows) return first + row - at;
  return -1;
}

/** First frame of a cell, null where there is none. */
export function pfnAt(map, column, row) {
  const at = frameRow(map, row);
  if (at < 0 || column < 0 || column >= map.columns) return null;
  const pfn = map.first + (at * map.columns + column) * map.step;
  return pfn >= map.start && pfn < map.end ? pfn : null;
}

/** Where a map row begins, or the next row that is shown; may lie before the first frame. */
export function pfnOfRow(map, row) {
  for (const [at, first, rows] of map.bands) {
    if (row < at + rows) return map.first + (first + Math.max(0, row - at)) * map.columns * map.step;
  }
  return map.end;
}

/** Column and map row of a frame; null outside the map or in a shortened hole. */
export function placeOf(map, pfn) {
  if (pfn < map.start || pfn >= map.end) return null;
  const cell = Math.floor((pfn - map.first) / map.step);
  const row = Math.floor(cell / map.columns);
  for (const [at, first, rows] of map.bands) {
    if (row >= first && row < first + rows) return [cell % map.columns, at + row - first];
  }
  return null;
}

/** Number of a frame's cell in the bytes. */
export function indexOf(map, pfn) {
  return Math.floor((pfn - map.start) / map.step);
}

/** The shortened holes: map row, rows on the map, frames in it. */
export function shortHoles(map) {
  const holes = [];
  let at = 0;
  let row = 0;
  for (const [to, first, rows] of map.bands) {
    if (to > at) holes.push({ at, rows: to - at, frames: (first - row) * map.columns * map.step });
    at = to + rows;
    row = first + rows;
  }
  if (map.height > at) {
    const all = Math.ceil((map.end - map.first) / (map.columns * map.step));
    holes.push({ at, rows: map.height - at, frames: (all - row) * map.columns * map.step });
  }
  return holes;
}

/** The zone that holds a frame. */
export function zoneOf(map, pfn) {
  return map.zones.find((zone) => pfn >= zone.start && pfn < zone.end) ?? null;
}
