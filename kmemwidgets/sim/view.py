"""A simulated machine as a Snapshot: its live records copied into the frozen ones that everybody reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kmemwidgets.records import (
    MIGRATETYPES,
    FrameInfo,
    FrameTable,
    FreeArea,
    MachineSpec,
    MemInfo,
    NodeInfo,
    PerCpuPages,
    Region,
    Snapshot,
    ZoneInfo,
)

from .boot import Booted
from .frames import FREE
from .meminfo import commit_limit, si_mem_available
from .memmap import IN_USE, ON_PCP, RESERVED
from .migratetype import CMA
from .mmzone import Zone
from .page_alloc import PageAllocator
from .zone_lists import ZoneLists
from .zone_sizes import NodeMemory, node_distances
from .zonelist import distance

#: Up to so many frames a snapshot holds them all; beyond, ask the machine for its frame_table.
SNAPSHOT_FRAMES = 1 << 25


def snapshot(
    spec: MachineSpec,
    booted: Booted,
    table: FrameTable,
    *,
    time_ns: int,
    layout: Sequence[Region] = (),
    notes: Sequence[str] = (),
) -> Snapshot:
    """Copy a machine's state."""
    frames = None
    if len(table.codes) <= SNAPSHOT_FRAMES:
        frames = FrameTable(table.start_pfn, bytes(table.codes), table.palette, table.kind, table.labels)
    else:
        notes = (*notes, "too many frames for a snapshot; a map asks the machine for them")
    return Snapshot(
        name=spec.name or spec.arch,
        arch=spec.arch,
        kernel=spec.kernel,
        page_size=spec.page_size,
        cpus=spec.cpus,
        nodes=_nodes(spec, booted),
        zones=_zones(booted),
        frames=frames,
        meminfo=meminfo(spec, booted),
        swaps=(),
        layout=tuple(layout) or None,
        pageblock_order=booted.memmap.pageblock_order,
        instant=True,
        notes=tuple(notes),
        time_ns=time_ns,
    )


def _nodes(spec: MachineSpec, booted: Booted) -> tuple[NodeInfo, ...]:
    cpu_node = spec.cpu_node or (0,) * spec.cpus
    nodes = sorted({zone.nid for zone in booted.zones})
    rows = node_distances(spec)
    return tuple(
        NodeInfo(
            nid=nid,
            cpus=tuple(cpu for cpu, home in enumerate(cpu_node) if home == nid),
            distance=tuple(distance(rows, nid, other) for other in nodes),
            ranges=tuple((entry.start_pfn, entry.end_pfn) for entry in booted.memory if entry.nid == nid),
            fallback=booted.node_order.get(nid),
        )
        for nid in nodes
    )


def _zones(booted: Booted) -> tuple[ZoneInfo, ...]:
    lists = {(live.zone.nid, live.zone.index): live for live in booted.page_alloc.zones}
    names = booted.reserves.settings.zone_names
    return tuple(_zone(zone, lists.get((zone.nid, zone.index)), len(names)) for zone in booted.zones)


def _zone(zone: Zone, live: ZoneLists | None, kinds: int) -> ZoneInfo:
    boost = zone.watermark_boost
    info = ZoneInfo(
        nid=zone.nid,
        name=zone.name,
        free=live.free_pages_now() if live else 0,
        boost=boost,
        min=zone.wmark_min + boost,
        low=zone.wmark_low + boost,
        high=zone.wmark_high + boost,
        promo=zone.wmark_promo + boost,
        spanned=zone.spanned,
        present=zone.present,
        managed=zone.managed,
        cma=live.free_area.pageblock_types().count(CMA) << live.free_area.memmap.pageblock_order if live else 0,
        protection=zone.lowmem_reserve or (0,) * kinds,
    )
    if live is None:
        return info
    return replace(info, start_pfn=zone.start_pfn, **lists_of(live))


def lists_of(live: ZoneLists) -> dict[str, Any]:
    """Copy a zone's lists and counters, by the fields of a `ZoneInfo`."""
    return {
        "free": live.free_pages_now(),
        "stats": {"nr_free_pages": live.free_pages_now(), "nr_free_cma": live.nr_free_cma + sum(live.diff_cma)},
        "pagesets": tuple(
            PerCpuPages(
                cpu=pcp.cpu,
                count=pcp.count,
                high=pcp.high,
                batch=pcp.batch,
                high_min=pcp.high_min,
                high_max=pcp.high_max,
                vm_stats_threshold=live.zone.stat_threshold,
                # The list's end is the kernel's head.
                lists=tuple(tuple(reversed(blocks)) for blocks in pcp.lists),
            )
            for pcp in live.pcps
        ),
        "free_area": tuple(
            FreeArea(order, sum(row), dict(zip(MIGRATETYPES, row, strict=False)))
            for order, row in enumerate(live.free_area.counts())
        ),
        "pageblock_types": live.free_area.pageblock_types(),
        "reserved_highatomic": live.nr_reserved_highatomic,
    }


def free_lists(booted: Booted, nid: int, zone: str, most: int) -> dict[tuple[int, str], tuple[int, ...]]:
    """Return what `heads_of` does, of a machine."""
    return heads_of(booted.page_alloc, nid, zone, most)


def heads_of(page_alloc: PageAllocator, nid: int, zone: str, most: int) -> dict[tuple[int, str], tuple[int, ...]]:
    """Copy the heads of a zone's buddy lists: a snapshot has only their lengths, since they may be long.

    Raises
    ------
    KeyError
        Where there is no such zone with memory.
    """
    for live in page_alloc.zones:
        if live.zone.nid == nid and live.zone.name == zone:
            lists = live.free_area.lists()
            return {(order, MIGRATETYPES[mt]): tuple(blocks[:most]) for (mt, order), blocks in lists.items()}
    raise KeyError(f"no zone {zone} with memory on node {nid}")


def meminfo(spec: MachineSpec, booted: Booted) -> MemInfo:
    """Return the fields of /proc/meminfo that a machine without page cache, swap and processes has."""
    unit = spec.page_size >> 10
    live = booted.page_alloc.zones
    managed = sum(zone.managed for zone in booted.zones)
    free = sum(entry.free_pages_now() for entry in live)
    low = sum(zone.wmark_low + zone.watermark_boost for zone in booted.zones)
    available = si_mem_available(free, booted.reserves.totalreserve_pages, low, 0, 0)
    values = {"MemTotal": managed, "MemFree": free, "MemAvailable": available}
    values.update(dict.fromkeys(("Buffers", "Cached", "SwapCached", "Active", "Inactive"), 0))
    if any(zone.name == "HighMem" for zone in booted.zones):
        high = sum(zone.managed for zone in booted.zones if zone.name == "HighMem")
        high_free = sum(entry.free_pages_now() for entry in live if entry.zone.name == "HighMem")
        values.update(HighTotal=high, HighFree=high_free, LowTotal=managed - high, LowFree=free - high_free)
    values.update(SwapTotal=0, SwapFree=0, CommitLimit=commit_limit(managed, 0, 0, 50, 0, spec.page_size))
    return MemInfo({name: pages * unit for name, pages in values.items()})


def frame(spec: MachineSpec, booted: Booted, table: FrameTable, pfn: int) -> FrameInfo:
    """Return all that a machine knows of one frame."""
    memmap = booted.memmap
    if not 0 <= pfn < memmap.max_pfn:
        raise IndexError(f"no frame {pfn:#x} in {spec.name}")
    code = table.codes[pfn]
    zone = next(
        (
            live.zone
            for live in booted.page_alloc.zones
            if live.zone.start_pfn <= pfn < live.zone.end_pfn
            and any(_owns(entry, live.zone, pfn) for entry in booted.memory)
        ),
        None,
    )
    order, head = block_of(booted.page_alloc, pfn)
    if head is None and zone is not None and code == FREE:
        # Handed over by boot as one of a run of largest blocks, and not touched since.
        order = booted.page_alloc.largest_order
        head = pfn & -(1 << order)
    return FrameInfo(
        pfn=int(pfn),
        nid=None if zone is None else zone.nid,
        zone=None if zone is None else zone.name,
        flags=table.palette[code],
        order=order,
        head=head,
        migratetype=None if zone is None else MIGRATETYPES[memmap.types[pfn >> memmap.pageblock_order]],
        state=table.labels[code],
    )


def block_of(page_alloc: PageAllocator, pfn: int) -> tuple[int | None, int | None]:
    """Return order and first frame of the block that a frame belongs to, free or in use; None where that is unknown."""
    head = page_alloc.memmap.head_of(pfn)
    if head < 0:
        return None, None
    state = page_alloc.memmap.state[head]
    if state < IN_USE:
        return (state >> 4) - 1, head
    if state < RESERVED and state & 0xF0 != ON_PCP:
        return state & 15, head
    return None, None


def _owns(entry: NodeMemory, zone: Zone, pfn: int) -> bool:
    return entry.nid == zone.nid and entry.start_pfn <= pfn < entry.end_pfn
