// The kernel's own conversions: __pa and __va, virt_to_page and page_to_virt, page_to_pfn; and what it says where there
// is nothing.

import { hex } from "../_front/format.js";
import { text } from "../_front/strings.js";

/** What an address stands for: {physical, pfn, page}, each null where no conversion gives it; `image` if the kernel's. */
export function translate(space, address, pageSize) {
  const linear = space.maps.find((map) => address >= map.start && address < map.end);
  if (!linear) return { physical: null, pfn: null, page: null, image: false };
  const physical = BigInt.asUintN(64, address - linear.start + linear.to);
  return { physical, pfn: physical / pageSize, page: structPage(space, physical / pageSize), image: linear.image };
}

/** __va: the address in the direct map that leads to a physical one, null where none does. */
export function virtualOf(space, physical) {
  const map = space.maps.find(({ start, end, to, image }) => !image && physical >= to && physical - to < end - start);
  return map ? map.start + physical - map.to : null;
}

/** page_to_pfn: the frame that a struct page describes, null where none lies there. */
export function frameOf(space, page) {
  const map = space.memmaps.find(({ start, end }) => page >= start && page < end);
  return map ? map.pfn + (page - map.start) / map.size : null;
}

/** What there is to say of an address besides, as rows [name, value]; `digits` of an address. */
export function remarks(space, address, pageSize, digits) {
  if (translate(space, address, pageSize).physical !== null) return [];
  const pfn = frameOf(space, address);
  if (pfn !== null) return [[text("addressmap.pfn.of"), hex(pfn)], [text("addressmap.pa.of"), hex(pfn * pageSize)]];
  const region = space.regions.find((each) => address >= each.start && address < each.end);
  if (region?.answer) return [[text("addressmap.answer"), region.answer.replaceAll("{address}", address.toString(16).padStart(digits, "0"))]];
  if (region?.group === "user") return [[text("addressmap.tables"), text("addressmap.tables.user")]];
  if (["vmalloc", "modules", "fixmap", "pkmap"].includes(region?.group)) return [[text("addressmap.tables"), text("addressmap.tables.kernel")]];
  return [];
}

function structPage(space, pfn) {
  for (const map of space.memmaps) {
    const page = map.start + (pfn - map.pfn) * map.size;
    if (page >= map.start && page < map.end) return page;
  }
  return null;
}
