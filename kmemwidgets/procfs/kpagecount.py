"""/proc/kpagecount: how often every page frame is mapped, 64-bit words (fs/proc/page.c, kpagecount_read)."""

from __future__ import annotations

from kmemwidgets.records import FrameTable

from .kpageflags import distinct, translated, words_of

_CODES = 256


def parse(data: bytes, where: str = "kpagecount", start_pfn: int = 0) -> FrameTable:
    """Read the counts of all frames; with more than 256 different ones, the highest are told as "or more"."""
    words = words_of(data, where)
    counts = sorted(distinct(words))
    palette = tuple(counts[:_CODES])
    code = {count: min(index, _CODES - 1) for index, count in enumerate(counts)}
    labels = () if len(counts) <= _CODES else (*map(str, palette[:-1]), f"{palette[-1]} or more")
    return FrameTable(start_pfn, translated(words, code), palette, "mapcount", labels)
