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
    """

    free_lists_by_order: bool
    moves_large_folios: bool
    proactive: bool
    marks_rescanned: bool
    whole_is_asked: bool


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
)  # fmt: skip


def has_compaction(version: Version) -> bool:
    """Tell whether a kernel can compact memory."""
    return in_force(TABLE, version).keys() >= {field.name for field in fields(CompactionRules)}
