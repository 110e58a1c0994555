"""Where slabs come from: what SLUB asks of the page allocator, and with which flags."""

from __future__ import annotations

from typing import Protocol

from .gfp import FLAGS, ZONE_BITS

_DIRECT_RECLAIM = FLAGS["__GFP_DIRECT_RECLAIM"]
_RECLAIM = _DIRECT_RECLAIM | FLAGS["__GFP_KSWAPD_RECLAIM"]
_COMP = FLAGS["__GFP_COMP"]
_QUIETLY = FLAGS["__GFP_NOWARN"] | FLAGS["__GFP_NORETRY"]
#: What kind of memory, zeroing and charging are the cache's own affair; how hard to try is the request's.
_NOT_PASSED_ON = (
    ZONE_BITS | _COMP | FLAGS["__GFP_RECLAIMABLE"] | FLAGS["__GFP_ZERO"] | FLAGS["__GFP_ACCOUNT"]
)  # fmt: skip
_KINDS = {
    "cache_dma": FLAGS["__GFP_DMA"],
    "cache_dma32": FLAGS["__GFP_DMA32"],
    "reclaim_account": FLAGS["__GFP_RECLAIMABLE"],
}


class Pages(Protocol):
    """What SLUB asks of the page allocator."""

    def alloc_pages(self, gfp: int, order: int = 0, nid: int | None = None, cpu: int = 0) -> int:
        """Return the first pfn of a block, -1 where there is none."""

    def free_pages(self, pfn: int, order: int = 0, cpu: int = 0) -> None:
        """Take a block back."""


def slab_gfp(gfp: int, flags: frozenset[str], order: int) -> int:
    """Return the flags that a slab's pages are asked for with (mm/slub.c, new_slab).

    Parameters
    ----------
    gfp : int
        The request's.
    flags : frozenset of str
        The cache's.
    order : int
        Of the block.
    """
    passed = gfp & ~_NOT_PASSED_ON
    for flag, bit in _KINDS.items():
        if flag in flags:
            passed |= bit
    return passed | (_COMP if order else 0)


def eager_gfp(gfp: int, *, may_shrink: bool) -> int:
    """Return the flags of the first try, which must not hurt anybody (mm/slub.c, allocate_slab).

    Parameters
    ----------
    gfp : int
        What `slab_gfp` gave.
    may_shrink : bool
        Whether a smaller slab would do as well: then nothing is reclaimed for the larger one.
    """
    eager = (gfp | _QUIETLY) & ~FLAGS["__GFP_NOFAIL"]
    if eager & _DIRECT_RECLAIM and may_shrink:
        eager = (eager | FLAGS["__GFP_NOMEMALLOC"]) & ~_RECLAIM
    return eager
