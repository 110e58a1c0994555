"""The arithmetic of a slab cache: bytes of an object, pages of a slab, slabs that are kept.

Nothing here holds state: every function goes from plain numbers to plain numbers,
so that a capture, a machine and a reader at a prompt can use the same one.
"""

from __future__ import annotations

from dataclasses import dataclass

from .rules.slub import SlubRules, align_up

#: Debugging by the letter that slub_debug= knows it by, under the name of its file in /sys/kernel/slab.
DEBUG_LETTERS = {
    "F": "sanity_checks",
    "Z": "red_zone",
    "P": "poison",
    "U": "store_user",
    "T": "trace",
    "A": "failslab",
}
#: SLAB_DEBUG_FLAGS: any of these takes the fast paths away (mm/slub.c).
DEBUG_FLAGS = frozenset({"sanity_checks", "red_zone", "poison", "store_user", "trace"})


@dataclass(frozen=True, slots=True)
class Tunables:
    """What the command line and the machine say about all caches.

    Attributes
    ----------
    present_cpus, possible_cpus : int
        cpu_present_mask's weight at boot, and nr_cpu_ids.
    min_order, max_order, min_objects : int
        slub_min_order=, slub_max_order= (3 is PAGE_ALLOC_COSTLY_ORDER) and slub_min_objects= (0: automatic).
    page_size, word : int
        Bytes of a page and of a pointer.
    highest_order : int
        Largest order of the page allocator.
    cpu_partial : bool
        CONFIG_SLUB_CPU_PARTIAL.
    tiny : bool
        CONFIG_SLUB_TINY: cpus keep nothing for themselves, nodes keep no empty slab.
    """

    present_cpus: int = 1
    possible_cpus: int = 1
    min_order: int = 0
    max_order: int = 3
    min_objects: int = 0
    page_size: int = 4096
    word: int = 8
    highest_order: int = 10
    cpu_partial: bool = True
    tiny: bool = False


@dataclass(frozen=True, slots=True)
class ObjectLayout:
    """Where the parts of an object lie. Bytes.

    Attributes
    ----------
    object_size : int
        What the owner asked for.
    inuse : int
        Object and the padding or red zone directly behind it.
    offset : int
        The link to the next free object.
    track : int or None
        The two tracks, if users are stored.
    request_size : int or None
        The size that kmalloc was asked for.
    red_left_pad : int
        The red zone in front of the object.
    size : int
        From one object to the next: slab_size in /sys, objsize in /proc/slabinfo.
    """

    object_size: int
    inuse: int
    offset: int
    track: int | None
    request_size: int | None
    red_left_pad: int
    size: int


def calculate_alignment(requested: int, object_size: int, cache_line: int, *, hwcache: bool, word: int = 8) -> int:
    """Return a cache's alignment (mm/slab_common.c, calculate_alignment).

    Parameters
    ----------
    requested : int
        What the creator asked for; 0 for nothing.
    object_size, cache_line, word : int
        Bytes.
    hwcache : bool
        SLAB_HWCACHE_ALIGN: a cache line, or the part of it that a small object fills.
    """
    align = requested
    if hwcache:
        line = cache_line
        while object_size <= line // 2:
            line //= 2
        align = max(align, line)
    return align_up(max(align, word), word)


def calculate_sizes(
    rules: SlubRules,
    object_size: int,
    align: int,
    flags: frozenset[str] = frozenset(),
    *,
    ctor: bool = False,
    kmalloc: bool = False,
    name: str = "",
    word: int = 8,
) -> ObjectLayout:
    """Lay out an object (mm/slub.c, calculate_sizes).

    Parameters
    ----------
    rules : SlubRules
    object_size, align, word : int
        Bytes; `align` is the cache's, after `calculate_alignment`.
    flags : frozenset of str
        Names of /sys/kernel/slab files that read 1: "red_zone", "poison", "store_user", "destroy_by_rcu" ...
    ctor : bool
        A constructor's work must survive while the object is free.
    kmalloc : bool
        One of kmalloc's own caches (SLAB_KMALLOC).
    name : str
        To know the caches that choose a place for the link themselves.
    """
    red_zone = "red_zone" in flags
    keeps_request = kmalloc and "store_user" in flags and rules.request_size_field > 0
    size = align_up(object_size, word)
    if red_zone and size == object_size:
        size += word
    inuse = size
    rcu = "destroy_by_rcu" in flags and name not in rules.free_pointer_arg
    behind = red_zone and rules.red_zone_moves_pointer(object_size, word, keeps_request)
    if ctor or rcu or "poison" in flags or behind:
        offset = size
        size += word
    else:
        offset = rules.free_pointer(object_size, word)
    track = request_size = None
    if "store_user" in flags:
        track = size
        size += 2 * rules.track_size(word)
        if keeps_request:
            request_size = size
            size += rules.request_size_field
    red_left_pad = 0
    if red_zone:
        red_left_pad = align_up(word, align)
        size += word + red_left_pad
    return ObjectLayout(object_size, inuse, offset, track, request_size, red_left_pad, align_up(size, align))


def calculate_order(rules: SlubRules, size: int, tunables: Tunables) -> int:
    """Return a slab's order for objects of `size` bytes (mm/slub.c, calculate_order); -1 if none holds one."""
    wanted = tunables.min_objects
    if not wanted:
        cpus = rules.min_objects_cpus(tunables.present_cpus, tunables.possible_cpus)
        wanted = 4 * (cpus.bit_length() + 1)
    return rules.order(size, wanted, tunables.min_order, tunables.max_order, tunables.highest_order, tunables.page_size)


@dataclass(frozen=True, slots=True)
class CacheGeometry:
    """All that follows from a cache's description: the layout and the figures of /sys/kernel/slab."""

    layout: ObjectLayout
    order: int
    objs_per_slab: int
    min_partial: int
    cpu_partial: int
    cpu_partial_slabs: int


def cache_geometry(rules: SlubRules, layout: ObjectLayout, flags: frozenset[str], tunables: Tunables) -> CacheGeometry:
    """Work out order, objects and limits for objects that are laid out (mm/slub.c, kmem_cache_open)."""
    order = calculate_order(rules, layout.size, tunables)
    objects = (tunables.page_size << order) // layout.size if order >= 0 else 0
    keeps = tunables.cpu_partial and not flags & DEBUG_FLAGS
    cpu_partial = rules.cpu_partial(layout.size, tunables.page_size) if keeps else 0
    slabs = rules.cpu_partial_slabs(cpu_partial, objects) if objects else 0
    min_partial = 0 if tunables.tiny else rules.min_partial(layout.size)
    return CacheGeometry(layout, order, objects, min_partial, cpu_partial, slabs)
