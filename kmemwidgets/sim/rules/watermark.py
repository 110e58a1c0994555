"""The watermark test, and what may go below the marks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .table import Rule

OOM, NON_BLOCK, MIN_RESERVE = 0x8, 0x10, 0x20


def high_then_harder(mark: int, flags: int) -> int:
    """5.6: __GFP_HIGH halves the mark, an OOM victim halves it again, else ALLOC_HARDER takes a quarter off."""
    if flags & MIN_RESERVE:
        mark -= mark // 2
    if flags & OOM:
        return mark - mark // 2
    return mark - mark // 4 if flags & NON_BLOCK else mark


def nested(mark: int, flags: int) -> int:
    """6.3: __GFP_HIGH halves the mark, and only then a request that can't wait takes a quarter off; OOM halves it."""
    if flags & MIN_RESERVE:
        mark -= mark // 2
        if flags & NON_BLOCK:
            mark -= mark // 4
    return mark - mark // 2 if flags & OOM else mark


def one_percent_and_a_block(managed: int, block: int) -> int:
    """Return the most pages of high-atomic blocks: a hundredth of the zone and one page block."""
    return managed // 100 + block


def one_percent_rounded_up(managed: int, block: int) -> int:
    """Return the most pages of high-atomic blocks: a hundredth in whole page blocks, none in a small zone."""
    return -(-(managed // 100) // block) * block if managed // 100 >= block else 0


@dataclass(frozen=True, slots=True)
class WatermarkRules:
    """What differs between kernels in the watermark test.

    Attributes
    ----------
    lowered : callable
        Of a mark and alloc_flags: the mark that this request has to leave.
    counts_free_highatomic : bool
        Only the free pages of high-atomic blocks are unusable to others, not whole blocks.
    sums_small_blocks : bool
        A request for 2^n pages takes off the pages in smaller blocks, halving the mark each order.
    tries_high_first : bool
        The fast path first looks whether the zone is above its high mark and remembers if not (ZONE_BELOW_HIGH).
    highatomic_limit : callable
        Of managed pages and pages of a page block: the most pages in high-atomic blocks.
    boosts : bool
        Mixing page blocks raises the marks.
    avoids_mixing : bool
        ALLOC_NOFRAGMENT: a lower zone of the node comes before mixing page blocks.
    """

    lowered: Callable[[int, int], int]
    counts_free_highatomic: bool
    sums_small_blocks: bool
    tries_high_first: bool
    highatomic_limit: Callable[[int, int], int]
    boosts: bool
    avoids_mixing: bool


def _rule(name: str, since: tuple[int, ...], value: object, says: str, source: str, *by: str) -> Rule:
    return Rule(name, since, value, says, f"mm/page_alloc.c {source}", by or ("source",))


TABLE: tuple[Rule, ...] = (
    _rule(
        "lowered",
        (2, 4),
        high_then_harder,
        "__GFP_HIGH may use half, ALLOC_HARDER a quarter more.",
        "zone_watermark_ok",
    ),
    Rule(
        "lowered",
        (6, 3),
        nested,
        "Only a __GFP_HIGH request that can't wait gets a quarter more.",
        "mm/page_alloc.c __zone_watermark_ok",
        ("source",),
        backports=((6, 1, 176),),
    ),
    _rule(
        "counts_free_highatomic",
        (2, 4),
        False,
        "All of the high-atomic blocks counts as unusable.",
        "__zone_watermark_unusable_free",
    ),
    Rule(
        "counts_free_highatomic",
        (6, 13),
        True,
        "Only free pages of high-atomic blocks count as unusable.",
        "mm/page_alloc.c __zone_watermark_unusable_free",
        ("source",),
        backports=((6, 12, 117),),
    ),
    _rule("sums_small_blocks", (2, 4), True, "Smaller blocks don't count for a larger request.", "zone_watermark_ok"),
    _rule(
        "sums_small_blocks", (4, 4), False, "One large enough block suffices.", "__zone_watermark_ok", "recording:6.1"
    ),
    _rule(
        "tries_high_first",
        (2, 4),
        False,
        "A request looks at the low mark only.",
        "get_page_from_freelist",
        "recording:6.1",
    ),
    _rule(
        "tries_high_first",
        (6, 7),
        True,
        "A request notes a zone below its high mark, so that the per-CPU lists shrink.",
        "get_page_from_freelist",
        "recording:6.12",
    ),
    _rule(
        "highatomic_limit",
        (2, 4),
        one_percent_and_a_block,
        "A hundredth of the zone and one page block.",
        "reserve_highatomic_pageblock",
    ),
    _rule(
        "highatomic_limit",
        (6, 8),
        one_percent_rounded_up,
        "A hundredth of the zone, none in a small one.",
        "reserve_highatomic_pageblock",
    ),
    _rule("boosts", (2, 4), False, "The marks stay.", "boost_watermark"),
    _rule(
        "boosts", (5, 0), True, "Mixing page blocks raises the marks for a while.", "boost_watermark", "recording:6.1"
    ),
    _rule(
        "avoids_mixing", (2, 4), False, "Page blocks are mixed before a lower zone is used.", "get_page_from_freelist"
    ),
    _rule(
        "avoids_mixing", (5, 0), True, "DMA32 is used before page blocks of Normal are mixed.", "alloc_flags_nofragment"
    ),
)
