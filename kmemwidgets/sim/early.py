"""What a kernel takes for itself before the page allocator starts, asked of memblock in the order of a boot.

Where a description says what was taken, that is taken. Where it doesn't, sizes follow from rules (the memory map, the
hash tables) or are estimates (the image, page tables, per-CPU areas); an estimate is marked as one.
"""

from __future__ import annotations

from collections.abc import Sequence

from kmemwidgets import arch as arch_constants
from kmemwidgets.records import MachineSpec

from .cmdline import memparse, parameter
from .memblock import Memblock
from .zone_sizes import NodeMemory, ZoneSpan, rules_for

MIB = 1 << 20
#: Usual size of a distribution's kernel in memory, from its text to the end of its bss.
IMAGE_BYTES = {"x86_64": 52 * MIB, "x86_32": 17 * MIB, "arm64": 32 * MIB, "arm": 20 * MIB}
#: Where the image starts, from the start of memory.
IMAGE_START = {"x86_64": 16 * MIB, "x86_32": 16 * MIB, "arm64": 2 * MIB, "arm": 2 * MIB}
#: struct pglist_data with its zones and per-node counters.
NODE_DATA_BYTES = 172 << 10
#: Pages of a cpu's static and early dynamic per-CPU memory, and the unit that it is allocated in.
PERCPU_PAGES = 62
PERCPU_UNIT = 2 * MIB
DMA_END = 16 * MIB
#: What an area for contiguous memory is a multiple of, and where one begins at best on a large machine.
CMA_ALIGN = 4 * MIB
CMA_LOW = 4 << 30
#: struct mem_section.
SECTION_BYTES = 32
#: alloc_large_system_hash(): name, log2 of bytes of memory per entry.
HASH_TABLES = (("Dentry cache", 13), ("Inode-cache", 14))
#: From this many pages on the tables grow by half as fast (ADAPT_SCALE_BASE).
ADAPT_PAGES = 1 << 24


def reserve_early(
    memblock: Memblock, spec: MachineSpec, memory: Sequence[NodeMemory], spans: Sequence[ZoneSpan]
) -> list[tuple[int, int]]:
    """Take everything that a boot takes, until the hand-over; returns the areas kept for CMA (start, end)."""
    areas = [(entry.start, entry.end) for entry in spec.reserved if entry.kind == "cma"]
    described = [entry for entry in spec.reserved if entry.kind != "cma"]
    for entry in described:
        memblock.reserve(entry.start, entry.end - entry.start, entry.name)
    for entry in spec.reserved:
        if entry.kind == "cma":
            # Kept in one piece until the page allocator is up, which then lends it out (cma_init_reserved_areas).
            memblock.phys_free(entry.start, entry.end - entry.start, "cma")
    if any(entry.name in ("", "memblock") for entry in described):
        # The early allocator's own list is known.
        return areas
    _reserve_low(memblock, spec)
    _reserve_image(memblock, spec, memory)
    if not areas and (area := _reserve_cma(memblock, spec)):
        areas.append(area)
    _reserve_by_rule(memblock, spec, memory, spans)
    if areas and not any(entry.kind == "cma" for entry in spec.reserved):
        memblock.phys_free(areas[0][0], areas[0][1] - areas[0][0], "cma")
    return areas


def _reserve_cma(memblock: Memblock, spec: MachineSpec) -> tuple[int, int] | None:
    """Keep what ``cma=`` asks for: from 4 GiB up where there is so much, else as high as there is room.

    Source: kernel/dma/contiguous.c dma_contiguous_reserve; mm/cma.c cma_declare_contiguous_nid.
    """
    asked = parameter(spec.cmdline, "cma")
    size = memparse(asked.partition("@")[0]) if asked and spec.option("CONFIG_CMA") == "y" else 0
    size = -(-size // CMA_ALIGN) * CMA_ALIGN
    if not size:
        return None
    high = memblock.memory.regions[-1].end >= CMA_LOW + size
    bottom_up, memblock.bottom_up = memblock.bottom_up, memblock.bottom_up or high
    start = memblock.alloc(size, CMA_ALIGN, low=CMA_LOW if high else 0, caller="cma")
    memblock.bottom_up = bottom_up
    return None if start is None else (start, start + size)


def _reserve_low(memblock: Memblock, spec: MachineSpec) -> None:
    """Keep the first pages of a PC, which its firmware may write to."""
    if spec.arch.startswith("x86"):
        memblock.reserve(0, rules_for(spec).low_reserved, "setup_arch")
        memblock.reserve(0x9F000, 0x61000, "reserve_bios_regions")


def _reserve_image(memblock: Memblock, spec: MachineSpec, memory: Sequence[NodeMemory]) -> None:
    if any(entry.name == "kernel" for entry in spec.reserved):
        return
    size = sum(bytes_ for _name, bytes_ in spec.image) or IMAGE_BYTES[spec.arch]
    start = IMAGE_START[spec.arch]
    if not spec.arch.startswith("x86"):
        start += memory[0].start_pfn * spec.page_size
    largest = max(memory, key=lambda entry: entry.end_pfn - entry.start_pfn)
    if start + size > memory[-1].end_pfn * spec.page_size:
        start, size = largest.start_pfn * spec.page_size, size // 4
    memblock.reserve(start, size, "kernel image", estimated=not spec.image)


def _reserve_by_rule(
    memblock: Memblock, spec: MachineSpec, memory: Sequence[NodeMemory], spans: Sequence[ZoneSpan]
) -> None:
    """Allocate node records, memory map, per-CPU areas, page tables and hash tables, from the top."""
    page = spec.page_size
    nodes = sorted({entry.nid for entry in memory})
    for nid in nodes:
        memblock.alloc(NODE_DATA_BYTES, page, nid=nid, caller="alloc_node_data", estimated=True)
    page_bytes = arch_constants.ARCHES[spec.arch].page_bytes
    sparse = arch_constants.ARCHES[spec.arch].bits == 64
    if sparse:
        memblock.alloc(section_roots_bytes(spec), 64, caller="mem_section")
    for nid in nodes:
        frames = _mapped_frames(spec, memory, nid) if sparse else sum(s.spanned for s in spans if s.nid == nid)
        align = 2 * MIB if sparse else page
        low = DMA_END if spec.arch == "x86_64" else 0
        memblock.alloc(frames * page_bytes, align, low=low, nid=nid, caller="memory map")
        if sparse:
            # Descriptions of its sections, and the tables that map struct pages to where they lie.
            size = -(-frames * page_bytes // (1 << 30)) + 1
            memblock.alloc(page * (size + 1), page, nid=nid, caller="vmemmap tables", estimated=True)
    for cpu in range(spec.cpus):
        home = spec.cpu_node[cpu] if cpu < len(spec.cpu_node) else 0
        memblock.alloc(PERCPU_PAGES * page, page, nid=home, caller="pcpu_embed_first_chunk", estimated=True)
    total = sum(entry.end_pfn - entry.start_pfn for entry in memory) * page
    tables = 4 + (total >> 30) // 64
    memblock.alloc(tables * page, page, caller="init_mem_mapping", estimated=True)
    if size := log_buffer_bytes(spec):
        memblock.alloc(size, 64, caller="log_buf_len=")
    if len(nodes) == 1 or not sparse:
        # With several nodes the tables are spread over them later, by vmalloc.
        for name, scale in HASH_TABLES:
            entries = hash_entries(_kernel_pages(spans), scale, page, wide=sparse)
            memblock.alloc(entries * (8 if sparse else 4), 64, caller=f"{name} hash table")


def section_roots_bytes(spec: MachineSpec) -> int:
    """Return the size of the array that leads to all sections there could be (sparse_init, SPARSEMEM_EXTREME)."""
    physical = 52 if spec.va_bits in (52, 57) else 46 if spec.arch == "x86_64" else 48
    sections = 1 << (physical - arch_constants.section_bits(spec.arch, page_size=spec.page_size, pae=spec.pae))
    return sections // (spec.page_size // SECTION_BYTES) * 8


def log_buffer_bytes(spec: MachineSpec) -> int:
    """Return what log_buf_len= takes: the text, and since 5.10 a descriptor and facts for every 32 bytes of it."""
    asked = parameter(spec.cmdline, "log_buf_len")
    if not asked:
        return 0
    text = 1 << (memparse(asked) - 1).bit_length()
    return text + (text // 32) * rules_for(spec).log_record_bytes


def _mapped_frames(spec: MachineSpec, memory: Sequence[NodeMemory], nid: int) -> int:
    """Return the frames that a sparse memory map covers: whole sections, wherever there is memory."""
    shift = arch_constants.section_bits(spec.arch, page_size=spec.page_size, pae=spec.pae)
    shift -= spec.page_size.bit_length() - 1
    sections: set[int] = set()
    for entry in memory:
        if entry.nid == nid:
            sections.update(range(entry.start_pfn >> shift, ((entry.end_pfn - 1) >> shift) + 1))
    return len(sections) << shift


def _kernel_pages(spans: Sequence[ZoneSpan]) -> int:
    return sum(span.present for span in spans if span.name not in ("HighMem", "Movable"))


def hash_entries(pages: int, scale: int, page_size: int = 4096, *, wide: bool = True) -> int:
    """Return how many entries a boot-time hash table gets (alloc_large_system_hash).

    Parameters
    ----------
    pages : int
        Pages that the kernel itself can use.
    scale : int
        log2 of the bytes of memory that one entry stands for.
    page_size : int
    wide : bool
        64-bit kernels let large tables grow half as fast.
    """
    per_mib = MIB // page_size
    pages = -(-pages // per_mib) * per_mib
    if wide:
        bound = ADAPT_PAGES
        while bound < pages:
            scale += 1
            bound <<= 2
    shift = scale - (page_size.bit_length() - 1)
    entries = pages >> shift if shift > 0 else pages << -shift
    return 1 << max(entries - 1, 1).bit_length()
