"""The buddy system: orders, list ends, merging across page blocks, fallback."""

from __future__ import annotations

from dataclasses import dataclass

from .table import Rule

ORACLE = "oracle:kernel_buddy_traces"
ORACLE_24 = "oracle:kernel_buddy_traces_24"
RECORDED_61 = "recording:6.1"
RECORDED_612 = "recording:6.12"


@dataclass(frozen=True, slots=True)
class BuddyRules:
    """What differs between kernels in the buddy system.

    Attributes
    ----------
    nr_orders : int
        Orders 0 to ``nr_orders - 1``.
    keeps_upper_half : bool
        A split goes on with the upper half.
    migrate_types : bool
        Free lists by migrate type.
    merge_likely_to_tail : bool
        A freed block whose next merge is likely goes to the list's tail.
    boot_to_tail : bool
        Boot hands memory over to the tail of the lists.
    unmergeable : tuple of int
        Migrate types whose page blocks don't merge with a block of another type.
    retype_on_merge : bool
        Merging page blocks of different types gives them all the freed page's type.
    free_by_pageblock : bool
        A block larger than a page block is freed page block by page block.
    fallback : str
        Which algorithm takes from other types: "none", "steal" (claim or steal, then look again),
        "steal_page" (the steal itself yields the page), "claim_or_steal" (two passes).
    moved_to_tail : bool
        Free pages that change their list go to its tail.
    start_may_stick_out : bool
        A page block whose start is outside the zone may be claimed from the page on.
    can_shuffle : bool
        The largest blocks can be kept in random order.
    """

    nr_orders: int
    keeps_upper_half: bool
    migrate_types: bool
    merge_likely_to_tail: bool
    boot_to_tail: bool
    unmergeable: tuple[int, ...]
    retype_on_merge: bool
    free_by_pageblock: bool
    fallback: str
    moved_to_tail: bool
    start_may_stick_out: bool
    can_shuffle: bool


TABLE: tuple[Rule, ...] = (
    Rule("nr_orders", (2, 4), 10, "The largest block has order 9.", "include/linux/mmzone.h MAX_ORDER", (ORACLE_24,)),
    Rule(
        "nr_orders",
        (2, 6, 11),
        11,
        "The largest block has order 10.",
        "include/linux/mmzone.h MAX_ORDER, later MAX_PAGE_ORDER",
        (ORACLE, RECORDED_61, RECORDED_612),
    ),
    Rule(
        "keeps_upper_half",
        (2, 4),
        True,
        "A split puts the lower half on the list and goes on with the upper half.",
        "mm/page_alloc.c expand",
        (ORACLE_24,),
    ),
    Rule(
        "keeps_upper_half",
        (2, 6, 11),
        False,
        "A split puts the upper half on the list and goes on with the lower half.",
        "mm/page_alloc.c expand",
        (ORACLE, RECORDED_61, RECORDED_612),
    ),
    Rule(
        "migrate_types",
        (2, 4),
        False,
        "One free list an order.",
        "include/linux/mmzone.h struct free_area",
        (ORACLE_24,),
    ),
    Rule(
        "migrate_types",
        (2, 6, 24),
        True,
        "One free list for each order and migrate type.",
        "include/linux/mmzone.h struct free_area",
        (ORACLE, RECORDED_61, RECORDED_612),
    ),
    Rule(
        "merge_likely_to_tail",
        (2, 4),
        False,
        "A freed block goes to the head of its list.",
        "mm/page_alloc.c __free_pages_ok",
        (ORACLE_24,),
    ),
    Rule(
        "merge_likely_to_tail",
        (2, 6, 34),
        True,
        "A freed block goes to the tail if the buddy that it would have after one more merge is free.",
        "mm/page_alloc.c __free_one_page, buddy_merge_likely",
        (ORACLE, RECORDED_61, RECORDED_612),
    ),
    Rule(
        "boot_to_tail",
        (2, 4),
        False,
        "Boot puts memory at the head of the lists: the highest block is taken first.",
        "mm/page_alloc.c __free_pages_boot_core",
        (ORACLE, ORACLE_24),
    ),
    Rule(
        "boot_to_tail",
        (5, 10),
        True,
        "Boot puts memory at the tail of the lists: the lowest block is taken first.",
        "mm/page_alloc.c __free_pages_core, FPI_TO_TAIL",
        (ORACLE, RECORDED_61),
    ),
    Rule(
        "unmergeable",
        (2, 4),
        (5,),
        "Only isolated page blocks don't merge with their neighbours.",
        "mm/page_alloc.c __free_one_page",
        ("source",),
    ),
    Rule(
        "unmergeable",
        (5, 18),
        (3, 4, 5),
        "HighAtomic, CMA and isolated page blocks don't merge with another type.",
        "mm/page_alloc.c __free_one_page, migratetype_is_mergeable",
        ("recording:arm64",),
    ),
    Rule(
        "retype_on_merge",
        (2, 4),
        False,
        "Merged page blocks keep their types.",
        "mm/page_alloc.c __free_one_page",
        (ORACLE,),
    ),
    Rule(
        "retype_on_merge",
        (6, 10),
        True,
        "Merged page blocks all get the type of the freed page.",
        "mm/page_alloc.c __free_one_page",
        (ORACLE, RECORDED_612),
    ),
    Rule(
        "free_by_pageblock",
        (2, 4),
        False,
        "A block is freed as a whole.",
        "mm/page_alloc.c __free_pages_ok",
        (ORACLE, ORACLE_24),
    ),
    Rule(
        "free_by_pageblock",
        (6, 12),
        True,
        "A block larger than a page block is freed page block by page block.",
        "mm/page_alloc.c free_one_page, split_large_buddy",
        (ORACLE,),
    ),
    Rule("fallback", (2, 4), "none", "There are no other types to take from.", "mm/page_alloc.c rmqueue", (ORACLE_24,)),
    Rule(
        "fallback",
        (5, 6),
        "steal",
        "The largest block of another type is taken; its page block changes type if half of it is free or alike.",
        "mm/page_alloc.c __rmqueue_fallback, steal_suitable_fallback",
        (ORACLE, RECORDED_61),
    ),
    Rule(
        "fallback",
        (6, 10),
        "steal_page",
        "As before, but free pages move only together with their page block's type; else one block is split in place.",
        "mm/page_alloc.c __rmqueue_fallback, steal_suitable_fallback",
        ("source",),
    ),
    Rule(
        "fallback",
        (6, 15),
        "claim_or_steal",
        "A whole page block is claimed, from the largest order down; else a page is stolen, from the smallest up.",
        "mm/page_alloc.c __rmqueue_claim, __rmqueue_steal",
        (ORACLE, RECORDED_612),
        backports=((6, 12, 117),),
    ),
    Rule(
        "moved_to_tail",
        (2, 4),
        False,
        "A free block that changes its type goes to the head of the other list.",
        "mm/page_alloc.c move_freepages",
        (ORACLE,),
    ),
    Rule(
        "moved_to_tail",
        (5, 10),
        True,
        "A free block that changes its type goes to the tail of the other list.",
        "mm/page_alloc.c move_to_free_list",
        (ORACLE, RECORDED_61, RECORDED_612),
    ),
    Rule(
        "start_may_stick_out",
        (2, 4),
        True,
        "A page block that begins outside the zone is claimed from the page on; one that ends outside is not.",
        "mm/page_alloc.c move_freepages_block",
        (ORACLE,),
    ),
    Rule(
        "start_may_stick_out",
        (6, 10),
        False,
        "A page block that sticks out of the zone is not claimed.",
        "mm/page_alloc.c prep_move_freepages_block",
        (ORACLE,),
    ),
    Rule(
        "can_shuffle",
        (2, 4),
        False,
        "Free blocks lie in the order in which they were freed.",
        "mm/page_alloc.c __free_pages_ok",
        (ORACLE, ORACLE_24),
    ),
    Rule(
        "can_shuffle",
        (5, 2),
        True,
        "The largest blocks can be shuffled at boot, and freed to a random end of their list.",
        "mm/shuffle.c shuffle_pick_tail, __shuffle_zone",
        ("source",),
    ),
)
