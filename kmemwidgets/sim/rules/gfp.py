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
    text_order : tuple of str
        The names, in the order in which the kernel's text tries them.
    bits : tuple of (int, int) or None
        Today's bit, and the one that this kernel has for the same; None where they are today's.
    """

    has_atomic_flag: bool
    nowait_is_silent: bool
    alloc_flags: Callable[[int, int, bool], int]
    text_order: tuple[str, ...]
    bits: tuple[tuple[int, int], ...] | None


def _names(prefix: str, text: str) -> tuple[str, ...]:
    return tuple(prefix + word for word in text.split())


_COMBINED = _names("GFP_", "TRANSHUGE TRANSHUGE_LIGHT HIGHUSER_MOVABLE HIGHUSER USER KERNEL_ACCOUNT KERNEL NOFS ATOMIC "
                           "NOIO NOWAIT DMA")  # fmt: skip
_BY_USE = (
    *_COMBINED, "__GFP_HIGHMEM", "GFP_DMA32",
    *_names("__GFP_", "HIGH ATOMIC IO FS NOWARN RETRY_MAYFAIL NOFAIL NORETRY COMP ZERO NOMEMALLOC MEMALLOC HARDWALL "
                      "THISNODE RECLAIMABLE MOVABLE ACCOUNT WRITE RECLAIM DIRECT_RECLAIM KSWAPD_RECLAIM ZEROTAGS"),
)  # fmt: skip
_BY_BIT = (
    *_COMBINED, "GFP_DMA32", "__GFP_RECLAIM",
    *_names("__GFP_", "DMA HIGHMEM DMA32 MOVABLE RECLAIMABLE HIGH IO FS ZERO DIRECT_RECLAIM KSWAPD_RECLAIM "
                      "WRITE NOWARN RETRY_MAYFAIL NOFAIL NORETRY MEMALLOC COMP NOMEMALLOC HARDWALL THISNODE "
                      "ACCOUNT ZEROTAGS"),
)  # fmt: skip
#: include/linux/gfp.h of 2.6.11: __GFP_WAIT is today's __GFP_DIRECT_RECLAIM, __GFP_REPEAT __GFP_RETRY_MAYFAIL.
_BITS_2_6 = (
    (0x1, 0x1), (0x2, 0x2), (0x400, 0x10), (0x20, 0x20), (0x40, 0x40), (0x80, 0x80), (0x2000, 0x200), (0x4000, 0x400),
    (0x8000, 0x800), (0x10000, 0x1000), (0x40000, 0x4000), (0x100, 0x8000),
)  # fmt: skip


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
    Rule(
        "text_order",
        (2, 4),
        _BY_USE,
        "Flags are written in an order of their own.",
        "include/trace/events/mmflags.h __def_gfpflag_names",
        ("recording:6.1", "recording:6.12"),
    ),
    Rule(
        "text_order",
        (6, 15),
        _BY_BIT,
        "Single flags are written by their bits.",
        "include/trace/events/mmflags.h TRACE_GFP_FLAGS",
        ("source",),
    ),
    Rule("bits", (2, 4), _BITS_2_6, "Requests that may wait have one flag.", "include/linux/gfp.h", ("source",)),
    Rule("bits", (5, 6), None, "The bits are today's.", "include/linux/gfp.h", ("source",)),
)
