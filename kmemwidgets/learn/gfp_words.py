"""explain_gfp: the flags of a request for pages, from a log line or a number, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from kmemwidgets.records import MIGRATETYPES, BadInput, Version, format_version, parse_version
from kmemwidgets.sim.gfp import FLAGS, WITHOUT_EFFECT, combined, format_gfp, gfp_migratetype, gfp_zone, parse_gfp
from kmemwidgets.sim.rules import gfp as gfp_rules
from kmemwidgets.sim.rules import watermark
from kmemwidgets.sim.rules.table import pick

from .explained import Explained, Word

#: Flag -> what it means for the request.
WORDS: Mapping[str, str] = {
    "__GFP_DMA": "only from ZONE_DMA: a device can't reach more",
    "__GFP_HIGHMEM": "may use high memory: the kernel needs no permanent address for it",
    "__GFP_DMA32": "only from below 4 GiB",
    "__GFP_MOVABLE": "the page can be moved later, by compaction or hotplug",
    "__GFP_RECLAIMABLE": "the page belongs to a slab that can be freed on demand",
    "__GFP_HIGH": "important: may use a part of the reserve below the min watermark",
    "__GFP_IO": "reclaim may start disk I/O for it",
    "__GFP_FS": "reclaim may call into file systems for it; without it no lock of a file system is taken again",
    "__GFP_ZERO": "the page comes filled with zeros",
    "__GFP_ATOMIC": "can't wait and is important; gone since 6.3",
    "__GFP_DIRECT_RECLAIM": "the caller may itself free memory for it, and sleep meanwhile",
    "__GFP_KSWAPD_RECLAIM": "kswapd is woken when the low watermark is reached",
    "__GFP_WRITE": "the page will be written to; spreads dirty pages over the zones",
    "__GFP_NOWARN": "a failure is not reported in the log",
    "__GFP_RETRY_MAYFAIL": "tries again as long as something is freed, but calls no OOM killer and may fail",
    "__GFP_NOFAIL": "never fails: it waits until there is a page",
    "__GFP_NORETRY": "gives up after one light attempt of reclaim",
    "__GFP_MEMALLOC": "may use all of the reserves: it serves to free more memory",
    "__GFP_COMP": "a block of several pages is one compound page",
    "__GFP_NOMEMALLOC": "never uses the emergency reserves",
    "__GFP_HARDWALL": "keeps to the nodes of the task's cpuset",
    "__GFP_THISNODE": "only from the named node, without fallback",
    "__GFP_ACCOUNT": "is charged to the memory cgroup of the task",
    "__GFP_ZEROTAGS": "memory tags are cleared together with the content (arm64)",
    "__GFP_SKIP_ZERO": "is not zeroed by the hardening option, as somebody else does it",
    "__GFP_SKIP_KASAN": "is not tagged by KASAN",
    "__GFP_SKIP_KASAN_POISON": "is not tagged by KASAN when it is freed",
    "__GFP_SKIP_KASAN_UNPOISON": "is not tagged by KASAN when it is allocated",
    "__GFP_NOLOCKDEP": "is not watched by the lock checker",
    "__GFP_NO_OBJ_EXT": "gets no record of who allocated it",
}

#: The first release whose bits are those of sim/gfp.py.
_FIRST: Version = (5, 6)
_TODO = 'give a number such as 0xcc0, names such as "GFP_KERNEL|__GFP_ZERO", or a log line with gfp_mask= or mode:'
_LINE = re.compile(
    r"\b(?:gfp_mask=|gfp_flags=|gfp=|mode:)\s*(0x[0-9a-fA-F]+)?\s*\(?\s*([A-Z_][A-Z0-9_]*(?:\|[A-Za-z0-9_]+)*)?"
)
_COSTLY = 3


def explain_gfp(what: str | int, *, kernel: str | Version = "6.1", order: int = 0) -> Explained:
    """Take apart the GFP flags of a request.

    Parameters
    ----------
    what : str or int
        A number, its text (``"0xcc0"``), names as the kernel prints them (``"GFP_KERNEL|__GFP_ZERO"``), or a line
        of a log or a trace that holds them (``... mode:0xcc0(GFP_KERNEL) ...``).
    kernel : str
        Whose flags these are, from 5.6 up.
    order : int
        Order of the request; costly ones (above 3) give up earlier.

    Returns
    -------
    Explained

    Raises
    ------
    BadInput
        Where the text holds no GFP flags.

    Examples
    --------
    >>> explain_gfp("GFP_ATOMIC", kernel="6.12").effect("may sleep")
    'no'
    """
    version = parse_version(kernel) if isinstance(kernel, str) else kernel
    if version < _FIRST:
        raise BadInput(f"the GFP bits of Linux {format_version(version)} are not known here", todo="5.6 or later")
    bits, named, notes = _read(what, version)
    words = [Word(f"{1 << bit:#x}", *_word(1 << bit, version)) for bit in range(bits.bit_length()) if bits >> bit & 1]
    words += [Word("", name, WORDS[name]) for name in named]
    if any(word.name == "unknown" for word in words):
        notes.append("bits from 0x1000000 up depend on the configuration; no name is known for those here")
    title = f"{bits:#x} = {format_gfp(bits, version)} (Linux {format_version(version)})"
    return Explained(title, tuple(words), _effects(bits, version, order), tuple(notes))


def _read(what: str | int, version: Version) -> tuple[int, tuple[str, ...], list[str]]:
    """Return the bits, names whose bits depend on the configuration, and notes."""
    if isinstance(what, bool) or not isinstance(what, (int, str)):
        raise BadInput(f"GFP flags are text or a number, not {type(what).__name__}", todo=_TODO)
    if isinstance(what, int):
        return _checked(what, str(what)), (), []
    found = _LINE.search(what)
    number, text = (found.group(1), found.group(2)) if found else (None, what.strip())
    if not number and not text:
        raise BadInput(f"{_short(what)} holds no GFP flags", todo=_TODO)
    if number and not text:
        return _checked(int(number, 16), what), (), []
    try:
        bits = parse_gfp(text or "", version)
    except BadInput as error:
        if not number:
            raise BadInput(f"{_short(what)} holds no GFP flags: {error.what}", todo=_TODO) from None
        return _checked(int(number, 16), what), (), [f"the line's names are of another kernel: {error.what}"]
    named = tuple(part for part in (text or "").split("|") if part in WITHOUT_EFFECT)
    if number and int(number, 16) != bits and not named:
        note = (
            f"the line says {text}, which is {bits:#x} in Linux {format_version(version)}, not {number}: it comes from "
            "another kernel; say kernel="
        )
        return _checked(int(number, 16), what), (), [note]
    return _checked(bits, what), named, []


def _checked(bits: int, what: str) -> int:
    if not 0 <= bits < 1 << 32:
        raise BadInput(f"{_short(what)} is no gfp_t", todo="it has 32 bits")
    return bits


def _word(bit: int, version: Version) -> tuple[str, str]:
    has_atomic = pick(gfp_rules.GfpRules, gfp_rules.TABLE, version).has_atomic_flag
    for name, value in FLAGS.items():
        if value == bit and (has_atomic or name != "__GFP_ATOMIC"):
            return name, WORDS[name]
    return "unknown", "no flag of this kernel that is known here"


def _effects(bits: int, version: Version, order: int) -> tuple[tuple[str, str], ...]:
    sleeps = bool(bits & FLAGS["__GFP_DIRECT_RECLAIM"])
    return (
        ("highest zone", _zone(bits)),
        ("migrate type", _type(bits)),
        ("may sleep", "yes, it may reclaim and wait" if sleeps else "no"),
        ("reclaim", _reclaim(bits)),
        ("watermark", _watermark(bits, version, order)),
        ("on failure", _failure(bits, order)),
        ("nodes", _nodes(bits)),
    )


def _zone(bits: int) -> str:
    try:
        zone = gfp_zone(bits)
    except ValueError:
        return "none: two zones at once are a bug"
    below = {
        "DMA": "and no other",
        "DMA32": "then DMA; Normal where the kernel has no such zone",
        "Normal": "then DMA32, then DMA",
        "HighMem": "then Normal, then DMA32, then DMA; a 64-bit kernel has no HighMem and begins with Normal",
        "Movable": "then HighMem or Normal, and so on down",
    }[zone]
    return f"{zone}, {below}"


def _type(bits: int) -> str:
    try:
        return MIGRATETYPES[gfp_migratetype(bits)]
    except ValueError:
        return "none: movable and reclaimable at once is a bug"


def _reclaim(bits: int) -> str:
    parts = []
    if bits & FLAGS["__GFP_KSWAPD_RECLAIM"]:
        parts.append("wakes kswapd")
    if bits & FLAGS["__GFP_DIRECT_RECLAIM"]:
        may = [name for name, flag in (("disk I/O", "__GFP_IO"), ("file systems", "__GFP_FS")) if bits & FLAGS[flag]]
        parts.append(f"reclaims itself, with {' and '.join(may)}" if may else "reclaims itself, without I/O")
    return ", ".join(parts) or "none"


def _watermark(bits: int, version: Version, order: int) -> str:
    if bits & FLAGS["__GFP_MEMALLOC"] and not bits & FLAGS["__GFP_NOMEMALLOC"]:
        return "free > low + protection at first; in need none at all"
    flags = pick(gfp_rules.GfpRules, gfp_rules.TABLE, version).alloc_flags(bits, order, False)
    whole = 1 << 12
    part = Fraction(pick(watermark.WatermarkRules, watermark.TABLE, version).lowered(whole, flags), whole)
    share = "min" if part == 1 else f"{part} of min"
    return f"free > low + protection at first; free > {share} + protection in the slow path"


def _failure(bits: int, order: int) -> str:
    if bits & FLAGS["__GFP_NOFAIL"]:
        return "never fails, tries for ever"
    if not bits & FLAGS["__GFP_DIRECT_RECLAIM"]:
        how = "fails as soon as no zone is above the mark"
    elif bits & FLAGS["__GFP_NORETRY"]:
        how = "fails after one round of reclaim and compaction"
    elif bits & FLAGS["__GFP_RETRY_MAYFAIL"]:
        how = "tries again while reclaim makes progress, then fails; no OOM killer"
    elif order > _COSTLY:
        how = f"order {order} is costly: fails after one round of reclaim and compaction; no OOM killer"
    elif bits & FLAGS["__GFP_THISNODE"] or not bits & FLAGS["__GFP_FS"]:
        how = "tries again while reclaim makes progress; no OOM killer for it"
    else:
        how = "tries again while reclaim makes progress, then calls the OOM killer"
    return how + (", without a warning" if bits & FLAGS["__GFP_NOWARN"] else "")


def _nodes(bits: int) -> str:
    if bits & FLAGS["__GFP_THISNODE"]:
        return "the named one only"
    if bits & FLAGS["__GFP_HARDWALL"]:
        return "by distance, within the task's cpuset and memory policy"
    return "by distance, within the task's memory policy"


def masks(kernel: str | Version = "6.1") -> dict[str, int]:
    """Return the combined masks of a kernel by name, such as GFP_KERNEL."""
    version = parse_version(kernel) if isinstance(kernel, str) else kernel
    return combined(version)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else line[:57] + "...")
