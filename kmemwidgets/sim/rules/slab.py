"""SLAB, the allocator of 2.4 and of 2.6 before SLUB: sizes, colours and per-cpu arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .slab_words import TABLE as WORDS
from .slab_words import SlabWords
from .table import Rule, pick

#: Largest order of a slab (MAX_GFP_ORDER), and a waste that nobody minds: one part in so many.
MAX_GFP_ORDER, GOOD_WASTE = 5, 8


def _array_limit_24(size: int, smp: bool, page_size: int) -> int:
    if not smp or size > page_size:
        return 0
    return 60 if size > 1024 else 124 if size > 256 else 252


def _array_limit_26(size: int, _smp: bool, page_size: int) -> int:
    return 1 if size > 131072 else 8 if size > page_size else 24 if size > 1024 else 54 if size > 256 else 120


def _struct_24(word: int, smp: bool) -> int:
    """Three lists, ten numbers, four pointers and two words, the name, the chain; with several cpus 32 arrays."""
    several = 8 + 32 * word if smp else 0
    return 6 * word + 12 + 8 + word + 8 + word + 8 + 3 * word + 20 + 2 * word + several


def _struct_26(word: int, smp: bool) -> int:
    """Arrays of at most 8 cpus, lists and their counts, numbers, and pointers to constructor, name and chain."""
    several = 7 * word + 4 if smp else 0
    return word + 8 + 10 * word + 16 + 8 + word + 8 + word + 8 + 5 * word + several


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
    line_aligned : bool
        Whether the descriptor fills whole cache lines, or as many bytes as the objects are aligned to.
    array_limit : callable (size, smp, page_size) -> objects
        What a cpu's array holds; 0: cpus have none.
    half_rounds_up : bool
        Whether the half of an odd limit that comes and goes at once is the larger one.
    cold_batch : int
        Objects that a cpu fetches at most before it has taken one; 0: no limit.
    array_head : int
        Bytes of an array before its objects.
    oldest_leave : bool
        Whether of a full array the objects leave that waited longest, or those that came last.
    shared_factor : callable (size, smp, page_size) -> batches, or None
        What the array holds that all cpus share; None: there is none.
    boot_arrays : bool
        Whether caches have arrays of one object from the first, and get larger ones when kmalloc works.
    partial_to_tail : bool
        Whether a slab that gets an object back goes to the tail of the partial list.
    frees_empty : bool
        Whether empty slabs go back by themselves once a cache has enough free objects.
    shrink_drains : bool
        Whether kmem_cache_shrink empties the arrays first.
    sizes : tuple of int
        The caches of kmalloc.
    struct_size : callable (word, smp) -> bytes
        struct kmem_cache_s.
    flags : frozenset of str
        What a cache may be asked to be (CREATE_MASK of a kernel without CONFIG_DEBUG_SLAB).
    checks_dma : bool
        Whether memory for DMA must be asked of caches for DMA.
    half_line : bool
        Whether an object that just fills half a cache line has no more than that.
    own_cache_first : bool
        Whether the cache of caches is the first of /proc/slabinfo or the last.
    align_is_offset : bool
        Whether the third argument of kmem_cache_create says by how much slabs are shifted, not how objects are aligned.
    red_zoned : callable (size, word, must be aligned) -> bool
        Whether objects of a size have red zones with CONFIG_DEBUG_SLAB.
    stores_user : bool
        Whether a debugged object keeps who had it last.
    free_poison : int
        Byte that a free object is filled with.
    taken_poison : int or None
        Byte that one is filled with for its new owner; None: it stays as it is.
    damage_stops : bool
        Whether the kernel stops at an object that was damaged, or reports it and goes on.
    debug_limit : int
        What arrays hold at most where caches are debugged; 0: as much as ever.
    debug_struct : callable (word, smp) -> bytes
        What CONFIG_DEBUG_SLAB adds to a cache's struct: counters, and where the object lies.
    timer : bool
        Whether caches are reaped by a timer, or when pages are short.
    destroy_words : str
        What is printed of a cache with objects left.
    words : SlabWords
        What is said of wrong pointers and of caches that can't be.
    """

    descriptor: Callable[[int], int]
    link: int
    enough_order: Callable[[bool], int]
    line_aligned: bool
    array_limit: Callable[[int, bool, int], int]
    half_rounds_up: bool
    cold_batch: int
    array_head: int
    oldest_leave: bool
    shared_factor: Callable[[int, bool, int], int | None]
    boot_arrays: bool
    partial_to_tail: bool
    frees_empty: bool
    shrink_drains: bool
    sizes: tuple[int, ...]
    struct_size: Callable[[int, bool], int]
    flags: frozenset[str]
    checks_dma: bool
    half_line: bool
    own_cache_first: bool
    align_is_offset: bool
    red_zoned: Callable[[int, int, bool], bool]
    stores_user: bool
    free_poison: int
    taken_poison: int | None
    damage_stops: bool
    debug_limit: int
    debug_struct: Callable[[int, bool], int]
    timer: bool
    destroy_words: str
    words: SlabWords


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
    Rule(
        "line_aligned", (2, 4), True, "A descriptor fills whole cache lines.",
        "mm/slab.c, kmem_cache_estimate", ("source",),
    ),
    Rule(
        "line_aligned", (2, 6), False, "A descriptor ends where the first object may begin.",
        "mm/slab.c, cache_estimate", ("source",),
    ),
    Rule(
        "array_limit", (2, 4), _array_limit_24,
        "With several cpus an array holds 60, 124 or 252 objects, none of more than a page; one cpu has no array.",
        "mm/slab.c, enable_cpucache", ("source",),
    ),
    Rule(
        "array_limit", (2, 6), _array_limit_26,
        "A cpu's array holds 1, 8, 24, 54 or 120 objects, the smaller the more.",
        "mm/slab.c, enable_cpucache", ("source",),
    ),
    Rule("half_rounds_up", (2, 4), False, "A batch is half the limit.", "mm/slab.c, enable_cpucache", ("source",)),
    Rule(
        "half_rounds_up", (2, 6), True, "A batch is half the limit, rounded up.",
        "mm/slab.c, enable_cpucache", ("source",),
    ),
    Rule("cold_batch", (2, 4), 0, "A batch is always whole.", "mm/slab.c, kmem_cache_alloc_batch", ("source",)),
    Rule(
        "cold_batch", (2, 6), 16, "A cpu that took nothing lately fetches at most 16 objects (BATCHREFILL_LIMIT).",
        "mm/slab.c, cache_alloc_refill", ("source",),
    ),
    Rule("array_head", (2, 4), 8, "An array begins with two counts.", "mm/slab.c, struct cpucache_s", ("source",)),
    Rule("array_head", (2, 6), 16, "An array begins with four counts.", "mm/slab.c, struct array_cache", ("source",)),
    Rule(
        "oldest_leave", (2, 4), False, "Of a full array those leave that came last.",
        "mm/slab.c, __kmem_cache_free", ("source",),
    ),
    Rule(
        "oldest_leave", (2, 6), True, "Of a full array those leave that waited longest.",
        "mm/slab.c, cache_flusharray", ("source",),
    ),
    Rule(
        "shared_factor", (2, 4), lambda _size, _smp, _page: None, "Cpus share no array.",
        "mm/slab.c, struct kmem_cache_s", ("source",),
    ),
    Rule(
        "shared_factor", (2, 6), lambda size, smp, page: 8 if smp and size <= page else 0,
        "Several cpus share an array of 8 batches, of objects up to a page.", "mm/slab.c, enable_cpucache", ("source",),
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
    Rule(
        "shrink_drains", (2, 4), False, "kmem_cache_shrink leaves the cpus' arrays alone.",
        "mm/slab.c, kmem_cache_shrink", ("source",),
    ),
    Rule(
        "shrink_drains", (2, 6), True, "kmem_cache_shrink empties the cpus' arrays.",
        "mm/slab.c, __cache_shrink", ("source",),
    ),
    Rule(
        "struct_size", (2, 4), _struct_24, "A cache's struct has 108 bytes on i386, 244 with several cpus.",
        "mm/slab.c, struct kmem_cache_s", ("source",),
    ),
    Rule(
        "struct_size", (2, 6), _struct_26, "A cache's struct has 120 bytes on i386, 152 with several cpus.",
        "mm/slab.c, struct kmem_cache_s", ("source",),
    ),
    Rule(
        "boot_arrays", (2, 4), False, "Arrays are an addition: a cache works without.",
        "mm/slab.c, kmem_cpucache_init", ("source",),
    ),
    Rule(
        "boot_arrays", (2, 6), True, "No cache works without arrays, so the first ones have one object each.",
        "mm/slab.c, kmem_cache_init", ("source",),
    ),
    Rule(
        "half_line", (2, 4), False, "An object that just fills half a cache line has a whole one.",
        "mm/slab.c, kmem_cache_create", ("source",),
    ),
    Rule(
        "half_line", (2, 6), True, "Two objects share a cache line if they just fill it.",
        "mm/slab.c, kmem_cache_create", ("source",),
    ),
    Rule(
        "own_cache_first", (2, 4), True, "/proc/slabinfo begins with kmem_cache.", "mm/slab.c, s_start", ("source",),
    ),
    Rule(
        "own_cache_first", (2, 6), False, "/proc/slabinfo ends with kmem_cache.", "mm/slab.c, s_start", ("source",),
    ),
    Rule(
        "flags", (2, 4), frozenset({"hwcache_align", "must_hwcache_align", "no_reap", "cache_dma"}),
        "A cache may be aligned to cache lines, spared by the reaper, and for DMA.",
        "mm/slab.c, CREATE_MASK", ("source",),
    ),
    Rule(
        "flags", (2, 6),
        frozenset({"hwcache_align", "must_hwcache_align", "no_reap", "cache_dma", "reclaim_account", "panic",
                   "destroy_by_rcu"}),
        "A cache may also be reclaimable, and its slabs freed by RCU.", "mm/slab.c, CREATE_MASK", ("source",),
    ),
    Rule(
        "checks_dma", (2, 4), True, "Memory for DMA is asked of caches for DMA only.",
        "mm/slab.c, kmem_cache_alloc_head", ("source",),
    ),
    Rule(
        "checks_dma", (2, 6), False, "Only a kernel with CONFIG_DEBUG_SLAB asks whose memory is for DMA.",
        "mm/slab.c, kmem_flagcheck", ("source",),
    ),
    Rule(
        "align_is_offset", (2, 4), True, "A cache's maker says by how much its slabs are shifted.",
        "mm/slab.c, kmem_cache_create", ("source",),
    ),
    Rule(
        "align_is_offset", (2, 6), False, "A cache's maker says how its objects are aligned.",
        "mm/slab.c, kmem_cache_create", ("source",),
    ),
    Rule(
        "red_zoned", (2, 4), lambda size, _word, aligned: size < 4096 >> 3 and not aligned,
        "Objects below an eighth of a page have red zones, unless they must be aligned.",
        "mm/slab.c, kmem_cache_create", ("source",),
    ),
    Rule(
        "red_zoned", (2, 6),
        lambda size, word, _aligned: size < 4096 or (size - 1).bit_length() == (size - 1 + 3 * word).bit_length(),
        "Objects have red zones unless these make a large one exceed the next power of two.",
        "mm/slab.c, kmem_cache_create", ("source",),
    ),
    Rule("stores_user", (2, 4), False, "Nobody is noted.", "mm/slab.c", ("source",)),
    Rule(
        "stores_user", (2, 6), True, "The last user is noted behind an object.",
        "mm/slab.c, dbg_userword", ("source",),
    ),
    Rule("free_poison", (2, 4), 0x5A, "A free object is filled with 5a.", "mm/slab.c, POISON_BYTE", ("source",)),
    Rule("free_poison", (2, 6), 0x6B, "A free object is filled with 6b.", "mm/slab.c, POISON_FREE", ("source",)),
    Rule("taken_poison", (2, 4), None, "Who takes an object finds it as it was.", "mm/slab.c", ("source",)),
    Rule("taken_poison", (2, 6), 0x5A, "Who takes an object finds 5a in it.", "mm/slab.c, POISON_INUSE", ("source",)),
    Rule("damage_stops", (2, 4), True, "Damage stops the kernel.", "mm/slab.c, kmem_cache_alloc_one_tail", ("source",)),
    Rule("damage_stops", (2, 6), False, "Damage is reported.", "mm/slab.c, cache_free_debugcheck", ("source",)),
    Rule("debug_limit", (2, 4), 0, "Arrays are as large as ever.", "mm/slab.c, enable_cpucache", ("source",)),
    Rule(
        "debug_limit", (2, 6), 32, "Arrays of debugged caches hold 32 objects at most.",
        "mm/slab.c, enable_cpucache", ("source",),
    ),
    Rule(
        "debug_struct", (2, 4), lambda word, smp: 6 * word + (16 if smp else 0),
        "A debugged kernel counts: six words, with several cpus four numbers more.",
        "mm/slab.c, struct kmem_cache_s", ("source",),
    ),
    Rule(
        "debug_struct", (2, 6), lambda word, _smp: 8 * word + 24,
        "A debugged kernel counts in eight words and four numbers, and keeps two more about the object.",
        "mm/slab.c, struct kmem_cache_s", ("source",),
    ),
    Rule("timer", (2, 4), False, "Who is short of pages reaps caches.", "mm/slab.c, kmem_cache_reap", ("source",)),
    Rule("timer", (2, 6), True, "A timer of each cpu reaps caches.", "mm/slab.c, cache_reap", ("source",)),
    Rule("words", (2, 4), pick(SlabWords, WORDS, (2, 4)), "Each check has its line.", "mm/slab.c", ("source",)),
    Rule("words", (2, 6), pick(SlabWords, WORDS, (2, 6)), "Most checks say what is wrong.", "mm/slab.c", ("source",)),
    Rule(
        "destroy_words", (2, 4), "kmem_cache_destroy: Can't free all objects {pointer:08x}",
        "A cache with objects left stays.", "mm/slab.c, kmem_cache_destroy", ("source",),
    ),
    Rule(
        "destroy_words", (2, 6), "slab error in kmem_cache_destroy(): cache `{name}': Can't free all objects",
        "A cache with objects left stays.", "mm/slab.c, kmem_cache_destroy", ("source",),
    ),
)  # fmt: skip
