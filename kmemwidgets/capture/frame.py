"""What a snapshot knows of one frame."""

from __future__ import annotations

from kmemwidgets.records import MIGRATETYPES, FrameInfo, Snapshot, ZoneInfo


def frame_of(snapshot: Snapshot, pfn: int) -> FrameInfo:
    """Return all that is known of a frame; IndexError where no zone and no table holds it."""
    zone = snapshot.zone_of(pfn)
    inside = snapshot.frames is not None and snapshot.frames.start_pfn <= pfn < snapshot.frames.end_pfn
    if zone is None and not inside:
        raise IndexError(f"no frame {pfn:#x}")
    flags = snapshot.frames[pfn] if inside and snapshot.frames is not None else None
    counts = snapshot.frame_tables.get("mapcount")
    mapcount = counts[pfn] if counts and counts.start_pfn <= pfn < counts.end_pfn else None
    if zone is None:
        return FrameInfo(pfn, flags=flags, mapcount=mapcount)
    head, order, migratetype = _free_block(zone, pfn)
    state = "free" if order is not None else _on_cpu_list(zone, pfn)
    return FrameInfo(
        pfn,
        nid=zone.nid,
        zone=zone.name,
        flags=flags,
        mapcount=mapcount,
        order=order,
        head=head,
        migratetype=migratetype or _block_type(snapshot, zone, pfn),
        state=state,
    )


def _free_block(zone: ZoneInfo, pfn: int) -> tuple[int | None, int | None, str | None]:
    """Find the free block that holds a frame: a block of order n begins at a multiple of 2**n."""
    for area in zone.free_area or ():
        head = pfn >> area.order << area.order
        for kind, pfns in (area.lists or {}).items():
            if head in pfns:
                return head, area.order, kind
    return None, None, None


def _on_cpu_list(zone: ZoneInfo, pfn: int) -> str | None:
    for pageset in zone.pagesets:
        for index, pfns in enumerate(pageset.lists or ()):
            # 3 * order + migrate type up to order 3 (order_to_pindex); a longer block holds the frame as well.
            order = index // 3 if index < 12 else 0
            if pfn >> order << order in pfns:
                return f"on the per-cpu list {index} of cpu {pageset.cpu}"
    return None


def _block_type(snapshot: Snapshot, zone: ZoneInfo, pfn: int) -> str | None:
    if zone.pageblock_types is None or snapshot.pageblock_order is None or zone.start_pfn is None:
        return None
    index = (pfn >> snapshot.pageblock_order) - (zone.start_pfn >> snapshot.pageblock_order)
    return MIGRATETYPES[zone.pageblock_types[index]] if index < len(zone.pageblock_types) else None
