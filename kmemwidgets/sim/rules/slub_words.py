"""What SLUB and kmalloc say of wrong pointers, and of caches that can't go."""

from __future__ import annotations

from dataclasses import dataclass

from .table import Rule


@dataclass(frozen=True, slots=True)
class SlubWords:
    """Where a warning comes from, and how a report is put together.

    Attributes
    ----------
    cache_file : str
        Where cache_from_obj and virt_to_cache are.
    wrong_cache_once : bool
        Whether an object of another cache is told of once only.
    wrong_cache_tracks : bool
        Whether it is told as well who had that object.
    ksize_file : str
        Where __ksize is.
    ksize_takes_tails : bool
        Whether a pointer into a large block has a size, or a warning.
    remaining : str
        What is said of a slab whose cache goes while it holds objects; ``{name}`` is the cache's.
    remaining_first : bool
        Whether the objects are told before the slab.
    stack_line : str
        What a line of an object's stack begins with.
    marks_partial : bool
        Whether a slab on a node's partial list is marked as such, by the flag workingset.
    warns : bool
        Whether a cache with objects left is a warning, or a line with a stack.
    """

    cache_file: str
    wrong_cache_once: bool
    wrong_cache_tracks: bool
    ksize_file: str
    ksize_takes_tails: bool
    remaining: str
    remaining_first: bool
    stack_line: str
    marks_partial: bool
    warns: bool


_READ = ("source",)
_LIST = "mm/slub.c list_slab_objects"

TABLE: tuple[Rule, ...] = (
    Rule("cache_file", (5, 6), "mm/slab.h", "Allocators share the check.", "mm/slab.h cache_from_obj", _READ),
    Rule("cache_file", (6, 8), "mm/slub.c", "There is one allocator left.", "mm/slub.c cache_from_obj", _READ),
    Rule("wrong_cache_once", (5, 6), True, "A wrong cache is told of once.", "mm/slab.h cache_from_obj, WARN_ONCE",
         _READ),
    Rule("wrong_cache_once", (5, 10), False, "A wrong cache is told of each time.", "mm/slab.h cache_from_obj", _READ),
    Rule("wrong_cache_tracks", (5, 6), False, "Nobody is named.", "mm/slab.h cache_from_obj", _READ),
    Rule("wrong_cache_tracks", (5, 10), True, "Who had the object is told.", "mm/slab.h cache_from_obj", _READ),
    Rule("ksize_file", (5, 6), "mm/slub.c", "Each allocator has its own.", "mm/slub.c __ksize", _READ),
    Rule("ksize_file", (6, 1), "mm/slab_common.c", "Allocators share it.", "mm/slab_common.c __ksize", _READ),
    Rule("ksize_takes_tails", (5, 6), True, "A block has one size, wherever a pointer points.", "mm/slub.c __ksize",
         _READ),
    Rule("ksize_takes_tails", (6, 1), False, "Only a block's address has its size.", "mm/slab_common.c __ksize", _READ),
    Rule("remaining", (5, 6), "Objects remaining in {name} on __kmem_cache_shutdown()",
         "Objects are told slab by slab.", _LIST, _READ),
    Rule("remaining", (6, 15), "Objects remaining on __kmem_cache_shutdown()",
         "The cache is named in the line's beginning only.", _LIST, _READ, backports=((6, 12, 94),)),
    Rule("remaining_first", (5, 6), False, "The slab is told before its objects.", _LIST, _READ),
    Rule("remaining_first", (6, 15), True, "The slab, which warns, comes last.", _LIST, _READ,
         backports=((6, 12, 94),)),
    Rule("stack_line", (5, 6), "\t", "Frames are kept with the object.", "mm/slub.c print_track", _READ),
    Rule("stack_line", (5, 19), " ", "Frames are kept in the depot of stacks.", "lib/stackdepot.c stack_depot_print",
         _READ),
    Rule("marks_partial", (5, 6), False, "A partial slab is known by its list.", "mm/slub.c add_partial", _READ),
    Rule("marks_partial", (6, 8), True, "A slab on a node's list has the flag workingset (SL_partial).",
         "mm/slub.c slab_set_node_partial", _READ),
    Rule("warns", (5, 6), False, "A line and a stack.", "mm/slab_common.c kmem_cache_destroy", _READ),
    Rule("warns", (5, 16), True, "A warning.", "mm/slab_common.c kmem_cache_destroy", _READ),
)  # fmt: skip
