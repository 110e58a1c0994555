"""The ways in which kernel code asks for memory, side by side: what each gives, and what it promises."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interface:
    """One of the kernel's allocation functions.

    Attributes
    ----------
    name : str
    gives : str
        What comes back.
    largest : str
        What it can give at most.
    contiguous : bool
        Whether the memory lies in neighbouring frames, as a device may need it.
    zeroed : bool
    may_fail : bool
        Whether a caller that may wait can still get nothing.
    undo : str
        What gives it back.
    use : str
        When to take it.
    source : str
        Kernel file and function.
    """

    name: str
    gives: str
    largest: str
    contiguous: bool
    zeroed: bool
    may_fail: bool
    undo: str
    use: str
    source: str


INTERFACES: tuple[Interface, ...] = (
    Interface(
        "alloc_pages", "struct page of 2^order frames", "the largest order (10: 4 MiB)", True, False, True,
        "__free_pages", "whole pages, high memory too: page cache, page tables, a user's memory",
        "mm/page_alloc.c, __alloc_pages",
    ),
    Interface(
        "__get_free_pages", "address of 2^order frames", "the largest order (10: 4 MiB)", True, False, True,
        "free_pages", "whole pages that the kernel itself reads and writes; never high memory",
        "mm/page_alloc.c, __get_free_pages",
    ),
    Interface(
        "kmem_cache_alloc", "an object of a cache", "the cache's object", True, False, True,
        "kmem_cache_free", "many objects of one kind", "mm/slub.c, kmem_cache_alloc",
    ),
    Interface(
        "kmalloc", "address of a block of at least the size", "KMALLOC_MAX_SIZE (4 MiB)", True, False, True,
        "kfree", "anything smaller than a page, or that must be contiguous", "mm/slab_common.c, __kmalloc",
    ),
    Interface(
        "kzalloc", "the same, filled with zeros", "KMALLOC_MAX_SIZE (4 MiB)", True, True, True,
        "kfree", "structures whose fields begin as zero", "include/linux/slab.h, kzalloc",
    ),
    Interface(
        "kcalloc", "an array of zeros; NULL if count times size overflows", "KMALLOC_MAX_SIZE (4 MiB)", True, True,
        True, "kfree", "arrays whose length somebody else chose", "include/linux/slab.h, kcalloc",
    ),
    Interface(
        "vmalloc", "an area of addresses over single frames", "vmalloc's space, the machine's memory", False, False,
        True, "vfree", "large tables that no device reads; costs page tables and TLB entries", "mm/vmalloc.c, vmalloc",
    ),
    Interface(
        "kvmalloc", "what kmalloc gives, else what vmalloc gives", "2 GiB", False, False, True,
        "kvfree", "sizes that are mostly small and sometimes large", "mm/util.c, kvmalloc_node",
    ),
    Interface(
        "mempool_alloc", "an object, from the reserve if need be", "the pool's object", True, False, False,
        "mempool_free", "writing pages out to free memory: must go on when there is none",
        "mm/mempool.c, mempool_alloc",
    ),
    Interface(
        "alloc_percpu", "a variable that each cpu has a copy of", "a unit of per-cpu memory (32 KiB)", False, True,
        True, "free_percpu", "counters that each cpu changes without locks", "mm/percpu.c, pcpu_alloc",
    ),
)  # fmt: skip


def choose(size: int, *, contiguous: bool = False, page_size: int = 4096, must_not_fail: bool = False) -> Interface:
    """Return the interface that fits a need.

    Parameters
    ----------
    size : int
        Bytes.
    contiguous : bool
        A device reads or writes it.
    page_size : int
        Bytes.
    must_not_fail : bool
        The caller frees memory itself, and can't go on without.
    """
    if size < 1:
        raise ValueError(f"{size} bytes")
    by_name = {interface.name: interface for interface in INTERFACES}
    if must_not_fail:
        return by_name["mempool_alloc"]
    if size <= page_size or (contiguous and size <= page_size << 1):
        return by_name["kmalloc"]
    return by_name["alloc_pages" if contiguous else "kvmalloc"]
