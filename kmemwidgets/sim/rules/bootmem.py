"""bootmem, the early allocator of old kernels: whether there is one, how it searches, who asks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .table import Rule


def _page_bytes_24(word: int, highmem: bool) -> int:
    """Two lists, a count and six words besides; where there is high memory an address (32 bits)."""
    return 11 * word + (word if highmem and word == 4 else 0)


@dataclass(frozen=True, slots=True)
class BootmemRules:
    """What differs between kernels.

    Attributes
    ----------
    used : bool
        Whether a machine boots with bootmem.
    remembers : bool
        Whether a search begins where the last one succeeded.
    page_bytes : callable (bytes of a word, high memory) -> bytes
        Size of struct page of those kernels.
    bitmap_orders : int
        Orders of blocks for which each zone has a bitmap of pairs.
    early_tables : bool
        Whether hash tables and per-CPU variables are asked of it.
    usual_cpus : int
        Cpus that a kernel for several was usually built for.
    """

    used: bool
    remembers: bool
    page_bytes: Callable[[int, bool], int]
    bitmap_orders: int
    early_tables: bool
    usual_cpus: int


TABLE: tuple[Rule, ...] = (
    Rule("used", (2, 4), True, "The early allocator is bootmem: a bit for each frame.", "mm/bootmem.c", ("source",)),
    Rule("used", (4, 20), False, "The early allocator is memblock on every architecture.", "mm/memblock.c",
         ("recording:6.1",)),
    Rule("remembers", (2, 4), False, "Every search begins at the goal.", "mm/bootmem.c, __alloc_bootmem_core",
         ("source",)),
    Rule("remembers", (2, 6), True, "A search begins where the last one succeeded.",
         "mm/bootmem.c, __alloc_bootmem_core", ("source",)),
    Rule("page_bytes", (2, 4), _page_bytes_24, "struct page has 44 bytes, with high memory 48.",
         "include/linux/mm.h, struct page", ("source",)),
    Rule("page_bytes", (2, 6), lambda word, _highmem: 32 if word == 4 else 56, "struct page has 32 bytes.",
         "include/linux/mm.h, struct page", ("source",)),
    Rule("bitmap_orders", (2, 4), 9, "Each zone has a bitmap for each order but the last: which pairs are half free.",
         "mm/page_alloc.c, free_area_init_core", ("source",)),
    Rule("bitmap_orders", (2, 6, 11), 0, "A free block is told by its struct page.", "mm/page_alloc.c, page_is_buddy",
         ("source",)),
    Rule("early_tables", (2, 4), False, "Hash tables are blocks of the page allocator.", "fs/dcache.c, dcache_init",
         ("source",)),
    Rule("early_tables", (2, 6), True, "Per-CPU variables and hash tables are asked of bootmem.",
         "init/main.c, setup_per_cpu_areas; mm/page_alloc.c, alloc_large_system_hash", ("source",)),
    Rule("usual_cpus", (2, 4), 32, "A kernel for several cpus is built for 32.", "include/linux/threads.h",
         ("source",)),
    Rule("usual_cpus", (2, 6), 8, "A kernel for several cpus is built for 8.", "arch/i386/Kconfig, NR_CPUS",
         ("source",)),
)  # fmt: skip
