// What the kernel's own conversions make of an address: __pa, virt_to_page, page_to_pfn.

import { hex } from "../_front/format.js";
import { text } from "../_front/strings.js";

/** Rows [name, value] for an address of a space. */
export function translations(space, address, page) {
  const linear = space.maps.find((map) => address >= map.start && address < map.end);
  if (linear) {
    const physical = address - linear.start + linear.to;
    const pfn = physical / page;
    const rows = [
      [text("addressmap.pa"), hex(physical)],
      [text("addressmap.pfn"), hex(pfn)],
    ];
    if (space.vmemmap) rows.push([text("addressmap.page"), hex(space.vmemmap.start + pfn * space.vmemmap.size)]);
    return rows;
  }
  const memmap = space.vmemmap && space.regions.find((region) => region.group === "vmemmap");
  if (memmap && address >= space.vmemmap.start && address < memmap.end) {
    const pfn = (address - space.vmemmap.start) / space.vmemmap.size;
    return [
      [text("addressmap.pfn"), hex(pfn)],
      [text("addressmap.pa"), hex(pfn * page)],
    ];
  }
  return [];
}
