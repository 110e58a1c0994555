// The frames as a picture in rows, any part of which is painted at any scale in the time that the
// screen's pixels take, however many frames there are.
//
// From afar a pixel stands for a square of cells and shows one of them, picked by a hash of the
// square's place: shares stay what they are, no kind is mixed into a colour that means another, and
// nothing has to be kept or renewed beside the frames themselves.

import { frameRow } from "./geometry.js";

export const NONE = 255;

// At fewer pixels a cell than 2^-0.65 a pixel stands for more than one.
const CLOSE_ENOUGH = 0.35;

/** A number that looks random but is the same for the same place. */
function hash(x, y) {
  const h = Math.imul(x ^ Math.imul(y, 0x85ebca6b), 0xc2b2ae35);
  return Math.imul(h ^ (h >>> 15), 0x27d4eb2f) >>> 8;
}

/** The picture of one state of the wire. */
export class Raster {
  constructor(map, bytes) {
    this.bytes = bytes;
    this.width = map.columns;
    this.height = map.height;
    // Where each map row begins in the bytes. Cells before the first frame have indices below 0.
    this.rows = new Float64Array(map.height);
    const lead = (map.first - map.start) / map.step;
    for (let row = 0; row < map.height; row += 1) {
      const at = frameRow(map, row);
      this.rows[row] = at < 0 ? -Infinity : lead + at * map.columns;
    }
  }

  /** Code of a cell of the map, NONE where there is no frame. */
  code(x, y) {
    return this.bytes[this.rows[y] + x] ?? NONE;
  }

  /**
   * Paint into `out` (Uint32Array of width x height pixels): pixel (0, 0) shows the map at (left, top),
   * `scale` pixels a cell. `lut` has a colour for each code; lut[NONE] where there is no frame.
   */
  paint(out, width, height, left, top, scale, lut) {
    const level = Math.max(0, Math.floor(Math.log2(1 / scale) + CLOSE_ENOUGH));
    const side = 2 ** level;
    const across = new Int32Array(width);
    for (let x = 0; x < width; x += 1) {
      const column = Math.floor((left + (x + 0.5) / scale) / side);
      across[x] = column >= 0 && column * side < this.width ? column : -1;
    }
    let before = -1;
    for (let y = 0; y < height; y += 1) {
      const row = Math.floor((top + (y + 0.5) / scale) / side);
      const at = y * width;
      if (row === before) {
        out.copyWithin(at, at - width, at);
        continue;
      }
      before = row;
      if (row < 0 || row * side >= this.height) out.fill(lut[NONE], at, at + width);
      else if (level) this.paintSquares(out, at, across, row, level, lut);
      else this.paintCells(out, at, across, this.rows[row], lut);
    }
  }

  paintCells(out, at, across, base, lut) {
    const { bytes } = this;
    const end = bytes.length;
    for (let x = 0; x < across.length; x += 1) {
      const index = base + across[x];
      out[at + x] = across[x] < 0 || !(index >= 0) || index >= end ? lut[NONE] : lut[bytes[index]];
    }
  }

  paintSquares(out, at, across, row, level, lut) {
    const { bytes, rows, height } = this;
    const end = bytes.length;
    const mask = (1 << level) - 1;
    const top = row << level;
    for (let x = 0; x < across.length; x += 1) {
      const column = across[x];
      if (column < 0) {
        out[at + x] = lut[NONE];
        continue;
      }
      const h = hash(column, row);
      let y = top + ((h >> level) & mask);
      if (y >= height) y = top;
      let index = rows[y] + (column << level) + (h & mask);
      // A frame is never lost beside no frame.
      if (!(index >= 0) || index >= end) index = rows[top] + (column << level);
      out[at + x] = !(index >= 0) || index >= end ? lut[NONE] : lut[bytes[index]];
    }
  }

  /** How many cells there are of each code. */
  counts() {
    const counts = new Uint32Array(256);
    const { bytes } = this;
    for (let i = 0; i < bytes.length; i += 1) counts[bytes[i]] += 1;
    return counts;
  }
}
