"""kmalloc: which sizes and kinds of caches there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .table import Rule
from .words import CUT_HERE, warning


@dataclass(frozen=True, slots=True)
class KmallocRules:
    """What differs between kernels.

    Attributes
    ----------
    min_size : callable (arch) -> bytes
        Smallest cache (ARCH_KMALLOC_MINALIGN or 8).
    align : callable (size) -> bytes
        Alignment that a cache of this size guarantees, beyond `min_size`.
    kinds : tuple of str
        Kinds that the kernel knows, in creation order: "normal", "reclaim", "cgroup", "dma".
    random_copies : int
        Copies of the normal caches with CONFIG_RANDOM_KMALLOC_CACHES.
    buckets : tuple of str
        Callers with caches of their own under CONFIG_SLAB_BUCKETS.
    max_cache_pages : int
        Largest cache, in pages; above it kmalloc takes pages.
    odd_sizes_first : bool
        Whether the caches of 96 and 192 bytes are made before the powers of two.
    free_words : str
        What is said of kfree of what is neither an object nor large; ``{dump}`` shows the page.
    knows_large : bool
        Whether kmalloc's large blocks are told from others of several pages.
    """

    min_size: Callable[[str], int]
    align: Callable[[int], int]
    kinds: tuple[str, ...]
    random_copies: int
    buckets: tuple[str, ...]
    max_cache_pages: int
    odd_sizes_first: bool
    free_words: str
    knows_large: bool


_DMA_MINALIGN = {"arm64": 128, "arm": 64}


def _warns(file: str) -> str:
    return warning(file, "free_large_kmalloc", cpu="{cpu}") + "\nobject pointer: 0x{pointer:016x}"


def _power_of_two(size: int) -> int:
    return size if size & (size - 1) == 0 else 1


TABLE: tuple[Rule, ...] = (
    Rule(
        "min_size", (5, 6), lambda arch: _DMA_MINALIGN.get(arch, 8),
        "No object shares a cache line that a device writes, so arm64 begins at 128 bytes, arm at 64, x86 at 8.",
        "include/linux/slab.h, KMALLOC_MIN_SIZE", ("recording:6.1",),
    ),
    Rule(
        "min_size", (6, 5), lambda arch: {**_DMA_MINALIGN, "arm64": 8}.get(arch, 8),
        "Arm64 copies small buffers that a device writes, and begins at 8 bytes.",
        "arch/arm64/include/asm/cache.h, ARCH_KMALLOC_MINALIGN", ("source",),
    ),
    Rule(
        "align", (5, 6), _power_of_two,
        "Objects of a power-of-two size are aligned to it.",
        "mm/slab_common.c, create_kmalloc_cache", ("recording:6.1",),
    ),
    Rule(
        "align", (6, 11), lambda size: size & -size,
        "Objects are aligned to the largest power of two that divides their size.",
        "mm/slab_common.c, create_kmalloc_cache", ("recording:6.12", "oracle:real_kernel_slub_caches"),
    ),
    Rule(
        "kinds", (5, 6), ("normal", "reclaim", "dma"),
        "Reclaimable memory and memory for DMA have caches of their own.",
        "mm/slab_common.c, kmalloc_info",
    ),
    Rule(
        "kinds", (5, 14), ("normal", "cgroup", "reclaim", "dma"),
        "Memory that is charged to a control group has caches of its own too.",
        "mm/slab_common.c, kmalloc_info", ("recording:6.1", "recording:6.12"),
    ),
    Rule(
        "kinds", (6, 6), ("normal", "random", "reclaim", "dma", "cgroup"),
        "Kinds are made in another order, random copies next to the normal ones.",
        "include/linux/slab.h, enum kmalloc_cache_type", ("recording:6.12",),
    ),
    Rule("random_copies", (5, 6), 0, "There is one set of caches for all callers.", "mm/slab_common.c, kmalloc_info"),
    Rule(
        "random_copies", (6, 6), 15, "The normal caches have 15 further copies, chosen by the caller's address.",
        "include/linux/slab.h, kmalloc_type", ("source",),
    ),
    Rule("buckets", (5, 6), (), "No caller has caches of its own.", "mm/slab_common.c"),
    Rule(
        "buckets", (6, 11), ("memdup_user", "msg_msg"),
        "Callers whose sizes user space controls have caches of their own.",
        "mm/slab_common.c, kmem_buckets_create", ("recording:6.12", "oracle:real_kernel_slub_caches"),
    ),
    Rule(
        "max_cache_pages", (5, 6), 2, "SLUB's largest cache has objects of two pages.",
        "include/linux/slab.h, KMALLOC_MAX_CACHE_SIZE", ("recording:6.1", "recording:6.12"),
    ),
    Rule(
        "odd_sizes_first", (5, 6), False, "Caches are made from small to large.",
        "mm/slab_common.c, create_kmalloc_caches", ("recording:6.1",),
    ),
    Rule(
        "odd_sizes_first", (6, 11), True, "96 and 192 bytes come first.",
        "mm/slab_common.c, create_kmalloc_caches", ("recording:6.12",),
    ),
    Rule(
        "free_words", (5, 6),
        f"{CUT_HERE}\nkernel BUG at mm/slub.c! (!PageCompound(page) in kfree, 0x{{pointer:016x}})",
        "Kfree of a single page stops.", "mm/slub.c, kfree", ("source",),
    ),
    Rule(
        "free_words", (5, 13),
        f"{{dump}}\npage dumped because: VM_BUG_ON_PAGE(!PageCompound(page))\n{CUT_HERE}\nkernel BUG at mm/slub.c!",
        "Kfree of a single page stops a kernel with CONFIG_DEBUG_VM; another frees it.",
        "mm/slub.c, free_nonslab_page", ("source",),
    ),
    Rule(
        "free_words", (5, 17), _warns("mm/slub.c"), "Kfree of a single page warns.",
        "mm/slub.c, free_large_kmalloc", ("source",),
    ),
    Rule(
        "free_words", (6, 1), _warns("mm/slab_common.c"), "Kfree of a single page warns.",
        "mm/slab_common.c, free_large_kmalloc", ("source",),
    ),
    Rule(
        "free_words", (6, 8), _warns("mm/slub.c"), "Kfree of a single page warns.",
        "mm/slub.c, free_large_kmalloc", ("source",),
    ),
    Rule(
        "free_words", (6, 15),
        warning("mm/slub.c", "free_large_kmalloc", cpu="{cpu}")
        + "\n{dump}\npage dumped because: Not a kmalloc allocation",
        "Kfree of a page that is no kmalloc's warns, and leaves the page alone.",
        "mm/slub.c, free_large_kmalloc", ("source",),
    ),
    Rule(
        "knows_large", (5, 6), False, "A block of several pages is taken for kmalloc's.",
        "mm/slub.c, kfree", ("source",),
    ),
    Rule(
        "knows_large", (6, 15), True, "Pages of large requests have a type of their own (PGTY_large_kmalloc).",
        "mm/slub.c, free_large_kmalloc", ("source",),
    ),
)  # fmt: skip
