"""GFP flags: what a request for pages may use and do (include/linux/gfp_types.h, include/trace/events/mmflags.h)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kmemwidgets.records import BadInput, Version

from .migratetype import UNMOVABLE
from .rules.gfp import TABLE, GfpRules
from .rules.table import pick

__GFP_DMA = 0x1
__GFP_HIGHMEM = 0x2
__GFP_DMA32 = 0x4
__GFP_MOVABLE = 0x8
__GFP_RECLAIMABLE = 0x10
__GFP_HIGH = 0x20
__GFP_IO = 0x40
__GFP_FS = 0x80
__GFP_ZERO = 0x100
__GFP_ATOMIC = 0x200
__GFP_DIRECT_RECLAIM = 0x400
__GFP_KSWAPD_RECLAIM = 0x800
__GFP_WRITE = 0x1000
__GFP_NOWARN = 0x2000
__GFP_RETRY_MAYFAIL = 0x4000
__GFP_NOFAIL = 0x8000
__GFP_NORETRY = 0x10000
__GFP_MEMALLOC = 0x20000
__GFP_COMP = 0x40000
__GFP_NOMEMALLOC = 0x80000
__GFP_HARDWALL = 0x100000
__GFP_THISNODE = 0x200000
__GFP_ACCOUNT = 0x400000
__GFP_ZEROTAGS = 0x800000

__GFP_RECLAIM = __GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM
#: As kernels before 6.3 have it; `parse_gfp` knows each version's.
GFP_ATOMIC = __GFP_HIGH | __GFP_KSWAPD_RECLAIM
GFP_KERNEL = __GFP_RECLAIM | __GFP_IO | __GFP_FS
GFP_KERNEL_ACCOUNT = GFP_KERNEL | __GFP_ACCOUNT
GFP_NOWAIT = __GFP_KSWAPD_RECLAIM
GFP_NOIO = __GFP_RECLAIM
GFP_NOFS = __GFP_RECLAIM | __GFP_IO
GFP_USER = GFP_KERNEL | __GFP_HARDWALL
GFP_DMA = __GFP_DMA
GFP_DMA32 = __GFP_DMA32
GFP_HIGHUSER = GFP_USER | __GFP_HIGHMEM
GFP_HIGHUSER_MOVABLE = GFP_HIGHUSER | __GFP_MOVABLE
GFP_TRANSHUGE_LIGHT = (GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOMEMALLOC | __GFP_NOWARN) & ~__GFP_RECLAIM
GFP_TRANSHUGE = GFP_TRANSHUGE_LIGHT | __GFP_DIRECT_RECLAIM

#: Single flags in the order of the bits.
FLAGS: Mapping[str, int] = MappingProxyType(
    {
        "__GFP_DMA": 0x1, "__GFP_HIGHMEM": 0x2, "__GFP_DMA32": 0x4, "__GFP_MOVABLE": 0x8,
        "__GFP_RECLAIMABLE": 0x10, "__GFP_HIGH": 0x20, "__GFP_IO": 0x40, "__GFP_FS": 0x80,
        "__GFP_ZERO": 0x100, "__GFP_ATOMIC": 0x200, "__GFP_DIRECT_RECLAIM": 0x400,
        "__GFP_KSWAPD_RECLAIM": 0x800, "__GFP_WRITE": 0x1000, "__GFP_NOWARN": 0x2000,
        "__GFP_RETRY_MAYFAIL": 0x4000, "__GFP_NOFAIL": 0x8000, "__GFP_NORETRY": 0x10000,
        "__GFP_MEMALLOC": 0x20000, "__GFP_COMP": 0x40000, "__GFP_NOMEMALLOC": 0x80000,
        "__GFP_HARDWALL": 0x100000, "__GFP_THISNODE": 0x200000, "__GFP_ACCOUNT": 0x400000,
        "__GFP_ZEROTAGS": 0x800000,
    }
)  # fmt: skip

#: What the kernel's text has besides, as parts of a request that change nothing here.
WITHOUT_EFFECT = ("__GFP_SKIP_ZERO", "__GFP_SKIP_KASAN", "__GFP_SKIP_KASAN_POISON", "__GFP_SKIP_KASAN_UNPOISON",
                  "__GFP_NOLOCKDEP", "__GFP_NO_OBJ_EXT")  # fmt: skip

ZONE_BITS = 0xF
ZONE_NAMES = ("DMA", "DMA32", "Normal", "HighMem", "Movable")


def combined(version: Version) -> dict[str, int]:
    """Return the names that stand for several flags, in the order in which the kernel's text tries them.

    Parameters
    ----------
    version : tuple of int
        The kernel's.
    """
    rules = pick(GfpRules, TABLE, version)
    return {
        "GFP_TRANSHUGE": GFP_TRANSHUGE,
        "GFP_TRANSHUGE_LIGHT": GFP_TRANSHUGE_LIGHT,
        "GFP_HIGHUSER_MOVABLE": GFP_HIGHUSER_MOVABLE,
        "GFP_HIGHUSER": GFP_HIGHUSER,
        "GFP_USER": GFP_USER,
        "GFP_KERNEL_ACCOUNT": GFP_KERNEL_ACCOUNT,
        "GFP_KERNEL": GFP_KERNEL,
        "GFP_NOFS": GFP_NOFS,
        "GFP_ATOMIC": GFP_ATOMIC | (__GFP_ATOMIC if rules.has_atomic_flag else 0),
        "GFP_NOIO": GFP_NOIO,
        "GFP_NOWAIT": GFP_NOWAIT | (__GFP_NOWARN if rules.nowait_is_silent else 0),
        "GFP_DMA": GFP_DMA,
        "GFP_DMA32": GFP_DMA32,
        "__GFP_RECLAIM": __GFP_RECLAIM,
    }


def gfp_names(version: Version) -> dict[str, int]:
    """Return every name of the kernel's text with its bits."""
    return {**dict.fromkeys(WITHOUT_EFFECT, 0), **FLAGS, **combined(version), "none": 0, "0": 0}


def parse_gfp(text: str, version: Version = (6, 1, 192)) -> int:
    """Read GFP flags as the kernel writes them, ``"GFP_KERNEL|__GFP_ZERO"``, or as a number.

    Raises
    ------
    BadInput
        For a name that no kernel knows.
    """
    names = gfp_names(version)
    bits = 0
    for part in text.split("|"):
        word = part.strip()
        if word in names:
            bits |= names[word]
            continue
        try:
            bits |= int(word, 0)
        except ValueError:
            raise BadInput(f"{word!r} is no GFP flag", todo="write it as GFP_KERNEL|__GFP_ZERO or 0xdc0") from None
    return bits


def format_gfp(bits: int, version: Version = (6, 1, 192)) -> str:
    """Write GFP flags as the kernel does: combined names first, then single ones, then a number for the rest.

    Source: include/trace/events/mmflags.h __def_gfpflag_names; lib/vsprintf.c format_flags.
    """
    parts = []
    rest = bits
    values = {**FLAGS, **combined(version)}
    for name in pick(GfpRules, TABLE, version).text_order:
        value = values[name]
        if value and rest & value == value:
            parts.append(name)
            rest &= ~value
    if rest:
        parts.append(f"{rest:#x}")
    return "|".join(parts) or "none"


def gfp_bits(bits: int, version: Version) -> int:
    """Return the number that a kernel writes for flags: those before 2.6.24 had other bits, and fewer of them."""
    moved = pick(GfpRules, TABLE, version).bits
    return bits if moved is None else sum(old for new, old in moved if bits & new)


def gfp_zone(bits: int) -> str:
    """Return the name of the highest zone that a request may use, were all zones configured.

    Raises
    ------
    ValueError
        For two zones at once, on which the kernel would BUG.
    """
    zone_bits = bits & ZONE_BITS
    if (zone_bits & 7).bit_count() > 1:
        raise ValueError(f"gfp flags {format_gfp(bits)} name two zones")
    if zone_bits & __GFP_DMA:
        return "DMA"
    if zone_bits & __GFP_DMA32:
        return "DMA32"
    if zone_bits & __GFP_HIGHMEM:
        return "Movable" if zone_bits & __GFP_MOVABLE else "HighMem"
    return "Normal"


def gfp_migratetype(bits: int) -> int:
    """Return the migrate type that a request asks for.

    Raises
    ------
    ValueError
        For both movable and reclaimable.
    """
    if bits & 0x18 == 0x18:
        raise ValueError(f"gfp flags {format_gfp(bits)} are movable and reclaimable at once")
    return (bits & 0x18) >> 3 if bits & 0x18 else UNMOVABLE
