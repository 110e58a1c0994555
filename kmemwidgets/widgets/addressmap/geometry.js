// Where addresses lie on the screen. Addresses are BigInt: a double loses the page at the top of 64 bits.

const FINE = 1n << 20n;

/** A window {lo, size} kept inside [0, whole) and no smaller than a page. */
export function clampWindow({ lo, size }, whole, page) {
  let wide = size < page ? page : size;
  if (wide > whole) wide = whole;
  let low = lo < 0n ? 0n : lo;
  if (low + wide > whole) low = whole - wide;
  return { lo: low, size: wide };
}

/** Height above the bottom of the window, 0 to 1; outside the window less than 0 or more than 1. */
export function fraction(address, { lo, size }) {
  return Number(((address - lo) * FINE) / size) / Number(FINE);
}

/** The address at a height of 0 to 1. */
export function addressAt(part, { lo, size }) {
  return lo + (size * BigInt(Math.round(part * Number(FINE)))) / FINE;
}

/** Zoom by `factor` (under 1: closer), keeping what is at height `part` where it is. */
export function zoomAt({ lo, size }, part, factor, whole, page) {
  const wide = (size * BigInt(Math.max(1, Math.round(factor * 4096)))) / 4096n;
  const fixed = addressAt(part, { lo, size });
  const next = wide < page ? page : wide > whole ? whole : wide;
  const below = (next * BigInt(Math.round(part * Number(FINE)))) / FINE;
  return clampWindow({ lo: fixed - below, size: next }, whole, page);
}

/** A window that shows [start, end) with some air around it. */
export function around(start, end, whole, page) {
  const air = (end - start) / 12n;
  return clampWindow({ lo: start - air, size: end - start + 2n * air }, whole, page);
}

/** The window between two others, `t` from 0 to 1: sizes by equal factors, so that zooming keeps its pace. */
export function between(a, b, t) {
  if (t >= 1) return b;
  const ratio = Number((b.size * FINE) / (a.size || 1n)) / Number(FINE) || Number.MIN_VALUE;
  const size = BigInt(Math.round(Number(a.size) * ratio ** t)) || 1n;
  // The part of the way that the size has gone is the part that the centre has to go.
  const gone = ratio === 1 ? t : (1 - ratio ** t) / (1 - ratio);
  const from = a.lo + a.size / 2n;
  const to = b.lo + b.size / 2n;
  const centre = from + ((to - from) * BigInt(Math.round(gone * Number(FINE)))) / FINE;
  return { lo: centre - size / 2n, size };
}

/**
 * Places for labels that want to stand at `wants` (ascending, px) and must be `gap` apart inside [0, height].
 * Returns null where they don't fit.
 */
export function spread(wants, gap, height) {
  if (wants.length * gap > height) return null;
  const at = [];
  for (const want of wants) at.push(Math.max(want, at.length ? at[at.length - 1] + gap : gap / 2));
  let limit = height - gap / 2;
  for (let i = at.length - 1; i >= 0 && at[i] > limit; i -= 1) {
    at[i] = limit;
    limit -= gap;
  }
  return at;
}

/** Addresses for a ruler: multiples of a power of two, at most `most` of them in the window. */
export function ruler({ lo, size }, most) {
  let step = 1n;
  while (size / step > BigInt(most)) step <<= 1n;
  const marks = [];
  for (let at = ((lo + step - 1n) / step) * step; at <= lo + size; at += step) marks.push(at);
  return marks;
}

/** Index of the region that holds an address, -1 where none does. Regions ascend and don't overlap. */
export function regionAt(regions, address) {
  let low = 0;
  let high = regions.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (address < regions[middle].start) high = middle - 1;
    else if (address >= regions[middle].end) low = middle + 1;
    else return middle;
  }
  return -1;
}

/**
 * A scale on which every area can be seen: each is as high as the logarithm of its size.
 * `toPart(address)` gives a height of 0 to 1, `toAddress(part)` goes back.
 */
export function evenScale(regions) {
  const weights = regions.map(({ start, end }) => Math.max(1, (end - start).toString(2).length - 10));
  const sum = weights.reduce((a, b) => a + b, 0);
  let below = 0;
  const steps = regions.map(({ start, end }, i) => {
    const from = below;
    below += weights[i] / sum;
    return { start, end, from, to: below };
  });
  const last = steps[steps.length - 1];
  return {
    toPart(address) {
      const i = regionAt(steps, address);
      if (i < 0) return address >= last.end ? 1 : 0;
      const { start, end, from, to } = steps[i];
      return from + (to - from) * fraction(address, { lo: start, size: end - start });
    },
    toAddress(part) {
      const { start, end, from, to } = steps.find((step) => part <= step.to) ?? last;
      return addressAt((part - from) / (to - from), { lo: start, size: end - start });
    },
  };
}
