"""How broken up free memory is: the kernel's indexes, in thousandths, and its score, in percent.

Plain functions of the number of free blocks of each order; the same in all releases since 2.6.35
(the score since 5.9).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: vm.extfrag_threshold: at or below this index compaction isn't worth it for a costly order.
EXTFRAG_THRESHOLD = 500
#: What `fragmentation_index` says where an allocation would succeed.
WOULD_SUCCEED = -1000


@dataclass(frozen=True, slots=True)
class ContigPageInfo:
    """What a zone has free, seen from one order (struct contig_page_info)."""

    free_pages: int
    free_blocks_total: int
    free_blocks_suitable: int


def fill_contig_page_info(nr_free: Sequence[int], suitable_order: int) -> ContigPageInfo:
    """Count free pages, blocks, and the blocks of `suitable_order` that they hold.

    Source: mm/vmstat.c fill_contig_page_info.
    """
    pages = blocks = suitable = 0
    for order, count in enumerate(nr_free):
        pages += count << order
        blocks += count
        if order >= suitable_order:
            suitable += count << order - suitable_order
    return ContigPageInfo(pages, blocks, suitable)


def fragmentation_index(nr_free: Sequence[int], order: int) -> int:
    """Tell why an allocation of `order` would fail.

    Source: mm/vmstat.c __fragmentation_index.

    Returns
    -------
    int
        `WOULD_SUCCEED` where a block is large enough; else towards 0 for want of memory, towards 1000
        because of fragmentation. 0 where nothing is free.
    """
    info = fill_contig_page_info(nr_free, order)
    if not info.free_blocks_total:
        return 0
    if info.free_blocks_suitable:
        return WOULD_SUCCEED
    return 1000 - (1000 + info.free_pages * 1000 // (1 << order)) // info.free_blocks_total


def unusable_free_index(nr_free: Sequence[int], order: int) -> int:
    """Tell which part of the free memory an allocation of `order` can't use: 0 none, 1000 all.

    Source: mm/vmstat.c unusable_free_index.
    """
    info = fill_contig_page_info(nr_free, order)
    if not info.free_pages:
        return 1000
    return (info.free_pages - (info.free_blocks_suitable << order)) * 1000 // info.free_pages


def extfrag_for_order(nr_free: Sequence[int], order: int) -> int:
    """Return the percentage of free memory that lies in blocks smaller than `order`.

    Source: mm/vmstat.c extfrag_for_order.
    """
    info = fill_contig_page_info(nr_free, order)
    if not info.free_pages:
        return 0
    return (info.free_pages - (info.free_blocks_suitable << order)) * 100 // info.free_pages


def fragmentation_score_node(zones: Iterable[tuple[Sequence[int], int]], hugepage_order: int) -> int:
    """Return a node's score: each zone's `extfrag_for_order`, weighted by its share of the node's memory.

    Source: mm/compaction.c fragmentation_score_node, fragmentation_score_zone_weighted.

    Parameters
    ----------
    zones : iterable of (sequence of int, int)
        Of each populated zone: free blocks by order, present pages.
    hugepage_order : int
        COMPACTION_HPAGE_ORDER: order of a huge page.
    """
    known = list(zones)
    node_present = sum(present for _, present in known)
    return sum(present * extfrag_for_order(nr_free, hugepage_order) // (node_present + 1) for nr_free, present in known)


def fragmentation_score_wmarks(proactiveness: int) -> tuple[int, int]:
    """Return at which score proactive compaction stops, and above which it starts.

    Source: mm/compaction.c fragmentation_score_wmark.

    Parameters
    ----------
    proactiveness : int
        vm.compaction_proactiveness, 0 to 100.
    """
    low = max(100 - proactiveness, 5)
    return low, min(low + 10, 100)
