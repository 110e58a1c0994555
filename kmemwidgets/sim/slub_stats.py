"""What each cpu did with a cache, counted as CONFIG_SLUB_STATS does (mm/slub.c, stat and show_stat).

A kernel without it counts nothing, and a cache that is counted takes no shortcut: each request has to pass the places
that count. What can't happen to one request after the other, a compare-and-exchange that fails, stays at 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .slab_cache import KmemCache

#: The counters of a cache: a row for each file, a number for each cpu.
Stats = dict[str, list[int]]


def zeroes(names: tuple[str, ...], cpus: int) -> Stats:
    """Return the counters of a new cache."""
    return {name: [0] * cpus for name in names}


def stat(cache: KmemCache, name: str, cpu: int, count: int = 1) -> None:
    """Count something that a cpu did with a cache."""
    if cache.stats is not None:
        cache.stats[name][cpu] += count


def asked(cache: KmemCache, cpu: int, *, fast: bool, bulk: bool, bulk_counts: tuple[bool, bool]) -> None:
    """Count a request by the way it takes.

    Parameters
    ----------
    cache : KmemCache
    cpu : int
    fast : bool
        Whether the cpu's own list has an object for it.
    bulk : bool
        Whether it is one of several at once.
    bulk_counts : (bool, bool)
        Whether fast and slow ones of these are counted.
    """
    if cache.stats is not None and (not bulk or bulk_counts[not fast]):
        cache.stats["alloc_fastpath" if fast else "alloc_slowpath"][cpu] += 1


def show(row: list[int], *, smp: bool) -> str:
    """Write a counter as its file does: the sum, and what each cpu that has any did."""
    parts = [f" C{cpu}={count}" for cpu, count in enumerate(row) if count] if smp else []
    return f"{sum(row)}{''.join(parts)}"
