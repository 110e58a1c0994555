"""The words of Linux memory management, each with one sentence and the place in the kernel that defines it.

A widget marks a word with ``data-term``; the front end shows its meaning on hover and on focus.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """A word and what it means.

    Attributes
    ----------
    word : str
        The word as it is shown.
    meaning : str
        One sentence.
    source : str
        Kernel file, and the struct, function or macro in it.
    """

    word: str
    meaning: str
    source: str


_TERMS = (
    Term("node", "A set of memory that is equally far from the same processors; a machine with one memory controller "
         "has just node 0.", "include/linux/mmzone.h: struct pglist_data"),
    Term("zone", "A range of page frames of one node that can serve the same kinds of request, such as DMA by old "
         "devices.", "include/linux/mmzone.h: struct zone"),
    Term("page frame", "A piece of physical memory of one page size, aligned to its size; struct page describes it.",
         "include/linux/mm_types.h: struct page"),
    Term("pfn", "Page frame number: the physical address divided by the page size.", "include/linux/pfn.h"),
    Term("spanned", "Frames from the zone's first to its last, holes included.",
         "include/linux/mmzone.h: zone.spanned_pages"),
    Term("present", "Spanned frames that exist, holes left out.", "include/linux/mmzone.h: zone.present_pages"),
    Term("managed", "Present frames that were handed to the page allocator, so without what boot reserved for good.",
         "include/linux/mmzone.h: zone.managed_pages"),
    Term("free", "Pages on the zone's buddy lists; pages on per-CPU lists are no longer counted here.",
         "include/linux/mmzone.h: NR_FREE_PAGES"),
    Term("watermark", "A number of free pages at which the allocator changes its behaviour: min, low, high, promo.",
         "mm/page_alloc.c: __setup_per_zone_wmarks"),
    Term("min", "The watermark below which only requests that may use reserves get a page.",
         "include/linux/mmzone.h: WMARK_MIN"),
    Term("low", "The watermark that the fast path asks for; when no zone is above it, kswapd is woken.",
         "include/linux/mmzone.h: WMARK_LOW"),
    Term("high", "The watermark that a zone must be above for kswapd to go back to sleep.",
         "include/linux/mmzone.h: WMARK_HIGH"),
    Term("promo", "The watermark up to which kswapd frees when hot pages are promoted between memory tiers.",
         "include/linux/mmzone.h: WMARK_PROMO"),
    Term("boost", "An amount added to the watermarks for a while after a page block was mixed, so that kswapd frees "
         "more.", "mm/page_alloc.c: boost_watermark"),
    Term("lowmem_reserve", "Pages that a zone keeps back from requests that could also have used a higher zone; "
         "/proc/zoneinfo prints it as protection.", "mm/page_alloc.c: setup_per_zone_lowmem_reserve"),
    Term("protection", "The lowmem_reserve of a zone: one number for each highest zone that a request may use.",
         "mm/vmstat.c: zoneinfo_show_print"),
    Term("zonelist", "The order in which a node's requests look at zones: nearest node first, in each the highest "
         "zone first.", "mm/page_alloc.c: build_zonelists"),
    Term("distance", "How far a node's memory is from another node's processors, as the firmware says; 10 is local.",
         "mm/numa.c and drivers/acpi/numa/srat.c: node_distance"),
    Term("order", "Base-2 logarithm of a block's pages: order 3 is 8 pages next to each other.",
         "include/linux/mmzone.h: MAX_PAGE_ORDER"),
    Term("buddy", "The block of the same order that a block was split from: its first pfn differs in one bit, and the "
         "two merge when both are free.", "mm/internal.h: __find_buddy_pfn"),
    Term("free area", "The free blocks of one order of a zone, with a list for each migrate type.",
         "include/linux/mmzone.h: struct free_area"),
    Term("migrate type", "What a page block is used for, so that pages that can be moved stay together: Unmovable, "
         "Movable, Reclaimable and a few special ones.", "include/linux/mmzone.h: enum migratetype"),
    Term("Unmovable", "The migrate type of pages that stay where they are until freed, such as most kernel memory.",
         "include/linux/mmzone.h: MIGRATE_UNMOVABLE"),
    Term("Movable", "The migrate type of pages that can be copied elsewhere, such as those of processes.",
         "include/linux/mmzone.h: MIGRATE_MOVABLE"),
    Term("Reclaimable", "The migrate type of kernel pages that can be freed on demand, such as dentries and inodes.",
         "include/linux/mmzone.h: MIGRATE_RECLAIMABLE"),
    Term("HighAtomic", "The migrate type of page blocks kept for requests of several pages that may not wait.",
         "include/linux/mmzone.h: MIGRATE_HIGHATOMIC"),
    Term("CMA", "The migrate type of the contiguous memory allocator's areas, lent to movable pages meanwhile.",
         "include/linux/mmzone.h: MIGRATE_CMA"),
    Term("Isolate", "The migrate type of page blocks that are being emptied, from which nothing is allocated.",
         "include/linux/mmzone.h: MIGRATE_ISOLATE"),
    Term("page block", "The unit that has one migrate type; on most machines as large as a huge page.",
         "include/linux/pageblock-flags.h: pageblock_order"),
    Term("pcp", "A cpu's own lists of free pages of a zone, from which small requests are served without the zone's "
         "lock.", "include/linux/mmzone.h: struct per_cpu_pages"),
    Term("batch", "How many pages a cpu's lists take from the buddy lists, or give back, at once.",
         "include/linux/mmzone.h: per_cpu_pages.batch"),
    Term("fallback", "Taking a block from the lists of another migrate type when one's own are empty.",
         "mm/page_alloc.c: __rmqueue_fallback"),
    Term("unusable index", "Share of a zone's free pages that lie in blocks too small for a request of this order.",
         "mm/vmstat.c: unusable_free_index"),
    Term("fragmentation index", "For a request that no block can serve: toward 0 for lack of memory, toward 1 because "
         "free memory is scattered; -1 where a block is large enough.", "mm/vmstat.c: __fragmentation_index"),
    Term("GFP flags", "The bits of a request: which zones it may use, whether it may sleep, how hard to try.",
         "include/linux/gfp_types.h"),
    Term("kswapd", "The kernel thread of each node that frees pages in the background.", "mm/vmscan.c: kswapd"),
    Term("unaccounted", "What is left of MemTotal when every counted part is taken away: memory that drivers and the "
         "kernel took page by page, which no field of /proc/meminfo counts.", "fs/proc/meminfo.c: meminfo_proc_show"),
    Term("non-canonical", "An address whose upper bits differ from the highest bit that is translated; the processor "
         "refuses it.", "Documentation/arch/x86/x86_64/mm.rst"),
    Term("user space", "The half of the addresses that each process has for itself.",
         "arch/x86/include/asm/page_64_types.h: TASK_SIZE_MAX"),
    Term("direct map", "All RAM mapped in a row: virtual address = physical address + PAGE_OFFSET.",
         "arch/x86/include/asm/page.h: __va"),
    Term("vmalloc", "Areas whose pages may lie anywhere in RAM but follow each other here, a guard page behind each.",
         "mm/vmalloc.c: __vmalloc_node_range"),
    Term("vmemmap", "The array of struct page, one for each page frame, so that page_to_pfn is a subtraction.",
         "include/asm-generic/memory_model.h: __page_to_pfn"),
    Term("modules", "Code and data of loaded modules, near the kernel text so that its calls reach them.",
         "arch/x86/include/asm/pgtable_64_types.h: MODULES_VADDR"),
    Term("kernel text", "The kernel image itself.", "arch/x86/include/asm/page_64_types.h: __START_KERNEL_map"),
    Term("fixmap", "Addresses fixed when the kernel is compiled; what they map is set while it runs.",
         "arch/x86/include/asm/fixmap.h: enum fixed_addresses"),
    Term("pkmap", "The window in which kmap shows pages of high memory for as long as somebody uses them.",
         "mm/highmem.c: kmap_high"),
    Term("low memory", "RAM that a 32-bit kernel has in its direct map: 896 MiB or less with the usual split.",
         "arch/x86/mm/init_32.c: max_low_pfn"),
    Term("high memory", "RAM beyond the direct map of a 32-bit kernel: it has frames, but no addresses of its own.",
         "arch/x86/mm/init_32.c: highmem_pfn_init"),
    Term("kasan", "Shadow memory of the address sanitizer; unused where it is off.", "mm/kasan/shadow.c"),
    Term("slab", "A block of pages cut into objects of one size.", "mm/slab.h: struct slab"),
    Term("tail of a slab", "Bytes at the end of a slab that are too few for an object.", "mm/slub.c: calc_slab_order"),
)  # fmt: skip

#: Word in lower case -> its term.
GLOSSARY: Mapping[str, Term] = {term.word.lower(): term for term in _TERMS}


def meanings() -> dict[str, list[str]]:
    """Return word in lower case -> [word, meaning, source], as the front end takes it."""
    return {key: [term.word, term.meaning, term.source] for key, term in GLOSSARY.items()}


def words() -> dict[str, str]:
    """Return word in lower case -> its meaning."""
    return {key: term.meaning for key, term in GLOSSARY.items()}
