"""Which bit of a struct page's flags word is which flag.

The numbers follow from the order of ``enum pageflags``, which changes with nearly every series. Bits behind
those named here depend on the configuration; above them stand the zone, the node and the last cpu.
"""

from __future__ import annotations

from dataclasses import dataclass

from .table import Rule


@dataclass(frozen=True, slots=True)
class PageFlagRules:
    """Names by bit, lowest first; an empty name is a bit that no flag of this kernel uses."""

    names: tuple[str, ...]
    aliases: tuple[tuple[str, str], ...]


_SOURCE = "include/linux/page-flags.h: enum pageflags"
_OLD = "include/linux/mm.h: PG_locked and the following"


def _words(text: str) -> tuple[str, ...]:
    return tuple("" if word == "-" else word for word in text.split())


TABLE: tuple[Rule, ...] = (
    Rule("names", (2, 4), _words(
        "locked error referenced uptodate dirty - lru active slab - skip highmem checked arch_1 reserved launder fs_1"
    ), "A word of independent bits, slab and highmem among them.", _OLD, ("source",)),
    Rule("names", (2, 6, 11), _words(
        "locked error referenced uptodate dirty lru active slab highmem checked arch_1 reserved private writeback "
        "nosave compound swapcache mappedtodisk reclaim nosave_free"
    ), "Writeback, swap cache and compound pages get bits.", _SOURCE, ("source",)),
    Rule("names", (5, 6), _words(
        "locked referenced uptodate dirty lru active workingset waiters error slab owner_priv_1 arch_1 reserved "
        "private private_2 writeback head mappedtodisk reclaim swapbacked unevictable mlocked"
    ), "Workingset and waiters come in, head replaces compound.", _SOURCE, ("source",)),
    Rule("names", (6, 12), _words(
        "locked writeback referenced uptodate dirty lru head waiters active workingset owner_priv_1 owner_2 arch_1 "
        "reserved private private_2 reclaim swapbacked unevictable mlocked"
    ), "Writeback, head and waiters move to where one byte can be tested at once; slab and error are gone.",
        _SOURCE, ("source",)),
    Rule("names", (6, 14), _words(
        "locked writeback referenced uptodate dirty lru head waiters active workingset owner_priv_1 owner_2 arch_1 "
        "reserved private private_2 reclaim swapbacked unevictable dropbehind mlocked"
    ), "Dropbehind comes in, for uncached buffered I/O.", _SOURCE, ("source",)),
    Rule("aliases", (2, 4), (), "No bit has two names.", _OLD, ("source",)),
    Rule("aliases", (5, 6), (
        ("owner_priv_1", "swapcache or checked"), ("private_2", "fscache"), ("reclaim", "readahead or isolated"),
        ("uptodate", "reported, where the page is free"),
    ), "Some bits mean something else for another kind of page.", _SOURCE, ("source",)),
    Rule("aliases", (6, 1), (
        ("owner_priv_1", "swapcache or checked"), ("private_2", "fscache"), ("reclaim", "readahead or isolated"),
        ("uptodate", "reported, where the page is free"), ("mappedtodisk", "anon_exclusive"),
        ("workingset", "double_map"),
    ), "An anonymous page that one process alone owns shares a bit with mappedtodisk.", _SOURCE, ("source",)),
    Rule("aliases", (6, 12), (
        ("owner_priv_1", "swapcache or checked"), ("private_2", "fscache"), ("reclaim", "readahead or isolated"),
        ("uptodate", "reported, where the page is free"), ("owner_2", "anon_exclusive or mappedtodisk"),
    ), "owner_2 stands for what its owner needs.", _SOURCE, ("source",)),
)  # fmt: skip
