"""Figures of /proc/meminfo that follow from others (mm/show_mem.c, fs/proc/meminfo.c)."""

from __future__ import annotations

from collections.abc import Iterable


def si_mem_available(free: int, totalreserve: int, low: int, file: int, reclaimable: int) -> int:
    """Return MemAvailable in pages: what new programs may have before the machine swaps.

    Parameters
    ----------
    free : int
        NR_FREE_PAGES of all zones.
    totalreserve : int
        See `totalreserve_pages`.
    low : int
        Sum of the low watermarks of all zones.
    file : int
        Pages on the file lists, active and inactive.
    reclaimable : int
        Pages of slabs that can be shrunk, and of other reclaimable kernel memory.
    """
    available = free - totalreserve
    # Some of the page cache and of the slabs is needed to work at all, and shrinking stops at the low marks.
    available += file - min(file // 2, low)
    available += reclaimable - min(reclaimable // 2, low)
    return max(available, 0)


def totalreserve_pages(zones: Iterable[tuple[int, int, int]]) -> int:
    """Add up what ordinary requests can't have: of each zone its largest reserve and its high mark, if it has so much.

    Parameters
    ----------
    zones : iterable of (int, int, int)
        Largest entry of lowmem_reserve, high mark, managed pages.
    """
    return sum(min(reserve + high, managed) for reserve, high, managed in zones)


def commit_limit(ram: int, hugetlb: int, swap: int, ratio: int, kbytes: int, page_size: int) -> int:
    """Return CommitLimit in pages (vm_commit_limit)."""
    allowed = kbytes * 1024 // page_size if kbytes else (ram - hugetlb) * ratio // 100
    return allowed + swap
