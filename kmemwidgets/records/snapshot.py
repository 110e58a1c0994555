"""The waist: what a machine, real or simulated, looks like at one moment.

Each field carries the name that the kernel prints. Unknown is None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .frames import FrameTable
from .version import Version

MIGRATETYPES = ("Unmovable", "Movable", "Reclaimable", "HighAtomic", "CMA", "Isolate")


@dataclass(frozen=True, slots=True)
class PerCpuPages:
    """A cpu's page lists of one zone ("pagesets" of /proc/zoneinfo). Pages.

    `lists` is known only from a recorded free list or a simulated machine: one
    tuple of pfns for each index, head first. Linux before 2.6.25 has two lists,
    `pcp` 0 (hot) and 1 (cold), before 2.6.16 with a low mark each.
    """

    cpu: int
    count: int
    high: int
    batch: int
    high_min: int | None = None
    high_max: int | None = None
    vm_stats_threshold: int | None = None
    lists: tuple[tuple[int, ...], ...] | None = None
    pcp: int | None = None
    low: int | None = None


@dataclass(frozen=True, slots=True)
class FreeArea:
    """Free blocks of one order in one zone.

    Attributes
    ----------
    order : int
    nr_free : int
        Blocks of this order, all migrate types (/proc/buddyinfo).
    by_type : mapping of str to int, or None
        Blocks by migrate type (/proc/pagetypeinfo).
    lists : mapping of str to tuple of int, or None
        First pfn of every block in list order, head first.
    """

    order: int
    nr_free: int
    by_type: Mapping[str, int] | None = None
    lists: Mapping[str, tuple[int, ...]] | None = None


@dataclass(frozen=True, slots=True)
class ZoneInfo:
    """A zone of a node (/proc/zoneinfo). All figures in pages.

    Attributes
    ----------
    nid : int
    name : str
        "DMA", "DMA32", "Normal", "HighMem", "Movable", "Device".
    free, boost, min, low, high, promo : int or None
        NR_FREE_PAGES and the watermarks.
    spanned, present, managed, cma : int or None
    protection : tuple of int, or None
        lowmem_reserve.
    start_pfn : int or None
    stats : mapping of str to int
        The nr_... counters and numa counters of this zone, in the file's order.
    pagesets : tuple of PerCpuPages
    free_area : tuple of FreeArea, or None
        By order, 0 first.
    pageblock_types : bytes or None
        Migrate type of each page block from the one that holds `start_pfn`, as an
        index into MIGRATETYPES.
    """

    nid: int
    name: str
    free: int | None = None
    boost: int | None = None
    min: int | None = None
    low: int | None = None
    high: int | None = None
    promo: int | None = None
    spanned: int | None = None
    present: int | None = None
    managed: int | None = None
    cma: int | None = None
    protection: tuple[int, ...] | None = None
    start_pfn: int | None = None
    stats: Mapping[str, int] = field(default_factory=dict)
    pagesets: tuple[PerCpuPages, ...] = ()
    free_area: tuple[FreeArea, ...] | None = None
    pageblock_types: bytes | None = None
    reserved_highatomic: int | None = None
    free_highatomic: int | None = None

    @property
    def populated(self) -> bool:
        """Whether the zone has any memory at all (present_pages)."""
        return bool(self.present)


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A NUMA node (/sys/devices/system/node/nodeN). `ranges` are pfns, end exclusive."""

    nid: int
    cpus: tuple[int, ...] = ()
    distance: tuple[int, ...] = ()
    ranges: tuple[tuple[int, int], ...] = ()
    meminfo: Mapping[str, int] | None = None
    numastat: Mapping[str, int] | None = None
    stats: Mapping[str, int] = field(default_factory=dict)
    fallback: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class MemInfo:
    """/proc/meminfo: field to value in the file's order. kB, except HugePages_* (pages)."""

    values: Mapping[str, int]

    def __getitem__(self, name: str) -> int:
        return self.values[name]

    def get(self, name: str) -> int | None:
        """Return a field's value, or None where this kernel doesn't print it."""
        return self.values.get(name)


@dataclass(frozen=True, slots=True)
class VmStat:
    """/proc/vmstat: counter to value in the file's order. Pages or events."""

    values: Mapping[str, int]

    def get(self, name: str) -> int | None:
        """Return a counter's value, or None where this kernel doesn't print it."""
        return self.values.get(name)


@dataclass(frozen=True, slots=True)
class SlabPlaces:
    """Where a cache's slabs were when /sys/kernel/slab was read, which is seldom the moment of /proc/slabinfo.

    Attributes
    ----------
    slabs : int
        All of them (file ``slabs``).
    partial, objects_partial : int
        Slabs on the nodes' partial lists, and the objects in use in them.
    cpu_slabs : int
        Slabs of cpus: each cpu's own, and those on its partial list. A cpu without a slab of its own is left out
        with its list (mm/slub.c, show_slab_objects).
    cpu_partial_slabs : int
        Slabs on the cpus' partial lists (file ``slabs_cpu_partial``, the figure in brackets).
    """

    slabs: int
    partial: int
    objects_partial: int
    cpu_slabs: int
    cpu_partial_slabs: int


@dataclass(frozen=True, slots=True)
class SlabCacheInfo:
    """A slab cache (/proc/slabinfo and /sys/kernel/slab). Sizes in bytes, order as a power of two of pages.

    Of SLAB, the allocator before SLUB, also: slabs that are not empty, (limit, batchcount, sharedfactor), and
    objects in the array that all cpus share. Of a recording `places` are of the moment at which sysfs was read.
    With CONFIG_SLUB_STATS `stats` tell by file what each cpu did.
    """

    name: str
    object_size: int | None = None
    slab_size: int | None = None
    align: int | None = None
    order: int | None = None
    objs_per_slab: int | None = None
    min_partial: int | None = None
    cpu_partial: int | None = None
    active_objs: int | None = None
    num_objs: int | None = None
    slabs: int | None = None
    partial: int | None = None
    aliases: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    usersize: int | None = None
    ctor: str | None = None
    active_slabs: int | None = None
    tunables: tuple[int, int, int] | None = None
    sharedavail: int | None = None
    places: SlabPlaces | None = None
    stats: Mapping[str, tuple[int, ...]] | None = None


@dataclass(frozen=True, slots=True)
class VmallocArea:
    """A row of /proc/vmallocinfo. Bytes; `end` exclusive, guard page included."""

    start: int
    end: int
    size: int
    caller: str = ""
    pages: int | None = None
    phys: int | None = None
    flags: tuple[str, ...] = ()
    nodes: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Region:
    """A named range of addresses: a row of /proc/iomem (physical) or of a layout (virtual). `end` exclusive.

    `says` is what must be known of it besides; `physical` the physical address behind `start`, where addresses lead
    straight to memory, and for struct pages the address of the first frame that they describe.
    """

    start: int
    end: int
    name: str
    depth: int = 0
    space: str = "physical"
    says: str = ""
    physical: int | None = None


@dataclass(frozen=True, slots=True)
class Vma:
    """A row of /proc/PID/maps, with what smaps adds (kB). `end` exclusive."""

    start: int
    end: int
    perms: str
    offset: int = 0
    dev: str = "00:00"
    inode: int = 0
    path: str = ""
    smaps: Mapping[str, int] | None = None
    vm_flags: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SwapArea:
    """A row of /proc/swaps. kB."""

    path: str
    type: str
    size: int
    used: int
    priority: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A machine's memory at one moment.

    Attributes
    ----------
    name : str
        Whose it is.
    arch : str
    kernel : tuple of int
    page_size : int
        Bytes.
    cpus : int or None
    nodes : tuple of NodeInfo
    zones : tuple of ZoneInfo
        By node, then by zone index. Empty zones that the kernel prints are here too.
    frames : FrameTable or None
        struct-page flags of every frame; None where positions are unknown.
    frame_tables : mapping of str to FrameTable
        Further per-frame tables by kind ("order", "migratetype", "owner", "age").
    meminfo, vmstat, slabs, vmalloc, iomem, swaps, layout
        None where the source doesn't show them.
    files : tuple of str
        The files it was read from.
    instant : bool or None
        Whether all of them show one moment.
    notes : tuple of str
        What the reader should know, in words: "in a container with a limit of 512 MiB".
    time_ns : int or None
    """

    name: str
    arch: str
    kernel: Version
    page_size: int = 4096
    cpus: int | None = None
    nodes: tuple[NodeInfo, ...] = ()
    zones: tuple[ZoneInfo, ...] = ()
    frames: FrameTable | None = None
    frame_tables: Mapping[str, FrameTable] = field(default_factory=dict)
    meminfo: MemInfo | None = None
    vmstat: VmStat | None = None
    slabs: tuple[SlabCacheInfo, ...] | None = None
    vmalloc: tuple[VmallocArea, ...] | None = None
    iomem: tuple[Region, ...] | None = None
    swaps: tuple[SwapArea, ...] | None = None
    layout: tuple[Region, ...] | None = None
    vmas: tuple[Vma, ...] | None = None
    pageblock_order: int | None = None
    files: tuple[str, ...] = ()
    instant: bool | None = None
    notes: tuple[str, ...] = ()
    time_ns: int | None = None

    def zone(self, nid: int, name: str) -> ZoneInfo:
        """Return a zone by node and name; KeyError where there is none."""
        for zone in self.zones:
            if zone.nid == nid and zone.name == name:
                return zone
        raise KeyError(f"no zone {name} on node {nid}")

    def zone_of(self, pfn: int) -> ZoneInfo | None:
        """Return the zone whose span holds a frame, None where none does or spans are unknown."""
        for zone in self.zones:
            if zone.start_pfn is not None and zone.spanned and zone.start_pfn <= pfn < zone.start_pfn + zone.spanned:
                return zone
        return None

    # A snapshot is the simplest source: it never changes and has no verbs.
    def snapshot(self) -> Snapshot:
        """Return itself."""
        return self
