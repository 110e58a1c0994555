// The frames as a picture in rows, and ever smaller copies of it, from which any part
// is painted at any scale in the time that the screen's pixels take, however many frames there are.
//
// A cell of a copy is one of the four below it, picked by a hash of its place: shares
// stay what they are, and no kind is mixed into a colour that means another.

import { frameRow } from "./geometry.js";

export const NONE = 255;

const TALLEST = 24;

function pick(x, y) {
  const h = Math.imul(x * 0x9e3779b1 + y * 0x85ebca6b, 0xc2b2ae35);
  return (h >>> 13) & 3;
}

/** The picture of one state of the wire. */
export class Raster {
  constructor(map, bytes) {
    this.map = map;
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
    this.levels = [];
    this.buildLevels();
  }

  /** Code of a cell of the map, NONE where there is no frame. */
  code(x, y) {
    return this.bytes[this.rows[y] + x] ?? NONE;
  }

  buildLevels() {
    let { width, height } = this;
    for (let level = 1; level < TALLEST && (width > 1 || height > 1); level += 1) {
      width = Math.max(1, (width + 1) >> 1);
      height = Math.max(1, (height + 1) >> 1);
      this.levels.push({ width, height, codes: new Uint8Array(width * height) });
      this.fillLevel(level, 0, width, 0, height);
    }
  }

  fillLevel(level, x0, x1, y0, y1) {
    const { width, codes } = this.levels[level - 1];
    const below = level > 1 ? this.levels[level - 2] : null;
    const belowWidth = below ? below.width : this.width;
    const belowHeight = below ? below.height : this.height;
    for (let y = y0; y < y1; y += 1) {
      const upper = below ? 2 * y * belowWidth : this.rows[2 * y];
      const hasLower = 2 * y + 1 < belowHeight;
      const lower = !hasLower ? upper : below ? upper + belowWidth : this.rows[2 * y + 1];
      const source = below ? below.codes : this.bytes;
      for (let x = x0; x < x1; x += 1) {
        const left = 2 * x;
        const right = left + 1 < belowWidth ? left + 1 : left;
        const chosen = pick(x, y);
        let code = source[(chosen & 2 ? lower : upper) + (chosen & 1 ? right : left)] ?? NONE;
        if (code === NONE) {
          // A frame is never lost beside no frame.
          for (const at of [upper + left, upper + right, lower + left, lower + right]) {
            const other = source[at] ?? NONE;
            if (other !== NONE) code = other;
          }
        }
        codes[y * width + x] = code;
      }
    }
  }

  /** Renew the copies after the cells of `ranges` (start, length, ... in the bytes) changed. */
  update(ranges) {
    const lead = (this.map.start - this.map.first) / this.map.step;
    for (let i = 0; i < ranges.length; i += 2) {
      const first = ranges[i] + lead;
      const last = first + ranges[i + 1] - 1;
      const r0 = Math.floor(first / this.width);
      const r1 = Math.floor(last / this.width);
      for (const [at, from, rows] of this.map.bands) {
        const low = Math.max(r0, from);
        const high = Math.min(r1, from + rows - 1);
        if (low > high) continue;
        let [y0, y1] = [at + low - from, at + high - from];
        let [x0, x1] = r0 === r1 ? [first % this.width, last % this.width] : [0, this.width - 1];
        for (let level = 1; level <= this.levels.length; level += 1) {
          [x0, x1, y0, y1] = [x0 >> 1, x1 >> 1, y0 >> 1, y1 >> 1];
          this.fillLevel(level, x0, x1 + 1, y0, y1 + 1);
        }
      }
    }
  }

  /**
   * Paint into `out` (Uint32Array of width x height pixels): pixel (0, 0) shows the map at (left, top),
   * `scale` pixels a cell. `lut` has a colour for each code; lut[NONE] where there is no frame.
   */
  paint(out, width, height, left, top, scale, lut) {
    const level = Math.min(this.levels.length, Math.max(0, Math.floor(Math.log2(1 / scale) + 0.35)));
    const shrink = 2 ** level;
    const step = 1 / (scale * shrink);
    const columns = level ? this.levels[level - 1].width : this.width;
    const rows = level ? this.levels[level - 1].height : this.height;
    const source = level ? this.levels[level - 1].codes : this.bytes;
    const none = lut[NONE];
    const across = new Int32Array(width);
    for (let x = 0; x < width; x += 1) {
      const cell = Math.floor(left / shrink + (x + 0.5) * step);
      across[x] = cell >= 0 && cell < columns ? cell : -1;
    }
    let before = -1;
    for (let y = 0; y < height; y += 1) {
      const row = Math.floor(top / shrink + (y + 0.5) * step);
      const at = y * width;
      if (row === before) {
        out.copyWithin(at, at - width, at);
        continue;
      }
      before = row;
      const base = row < 0 || row >= rows ? -Infinity : level ? row * columns : this.rows[row];
      if (base === -Infinity) {
        out.fill(none, at, at + width);
        continue;
      }
      for (let x = 0; x < width; x += 1) {
        const cell = across[x];
        const code = cell < 0 ? undefined : source[base + cell];
        out[at + x] = code === undefined ? none : lut[code];
      }
    }
  }

  /** How many cells there are of each code. */
  counts() {
    const counts = new Array(256).fill(0);
    const bytes = this.bytes;
    for (let i = 0; i < bytes.length; i += 1) counts[bytes[i]] += 1;
    return counts;
  }
}
