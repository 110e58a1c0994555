"""A simulated page allocator in the state that a recording shows before its trace."""

from __future__ import annotations

import re

from kmemwidgets.capture import Capture
from kmemwidgets.procfs import freelists, zoneinfo
from kmemwidgets.procfs.freelists import FreeLists
from kmemwidgets.procfs.freelists import ZoneLists as RecordedZone
from kmemwidgets.records import MIGRATETYPES, MachineSpec, ZoneInfo
from kmemwidgets.sim.memmap import ON_PCP, UNKNOWN, UNKNOWN_LRU, MemMap
from kmemwidgets.sim.migratetype import MOVABLE, PCPTYPES
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.pcp import HUGE_LIST
from kmemwidgets.sim.rules.allocator import allocator_rules
from kmemwidgets.sim.zone_lists import ZoneLists

from .bounds import set_bounds

_FALLBACK = re.compile(r"Fallback order for Node (\d+): ([\d ]+)")
#: A byte of a kpageflags word to a frame's code: bit 5 is LRU.
_LRU_CODES = bytes(UNKNOWN_LRU if byte & 0x20 else UNKNOWN for byte in range(256))


def load_lists(capture: Capture, path: str) -> FreeLists | None:
    """Read recorded free lists, None where there are none."""
    text = capture.text_or_none(path)
    return freelists.parse(text, f"{capture.name}/{path}") if text else None


def start_allocator(capture: Capture, trace: str) -> PageAllocator | None:
    """Build an allocator in the state of ``TRACE/*.before``; None where no free lists were recorded then.

    Parameters
    ----------
    capture : Capture
    trace : str
        Folder of the trace, ``t_NAME``.
    """
    lists = load_lists(capture, f"{trace}/freelists.before")
    if lists is None:
        return None
    spec = capture.spec()
    info = _zone_infos(capture, trace)
    names = _zone_names(capture, lists)
    rules = allocator_rules(spec.kernel)
    pages = lists.pageblock_nr_pages or 512
    memmap = MemMap(max(zone.start_pfn + zone.spanned for zone in lists.zones), pages.bit_length() - 1)
    zones = [_zone(recorded, info.get((recorded.nid, recorded.name)), names) for recorded in lists.zones]
    allocator = PageAllocator(
        zones,
        memmap,
        rules,
        cpu_node=_cpu_nodes(capture, spec, lists),
        zone_names=names,
        node_order=_node_order(capture),
        huge_order=pages.bit_length() - 1 if spec.option("CONFIG_TRANSPARENT_HUGEPAGE") != "n" else -1,
        cma=spec.option("CONFIG_CMA") != "n" and spec.arch == "arm64",
    )
    _mark_frames(capture, trace, allocator)
    for live, recorded in zip(allocator.zones, lists.zones, strict=True):
        _fill(live, recorded, info.get((recorded.nid, recorded.name)))
    set_bounds(capture, spec, allocator.zones, tuple(info.values()))
    return allocator


def _zone_infos(capture: Capture, trace: str) -> dict[tuple[int, str], ZoneInfo]:
    text = capture.text_or_none(f"{trace}/zoneinfo.before")
    if not text:
        return {}
    return {(zone.nid, zone.name): zone for zone in zoneinfo.parse(text, f"{trace}/zoneinfo.before").zones}


def _zone_names(capture: Capture, lists: FreeLists) -> tuple[str, ...]:
    """Name this kernel's zone types in index order: every node of /proc/zoneinfo shows them all."""
    text = capture.text_or_none("proc/zoneinfo")
    if text:
        zones = zoneinfo.parse(text, "proc/zoneinfo").zones
        return tuple(zone.name for zone in zones if zone.nid == zones[0].nid)
    known = ("DMA", "DMA32", "Normal", "HighMem", "Movable")
    return tuple(name for name in known if name == "Movable" or any(zone.name == name for zone in lists.zones))


def _cpu_nodes(capture: Capture, spec: MachineSpec, lists: FreeLists) -> tuple[int, ...]:
    cpus = max([spec.cpus, *(cpu + 1 for zone in lists.zones for cpu in zone.pcp)])
    nodes = [0] * cpus
    for nid in capture.node_ids():
        text = capture.text_or_none(f"node/node{nid}.cpulist") or ""
        for part in text.strip().split(","):
            first, _, last = part.partition("-")
            if first.isdigit():
                for cpu in range(int(first), int(last or first) + 1):
                    if cpu < cpus:
                        nodes[cpu] = nid
    return tuple(nodes)


def _node_order(capture: Capture) -> tuple[tuple[int, ...], ...]:
    """Read the zonelists' node order as boot printed it."""
    found = _FALLBACK.findall(capture.text_or_none("dmesg.txt") or "")
    order = {int(nid): tuple(map(int, nodes.split())) for nid, nodes in found}
    return tuple(order.get(nid, (nid,)) for nid in range(max(order, default=-1) + 1))


def _zone(recorded: RecordedZone, info: ZoneInfo | None, names: tuple[str, ...]) -> Zone:
    zone = Zone(recorded.nid, names.index(recorded.name), recorded.name, recorded.start_pfn, recorded.spanned)
    zone.present = recorded.spanned
    zone.managed = recorded.managed or recorded.spanned
    if info is None:
        return zone
    boost = info.boost or 0
    zone.present = info.present or 0
    zone.managed = info.managed or 0
    # The printed marks contain the boost (min_wmark_pages and its kin).
    zone.wmark_min = (info.min or 0) - boost
    zone.wmark_low = (info.low or 0) - boost
    zone.wmark_high = (info.high or 0) - boost
    zone.wmark_promo = (info.promo or info.high or 0) - boost
    zone.watermark_boost = boost
    zone.lowmem_reserve = info.protection or ()
    return zone


def _mark_frames(capture: Capture, trace: str, allocator: PageAllocator) -> None:
    """Call every frame in use, on an LRU list or not, as kpageflags shows it."""
    path = f"{trace}/kpageflags.before"
    codes = capture.bytes(path)[0::8].translate(_LRU_CODES) if capture.has(path) else b""
    state = allocator.memmap.state
    for live in allocator.zones:
        start, end = live.zone.start_pfn, live.zone.end_pfn
        known = codes[start:end]
        state[start : start + len(known)] = known
        state[start + len(known) : end] = bytes((UNKNOWN,)) * (end - start - len(known))


def _fill(live: ZoneLists, recorded: RecordedZone, info: ZoneInfo | None) -> None:
    """Put a zone's recorded blocks on the lists, in their order."""
    area = live.free_area
    state = area.state
    if recorded.pageblock_types is not None:
        first = recorded.start_pfn >> area.memmap.pageblock_order
        area.types[first : first + len(recorded.pageblock_types)] = recorded.pageblock_types
    total = cma = 0
    for (order, name), pfns in recorded.free.items():
        mt = MIGRATETYPES.index(name)
        code = (order + 1) << 4 | mt
        size = 1 << order
        for pfn in reversed(pfns):
            state[pfn : pfn + size] = bytes(size)
            area.push_head(pfn, code)
        total += len(pfns) << order
        cma += len(pfns) << order if name == "CMA" else 0
    live.nr_free_pages = total
    live.nr_free_cma = cma
    for cpu, pcp in recorded.pcp.items():
        mine = live.pcps[cpu]
        mine.resize(pcp.batch, pcp.high, pcp.high)
        mine.high = pcp.high
        for index, pfns in enumerate(pcp.lists[: len(mine.lists)]):
            mine.lists[index][:] = reversed(pfns)
            order = index // PCPTYPES if index < HUGE_LIST else area.pcp_huge
            mine.count += len(pfns) << order
            for pfn in pfns:
                state[pfn : pfn + (1 << order)] = bytes(1 << order)
                state[pfn] = ON_PCP | _noted_type(index, area.types[pfn >> area.memmap.pageblock_order])
    if info is not None:
        _tune(live, info)


def _noted_type(index: int, block_type: int) -> int:
    """Return the type that a listed page will be freed as: CMA and high-atomic pages stand among movable ones."""
    if index >= HUGE_LIST:
        return MOVABLE if index > HUGE_LIST else block_type if block_type in (0, 2) else 0
    mt = index % PCPTYPES
    return block_type if mt == MOVABLE and block_type >= PCPTYPES else mt


def _tune(live: ZoneLists, info: ZoneInfo) -> None:
    """Take the amounts that only zoneinfo shows."""
    for pageset in info.pagesets:
        live.zone.stat_threshold = pageset.vm_stats_threshold or 0
