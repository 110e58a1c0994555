"""From the firmware's map to zones: bounds, first counts, order of nodes, by kernel version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kmemwidgets.records import BadInput, Version, format_version

from .table import Rule

GIB = 1 << 30
DMA32_END = 1 << 32


def is_supported(version: Version) -> bool:
    """Tell whether machines with this kernel can be booted: 2.4, 2.6.11 and every release from 5.6 up."""
    return version[:2] == (2, 4) or version[:3] == (2, 6, 11) or version >= (5, 6)


def check_supported(version: Version) -> None:
    """Refuse kernels whose rules are not written down."""
    if not is_supported(version):
        raise BadInput(
            f"no rules for Linux {format_version(version)}", todo="take 2.4, 2.6.11 or any release from 5.6 up"
        )


def arm64_zones_by_30_bits(start: int, end: int) -> tuple[int, int]:
    """Before 5.11: DMA is the lowest GiB of the 1 GiB window that memory starts in, DMA32 of the 4 GiB one."""
    dma = min((start & -GIB) + GIB, end)
    return dma, min((start & -DMA32_END) + DMA32_END, end)


def arm64_zones_by_devices(start: int, end: int) -> tuple[int, int]:
    """From 5.11: as far as the least able device reaches; here none is less able than 32 bits."""
    limit = min(DMA32_END, end) if start < DMA32_END else end
    return limit, limit


def managed_less_memmap(spanned: int, present: int, page_bytes: int, page_size: int, sparse: bool) -> int:
    """Before 6.10: a first guess of managed pages takes the zone's part of the memory map off."""
    covered = present if sparse and spanned > present + (present >> 4) else spanned
    pages = -(-covered * page_bytes // page_size)
    return present - pages if present >= pages else present


def managed_is_present(_spanned: int, present: int, _page_bytes: int, _page_size: int, _sparse: bool) -> int:
    """From 6.10: no guess is made, the zone starts with all of its pages."""
    return present


def load_by_position(load: dict[int, int], node: int, _nodes: int, remaining: int) -> None:
    """Before 5.16: the first node of a distance gets what is left to place."""
    load[node] = remaining


def load_accumulates(load: dict[int, int], node: int, _nodes: int, _remaining: int) -> None:
    """From 5.16: the first node of a distance gets one more each time."""
    load[node] = load.get(node, 0) + 1


@dataclass(frozen=True, slots=True)
class BootRules:
    """How a boot lays memory out.

    Attributes
    ----------
    zones : frozenset of str
        Zones that this kernel knows at all.
    max_order : int
        Order of the largest block.
    first_page_is_ram : bool
        x86: whether the zones begin with frame 0.
    counts_holes : bool
        x86-32: whether holes of the firmware's map count as present.
    low_reserved : int
        x86: bytes at address 0 that are never used.
    arm64_zones : function
        ``(start, end of memory) -> (end of DMA, end of DMA32)``, bytes.
    early_managed : function
        ``(spanned, present, bytes of struct page, page size, sparse) -> managed`` before the hand-over.
    dma_reserve : bool
        Whether x86-64 takes what is reserved below 16 MiB off that guess.
    least_node_bytes : int
        x86: nodes with less memory are ignored.
    node_load : function
        How building one node's list changes the weights of the next.
    memoryless_skipped : bool
        Whether a node without memory is left out of its own list.
    prints_fallback : bool
        Whether the log has "Fallback order" lines.
    prints_total_pages : bool
        Whether "Built N zonelists" tells the total of pages.
    memory_line_late : bool
        Whether the Memory: line comes after all struct pages are initialised.
    log_record_bytes : int
        What the kernel's log keeps of each record besides its text.
    vmalloc_tables_early : bool
        Whether x86-64 makes the upper page tables of the vmalloc area before the Memory: line.
    deferred_init : bool
        Whether most struct pages can be initialised by threads, late.
    """

    zones: frozenset[str]
    max_order: int
    first_page_is_ram: bool
    counts_holes: bool
    low_reserved: int
    arm64_zones: Callable[[int, int], tuple[int, int]]
    early_managed: Callable[[int, int, int, int, bool], int]
    dma_reserve: bool
    least_node_bytes: int
    node_load: Callable[[dict[int, int], int, int, int], None]
    memoryless_skipped: bool
    prints_fallback: bool
    prints_total_pages: bool
    memory_line_late: bool
    log_record_bytes: int
    vmalloc_tables_early: bool
    deferred_init: bool


_EARLIEST = (2, 4)
_PA = "mm/page_alloc.c"

_OLD_ZONES = frozenset({"DMA", "Normal", "HighMem"})

TABLE: tuple[Rule, ...] = (
    Rule("zones", _EARLIEST, _OLD_ZONES, "Three zones: DMA, Normal, HighMem.", "include/linux/mmzone.h", ("source",)),
    Rule("zones", (2, 6, 23), _OLD_ZONES | {"DMA32", "Movable"}, "DMA32 and Movable joined.",
         "include/linux/mmzone.h enum zone_type", ("source",)),
    Rule("zones", (4, 3), _OLD_ZONES | {"DMA32", "Movable", "Device"}, "Device joined.",
         "include/linux/mmzone.h enum zone_type", ("recording:6.1", "recording:6.12")),
    Rule("max_order", _EARLIEST, 9, "The largest block has 512 pages.", "include/linux/mmzone.h MAX_ORDER",
         ("oracle:kernel_buddy_traces_24",)),
    Rule("max_order", (2, 6), 10, "The largest block has 1024 pages.", "include/linux/mmzone.h MAX_ORDER",
         ("recording:6.1", "recording:6.12")),
    Rule("first_page_is_ram", _EARLIEST, True, "Zone DMA of a PC begins with frame 0, which is only reserved.",
         "arch/i386/mm/init.c", ("source",)),
    Rule("first_page_is_ram", (2, 6, 36), False, "Frame 0 of a PC is taken out of the map before zones are made.",
         "arch/x86/kernel/setup.c trim_bios_range", ("recording:6.1", "recording:6.12")),
    Rule("counts_holes", _EARLIEST, True, "A zone's pages are counted from its bounds alone.",
         "arch/i386/mm/init.c zone_sizes_init", ("source",)),
    Rule("counts_holes", (2, 6, 19), False, "Present = spanned less the holes of the map.",
         "mm/page_alloc.c zone_absent_pages_in_node", ("recording:6.1", "recording:6.12")),
    Rule("low_reserved", _EARLIEST, 4096, "X86 keeps the first page.", "arch/i386/kernel/setup.c", ("source",)),
    Rule("low_reserved", (2, 6, 36), 64 << 10, "X86 keeps the first 64 KiB.",
         "arch/x86/kernel/setup.c CONFIG_X86_RESERVE_LOW", ()),
    Rule("low_reserved", (5, 13), 1 << 20, "X86 keeps the first MiB.",
         "arch/x86/realmode/init.c reserve_real_mode", ("recording:6.1",)),
    Rule("arm64_zones", _EARLIEST, arm64_zones_by_30_bits,
         "DMA ends 1 GiB, DMA32 4 GiB above the start of the window that memory starts in.",
         "arch/arm64/mm/init.c max_zone_phys", ("source",)),
    Rule("arm64_zones", (5, 11), arm64_zones_by_devices,
         "DMA ends where the least able device ends, at most at 4 GiB; DMA32 is then empty.",
         "arch/arm64/mm/init.c zone_sizes_init", ("recording:6.1",)),
    Rule("early_managed", _EARLIEST, managed_less_memmap, "Before the hand-over managed = present - memory map.",
         f"{_PA} free_area_init_core", ("recording:6.1",)),
    Rule("early_managed", (6, 10), managed_is_present, "Before the hand-over managed = present.",
         "mm/mm_init.c free_area_init_core", ("recording:6.12",)),
    Rule("dma_reserve", _EARLIEST, False, "Nothing is taken off for what is reserved low.", f"{_PA}", ("source",)),
    Rule("dma_reserve", (2, 6, 18), True, "X86-64 takes what is reserved below 16 MiB off zone DMA's first guess.",
         "arch/x86/mm/init.c memblock_find_dma_reserve", ("recording:6.1",)),
    Rule("dma_reserve", (6, 10), False, "Nothing is taken off for what is reserved low.",
         "mm/mm_init.c free_area_init_core", ("recording:6.12",)),
    Rule("least_node_bytes", _EARLIEST, 4 << 20, "X86 ignores nodes of less than 4 MiB.",
         "arch/x86/mm/numa.c numa_register_memblks", ()),
    Rule("least_node_bytes", (6, 7), 0, "Every node with memory counts.", "arch/x86/mm/numa.c", ()),
    Rule("node_load", _EARLIEST, load_by_position,
         "Equal nodes rotate: the first of a distance is weighted by its place.",
         f"{_PA} build_zonelists", ("source",)),
    Rule("node_load", (5, 16), load_accumulates,
         "Equal nodes rotate: the first of a distance gets one more each time.",
         f"{_PA} build_zonelists", ("recording:6.1",)),
    Rule("memoryless_skipped", _EARLIEST, False, "A node's list begins with itself, with memory or without.",
         f"{_PA} find_next_best_node", ("source",)),
    Rule("memoryless_skipped", (6, 7), True, "A node without memory is not in its own list.",
         f"{_PA} find_next_best_node", ()),
    Rule("prints_fallback", _EARLIEST, False, "The order of nodes is not printed.",
         f"{_PA} build_zonelists", ("source",)),
    Rule("prints_fallback", (5, 12), True, "The order of nodes is printed.", f"{_PA} build_zonelists",
         ("recording:6.1", "recording:6.12")),
    Rule("prints_total_pages", _EARLIEST, False, "Only the number of zonelists is printed.", f"{_PA}", ("source",)),
    Rule("prints_total_pages", (2, 6, 20), True, "Built N zonelists ... Total pages.", f"{_PA} build_all_zonelists",
         ("recording:6.1", "recording:6.12")),
    Rule("memory_line_late", _EARLIEST, False, "The Memory: line tells what is free after the hand-over.",
         f"{_PA} mem_init_print_info", ("recording:6.1",)),
    Rule("memory_line_late", (6, 11), True, "The Memory: line comes after all struct pages are initialised.",
         "mm/mm_init.c page_alloc_init_late", ("recording:6.12",)),
    Rule("log_record_bytes", _EARLIEST, 0, "The log is one buffer of text.", "kernel/printk/printk.c", ("source",)),
    Rule("log_record_bytes", (5, 10), 112, "The log has a descriptor of 24 and facts of 88 bytes for every 32 of text.",
         "kernel/printk/printk.c setup_log_buf", ()),
    Rule("vmalloc_tables_early", _EARLIEST, False, "The vmalloc area's page tables are made when they are needed.",
         "arch/x86/mm/fault.c vmalloc_sync_all", ("source",)),
    Rule("vmalloc_tables_early", (5, 9), True, "mem_init makes the upper page tables of the whole vmalloc area.",
         "arch/x86/mm/init_64.c preallocate_vmalloc_pages", ("recording:6.1",)),
    Rule("deferred_init", _EARLIEST, False, "Every struct page is initialised before the hand-over.",
         f"{_PA} memmap_init", ("source",)),
    Rule("deferred_init", (4, 2), True, "Struct pages behind the first sections of a node are initialised late.",
         f"{_PA} deferred_init_memmap", ("recording:6.1",)),
)  # fmt: skip
