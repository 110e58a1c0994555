"""What 2.4 and 2.6.11 take for themselves before the page allocator starts, asked of bootmem in the order of a boot.

Sizes follow from the sources; those that only a built kernel knows are estimates, and marked as such.
"""

from __future__ import annotations

from collections.abc import Sequence

from kmemwidgets.arch.page_tables import levels_of
from kmemwidgets.records import MachineSpec

from .bootmem import Bootmem, BootmemData
from .early import HASH_TABLES
from .rules import pick
from .rules.bootmem import TABLE, BootmemRules
from .rules.layout import has_highmem, lowmem_limit, nr_cpus_of, page_offset_32
from .rules.layout import rules_for as layout_rules
from .zone_sizes import NodeMemory, ZoneSpan

MIB = 1 << 20
#: Usual size of a kernel of that time in memory, and how far behind the start of memory it begins.
IMAGE_BYTES = {"x86_32": 3 * MIB, "x86_64": 5 * MIB, "arm": 3 * MIB}
IMAGE_START = {"x86_32": MIB, "x86_64": MIB, "arm": 0x8000}
#: What most requests have as their goal on a PC: memory that old devices can reach is left to them (MAX_DMA_ADDRESS).
DMA_END = 16 * MIB
#: What requests are aligned to (SMP_CACHE_BYTES of a kernel for any 686), and pages that share a queue of waiters.
CACHE_LINE, PAGES_PER_QUEUE = 32, 256
#: Bytes of each cpu's variables, modules' included (PERCPU_ENOUGH_ROOM); kinds of process numbers with a hash table.
PERCPU_ROOM, PID_TABLES = 32768, 4


class EarlyBoot:
    """A boot's requests, until the hand-over.

    Parameters
    ----------
    spec : MachineSpec
    memory : sequence of NodeMemory
    spans : sequence of ZoneSpan

    Attributes
    ----------
    bootmem : Bootmem
    """

    def __init__(self, spec: MachineSpec, memory: Sequence[NodeMemory], spans: Sequence[ZoneSpan]) -> None:
        self._spec = spec
        self._memory = memory
        self._spans = spans
        self._page = spec.page_size
        self._pc = spec.arch.startswith("x86")
        self._word = 8 if spec.arch == "x86_64" else 4
        self._rules = pick(BootmemRules, TABLE, spec.kernel)
        self._cpus = nr_cpus_of(spec, self._rules.usual_cpus)
        end = lowmem_limit(spec, memory[0].start_pfn * self._page) or memory[-1].end_pfn * self._page
        low = end // self._page
        nodes: dict[int, tuple[int, int]] = {}
        for entry in memory:
            # A PC's only node begins with frame 0, wherever its RAM does.
            start = nodes[entry.nid][0] if entry.nid in nodes else entry.start_pfn if nodes or not self._pc else 0
            if entry.start_pfn < low:
                nodes[entry.nid] = (start, min(entry.end_pfn, low))
        bounds = [(nid, start, stop) for nid, (start, stop) in nodes.items()]
        self.bootmem = Bootmem(self._page, bounds, remembers=self._rules.remembers)

    def run(self) -> Bootmem:
        """Ask for everything that a boot takes."""
        bootmem, page = self.bootmem, self._page
        for entry in self._memory:
            bootmem.add(entry.start_pfn * page, (entry.end_pfn - entry.start_pfn) * page, entry.nid)
        image = self._image_end()
        for number, data in enumerate(bootmem.nodes):
            bootmem.init_map(data, image // page if not number else data.start)
        if self._pc:
            bootmem.reserve(0, page, "setup_arch")
            if self._cpus > 1:
                bootmem.reserve(page, page, "trampoline")
                self._low(page, page, "trampoline")
        self._page_tables()
        for data in bootmem.nodes:
            self._free_area_init(data)
        if self._pc:
            for _entry in self._spec.memory:
                self._low(7 * self._word, CACHE_LINE, "resources")
        self._tables()
        return bootmem

    def _image_end(self) -> int:
        """Take the kernel's image and all else that is described; returns where the image ends."""
        spec, bootmem, end = self._spec, self.bootmem, 0
        for entry in spec.reserved:
            bootmem.reserve(entry.start, entry.end - entry.start, entry.name)
            end = entry.end if entry.name == "kernel" else end
        if not end:
            start = IMAGE_START[spec.arch] + (0 if self._pc else self._memory[0].start_pfn * self._page)
            size = sum(bytes_ for _name, bytes_ in spec.image) or IMAGE_BYTES[spec.arch]
            bootmem.reserve(start, size, "kernel image", estimated=not spec.image)
            end = start + size
        return -(-end // self._page) * self._page

    def _alloc(self, size: int, align: int, caller: str, nid: int = -1, *, estimated: bool = False) -> None:
        """alloc_bootmem: above what old devices reach, if there is room."""
        goal = DMA_END if self._pc else 0
        self.bootmem.alloc(size, align, goal=goal, nid=nid, caller=caller, estimated=estimated)

    def _low(self, size: int, align: int, caller: str) -> None:
        """alloc_bootmem_low: as low as there is room."""
        self.bootmem.alloc(size, align, caller=caller)

    def _page_tables(self) -> None:
        """pagetable_init: low memory by large pages, the fixmap and kmap's slots by tables of their own."""
        spec, page = self._spec, self._page
        if spec.arch != "x86_32":
            count = len(self.bootmem.nodes) + len(self.bootmem.map) * page // (1 << 30)
            self.bootmem.alloc(count * page, page, caller="paging_init", estimated=True)
            return
        span = levels_of("x86_32", va_bits=32, pae=spec.pae)[-2].span
        kernel_gib = ((1 << 32) - page_offset_32(spec)) >> 30
        for _ in range(kernel_gib if spec.pae else 0):
            self._low(page, page, "paging_init")
        areas = layout_rules(spec).x86_32_areas(spec)
        for _ in range(-(-((1 << 32) - areas.fixaddr_tot_start) // span)):
            self._low(page, page, "paging_init")
        if has_highmem(spec):
            self._low(page, page, "paging_init")

    def _free_area_init(self, data: BootmemData) -> None:
        """free_area_init_core: the memory map, and for each zone its queues of waiters and (2.4) its bitmaps."""
        nid = data.nid
        own = [span for span in self._spans if span.nid == nid]
        frames = sum(span.spanned for span in own)
        size = (frames + 1) * self._rules.page_bytes(self._word, has_highmem(self._spec))
        self._alloc(size, CACHE_LINE, "memory map", nid)
        for span in own:
            if not span.spanned:
                continue
            queues = 1
            while queues < span.spanned // PAGES_PER_QUEUE:
                queues *= 2
            self._alloc(min(max(queues, 4), 4096) * 3 * self._word, CACHE_LINE, "wait table", nid)
            for order in range(self._rules.bitmap_orders):
                bits = (span.spanned - 1) >> (order + 4)
                self._alloc(-(-(bits + 1) // self._word) * self._word, CACHE_LINE, "zone bitmaps", nid)

    def _tables(self) -> None:
        """Per-CPU variables and hash tables, where they come from bootmem (2.6)."""
        if not self._rules.early_tables:
            return
        if self._cpus > 1:
            self._alloc(PERCPU_ROOM * self._cpus, CACHE_LINE, "setup_per_cpu_areas")
        pages = sum(span.present for span in self._spans if span.name != "HighMem")
        shift = min(max(((pages >> 8) * 4).bit_length(), 4), 12)
        for _ in range(PID_TABLES):
            self._alloc(self._word << shift, CACHE_LINE, "pid hash table")
        for name, scale in HASH_TABLES:
            entries = -(-pages // 256) * 256 >> (scale - 12)
            self._alloc(self._word << entries.bit_length(), CACHE_LINE, f"{name} hash table")


def boot_by_bootmem(spec: MachineSpec, memory: Sequence[NodeMemory], spans: Sequence[ZoneSpan]) -> Bootmem | None:
    """Run an old kernel's early boot; None for a kernel that has memblock."""
    if not pick(BootmemRules, TABLE, spec.kernel).used:
        return None
    return EarlyBoot(spec, memory, spans).run()
