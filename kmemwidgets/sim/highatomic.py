"""Page blocks kept for high-order atomic requests, and given back before another request fails (MIGRATE_HIGHATOMIC)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .events import OTHER, RESERVE_HIGHATOMIC
from .migratetype import HIGHATOMIC, MOVABLE, RECLAIMABLE, UNMOVABLE

if TYPE_CHECKING:
    from .page_alloc import PageAllocator
    from .zone_lists import ZoneLists


def reserve_highatomic(allocator: PageAllocator, live: ZoneLists, pfn: int, order: int, cpu: int) -> None:
    """Keep the page block around a high-order atomic allocation for more of its kind."""
    area = live.free_area
    block = 1 << allocator.shift
    limit = allocator.rules.watermark.highatomic_limit(live.zone.managed, block)
    old = area.types[pfn >> allocator.shift]
    if live.nr_reserved_highatomic >= limit or old not in (UNMOVABLE, MOVABLE, RECLAIMABLE):
        return
    if order < allocator.shift:
        start = pfn & -block
        if start < live.zone.start_pfn or start + block > live.zone.end_pfn:
            return
        area.set_types(start, block, HIGHATOMIC)
        area.move_freepages(start, start + block, HIGHATOMIC)
        live.nr_reserved_highatomic += block
    else:
        area.set_types(pfn, 1 << order, HIGHATOMIC)
        live.nr_reserved_highatomic += 1 << order
    allocator.marks_changed()
    if allocator.decisions:
        allocator.decisions((RESERVE_HIGHATOMIC, cpu, live.zone.nid, live.zone.name, pfn, live.nr_reserved_highatomic))


def unreserve_highatomic(allocator: PageAllocator, zones: Iterable[ZoneLists], mt: int, force: bool) -> bool:
    """Give one high-atomic page block back to a type before a request fails; tell whether pages moved."""
    block = 1 << allocator.shift
    for live in zones:
        if not force and live.nr_reserved_highatomic <= block:
            continue
        area = live.free_area
        for order in range(allocator.largest_order + 1):
            code = (order + 1) << 4 | HIGHATOMIC
            if not area.heads[code]:
                continue
            pfn = area.first(code)
            size = max(block, 1 << order)
            live.nr_reserved_highatomic -= min(size, live.nr_reserved_highatomic)
            start = pfn & -size
            area.set_types(start, size, mt)
            allocator.marks_changed()
            if allocator.decisions:
                given = {"nid": live.zone.nid, "zone": live.zone.name, "pfn": start, "migratetype": mt}
                allocator.decisions((OTHER, area.cpu, "sim", "unreserve_highatomic", given))
            if area.move_freepages(start, start + size, mt):
                return True
    return False
