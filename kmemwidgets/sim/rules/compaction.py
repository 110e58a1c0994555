"""Compaction: how free pages are kept, which pages may move, when it runs by itself."""

from __future__ import annotations

from dataclasses import dataclass, fields

from kmemwidgets.records import Version

from .table import Rule, in_force

_COMPACTION = "mm/compaction.c"
_RECORDED = ("recording:frag-6.1",)


@dataclass(frozen=True, slots=True)
class CompactionRules:
    """What differs between kernels in compaction.

    Attributes
    ----------
    free_lists_by_order : bool
        Isolated free blocks stay whole, on a list for each order, and the first is split when needed; else they
        are cut into pages at once, and the page isolated last is used first.
    moves_large_folios : bool
        Pages of a large folio below page-block order move as one.
    proactive : bool
        kcompactd compacts by itself where the fragmentation score is too high.
    marks_rescanned : bool
        A page block that was scanned twice is marked to be skipped.
    whole_is_asked : bool
        A run over a whole zone, too, is told to be suitable (mm_compaction_suitable).
    skip_set_midway : bool
        The first page taken from a page block marks it for others, wherever it lies; else only the block's first page.
    finishes_failed_block : bool
        Where a page could not move, the rest of its page block is scanned and the block marked; else an
        asynchronous run for a request goes on behind the block wanted.
    fast_search : bool
        The scanners look through the free lists before they walk from page block to page block.
    fast_search_marks : bool
        A page block that the migrate scanner finds in the lists is marked at once. So it is passed over right after.
    fast_limit_kept : bool
        Where an order's list gave nothing, half as many blocks of the next one are looked at; else a single one.
    fast_needs_min : bool
        The highest block seen counts only if it lies in the upper half of what is left to scan.
    fast_target_checked : bool
        The middle of what is left to scan is searched only if it is a page block to move to.
    fast_stops_when_enough : bool
        The search ends with the order that gave enough.
    fast_around_whole : bool
        The page block around a block found is searched from its start and marked when it was seen to its end; else
        what lies before the block, then behind it, and it is marked while there is not enough.
    proactiveness_wakes : bool
        Writing vm.compaction_proactiveness wakes kcompactd.
    looks_left_out : int
        How many looks at the score are left out after a proactive run that did not better it.
    """

    free_lists_by_order: bool
    moves_large_folios: bool
    proactive: bool
    marks_rescanned: bool
    whole_is_asked: bool
    skip_set_midway: bool
    finishes_failed_block: bool
    fast_search: bool
    fast_search_marks: bool
    fast_limit_kept: bool
    fast_needs_min: bool
    fast_target_checked: bool
    fast_stops_when_enough: bool
    fast_around_whole: bool
    proactiveness_wakes: bool
    looks_left_out: int


def _read(
    name: str, since: Version, value: object, says: str, function: str, backports: tuple[Version, ...] = ()
) -> Rule:
    """Make a rule that was read in mm/compaction.c and that nothing recorded checks."""
    return Rule(name, since, value, says, f"{_COMPACTION} {function}", ("source",), backports)


TABLE: tuple[Rule, ...] = (
    Rule("free_lists_by_order", (2, 6, 35), False,
         "Isolated free blocks become single pages; the last one isolated is used first.",
         f"{_COMPACTION} split_map_pages, compaction_alloc", _RECORDED),
    Rule("free_lists_by_order", (6, 9), True, "Isolated free blocks stay whole until a page of theirs is needed.",
         f"{_COMPACTION} isolate_freepages, compaction_alloc", ()),
    Rule("moves_large_folios", (2, 6, 35), False, "Compound pages are passed over.",
         f"{_COMPACTION} isolate_migratepages_block", _RECORDED),
    Rule("moves_large_folios", (6, 9), True,
         "Large folios below page-block order move too, if smaller than what is wanted.",
         f"{_COMPACTION} isolate_migratepages_block, skip_isolation_on_order", ()),
    Rule("proactive", (2, 6, 35), False, "Only a failed allocation, kswapd or a user starts compaction.",
         f"{_COMPACTION} kcompactd", ()),
    Rule("proactive", (5, 9), True, "Kcompactd looks at the fragmentation score twice a second.",
         f"{_COMPACTION} should_proactive_compact_node", _RECORDED),
    Rule("marks_rescanned", (2, 6, 35), False, "Only page blocks without pages to move are marked to be skipped.",
         f"{_COMPACTION} isolate_migratepages_block", ("source",)),
    Rule("marks_rescanned", (6, 3), True, "A page block scanned twice in a row is marked too.",
         f"{_COMPACTION} isolate_migratepages_block, finish_pageblock", ()),
    Rule("whole_is_asked", (2, 6, 35), True, "compaction_suitable() is asked before every run, and says so.",
         f"{_COMPACTION} compact_zone", _RECORDED),
    Rule("whole_is_asked", (6, 5), False, "A run over a whole zone begins without asking.",
         f"{_COMPACTION} compact_zone", ()),
    _read("skip_set_midway", (2, 6, 35), False, "A page block is marked for others when its first page is taken.",
          "test_and_set_skip"),
    _read("skip_set_midway", (6, 5), True, "A page block is marked for others when any of its pages is taken.",
          "test_and_set_skip"),
    _read("finishes_failed_block", (2, 6, 35), False,
          "After a failure an asynchronous run leaves out the rest of the block wanted.", "compact_zone"),
    _read("finishes_failed_block", (6, 3), True,
          "After a failure the rest of the page block is taken, so that it is marked.", "compact_zone"),
    _read("fast_search", (2, 6, 35), False, "Both scanners walk from page block to page block.", "isolate_freepages"),
    _read("fast_search", (5, 1), True, "Both scanners look through the lists of movable blocks first.",
          "fast_isolate_freepages, fast_find_migrateblock"),
    _read("fast_search_marks", (2, 6, 35), True, "A page block found in the lists to move from is marked at once.",
          "fast_find_migrateblock"),
    _read("fast_search_marks", (6, 3), False,
          "A page block found in the lists to move from is marked when its pages are taken.",
          "fast_find_migrateblock"),
    _read("fast_limit_kept", (2, 6, 35), False, "Behind an order without a find one block of each order is looked at.",
          "fast_isolate_freepages"),
    _read("fast_limit_kept", (5, 18), True, "Each order without a find halves how many blocks are looked at.",
          "fast_isolate_freepages"),
    _read("fast_needs_min", (2, 6, 35), False, "Without a find the free scanner goes on at the highest block seen.",
          "fast_isolate_freepages"),
    _read("fast_needs_min", (5, 19), True,
          "Without a find the free scanner goes on at the highest block seen, if that lies in the upper half.",
          "fast_isolate_freepages"),
    _read("fast_target_checked", (2, 6, 35), False, "Else a request goes on in the middle, whatever is there.",
          "fast_isolate_freepages"),
    _read("fast_target_checked", (6, 8), True, "Else a request goes on in the middle, if pages may move there.",
          "fast_isolate_freepages"),
    _read("fast_stops_when_enough", (2, 6, 35), False, "A find is searched around even where it is enough.",
          "fast_isolate_freepages"),
    _read("fast_stops_when_enough", (6, 5), True, "The search ends as soon as there are enough free pages.",
          "fast_isolate_freepages"),
    _read("fast_around_whole", (2, 6, 35), False,
          "The page block of a find is searched before the find and behind it, and marked if that is not enough.",
          "fast_isolate_around"),
    _read("fast_around_whole", (6, 2), True,
          "The page block of a find is searched from its start, and marked if the search gets to its end.",
          "fast_isolate_around", ((5, 10, 163), (5, 15, 86), (6, 1, 3))),
    _read("proactiveness_wakes", (2, 6, 35), False, "Kcompactd looks when its time is over.",
          "compaction_proactiveness_sysctl_handler"),
    _read("proactiveness_wakes", (5, 15), True, "Writing vm.compaction_proactiveness makes kcompactd look at once.",
          "compaction_proactiveness_sysctl_handler"),
    _read("looks_left_out", (2, 6, 35), 64, "After a run without progress 64 looks are left out.", "kcompactd"),
    _read("looks_left_out", (5, 15), 63, "After a run without progress the next look is 64 times as far off.",
          "kcompactd"),
)  # fmt: skip


def has_compaction(version: Version) -> bool:
    """Tell whether a kernel can compact memory."""
    return in_force(TABLE, version).keys() >= {field.name for field in fields(CompactionRules)}
