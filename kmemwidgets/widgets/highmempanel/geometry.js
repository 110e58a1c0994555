// Where things lie: frames by their number, addresses on a scale on which each area can be seen.

/** Height of a frame above the bottom of physical memory, 0 to 1. */
export function framePart(pfn, end) {
  return Math.min(1, Math.max(0, pfn / end));
}

/**
 * A scale for the areas [{start, end}] (BigInt, ascending): each as high as the logarithm of its size, so that
 * none is too thin to be seen. Returns the areas with `from` and `to` (0 to 1), and `part(address)`.
 */
export function areaScale(areas) {
  const weights = areas.map(({ start, end }) => Math.max(1, (end - start).toString(2).length - 10));
  const sum = weights.reduce((a, b) => a + b, 0);
  let below = 0;
  const placed = areas.map((area, i) => {
    const from = below;
    below += weights[i] / sum;
    return { ...area, from, to: below };
  });
  const part = (address) => {
    const area = placed.find(({ start, end }) => address >= start && address < end);
    if (!area) return null;
    const inside = Number(((address - area.start) * 4096n) / (area.end - area.start)) / 4096;
    return area.from + (area.to - area.from) * inside;
  };
  return { placed, part };
}

/** All addresses of high frames just now: [{kind, pfn, address}], those of vmalloc for the frames that are told. */
export function mappings(live, page) {
  const base = BigInt(live.base);
  const found = [];
  live.pfns.forEach((pfn, slot) => {
    if (pfn >= 0) found.push({ kind: "pkmap", pfn, address: base + BigInt(slot * page), slot, users: live.counts[slot] - 1 });
  });
  for (const [, , pfn, address, , state] of live.local) if (state !== "out") found.push({ kind: "fixmap", pfn, address: BigInt(address) });
  for (const [start, pfns] of live.areas) {
    pfns.forEach((pfn, i) => found.push({ kind: "vmalloc", pfn, address: BigInt(start) + BigInt(i * page) }));
  }
  return found;
}
