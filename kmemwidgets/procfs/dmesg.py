"""The memory lines of the kernel's log.

Which line comes from where: the firmware map from e820__print_table (arch/x86/kernel/e820.c), SRAT entries from
acpi_numa_memory_affinity_init (drivers/acpi/numa/srat.c), zone and node ranges from free_area_init, zonelists from
build_all_zonelists, the Memory: line from mem_init_print_info (mm/page_alloc.c, mm/mm_init.c since 6.5), "Freeing"
from free_reserved_area, and with memblock=debug every call of the early allocator (mm/memblock.c).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kmemwidgets.records import BadInput, MemoryRange, NodeRange

from ._lines import bad

LIMIT = 1 << 26

_TIME = re.compile(r"^(?:<[0-9]+>)?(?:\[ *[0-9]+\.[0-9]+\](?:\[ *[TC][0-9]+\])? )?")
_MEM = r"\[mem (0x[0-9a-f]{1,16})-(0x[0-9a-f]{1,16})\]"
# Linux before 3.5 printed "0000000000000000 - 000000000009fc00", the end exclusive.
_E820 = re.compile(rf"BIOS-(?:e820|e801|88): *(?:{_MEM}|([0-9a-f]{{16}}) - ([0-9a-f]{{16}})) (.+)")
_E820_KIND = re.compile(r"\((.+)\)")
_SRAT = re.compile(rf"(?:ACPI: )?SRAT: Node ([0-9]{{1,4}}) PXM [0-9]+ {_MEM}( hotplug)?( non-volatile)?")
_SRAT_CPU = re.compile(r"(?:ACPI: )?SRAT: PXM ([0-9]+) -> (?:APIC|X2APIC|MPIDR|GICC) (\S+) -> Node ([0-9]{1,4})")
_ZONE = re.compile(rf"  (\w+) +(?:{_MEM}|empty)")
_NODE = re.compile(rf"  node +([0-9]{{1,4}}): {_MEM}")
_NODE_DATA = re.compile(rf"(?:NUMA: )?NODE_DATA(?:\(([0-9]{{1,4}})\) allocated)? {_MEM}")
_INITMEM = re.compile(rf"Initmem setup node ([0-9]{{1,4}}) {_MEM}")
_MOVABLE = re.compile(r"  Node ([0-9]{1,4}): (0x[0-9a-f]{1,16})")
_FALLBACK = re.compile(r"Fallback order for Node ([0-9]{1,4}):((?: [0-9]+)*) ?")
_BUILT = re.compile(r"Built ([0-9]+) zonelists.*?Total pages: ([0-9]+)")
_MEMORY = re.compile(r"Memory: ([0-9]+)[kK]/([0-9]+)[kK] available \((.*)\)")
_PART = re.compile(r"([0-9]+)[kK] ([\w -]+)")
_FREEING = re.compile(r"Freeing (.+?)(?: memory)?: ([0-9]+)[kK](?: freed| \(.*\))?")
_RAMDISK = re.compile(rf"(RAMDISK|Allocated new RAMDISK): {_MEM}")
_CMA = re.compile(r"cma: Reserved ([0-9]+) MiB at (0x[0-9a-f]{1,16})")
_HASH = re.compile(r"(.+?) hash table entries: ([0-9]+) \(order: (-?[0-9]+), ([0-9]+) bytes(?:, (\w+))?\)")
_NR_CPU_IDS = re.compile(
    r"(?:setup_percpu: NR_CPUS:[0-9]+ nr_cpumask_bits:[0-9]+ nr_cpu_ids:|.*to nr_cpu_ids=)([0-9]+)"
)
_MEMBLOCK = re.compile(
    r"memblock_(add|add_node|remove|reserve|free|phys_free|reserve_kern): "
    r"\[(0x[0-9a-f]{1,16})-(0x[0-9a-f]{1,16})\](?: nid=(-?[0-9]+))?(?: flags \S+)?(?: (.*))?"
)
_LATE = re.compile(r"memblock_free_late: \[(0x[0-9a-f]{1,16})-(0x[0-9a-f]{1,16})\]")


@dataclass(frozen=True, slots=True)
class ZoneRange:
    """A row of "Zone ranges:". Bytes, `end` exclusive; both None where the zone is empty."""

    name: str
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class MemoryLine:
    """The "Memory:" line. kB.

    Attributes
    ----------
    available, total : int
    parts : tuple of (str, int)
        "kernel code", "rwdata", "rodata", "init", "bss", "reserved", "cma-reserved", "highmem", as printed.
    """

    available: int
    total: int
    parts: tuple[tuple[str, int], ...]

    def get(self, name: str) -> int | None:
        """Return a part's kB, or None where the line doesn't have it."""
        return dict(self.parts).get(name)


@dataclass(frozen=True, slots=True)
class Freeing:
    """A "Freeing NAME memory: SIZE" line. kB."""

    name: str
    kb: int


@dataclass(frozen=True, slots=True)
class MemblockCall:
    """A line of memblock=debug. Bytes, `end` exclusive."""

    call: str
    start: int
    end: int
    nid: int | None
    caller: str


@dataclass(frozen=True, slots=True)
class HashTable:
    """A hash table that boot allocated: entries, order of its pages (negative: less than a page), bytes."""

    name: str
    entries: int
    order: int
    bytes: int
    kind: str


@dataclass(frozen=True, slots=True)
class BootLog:
    """The memory lines of a kernel's log, each kind in the log's order."""

    e820: tuple[MemoryRange, ...] = ()
    srat: tuple[NodeRange, ...] = ()
    srat_cpus: tuple[int, ...] = ()
    zone_ranges: tuple[ZoneRange, ...] = ()
    movable_start: tuple[tuple[int, int], ...] = ()
    early_node_ranges: tuple[NodeRange, ...] = ()
    initmem: tuple[NodeRange, ...] = ()
    node_data: tuple[MemoryRange, ...] = ()
    zonelists: int | None = None
    total_pages: int | None = None
    fallback: tuple[tuple[int, tuple[int, ...]], ...] = ()
    memory: MemoryLine | None = None
    freeing: tuple[Freeing, ...] = ()
    ramdisk: MemoryRange | None = None
    cma: tuple[MemoryRange, ...] = ()
    memblock: tuple[MemblockCall, ...] = ()
    hash_tables: tuple[HashTable, ...] = ()
    nr_cpu_ids: int | None = None
    lines: tuple[str, ...] = field(default=(), repr=False)


def _range(start: str, end: str) -> tuple[int, int]:
    return int(start, 16), int(end, 16) + 1


def memblock_range(start: str, end: str) -> tuple[int, int]:
    """Read the range of a call of memblock, printed as its first and last byte; end-exclusive.

    A call for 0 bytes is printed with an end before its start, and the end of one up to the end of all addresses
    wraps around (memblock_dbg of ``base + size - 1``, mm/memblock.c).
    """
    low, high = _range(start, end)
    every = 1 << 4 * len(end.removeprefix("0x"))
    return low, min(low + (high - low) % every, every)


#: What the kernel prints once the page allocator has all memory; memblock is asked for nothing any more.
HANDED_OVER = ("Memory: ", "SLUB: HWalign=")


class _Reader:
    """The log while it is read; one method a kind of line, tried in the order of `KINDS`."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.section = ""
        self.e820: list[MemoryRange] = []
        self.srat: list[NodeRange] = []
        self.srat_cpus: list[int] = []
        self.zone_ranges: list[ZoneRange] = []
        self.movable_start: list[tuple[int, int]] = []
        self.early: list[NodeRange] = []
        self.initmem: list[NodeRange] = []
        self.node_data: list[MemoryRange] = []
        self.built: tuple[int, int] | None = None
        self.fallback: list[tuple[int, tuple[int, ...]]] = []
        self.memory: MemoryLine | None = None
        self.handed_over = False
        self.freeing: list[Freeing] = []
        self.ramdisk: MemoryRange | None = None
        self.cma: list[MemoryRange] = []
        self.memblock: list[MemblockCall] = []
        self.hash_tables: list[HashTable] = []
        self.nr_cpu_ids: int | None = None

    def read(self, number: int, line: str) -> None:
        if line in ("Zone ranges:", "Movable zone start for each node", "Early memory node ranges"):
            self.section = line
            return
        if self.section and line.startswith("  ") and self._row(number, line):
            return
        self.section = ""
        for prefix, method in _KINDS:
            if prefix in line:
                method(self, number, line)

    def _row(self, number: int, line: str) -> bool:
        if self.section == "Zone ranges:" and (found := _ZONE.fullmatch(line)):
            bounds = self._bounds(number, found[2], found[3]) if found[2] else (None, None)
            self.zone_ranges.append(ZoneRange(found[1], *bounds))
        elif self.section == "Early memory node ranges" and (found := _NODE.fullmatch(line)):
            self.early.append(NodeRange(int(found[1]), *self._bounds(number, found[2], found[3])))
        elif self.section.startswith("Movable") and (found := _MOVABLE.fullmatch(line)):
            self.movable_start.append((int(found[1]), int(found[2], 16)))
        else:
            return False
        return True

    def _bounds(self, number: int, start: str, end: str) -> tuple[int, int]:
        low, high = _range(start, end)
        if high <= low:
            raise bad(self.where, number, f"a range that ends at {end}, before its start {start}")
        return low, high

    def _e820(self, number: int, line: str) -> None:
        if found := _E820.fullmatch(line.strip()):
            if found[1]:
                start, end = self._bounds(number, found[1], found[2])
            else:
                start, end = int(found[3], 16), int(found[4], 16)
            kind = _E820_KIND.fullmatch(found[5])
            self.e820.append(MemoryRange(start, end, kind[1] if kind else found[5]))

    def _srat(self, number: int, line: str) -> None:
        if found := _SRAT.match(line):
            start, end = self._bounds(number, found[2], found[3])
            self.srat.append(NodeRange(int(found[1]), start, end, hotplug=bool(found[4])))
        elif found := _SRAT_CPU.match(line):
            self.srat_cpus.append(int(found[3]))

    def _initmem(self, _number: int, line: str) -> None:
        if found := _INITMEM.match(line):
            start, end = _range(found[2], found[3])
            # A node without memory is printed with start 0 and an end that wraps.
            if start < end < 1 << 60:
                self.initmem.append(NodeRange(int(found[1]), start, end))

    def _node_data(self, number: int, line: str) -> None:
        if found := _NODE_DATA.match(line):
            # Where a node's record lies; older kernels don't tell whose it is.
            start, end = self._bounds(number, found[2], found[3])
            self.node_data.append(MemoryRange(start, end, "reserved", nid=int(found[1]) if found[1] else None))

    def _zonelists(self, _number: int, line: str) -> None:
        if self.built is None and (found := _BUILT.search(line)):
            self.built = (int(found[1]), int(found[2]))

    def _fallback(self, _number: int, line: str) -> None:
        if found := _FALLBACK.fullmatch(line):
            self.fallback.append((int(found[1]), tuple(map(int, found[2].split()))))

    def _memory(self, _number: int, line: str) -> None:
        self.handed_over = self.handed_over or line.startswith(HANDED_OVER)
        if self.memory is None and (found := _MEMORY.match(line)):
            parts = tuple((name.strip(), int(kb)) for kb, name in _PART.findall(found[3]))
            self.memory = MemoryLine(int(found[1]), int(found[2]), parts)

    def _slab(self, _number: int, line: str) -> None:
        self.handed_over = self.handed_over or line.startswith(HANDED_OVER)

    def _freeing(self, _number: int, line: str) -> None:
        if found := _FREEING.fullmatch(line[0].upper() + line[1:]):
            self.freeing.append(Freeing(found[1], int(found[2])))

    def _ramdisk(self, number: int, line: str) -> None:
        if found := _RAMDISK.fullmatch(line):
            # A second line ("Allocated new") tells where the first one's contents were moved to.
            start, end = self._bounds(number, found[2], found[3])
            self.ramdisk = MemoryRange(start, end, "reserved", "initrd")

    def _cma(self, _number: int, line: str) -> None:
        if found := _CMA.match(line):
            start = int(found[2], 16)
            self.cma.append(MemoryRange(start, start + (int(found[1]) << 20), "cma", "cma"))

    def _hash_table(self, _number: int, line: str) -> None:
        if found := _HASH.fullmatch(line):
            self.hash_tables.append(HashTable(found[1], int(found[2]), int(found[3]), int(found[4]), found[5] or ""))

    def _cpu_ids(self, _number: int, line: str) -> None:
        if self.nr_cpu_ids is None and (found := _NR_CPU_IDS.match(line)):
            self.nr_cpu_ids = int(found[1])

    def _memblock(self, _number: int, line: str) -> None:
        if found := _MEMBLOCK.fullmatch(line):
            start, end = memblock_range(found[2], found[3])
            nid = int(found[4]) if found[4] else None
            call = MemblockCall(found[1].removeprefix("phys_"), start, end, nid, found[5] or "")
        elif found := _LATE.match(line):
            call = MemblockCall("free_late", *memblock_range(found[1], found[2]), None, "")
        else:
            return
        if call.start < call.end and not self.handed_over:
            # What is freed later (free_initrd_mem) the page allocator has had since the hand-over.
            self.memblock.append(call)


_KINDS = (
    ("BIOS-", _Reader._e820),  # noqa: SLF001
    ("SRAT:", _Reader._srat),  # noqa: SLF001
    ("Initmem setup", _Reader._initmem),  # noqa: SLF001
    ("NODE_DATA", _Reader._node_data),  # noqa: SLF001
    ("zonelists", _Reader._zonelists),  # noqa: SLF001
    ("Fallback order", _Reader._fallback),  # noqa: SLF001
    ("Memory: ", _Reader._memory),  # noqa: SLF001
    ("SLUB: ", _Reader._slab),  # noqa: SLF001
    ("reeing ", _Reader._freeing),  # noqa: SLF001
    ("RAMDISK: ", _Reader._ramdisk),  # noqa: SLF001
    ("cma: ", _Reader._cma),  # noqa: SLF001
    ("hash table entries", _Reader._hash_table),  # noqa: SLF001
    ("nr_cpu_ids", _Reader._cpu_ids),  # noqa: SLF001
    ("memblock_", _Reader._memblock),  # noqa: SLF001
)


def parse(text: str, where: str = "dmesg") -> BootLog:
    """Read a kernel log's memory lines; all other lines are passed over.

    Of the kernel's own ring buffer the oldest lines may be lost, so nothing is required.

    Raises
    ------
    BadInput
        Where the text is too long, or a range ends before it starts.
    """
    if len(text) > LIMIT:
        raise BadInput(f"{len(text)} characters, more than the {LIMIT} that a log may have", where=where)
    reader = _Reader(where)
    lines = tuple(_TIME.sub("", line.rstrip("\r"), count=1) for line in text.split("\n"))
    for number, line in enumerate(lines, 1):
        reader.read(number, line)
    return BootLog(
        e820=tuple(reader.e820),
        srat=tuple(reader.srat),
        srat_cpus=tuple(reader.srat_cpus),
        zone_ranges=tuple(reader.zone_ranges),
        movable_start=tuple(reader.movable_start),
        early_node_ranges=tuple(reader.early),
        initmem=tuple(reader.initmem),
        node_data=tuple(reader.node_data),
        zonelists=reader.built[0] if reader.built else None,
        total_pages=reader.built[1] if reader.built else None,
        fallback=tuple(reader.fallback),
        memory=reader.memory,
        freeing=tuple(reader.freeing),
        ramdisk=reader.ramdisk,
        cma=tuple(reader.cma),
        memblock=tuple(reader.memblock),
        hash_tables=tuple(reader.hash_tables),
        nr_cpu_ids=reader.nr_cpu_ids,
        lines=lines,
    )
