// Where things stand on the floors; no DOM here.

/** Pages of a zone that its width stands for. */
export function pagesOf(zone) {
  if (zone.spanned) return zone.spanned;
  if (zone.present !== null && zone.present !== undefined) return zone.present;
  return (zone.free_area ?? []).reduce((sum, [order, blocks]) => sum + blocks * 2 ** order, 0);
}

/** Whether every zone with memory says where it begins. */
export function hasAddresses(nodes) {
  return nodes.every((node) => node.zones.every((zone) => !pagesOf(zone) || (zone.start_pfn !== null && zone.spanned)));
}

/**
 * Bands {node, zone, from, to} in pages, ascending: by address where addresses are known,
 * else side by side.
 */
export function bandsOf(nodes) {
  const bands = [];
  const known = hasAddresses(nodes);
  let at = 0;
  for (const node of nodes) {
    for (const zone of node.zones) {
      const pages = pagesOf(zone);
      if (!pages) continue;
      const from = known ? zone.start_pfn : at;
      bands.push({ node, zone, from, to: from + pages });
      at = from + pages;
    }
  }
  return bands.sort((a, b) => a.from - b.from);
}

/** First and last page of some bands. */
export function extent(bands) {
  if (!bands.length) return [0, 1];
  return [Math.min(...bands.map((band) => band.from)), Math.max(...bands.map((band) => band.to))];
}

/** A function page -> x, linear. */
export function scale([from, to], [left, right]) {
  const per = (right - left) / (to - from || 1);
  return (page) => left + (page - from) * per;
}

/**
 * Put labels of given widths near their ideal middles, in a row from left to right, without overlap.
 * Returns the left edge of each.
 */
export function spread(labels, [left, right], gap = 6) {
  const edges = [];
  let at = left;
  for (const { middle, width } of labels) {
    const x = Math.max(at, middle - width / 2);
    edges.push(x);
    at = x + width + gap;
  }
  let limit = right;
  for (let i = labels.length - 1; i >= 0; i -= 1) {
    edges[i] = Math.max(left, Math.min(edges[i], limit - labels[i].width));
    limit = edges[i] - gap;
  }
  return edges;
}

/** Round distances in bytes for an axis: about `about` of them from `from` to `to`. */
export function ticks(from, to, about = 6) {
  const step = 2 ** Math.ceil(Math.log2(Math.max(1, (to - from) / about)));
  const first = Math.ceil(from / step) * step;
  const found = [];
  for (let at = first; at <= to; at += step) found.push(at);
  return found;
}

/** Piece `index` of `pieces`: [first page, pages], as facts.py cuts a zone. */
export function piece(zone, index, pieces) {
  const from = Math.floor((zone.spanned * index) / pieces);
  const to = Math.floor((zone.spanned * (index + 1)) / pieces);
  return [zone.start_pfn + from, to - from];
}

/** The piece that a frame lies in. */
export function pieceOf(zone, pfn, pieces) {
  const at = Math.floor(((pfn - zone.start_pfn) * pieces + pieces - 1) / zone.spanned);
  return Math.min(Math.max(at, 0), pieces - 1);
}
