"""Giving back what caches keep for nobody: 2.4 when pages are short, 2.6 by a timer (mm/slab.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .slab24_cache import ArrayCache, SlabCache24

if TYPE_CHECKING:
    from .slab24 import Slab24

#: Caches that are looked at in one go, and pages that are worth taking at once (2.4).
REAP_SCANLEN, REAP_PERFECT = 10, 10
#: Seconds between two rounds of the timer, and between two looks at a cache's lists (2.6).
REAPTIMEOUT_CPUC, REAPTIMEOUT_LIST3 = 2, 4


def reap(slab24: Slab24, cpu: int) -> int:
    """Let the reaper come by, in the manner of the kernel; returns the pages that it gives back."""
    return cache_reap(slab24, cpu) if slab24.rules.timer else kmem_cache_reap(slab24, cpu)


def kmem_cache_reap(slab24: Slab24, cpu: int) -> int:
    """Look for the cache with most empty slabs and give half of them back; returns pages (2.4, kmem_cache_reap).

    Some caches are looked at each time, from where the last look ended. A cache that grew since is left alone once.
    """
    caches = slab24.slab_caches
    hand = slab24.clock_hand % len(caches)
    best: SlabCache24 | None = None
    best_pages = 0
    for scanned in range(min(REAP_SCANLEN, len(caches))):
        cache = caches[(hand + scanned) % len(caches)]
        slab24.clock_hand = (hand + scanned + 1) % len(caches)
        pages = _worth(slab24, cache, cpu)
        if pages > best_pages:
            best, best_pages = cache, pages
        if pages >= REAP_PERFECT:
            break
    if best is None:
        return 0
    leaving = (len(best.free) + 1) // 2
    slab24.give_back_free(best, cpu, most=leaving)
    return leaving << best.geometry.order


def _worth(slab24: Slab24, cache: SlabCache24, cpu: int) -> int:
    """Return how many pages a cache has to give, less where they would be hard to have again."""
    if "no_reap" in cache.flags:
        return 0
    if cache.grown:
        cache.grown = False
        return 0
    array = cache.arrays[cpu] if cache.arrays else None
    if array is not None:
        objects, array.objects = array.objects, []
        slab24.free_block(cache, objects, cpu)
    pages = len(cache.free) << cache.geometry.order
    for hard in (cache.ctor, cache.geometry.order):
        if hard:
            pages = (pages * 4 + 1) // 5
    return pages


def cache_reap(slab24: Slab24, cpu: int) -> int:
    """Let a cpu's timer run once: arrays that nobody used shrink, and some empty slabs go (2.6, cache_reap).

    Returns the pages given back. All cpus' timers run every two seconds, so cpu 0's carries the time.
    """
    before = len(slab24.pages)
    if cpu == 0:
        slab24.seconds += REAPTIMEOUT_CPUC
    for cache in list(slab24.slab_caches):
        if "no_reap" in cache.flags or not cache.arrays:
            continue
        array = cache.arrays[cpu]
        if array is not None:
            _drain_array(slab24, cache, array, cpu)
        if cache.next_reap > slab24.seconds:
            continue
        cache.next_reap = slab24.seconds + REAPTIMEOUT_LIST3
        if cache.shared is not None:
            _drain_array(slab24, cache, cache.shared, cpu)
        if cache.free_touched:
            cache.free_touched = False
            continue
        num = cache.geometry.num
        slab24.give_back_free(cache, cpu, most=max((cache.free_limit + 5 * num - 1) // (5 * num), 1), first=True)
    return before - len(slab24.pages)


def _drain_array(slab24: Slab24, cache: SlabCache24, array: ArrayCache, cpu: int) -> None:
    """Take a fifth of its limit out of an array that nobody used since the last time (drain_array_locked)."""
    if array.touched:
        array.touched = False
    elif array.objects:
        leaving = (array.limit + 4) // 5
        if leaving > len(array.objects):
            leaving = (len(array.objects) + 1) // 2
        slab24.free_block(cache, array.objects[:leaving], cpu)
        del array.objects[:leaving]
