"""SLUB: how an object is laid out, how large a slab is, and how many slabs a cpu may keep.

Functions of plain numbers only: bytes, counts, and `word`, the size of a pointer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from kmemwidgets.records import MachineSpec, Version

from .table import Rule, in_force

#: Objects that fit the 15 bits of struct slab's object counter (mm/slub.c, MAX_OBJS_PER_PAGE).
MAX_OBJS_PER_SLAB = 32767
#: mm/slub.c, MIN_PARTIAL and MAX_PARTIAL.
MIN_PARTIAL, MAX_PARTIAL = 5, 10


def align_up(size: int, align: int) -> int:
    """Round up to a multiple of a power of two."""
    return (size + align - 1) & -align


def get_order(size: int, page_size: int = 4096) -> int:
    """Return the smallest order whose block holds `size` bytes (include/asm-generic/getorder.h)."""
    return max((size - 1) // page_size, 0).bit_length()


def _first_fit_order(size: int, start: int, max_order: int, fraction: int, page_size: int) -> int:
    """calc_slab_order: the smallest order that wastes at most one part in `fraction`."""
    for order in range(start, max_order + 1):
        slab = page_size << order
        if slab % size <= slab // fraction:
            return order
    return max_order + 1


def _start_order(size: int, min_objects: int, min_order: int, page_size: int) -> int:
    return max(min_order, get_order(min_objects * size, page_size))


def _order_fewer_objects(
    size: int, min_objects: int, min_order: int, max_order: int, highest_order: int, page_size: int
) -> int:
    """Ask for fewer and fewer objects, each time with all three fractions."""
    if (page_size << min_order) // size > MAX_OBJS_PER_SLAB:
        return get_order(size * MAX_OBJS_PER_SLAB, page_size) - 1
    for wanted in range(min(min_objects, (page_size << max_order) // size), 1, -1):
        for fraction in (16, 8, 4):
            order = _first_fit_order(
                size, _start_order(size, wanted, min_order, page_size), max_order, fraction, page_size
            )
            if order <= max_order:
                return order
    for limit in (max_order, highest_order):
        order = _first_fit_order(size, _start_order(size, 1, min_order, page_size), limit, 1, page_size)
        if order <= limit:
            return order
    return -1


def _order_fixed_start(
    size: int, min_objects: int, min_order: int, max_order: int, highest_order: int, page_size: int
) -> int:
    """Start once, at the order that holds the wanted objects, and give up more and more waste."""
    wanted = min(min_objects, max((page_size << max_order) // size, 1))
    start = _start_order(size, wanted, min_order, page_size)
    if (page_size << start) // size > MAX_OBJS_PER_SLAB:
        return get_order(size * MAX_OBJS_PER_SLAB, page_size) - 1
    for fraction in (16, 8, 4, 2):
        order = _first_fit_order(size, start, max_order, fraction, page_size)
        if order <= max_order:
            return order
    order = get_order(size, page_size)
    return order if order <= highest_order else -1


def _cpu_partial_small(size: int, page_size: int) -> int:
    return 2 if size >= page_size else 6 if size >= 1024 else 13 if size >= 256 else 30


def _cpu_partial_large(size: int, page_size: int) -> int:
    return 6 if size >= page_size else 24 if size >= 1024 else 52 if size >= 256 else 120


def _min_partial(size: int) -> int:
    return max(MIN_PARTIAL, min((size.bit_length() - 1) // 2, MAX_PARTIAL))


@dataclass(frozen=True, slots=True)
class SlubRules:
    """What differs between the SLUBs of different kernels.

    Attributes
    ----------
    free_pointer : callable (object_size, word) -> offset
        Where in a free object the link to the next one lies, if it may lie inside.
    red_zone_moves_pointer : callable (object_size, word, keeps_request_size) -> bool
        Whether a red zone forces the link behind the object.
    track_size : callable (word) -> bytes
        One struct track (who allocated, who freed).
    request_size_field : int
        Bytes that kmalloc caches with user tracking keep for the size that was asked for.
    min_objects_cpus : callable (present, possible) -> cpus
        The count of cpus that the wanted number of objects follows from.
    order : callable (size, min_objects, min_order, max_order, highest_order, page_size) -> order
        -1 where an object is too large for any slab.
    cpu_partial : callable (size, page_size) -> objects
        Free objects that a cpu may keep in its partial slabs.
    cpu_partial_slabs : callable (cpu_partial, objs_per_slab) -> slabs
        The same limit counted in slabs, 0 where the kernel counts objects.
    min_partial : callable (size) -> slabs
        Empty slabs that a node keeps.
    free_pointer_arg : frozenset of str
        Caches that name a place inside the object for the link although readers may still
        look at freed objects (struct kmem_cache_args, use_freeptr_offset).
    swab_pointer : bool
        Whether a hardened link is also mixed with the byte-swapped address where it lies.
    frozen_cpu_partial : bool
        Whether slabs on a cpu's partial list are frozen.
    deactivate_reverses : bool
        Whether a slab that a cpu gives up gets the cpu's free objects in reverse order.
    sheaf_capacity : callable (cache name) -> objects
        Objects in each of the per-cpu sheaves in front of the slabs; 0: none. Such a cache is never shared.
    report_prefix : str
        What lines of a report begin with.
    red_zone_sides : bool
        Whether a report tells the red zone before an object from the one behind it.
    sections_aligned : bool
        Whether the bytes in a report stand below each other.
    taint_letters : int
        Reasons for which a kernel may be tainted, each with a place in the report's first line.
    taints_first : bool
        Whether memory is noted as bad at the beginning of a report or at its end.
    flags_by_name : bool
        Whether page flags are told by name.
    fix_says_what : bool
        Whether a report says what was restored.
    warns_of_damage : bool
        Whether all damage of an object is found at once, and warned of.
    kmalloc_red_zone : bool
        Whether what kmalloc gave beyond what it was asked for is a red zone.
    destroy_words, create_function : str
        What is said of a cache destroyed with objects left; who says that a cache can't be made.
    option_prefixes : tuple of str
        What an option of the command line may begin with: ``slub`` in ``slub_max_order=``.
    sysfs_calls, sysfs_sheaves : bool
        Whether caches have files alloc_calls and free_calls, and sheaf_capacity, under /sys/kernel/slab.
    orders_agree : bool
        Whether setting one of min_order and max_order moves the other along.
    stats : tuple of str
        The counters of CONFIG_SLUB_STATS by the names of their files, in the order of these.
    bulk_counts : (bool, bool)
        Whether objects of a bulk allocation are counted: those from the cpu's list, and the others.
    counts_freed_objects : bool
        Whether the fast path counts each object that is given back, or each chain of them.
    debugged_deactivate : bool
        Whether a debugged cache's slab becomes a cpu's for each object and is given up again.
    tiny : bool
        Whether there is CONFIG_SLUB_TINY.
    """

    free_pointer: Callable[[int, int], int]
    red_zone_moves_pointer: Callable[[int, int, bool], bool]
    track_size: Callable[[int], int]
    request_size_field: int
    min_objects_cpus: Callable[[int, int], int]
    order: Callable[[int, int, int, int, int, int], int]
    cpu_partial: Callable[[int, int], int]
    cpu_partial_slabs: Callable[[int, int], int]
    min_partial: Callable[[int], int]
    free_pointer_arg: frozenset[str]
    swab_pointer: bool
    frozen_cpu_partial: bool
    deactivate_reverses: bool
    sheaf_capacity: Callable[[str], int]
    report_prefix: str
    red_zone_sides: bool
    sections_aligned: bool
    taint_letters: int
    taints_first: bool
    flags_by_name: bool
    fix_says_what: bool
    warns_of_damage: bool
    kmalloc_red_zone: bool
    destroy_words: str
    create_function: str
    option_prefixes: tuple[str, ...]
    sysfs_calls: bool
    sysfs_sheaves: bool
    orders_agree: bool
    stats: tuple[str, ...]
    bulk_counts: tuple[bool, bool]
    counts_freed_objects: bool
    debugged_deactivate: bool
    tiny: bool


_STATS = (
    "alloc_fastpath", "alloc_slowpath", "free_fastpath", "free_slowpath", "free_frozen", "free_add_partial",
    "free_remove_partial", "alloc_from_partial", "alloc_slab", "alloc_refill", "alloc_node_mismatch", "free_slab",
    "cpuslab_flush", "deactivate_full", "deactivate_empty", "deactivate_to_head", "deactivate_to_tail",
    "deactivate_remote_frees", "deactivate_bypass", "order_fallback", "cmpxchg_double_fail", "cmpxchg_double_cpu_fail",
    "cpu_partial_alloc", "cpu_partial_free", "cpu_partial_node", "cpu_partial_drain",
)  # fmt: skip
_SHEAF_STATS = (
    "sheaf_flush", "sheaf_refill", "sheaf_alloc", "sheaf_free", "barn_get", "barn_get_fail", "barn_put",
    "barn_put_fail", "sheaf_prefill_fast", "sheaf_prefill_slow", "sheaf_prefill_oversize", "sheaf_return_fast",
    "sheaf_return_slow",
)  # fmt: skip


_LIVE = ("recording:6.1", "recording:6.12", "oracle:real_kernel_slub_caches")

TABLE: tuple[Rule, ...] = (
    Rule(
        "free_pointer", (5, 6), lambda _object_size, _word: 0,
        "A free object links to the next in its first word.",
        "mm/slub.c, calculate_sizes",
    ),
    Rule(
        "free_pointer", (5, 7), lambda object_size, word: object_size // 2 & -word,
        "The link lies in the middle of a free object, out of reach of small overflows.",
        "mm/slub.c, calculate_sizes", ("recording:6.1", "recording:6.12"),
    ),
    Rule(
        "red_zone_moves_pointer", (5, 6), lambda _object_size, _word, _request: False,
        "A red zone leaves the link inside the object.",
        "mm/slub.c, calculate_sizes",
    ),
    Rule(
        "red_zone_moves_pointer", (5, 13), lambda object_size, word, _request: object_size < word,
        "With a red zone, an object smaller than a pointer has its link behind it.",
        "mm/slub.c, calculate_sizes", ("source",),
    ),
    Rule(
        "red_zone_moves_pointer", (6, 12), lambda object_size, word, request: object_size < word or request,
        "With a red zone, an object below a pointer's size or with its request recorded has its link behind it.",
        "mm/slub.c, calculate_sizes", ("source",),
    ),
    Rule(
        "track_size", (5, 6), lambda word: align_up(word * 18 + 8, word),
        "A track holds 16 return addresses.",
        "mm/slub.c, struct track",
    ),
    Rule(
        "track_size", (5, 19), lambda word: align_up(word + 12, word) + word,
        "A track holds a handle into the stack depot.",
        "mm/slub.c, struct track", ("recording:6.1",),
    ),
    Rule("request_size_field", (5, 6), 0, "The size asked for is not kept.", "mm/slub.c, calculate_sizes"),
    Rule(
        "request_size_field", (6, 1), 4, "Kmalloc caches with user tracking keep the size asked for.",
        "mm/slub.c, set_orig_size", ("recording:6.1",),
    ),
    Rule(
        "request_size_field", (6, 18), 8, "kmalloc caches with user tracking keep the size asked for, in a whole word.",
        "mm/slub.c, set_orig_size", ("source",),
    ),
    Rule(
        "min_objects_cpus", (5, 6), lambda _present, possible: possible,
        "Slabs grow with the number of possible cpus.",
        "mm/slub.c, calculate_order", ("oracle:kernel_slub_order",),
    ),
    Rule(
        "min_objects_cpus", (5, 12), lambda present, possible: present if present > 1 else possible,
        "Slabs grow with the number of cpus present at boot, if there is more than one.",
        "mm/slub.c, calculate_order", ("oracle:kernel_slub_order", *_LIVE),
    ),
    Rule(
        "order", (5, 6), _order_fewer_objects,
        "A slab rather holds fewer objects than it takes a larger order or wastes more than a part.",
        "mm/slub.c, calculate_order", ("oracle:kernel_slub_order", "recording:6.1"),
    ),
    Rule(
        "order", (6, 8), _order_fixed_start,
        "The wanted number of objects fixes the smallest order; only the wasted part may grow.",
        "mm/slub.c, calculate_order", ("oracle:kernel_slub_order", "recording:6.12", "oracle:real_kernel_slub_caches"),
    ),
    Rule(
        "cpu_partial", (5, 6), _cpu_partial_small,
        "A cpu keeps 2, 6, 13 or 30 free objects.",
        "mm/slub.c, set_cpu_partial",
    ),
    Rule(
        "cpu_partial", (5, 16), _cpu_partial_large,
        "A cpu keeps 6, 24, 52 or 120 objects in half-full slabs.",
        "mm/slub.c, set_cpu_partial", _LIVE,
    ),
    Rule(
        "cpu_partial_slabs", (5, 6), lambda _objects, _per_slab: 0,
        "The limit counts the free objects a slab had when it was put aside.",
        "mm/slub.c, put_cpu_partial",
    ),
    Rule(
        "cpu_partial_slabs", (5, 16), lambda objects, per_slab: -(-objects * 2 // per_slab),
        "The limit counts slabs, taken to be half full.",
        "mm/slub.c, slub_set_cpu_partial", ("recording:6.1", "recording:6.12"),
    ),
    Rule(
        "min_partial", (5, 6), _min_partial,
        "A node keeps half the logarithm of the size in partial slabs, 5 to 10.",
        "mm/slub.c, set_min_partial", _LIVE,
    ),
    Rule("free_pointer_arg", (5, 6), frozenset(),
         "No cache chooses the place of the link.", "mm/slub.c, calculate_sizes"),
    Rule(
        "free_pointer_arg", (6, 12), frozenset({"filp"}), "Files keep the link in a field of their own.",
        "fs/file_table.c, files_init", ("recording:6.12",),
    ),
    Rule(
        "free_pointer_arg", (6, 15), frozenset({"filp", "bfilp", "vm_area_struct"}),
        "Files and VMAs keep the link in a field of their own.", "kernel/fork.c, vma_state_init", ("source",),
    ),
    Rule(
        "swab_pointer", (5, 6), False, "A hardened link is mixed with its own address.",
        "mm/slub.c, freelist_ptr",
    ),
    Rule(
        "swab_pointer", (5, 7), True, "A hardened link is mixed with its own address, byte-swapped first.",
        "mm/slub.c, freelist_ptr", ("source",), ((5, 6, 4),),
    ),
    Rule("frozen_cpu_partial", (5, 6), True, "Slabs on a cpu's partial list are frozen.", "mm/slub.c, put_cpu_partial"),
    Rule(
        "frozen_cpu_partial", (6, 8), False, "Slabs on a cpu's partial list are not frozen, only off the node's list.",
        "mm/slub.c, put_cpu_partial", ("source",),
    ),
    Rule(
        "deactivate_reverses", (5, 6), True, "A cpu's free objects go back to their slab one by one.",
        "mm/slub.c, deactivate_slab",
    ),
    Rule(
        "deactivate_reverses", (5, 12), False, "A cpu's free objects go back to their slab as one chain.",
        "mm/slub.c, deactivate_slab", ("source",),
    ),
    Rule("sheaf_capacity", (5, 6), lambda _name: 0, "Objects come from slabs only.", "mm/slub.c, slab_alloc_node"),
    Rule(
        "sheaf_capacity", (6, 18), lambda name: 32 if name in ("vm_area_struct", "maple_node") else 0,
        "A cache may put per-cpu sheaves before its slabs; those of VMAs and maple nodes do.",
        "mm/slub.c, alloc_from_pcs; kernel/fork.c; lib/maple_tree.c", ("oracle:real_kernel_slub_caches",),
    ),
    Rule("report_prefix", (5, 6), "INFO: ", "Lines of a report begin with INFO:.", "mm/slub.c, print_trailer"),
    Rule(
        "report_prefix", (5, 14), "", "Lines of a report have no prefix.",
        "mm/slub.c, print_trailer", ("source",),
    ),
    Rule("red_zone_sides", (5, 6), False, "A report speaks of the red zone.", "mm/slub.c, check_object"),
    Rule(
        "red_zone_sides", (5, 13), True, "A report speaks of the left and the right red zone.",
        "mm/slub.c, check_object", ("source",),
    ),
    Rule("sections_aligned", (5, 6), False, "Each label of bytes has its own width.", "mm/slub.c, print_trailer",
         ("source",)),
    Rule("sections_aligned", (5, 13), True, "All labels of bytes have one width.", "mm/slub.c, print_trailer",
         ("source",)),
    Rule("taint_letters", (5, 6), 18, "There are 18 reasons for a tainted kernel.", "kernel/panic.c, taint_flags",
         ("source",)),
    Rule("taint_letters", (6, 0), 19, "Tests taint a kernel too.", "kernel/panic.c, taint_flags", ("source",)),
    Rule("taint_letters", (6, 15), 20, "Talking to firmware past the driver taints too.",
         "kernel/panic.c, taint_flags", ("source",)),
    Rule("taints_first", (5, 6), True, "A report begins by tainting the kernel.", "mm/slub.c, slab_bug", ("source",)),
    Rule("taints_first", (5, 14), False, "A report ends by tainting the kernel.", "mm/slub.c, object_err",
         ("source",)),
    Rule("flags_by_name", (5, 6), False, "A report tells page flags as a number.", "mm/slub.c, print_page_info",
         ("source",)),
    Rule("flags_by_name", (5, 13), True, "A report tells page flags by name.", "mm/slub.c, print_page_info",
         ("source",)),
    Rule("fix_says_what", (5, 6), False, "A report says where bytes were restored.", "mm/slub.c, restore_bytes",
         ("source",)),
    Rule("fix_says_what", (5, 14), True, "A report says where which bytes were restored.",
         "mm/slub.c, restore_bytes", ("source",)),
    Rule("warns_of_damage", (5, 6), False, "The first damage of an object ends the check.", "mm/slub.c, check_object",
         ("source",)),
    Rule("warns_of_damage", (6, 15), True, "All damage of an object is told before it is repaired, with a warning.",
         "mm/slub.c, check_object", ("source",), ((6, 12, 94),)),
    Rule("kmalloc_red_zone", (5, 6), False, "All of kmalloc's object may be written.", "mm/slub.c, init_object",
         ("source",)),
    Rule("kmalloc_red_zone", (6, 2), True, "What kmalloc gives beyond what it was asked for is a red zone.",
         "mm/slub.c, init_object", ("source",)),
    Rule("destroy_words", (5, 6), "kmem_cache_destroy {name}: Slab cache still has objects",
         "A cache with objects is not destroyed.", "mm/slab_common.c, kmem_cache_destroy", ("source",)),
    Rule("destroy_words", (5, 16), "kmem_cache_destroy {name}: Slab cache still has objects when called from 0x0",
         "A cache with objects is not destroyed, and the caller is named.", "mm/slab_common.c, kmem_cache_destroy",
         ("source",)),
    Rule("create_function", (5, 6), "kmem_cache_create", "A cache that can't be made is told of.",
         "mm/slab_common.c, kmem_cache_create_usercopy", ("source",)),
    Rule("create_function", (5, 16), "kmem_cache_create_usercopy", "The function that failed names itself.",
         "mm/slab_common.c, kmem_cache_create_usercopy", ("source",)),
    Rule("create_function", (6, 12), "__kmem_cache_create_args", "The function that failed names itself.",
         "mm/slab_common.c, __kmem_cache_create_args", ("source",)),
    Rule("option_prefixes", (5, 6), ("slub",), "Options begin with slub_.", "mm/slub.c, setup_slub_debug"),
    Rule(
        "option_prefixes", (6, 8), ("slab", "slub"), "Options begin with slab_; slub_ still works.",
        "mm/slub.c, setup_slub_debug", ("source",),
    ),
    Rule("sysfs_calls", (5, 6), True, "sysfs shows who holds a cache's objects.", "mm/slub.c, slab_attrs", ("source",)),
    Rule(
        "sysfs_calls", (5, 16), False, "Who holds a cache's objects is shown by debugfs.",
        "mm/slub.c, slab_attrs", ("recording:6.1", "recording:6.12"),
    ),
    Rule("sysfs_sheaves", (5, 6), False, "sysfs knows no sheaves.", "mm/slub.c, slab_attrs", ("recording:6.12",)),
    Rule(
        "sysfs_sheaves", (6, 18), True, "sysfs shows the capacity of a cache's sheaves.",
        "mm/slub.c, slab_attrs", ("oracle:real_kernel_slub_caches",),
    ),
    Rule("orders_agree", (5, 6), False, "The options are taken as they come.", "mm/slub.c, setup_slub_min_order"),
    Rule(
        "orders_agree", (6, 8), True, "The later of the two options moves the other along.",
        "mm/slub.c, setup_slub_min_order", ("source",),
    ),
    Rule(
        "stats", (5, 6), _STATS, "CONFIG_SLUB_STATS counts 26 things that a cpu may do with a cache.",
        "mm/slub.c, slab_attrs", ("source",),
    ),
    Rule(
        "stats", (6, 18),
        ("alloc_cpu_sheaf", *_STATS[:2], "free_cpu_sheaf", "free_rcu_sheaf", "free_rcu_sheaf_fail", *_STATS[2:],
         *_SHEAF_STATS),
        "What goes through sheaves and barns is counted, too.", "mm/slub.c, slab_attrs", ("source",),
    ),
    Rule(
        "bulk_counts", (5, 6), (False, False), "Of a bulk allocation nothing is counted.",
        "mm/slub.c, kmem_cache_alloc_bulk", ("source",),
    ),
    Rule(
        "bulk_counts", (5, 8), (False, True), "The slow path counts whoever comes.",
        "mm/slub.c, ___slab_alloc", ("source",),
    ),
    Rule(
        "bulk_counts", (6, 8), (True, True), "Each object of a bulk allocation is counted.",
        "mm/slub.c, __kmem_cache_alloc_bulk", ("source",),
    ),
    Rule(
        "counts_freed_objects", (5, 6), False, "A chain of objects given back at once is counted once.",
        "mm/slub.c, do_slab_free", ("source",),
    ),
    Rule(
        "counts_freed_objects", (6, 8), True, "Each object given back to the cpu's slab is counted.",
        "mm/slub.c, do_slab_free", ("source",),
    ),
    Rule(
        "debugged_deactivate", (5, 6), True, "A debugged cache's slab is a cpu's while one object is taken.",
        "mm/slub.c, ___slab_alloc", ("source",),
    ),
    Rule(
        "debugged_deactivate", (6, 1), False, "A debugged cache's objects come from the node's list one by one.",
        "mm/slub.c, alloc_single_from_partial", ("source",),
    ),
    Rule("tiny", (5, 6), False, "SLUB has one size; the small allocator is SLOB.", "mm/slub.c", ("source",)),
    Rule(
        "tiny", (6, 2), True, "CONFIG_SLUB_TINY leaves out what cpus keep, and empty slabs.",
        "mm/Kconfig, SLUB_TINY", ("source",),
    ),
)  # fmt: skip


def has_slub(version: Version) -> bool:
    """Tell whether a kernel's slab allocator is SLUB as this project models it; older ones have SLAB."""
    return in_force(TABLE, version).keys() >= {field.name for field in fields(SlubRules)}


def is_tiny(spec: MachineSpec) -> bool:
    """Tell whether a machine's kernel has the small SLUB of CONFIG_SLUB_TINY."""
    rule = in_force(TABLE, spec.kernel).get("tiny")
    return rule is not None and bool(rule.value) and spec.option("CONFIG_SLUB_TINY") == "y"
