"""Which of the allocation functions a kernel has."""

from __future__ import annotations

from dataclasses import dataclass

from .table import Rule


@dataclass(frozen=True, slots=True)
class InterfaceRules:
    """Whether a kernel has a function.

    Attributes
    ----------
    ksize, krealloc, kvmalloc, bulk, mempool, percpu, kcalloc, kzalloc, kfree_rcu, sheaves : bool
        percpu: alloc_percpu, of whatever make.
    kmalloc_most : str
        What kmalloc gives at most.
    kvmalloc_most : int
        Bytes that kvmalloc gives at most; 0 for no bound of its own.
    kvmalloc_any_wait : bool
        Whether kvmalloc turns to vmalloc for whoever may wait; else only for what GFP_KERNEL allows.
    kvmalloc_huge : bool
        Whether kvmalloc lets vmalloc take huge pages.
    percpu_chunks : bool
        Whether per-CPU memory comes from chunks; before that kmalloc gave each cpu's copy.
    percpu_function : str
        The function that warns of what no chunk can have.
    """

    ksize: bool
    krealloc: bool
    kvmalloc: bool
    bulk: bool
    mempool: bool
    percpu: bool
    kcalloc: bool
    kzalloc: bool
    kfree_rcu: bool
    sheaves: bool
    kmalloc_most: str
    kvmalloc_most: int
    kvmalloc_any_wait: bool
    kvmalloc_huge: bool
    percpu_chunks: bool
    percpu_function: str


_OLD = (2, 4)

TABLE: tuple[Rule, ...] = (
    Rule("ksize", _OLD, False, "Nobody tells how much lies behind a pointer.", "mm/slab.c", ("source",)),
    Rule("ksize", (2, 6, 11), True, "ksize tells how much may be used.", "mm/slab.c, ksize", ("source",)),
    Rule("krealloc", _OLD, False, "What must grow is copied by hand.", "mm/slab.c", ("source",)),
    Rule("krealloc", (5, 6), True, "krealloc moves only where it must.", "mm/slab_common.c, krealloc", ("source",)),
    Rule("kvmalloc", _OLD, False, "Callers themselves turn to vmalloc.", "mm/vmalloc.c", ("source",)),
    Rule("kvmalloc", (5, 6), True, "kvmalloc turns to vmalloc by itself.", "mm/util.c, kvmalloc_node", ("source",)),
    Rule("bulk", _OLD, False, "Objects come one by one.", "mm/slab.c", ("source",)),
    Rule("bulk", (5, 6), True, "Many objects may be asked for at once.", "mm/slub.c, kmem_cache_alloc_bulk",
         ("source",)),
    Rule("mempool", _OLD, False, "Drivers keep reserves of their own.", "mm/slab.c", ("source",)),
    Rule("mempool", (2, 6), True, "mempool keeps a reserve.", "mm/mempool.c, mempool_create", ("source",)),
    Rule("percpu", _OLD, False, "Per-CPU variables are arrays.", "include/linux/smp.h", ("source",)),
    Rule("percpu", (2, 6), True, "alloc_percpu gives each cpu a copy.", "mm/slab.c, __alloc_percpu", ("source",)),
    Rule("kcalloc", _OLD, False, "Arrays are multiplied and cleared by hand.", "include/linux/slab.h", ("source",)),
    Rule("kcalloc", (2, 6, 11), True, "kcalloc checks that an array's size does not overflow.",
         "include/linux/slab.h, kcalloc", ("source",)),
    Rule("kfree_rcu", _OLD, False, "Callers free by a callback of their own.", "kernel/rcupdate.c", ("source",)),
    Rule("kfree_rcu", (5, 6), True, "kfree_rcu frees once all readers are done.", "include/linux/rcupdate.h, kfree_rcu",
         ("source",)),
    Rule("sheaves", _OLD, False, "Nobody has objects in advance.", "mm/slab.c", ("source",)),
    Rule("sheaves", (6, 18), True, "A caller may have a sheaf of objects filled in advance.",
         "mm/slub.c, kmem_cache_prefill_sheaf", ("source",)),
    Rule("kzalloc", _OLD, False, "What must begin as zeros is cleared by hand.", "mm/slab.c", ("source",)),
    Rule("kzalloc", (5, 6), True, "kzalloc gives zeros.", "include/linux/slab.h, kzalloc", ("source",)),
    Rule("kmalloc_most", _OLD, "128 KiB", "kmalloc has a cache for all that it gives.", "mm/slab.c, cache_sizes",
         ("source",)),
    Rule("kmalloc_most", (5, 6), "the largest order", "kmalloc takes whole pages for what no cache holds.",
         "include/linux/slab.h, KMALLOC_MAX_SIZE", ("source",)),
    Rule("kvmalloc_most", _OLD, 0, "kvmalloc has no bound of its own.", "mm/util.c, kvmalloc_node", ("source",)),
    Rule("kvmalloc_most", (5, 15), (1 << 31) - 1, "kvmalloc warns of more than INT_MAX bytes, and gives nothing.",
         "mm/util.c, kvmalloc_node", ("source",)),
    Rule("kvmalloc_any_wait", _OLD, False, "kvmalloc turns to vmalloc only for what GFP_KERNEL allows.",
         "mm/util.c, kvmalloc_node", ("source",)),
    Rule("kvmalloc_any_wait", (5, 18), True, "kvmalloc turns to vmalloc for everybody who may wait.",
         "mm/util.c, kvmalloc_node", ("source",)),
    Rule("kvmalloc_huge", _OLD, False, "kvmalloc takes single pages from vmalloc.", "mm/util.c, kvmalloc_node",
         ("source",)),
    Rule("kvmalloc_huge", (5, 18), True, "kvmalloc lets vmalloc take huge pages.", "mm/util.c, kvmalloc_node",
         ("source",)),
    Rule("percpu_chunks", _OLD, False, "kmalloc gives each cpu's copy.", "mm/slab.c, __alloc_percpu", ("source",)),
    Rule("percpu_chunks", (5, 6), True, "Copies lie at the same offset of every cpu's unit of a chunk.",
         "mm/percpu.c, pcpu_alloc", ("source",)),
    Rule("percpu_function", _OLD, "pcpu_alloc", "A size that no chunk has is warned of.", "mm/percpu.c, pcpu_alloc",
         ("source",)),
    Rule("percpu_function", (6, 10), "pcpu_alloc_noprof", "The function has another name.",
         "mm/percpu.c, pcpu_alloc_noprof", ("source",)),
)  # fmt: skip
