// What kmalloc does with a size (mm/slab_common.c: kmalloc_size_roundup, kmalloc_slab).

/** { kind: "nothing" | "cache" | "pages" | "refused", taken, cache, pages } */
export function answerTo(data, size, request) {
  if (size === 0 && !data.zero) return { kind: "nothing", taken: 0 };
  if (size > data.largest) return { kind: "refused", taken: 0 };
  const index = data.classes.findIndex(([bytes]) => size <= bytes);
  if (index >= 0) return { kind: "cache", taken: data.classes[index][0], cache: data.requests[request].names[index] };
  const taken = data.page_size << firstOrder(size, data.page_size);
  return { kind: "pages", taken, pages: taken / data.page_size };
}

/** Smallest order whose block holds `size` bytes (get_order). */
export function firstOrder(size, page) {
  let order = 0;
  while (page << order < size) order += 1;
  return order;
}
