// What the kernel's own conversions make of an address: __pa, virt_to_page, page_to_pfn; and what it says where there is
// nothing.

import { hex } from "../_front/format.js";
import { text } from "../_front/strings.js";

/** Rows [name, value] for an address of a space; `digits` of an address. */
export function translations(space, address, page, digits) {
  const linear = space.maps.find((map) => address >= map.start && address < map.end);
  if (linear) {
    const physical = BigInt.asUintN(64, address - linear.start + linear.to);
    const pfn = physical / page;
    const rows = [
      [text(linear.image ? "addressmap.pa.image" : "addressmap.pa"), hex(physical)],
      [text("addressmap.pfn"), hex(pfn)],
    ];
    const memmap = space.memmaps.find((map) => structPage(map, pfn) >= map.start && structPage(map, pfn) < map.end);
    if (memmap) rows.push([text("addressmap.page"), hex(structPage(memmap, pfn))]);
    return rows;
  }
  const memmap = space.memmaps.find((map) => address >= map.start && address < map.end);
  if (memmap) {
    const pfn = memmap.pfn + (address - memmap.start) / memmap.size;
    return [
      [text("addressmap.pfn.of"), hex(pfn)],
      [text("addressmap.pa.of"), hex(pfn * page)],
    ];
  }
  const region = space.regions.find((each) => address >= each.start && address < each.end);
  if (!region?.answer) return [];
  return [[text("addressmap.answer"), region.answer.replaceAll("{address}", address.toString(16).padStart(digits, "0"))]];
}

function structPage(map, pfn) {
  return map.start + (pfn - map.pfn) * map.size;
}
