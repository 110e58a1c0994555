"""A recording's moments, and the Snapshot of each.

Of the files under proc/ each was read after the other. A set that shows one moment ends in the moment's name:
``snap/zoneinfo.after``, ``t_fork/zoneinfo.before``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from kmemwidgets.procfs import (
    buddyinfo,
    dmesg,
    freelists,
    iomem,
    kpagecount,
    kpageflags,
    meminfo,
    node_meminfo,
    numastat,
    pagetypeinfo,
    slabinfo,
    swaps,
    vmallocinfo,
    vmstat,
    zoneinfo,
)
from kmemwidgets.records import (
    MIGRATETYPES,
    BadInput,
    FrameTable,
    FreeArea,
    NodeInfo,
    PerCpuPages,
    Region,
    SlabCacheInfo,
    Snapshot,
    ZoneInfo,
)

from .address_ranges import address_ranges
from .description import cpu_list, log_of, numbers
from .slabs import caches_of, described, slab_rows

if TYPE_CHECKING:
    from .recording import Capture

Record = TypeVar("Record")

#: Of these files a moment is made; the others that a snapshot has are read at another one.
_OF_A_MOMENT = (
    "zoneinfo", "buddyinfo", "pagetypeinfo", "slabinfo", "vmstat", "meminfo", "kpageflags", "kpagecount", "freelists",
)  # fmt: skip

_PER_FRAME: tuple[str, ...] = ("kpageflags", "kpagecount")

#: Moments whose files were read one after the other.
_READ_IN_TURN = ("proc", "kpage")

#: Frames of which a table of free blocks is made: 256 GiB of 4 KiB pages.
MAX_FRAMES = 1 << 26

#: A frame that is no free block's, in the table of orders.
NOT_FREE = -1


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a moment's files are: NAME to path."""

    name: str
    paths: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """Return a file's path, None where the moment doesn't have it."""
        return self.paths.get(name)


def moments(capture: Capture) -> dict[str, Moment]:
    """Find a recording's moments by name: "proc", "snap", "kpage", "t_NAME/before", "t_NAME/after"."""
    files = set(capture.files())
    found: dict[str, dict[str, str]] = {}
    for path in sorted(files):
        folder, _, name = path.rpartition("/")
        base, _, when = name.partition(".")
        if base in _OF_A_MOMENT:
            if folder == "proc" and not when:
                found.setdefault("proc", {})[base] = path
            elif folder == "snap" and when == "after":
                found.setdefault("snap", {})[base] = path
            elif folder.startswith("t_") and when in ("before", "after"):
                found.setdefault(f"{folder}/{when}", {})[base] = path
    frames = {name: name for name in _PER_FRAME if name in files}
    if "freelists.at_kpage.txt" in files:
        # The frames of this set were read together with free lists and a buddyinfo of their own.
        beside = {
            "freelists": "freelists.at_kpage.txt",
            "zoneinfo": "proc/zoneinfo",
            "buddyinfo": "proc/buddyinfo.at_kpage",
        }
        found["kpage"] = frames | {name: path for name, path in beside.items() if path in files}
    elif "proc" in found:
        found["proc"].update(frames)
    return {name: Moment(name, paths) for name, paths in found.items()}


def take(capture: Capture, at: str | None) -> Snapshot:
    """Build the snapshot of a moment; None: the consistent set "snap" if there is one, else "proc"."""
    known = moments(capture)
    if at is None:
        at = "snap" if "snap" in known and known["snap"].get("zoneinfo") else "proc"
    if at not in known:
        raise BadInput(f"no moment {at!r}", where=capture.name, todo=f"one of {', '.join(known) or 'none'}")
    return _Builder(capture, known[at]).build()


class _Builder:
    """Reads a moment's files; what isn't there stays None."""

    def __init__(self, capture: Capture, moment: Moment) -> None:
        self.capture = capture
        self.moment = moment
        self.files: list[str] = []
        self.notes: list[str] = list(capture.notes)
        self.static = moment.name == "proc"

    def read(self, name: str, parse: Callable[[str, str], Record]) -> Record | None:
        """Parse a file of this moment."""
        return self._parse(self.moment.get(name), parse)

    def fixed(self, path: str, parse: Callable[[str, str], Record]) -> Record | None:
        """Parse a file that was read at no particular moment."""
        return self._parse(path if self.capture.has(path) else None, parse)

    def _parse(self, path: str | None, parse: Callable[[str, str], Record]) -> Record | None:
        if path is None:
            return None
        text = self.capture.text(path)
        if not text:
            return None
        record = parse(text, f"{self.capture.name}/{path}")
        self.files.append(path)
        return record

    def build(self) -> Snapshot:
        spec = self.capture.spec()
        lists = self.read("freelists", freelists.parse)
        kinds = self.read("pagetypeinfo", pagetypeinfo.parse)
        of_zones = self.read("zoneinfo", zoneinfo.parse)
        blocks = self.read("buddyinfo", buddyinfo.parse)
        zones = joined_zones(of_zones, blocks, kinds, lists)
        frames = self._frames()
        tables = self._tables(zones, lists) if lists else {}
        if counts := self._counts():
            tables["mapcount"] = counts
        memory = self.read("meminfo", meminfo.parse)
        counters = self.read("vmstat", vmstat.parse)
        areas = self.fixed("proc/vmallocinfo", vmallocinfo.parse)
        ranges = self.fixed("proc/iomem", iomem.parse)
        in_use = self._swaps()
        if areas and areas.hashed:
            self.notes.append("the addresses in vmallocinfo are hashed, as the kernel shows them to most readers")
        if areas and not self.static:
            self.notes.append("vmallocinfo was read at another moment")
        order = kinds.pageblock_order if kinds else None
        if order is None and lists and lists.pageblock_nr_pages:
            order = lists.pageblock_nr_pages.bit_length() - 1
        return Snapshot(
            name=self.capture.name,
            arch=spec.arch,
            kernel=spec.kernel,
            page_size=spec.page_size,
            cpus=spec.cpus,
            nodes=self._nodes(of_zones, zones),
            zones=zones,
            frames=frames,
            frame_tables=tables,
            meminfo=memory.info if memory else None,
            vmstat=counters.stat if counters else None,
            slabs=self._slabs(),
            vmalloc=areas.areas if areas else None,
            iomem=ranges.regions if ranges else None,
            swaps=in_use.areas if in_use else None,
            layout=self._layout(spec.arch),
            pageblock_order=order,
            files=tuple(self.files),
            instant=self.moment.name not in _READ_IN_TURN,
            notes=tuple(self.notes),
        )

    def _tables(self, zones: tuple[ZoneInfo, ...], lists: freelists.FreeLists) -> dict[str, FrameTable]:
        end = max(zone.start_pfn + zone.spanned for zone in lists.zones)
        if end <= MAX_FRAMES:
            return _tables(zones, lists, end)
        self.notes.append(f"{end} frames are too many for a table of free blocks")
        return {}

    def _frames(self) -> FrameTable | None:
        path = self.moment.get("kpageflags")
        if path is None:
            return None
        record = kpageflags.parse(self.capture.bytes(path), f"{self.capture.name}/{path}")
        self.files.append(path)
        if record.masked:
            self.notes.append(
                f"a byte a frame doesn't hold all combinations of flags; not shown: {', '.join(record.masked)}"
            )
        return record.frames

    def _counts(self) -> FrameTable | None:
        path = self.moment.get("kpagecount")
        if path is None:
            return None
        self.files.append(path)
        return kpagecount.parse(self.capture.bytes(path), f"{self.capture.name}/{path}")

    def _layout(self, arch: str) -> tuple[Region, ...] | None:
        if not self.capture.has("kcore.txt"):
            return None
        self.files.append("kcore.txt")
        return address_ranges(self.capture.text("kcore.txt"), arch)

    def _swaps(self) -> swaps.Swaps | None:
        folder, _, when = self.moment.name.partition("/")
        if when == "after" and self.capture.has(f"{folder}/swaps_after"):
            return self.fixed(f"{folder}/swaps_after", swaps.parse)
        return self.fixed("proc/swaps", swaps.parse)

    def _slabs(self) -> tuple[SlabCacheInfo, ...] | None:
        record = self.read("slabinfo", slabinfo.parse)
        rows = self.fixed("slab.tsv", slab_rows) or {}
        if record is None:
            return caches_of(rows) if rows and self.static else None
        return tuple(described(cache, rows, same_moment=self.static) for cache in record.caches)

    def _nodes(self, of_zones: zoneinfo.ZoneInfoFile | None, zones: tuple[ZoneInfo, ...]) -> tuple[NodeInfo, ...]:
        log = log_of(self.capture)
        nids = sorted({*self.capture.node_ids(), *(zone.nid for zone in zones)})
        stats = of_zones.node_stats if of_zones else {}
        return tuple(self._node(nid, log, stats.get(nid, {})) for nid in nids)

    def _node(self, nid: int, log: dmesg.BootLog, stats: Mapping[str, int]) -> NodeInfo:
        page_size = self.capture.spec().page_size
        prefix = f"node/node{nid}"
        cpus = cpu_list(self.capture.text_or_none(f"{prefix}.cpulist") or "")
        if not cpus and not self.capture.node_ids():
            cpus = tuple(range(self.capture.spec().cpus))
        distance = numbers(self.capture.text_or_none(f"{prefix}.distance") or "")
        ranges = [(row.start // page_size, row.end // page_size) for row in log.early_node_ranges if row.nid == nid]
        of_meminfo = self.fixed(f"{prefix}.meminfo", node_meminfo.parse) if self.static else None
        of_numastat = self.fixed(f"{prefix}.numastat", numastat.parse) if self.static else None
        return NodeInfo(
            nid,
            cpus=cpus,
            distance=distance,
            ranges=tuple(ranges),
            meminfo=of_meminfo.values if of_meminfo else None,
            numastat=of_numastat.values if of_numastat else None,
            stats=stats,
            fallback=dict(log.fallback).get(nid),
        )


def joined_zones(
    of_zones: zoneinfo.ZoneInfoFile | None,
    blocks: buddyinfo.BuddyInfo | None,
    kinds: pagetypeinfo.PageTypeInfo | None,
    lists: freelists.FreeLists | None,
) -> tuple[ZoneInfo, ...]:
    """Join what the files say of each zone."""
    by_order = {(zone.nid, zone.name): zone.nr_free for zone in blocks.zones} if blocks else {}
    by_lists = {(zone.nid, zone.name): zone for zone in lists.zones} if lists else {}
    zones = of_zones.zones if of_zones else tuple(map(_zone_of_lists, lists.zones)) if lists else ()
    if not zones:
        of_kinds = dict.fromkeys((nid, name) for nid, name, _ in kinds.free) if kinds else {}
        zones = tuple(ZoneInfo(nid, name) for nid, name in by_order or of_kinds)
    joined: list[ZoneInfo] = []
    for zone in zones:
        key = (zone.nid, zone.name)
        recorded = by_lists.get(key)
        areas = _free_areas(by_order.get(key), _types_of(kinds, key), recorded)
        zone = replace(zone, free_area=areas)
        if recorded:
            pagesets = _with_lists(zone.pagesets, recorded)
            types = recorded.pageblock_types
            start = zone.start_pfn if zone.start_pfn is not None else recorded.start_pfn
            zone = replace(zone, pagesets=pagesets, pageblock_types=types, start_pfn=start)
        joined.append(zone)
    return tuple(joined)


def _zone_of_lists(zone: freelists.ZoneLists) -> ZoneInfo:
    """Return what recorded lists alone say of a zone."""
    free = sum(count << order for order, count in zone.nr_free.items())
    pagesets = tuple(PerCpuPages(cpu, pcp.count, pcp.high, pcp.batch) for cpu, pcp in zone.pcp.items())
    return ZoneInfo(
        zone.nid,
        zone.name,
        free=free,
        spanned=zone.spanned,
        managed=zone.managed,
        start_pfn=zone.start_pfn,
        pagesets=pagesets,
    )


def _types_of(kinds: pagetypeinfo.PageTypeInfo | None, key: tuple[int, str]) -> dict[str, tuple[int, ...]]:
    if kinds is None:
        return {}
    return {kind: counts for (nid, zone, kind), counts in kinds.free.items() if (nid, zone) == key}


def _free_areas(
    nr_free: tuple[int, ...] | None, types: Mapping[str, tuple[int, ...]], lists: freelists.ZoneLists | None
) -> tuple[FreeArea, ...] | None:
    if nr_free is None and lists and lists.nr_free:
        nr_free = tuple(lists.nr_free.get(order, 0) for order in range(max(lists.nr_free) + 1))
    if nr_free is None and types:
        nr_free = tuple(map(sum, zip(*types.values(), strict=True)))
    if nr_free is None:
        return None
    areas: list[FreeArea] = []
    for order, count in enumerate(nr_free):
        of_order = None
        by_type = {kind: counts[order] for kind, counts in types.items() if order < len(counts)} or None
        if lists:
            of_order = {kind: pfns for (at, kind), pfns in lists.free.items() if at == order}
            by_type = by_type or {kind: len(pfns) for kind, pfns in of_order.items()}
        # ">100000" in pagetypeinfo: the kernel stopped counting, so the number isn't known.
        if by_type and any(value < 0 for value in by_type.values()):
            by_type = None
        areas.append(FreeArea(order, count, by_type, of_order))
    return tuple(areas)


def _with_lists(pagesets: tuple[PerCpuPages, ...], recorded: freelists.ZoneLists) -> tuple[PerCpuPages, ...]:
    return tuple(
        replace(pageset, lists=recorded.pcp[pageset.cpu].lists) if pageset.cpu in recorded.pcp else pageset
        for pageset in pagesets
    )


def _tables(zones: tuple[ZoneInfo, ...], lists: freelists.FreeLists, end: int) -> dict[str, FrameTable]:
    """Return a frame's order within its free block and its page block's migrate type, for the frames below `end`."""
    orders = max((order for zone in lists.zones for order in zone.nr_free), default=0) + 1
    of_order = bytearray([orders]) * end
    for zone in lists.zones:
        for (order, _), pfns in zone.free.items():
            block = bytes([order]) * (1 << order)
            for pfn in pfns:
                if pfn + len(block) <= end:
                    of_order[pfn : pfn + len(block)] = block
    labels = (*(f"free, order {order}" for order in range(orders)), "not free")
    tables = {"order": FrameTable(0, bytes(of_order), (*range(orders), NOT_FREE), "order", labels)}
    size = lists.pageblock_nr_pages
    if size and all(zone.pageblock_types is not None for zone in zones if zone.populated):
        unknown = len(MIGRATETYPES)
        types = bytearray([unknown]) * end
        for zone in lists.zones:
            first = zone.start_pfn // size * size
            spread = b"".join(bytes([kind]) * size for kind in zone.pageblock_types or b"")
            stop = zone.start_pfn + zone.spanned
            types[zone.start_pfn : stop] = spread[zone.start_pfn - first : stop - first]
        palette = (*range(unknown), unknown)
        tables["migratetype"] = FrameTable(0, bytes(types), palette, "migratetype", (*MIGRATETYPES, "unknown"))
    return tables
