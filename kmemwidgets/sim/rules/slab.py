"""SLAB, the allocator of 2.4 and of 2.6 before SLUB: sizes, colours and per-cpu arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .table import Rule

#: Largest order of a slab (MAX_GFP_ORDER), and a waste that nobody minds: one part in so many.
MAX_GFP_ORDER, GOOD_WASTE = 5, 8


def _array_limit(size: int) -> int:
    return 1 if size > 131072 else 8 if size > 4096 else 24 if size > 1024 else 54 if size > 256 else 120


@dataclass(frozen=True, slots=True)
class SlabRules:
    """What differs between kernels. Sizes in bytes.

    Attributes
    ----------
    descriptor : callable (word) -> bytes
        struct slab without its array of numbers.
    link : int
        One entry of that array (kmem_bufctl_t).
    enough_order : callable (large machine) -> order
        Order at which a slab is taken although it wastes more.
    array_limit : callable (size) -> objects
        What a cpu's array holds; 0: cpus have none.
    partial_to_tail : bool
        Whether a slab that gets an object back goes to the tail of the partial list.
    frees_empty : bool
        Whether empty slabs go back by themselves once a cache has enough free objects.
    sizes : tuple of int
        The caches of kmalloc.
    """

    descriptor: Callable[[int], int]
    link: int
    enough_order: Callable[[bool], int]
    array_limit: Callable[[int], int]
    partial_to_tail: bool
    frees_empty: bool
    sizes: tuple[int, ...]


_POWERS = tuple(1 << shift for shift in range(5, 18))

TABLE: tuple[Rule, ...] = (
    Rule(
        "descriptor",
        (2, 4),
        lambda word: 4 * word + 8,
        "A descriptor holds a list, the colour, the first object and two counts.",
        "mm/slab.c, struct slab_s",
        ("source",),
    ),
    Rule(
        "link", (2, 4), 4, "Free objects are linked by numbers of four bytes.", "mm/slab.c, kmem_bufctl_t", ("source",)
    ),
    Rule(
        "link",
        (2, 6),
        2,
        "Free objects are linked by numbers of two bytes.",
        "include/asm-i386/types.h, kmem_bufctl_t",
        ("source",),
    ),
    Rule(
        "enough_order",
        (2, 4),
        lambda large: 2 if large else 1,
        "A slab of four pages is taken whatever it wastes, of two below 32 MiB of memory.",
        "mm/slab.c, slab_break_gfp_order",
        ("source",),
    ),
    Rule(
        "enough_order",
        (2, 6),
        lambda large: 1 if large else 0,
        "A slab of two pages is taken whatever it wastes, of one below 32 MiB of memory.",
        "mm/slab.c, slab_break_gfp_order",
        ("source",),
    ),
    Rule("array_limit", (2, 4), lambda _size: 0, "A machine with one cpu has no arrays.", "mm/slab.c, enable_cpucache"),
    Rule(
        "array_limit",
        (2, 6),
        _array_limit,
        "A cpu's array holds 1, 8, 24, 54 or 120 objects, the smaller the more.",
        "mm/slab.c, enable_cpucache",
        ("source",),
    ),
    Rule(
        "partial_to_tail",
        (2, 4),
        False,
        "A slab that was full goes to the head of the partial list.",
        "mm/slab.c, kmem_cache_free_one",
        ("source",),
    ),
    Rule(
        "partial_to_tail",
        (2, 6),
        True,
        "A slab that gets an object back goes to the tail of the partial list.",
        "mm/slab.c, free_block",
        ("source",),
    ),
    Rule("frees_empty", (2, 4), False, "Empty slabs wait for the reaper.", "mm/slab.c, kmem_cache_free_one"),
    Rule(
        "frees_empty",
        (2, 6),
        True,
        "An empty slab goes back once there are more free objects than the arrays take.",
        "mm/slab.c, free_block",
        ("source",),
    ),
    Rule(
        "sizes",
        (2, 4),
        _POWERS,
        "kmalloc has caches for the powers of two from 32 bytes to 128 KiB.",
        "mm/slab.c, cache_sizes",
        ("source",),
    ),
    Rule(
        "sizes",
        (2, 6),
        tuple(sorted({*_POWERS, 96, 192})),
        "kmalloc has caches for the powers of two from 32 bytes to 128 KiB, and for 96 and 192 bytes.",
        "include/linux/kmalloc_sizes.h",
        ("source",),
    ),
)
