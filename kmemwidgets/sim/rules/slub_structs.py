"""What struct kmem_cache and struct kmem_cache_node hold: their sizes are those of the first two caches."""

from __future__ import annotations

from dataclasses import dataclass

from .table import Rule


@dataclass(frozen=True, slots=True)
class StructRules:
    """Fields that came and went.

    Attributes
    ----------
    reciprocal : bool
        A number to divide by the size with (reciprocal_size).
    largest_order : bool
        The largest order that slabs ever had (max).
    memcg_params : bool
        Caches of control groups, and the work that takes a cache out of sysfs.
    cpu_partial_slabs : bool
        The limit of a cpu's partial list in slabs.
    sheaves : bool
        Per-cpu sheaves, their capacity, and each node's barn.
    """

    reciprocal: bool
    largest_order: bool
    memcg_params: bool
    cpu_partial_slabs: bool
    sheaves: bool


_CACHE = "include/linux/slub_def.h, later mm/slab.h, struct kmem_cache"

TABLE: tuple[Rule, ...] = (
    Rule("reciprocal", (5, 6), False, "Objects are numbered by dividing.", _CACHE, ("source",)),
    Rule("reciprocal", (5, 9), True, "Objects are numbered by multiplying.", _CACHE, ("recording:6.1",)),
    Rule("largest_order", (5, 6), True, "A cache knows the largest order it ever had.", _CACHE, ("source",)),
    Rule("largest_order", (6, 0), False, "A cache knows its orders of today.", _CACHE, ("recording:6.1",)),
    Rule("memcg_params", (5, 6), True, "Control groups have caches of their own.", _CACHE, ("source",)),
    Rule("memcg_params", (5, 9), False, "Control groups share everybody's caches.", _CACHE, ("recording:6.1",)),
    Rule("cpu_partial_slabs", (5, 6), False, "A cpu's partial list is limited by objects.", _CACHE, ("source",)),
    Rule("cpu_partial_slabs", (5, 16), True, "A cpu's partial list is limited by slabs.", _CACHE, ("recording:6.1",)),
    Rule("sheaves", (5, 6), False, "There are no sheaves.", _CACHE, ("recording:6.12",)),
    Rule("sheaves", (6, 18), True, "A cache has sheaves, and each node a barn.", _CACHE,
         ("oracle:real_kernel_slub_caches",)),
)  # fmt: skip
