"""GFP flags: which bits a kernel has, and how they become alloc_flags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .table import Rule

HIGH, ATOMIC, DIRECT_RECLAIM, KSWAPD_RECLAIM, NOMEMALLOC = 0x20, 0x200, 0x400, 0x800, 0x80000
NON_BLOCK, MIN_RESERVE, CPUSET, HIGHATOMIC, KSWAPD = 0x10, 0x20, 0x40, 0x200, 0x800


def by_atomic_flag(gfp: int, _order: int, realtime: bool) -> int:
    """__GFP_ATOMIC, or a realtime task, tries harder (ALLOC_HARDER, here the bit of ALLOC_NON_BLOCK)."""
    flags = CPUSET | gfp & HIGH | (KSWAPD if gfp & KSWAPD_RECLAIM else 0)
    if gfp & ATOMIC:
        flags = flags & ~CPUSET | (0 if gfp & NOMEMALLOC else NON_BLOCK)
    elif realtime:
        flags |= NON_BLOCK
    return flags


def by_reclaim_flags(gfp: int, order: int, realtime: bool) -> int:
    """6.3: a request that can't wait may use more of the reserve; of more than a page, the high-atomic blocks."""
    flags = CPUSET | gfp & HIGH | (KSWAPD if gfp & KSWAPD_RECLAIM else 0)
    if not gfp & DIRECT_RECLAIM:
        if not gfp & NOMEMALLOC:
            flags |= NON_BLOCK
            if order > 0 and flags & MIN_RESERVE:
                flags |= HIGHATOMIC
        if flags & MIN_RESERVE:
            flags &= ~CPUSET
    elif realtime:
        flags |= MIN_RESERVE
    return flags


@dataclass(frozen=True, slots=True)
class GfpRules:
    """What differs between kernels in reading GFP flags.

    Attributes
    ----------
    has_atomic_flag : bool
        GFP_ATOMIC contains __GFP_ATOMIC.
    nowait_is_silent : bool
        GFP_NOWAIT contains __GFP_NOWARN.
    alloc_flags : callable
        Of gfp flags, order and whether the task is realtime: the slow path's alloc_flags.
    """

    has_atomic_flag: bool
    nowait_is_silent: bool
    alloc_flags: Callable[[int, int, bool], int]


TABLE: tuple[Rule, ...] = (
    Rule(
        "has_atomic_flag", (2, 4), True, "GFP_ATOMIC has a flag of its own.", "include/linux/gfp.h", ("recording:6.1",)
    ),
    Rule(
        "has_atomic_flag",
        (6, 3),
        False,
        "GFP_ATOMIC is __GFP_HIGH without direct reclaim.",
        "include/linux/gfp_types.h",
        ("source",),
    ),
    Rule("nowait_is_silent", (2, 4), False, "GFP_NOWAIT may warn.", "include/linux/gfp.h", ("recording:6.1",)),
    Rule(
        "nowait_is_silent",
        (6, 7),
        True,
        "GFP_NOWAIT contains __GFP_NOWARN.",
        "include/linux/gfp_types.h",
        ("recording:6.12",),
    ),
    Rule(
        "alloc_flags",
        (2, 4),
        by_atomic_flag,
        "__GFP_ATOMIC tries harder.",
        "mm/page_alloc.c gfp_to_alloc_flags",
        ("source",),
    ),
    Rule(
        "alloc_flags",
        (6, 3),
        by_reclaim_flags,
        "A request that can't wait may use three quarters of what __GFP_HIGH left of the reserve.",
        "mm/page_alloc.c gfp_to_alloc_flags",
        ("source",),
        backports=((6, 1, 176),),
    ),
)
