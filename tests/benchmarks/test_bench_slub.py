"""How fast objects are handed out, as a ratio to the page allocator on the allocator stream; and vmalloc's search."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import process_time

from kmemwidgets.records import MachineSpec, parse_version
from kmemwidgets.sim.memmap import MemMap
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.allocator import allocator_rules
from kmemwidgets.sim.rules.vmalloc import TABLE, VmallocRules
from kmemwidgets.sim.slub_init import slab_allocator
from kmemwidgets.sim.vmalloc import Vmalloc

PAGES = 262_144
OPERATIONS = 200_000
PAIRS = 200_000
CACHES = 50
REPEATS = 7
GFP_KERNEL = 0xCC0


def page_allocator() -> PageAllocator:
    """262,144 free pages of 4 KiB in one zone."""
    zone = Zone(0, 0, "Normal", 0, PAGES)
    zone.present = zone.managed = PAGES
    allocator = PageAllocator([zone], MemMap(PAGES), allocator_rules(parse_version("6.1")))
    allocator.free_boot_range(0, 0, PAGES)
    allocator.setup_per_cpu_pageset()
    return allocator


def allocator_stream(allocator: PageAllocator) -> None:
    """The stream of 32-bit xorshift numbers: orders 0 to 4, halving; up to 20,000 live blocks."""
    alloc, free = allocator.alloc_pages, allocator.free_pages
    live: list[tuple[int, int]] = []
    x = 12345
    for _ in range(OPERATIONS):
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        half = x >> 1
        if len(live) < 16 or (len(live) < 20_000 and x & 1):
            bits = half | 16
            order = (bits & -bits).bit_length() - 1
            live.append((alloc(GFP_KERNEL, order), order))
        else:
            at = half % len(live)
            live[at], live[-1] = live[-1], live[at]
            pfn, order = live.pop()
            free(pfn, order)


def seconds(call: Callable[[], object]) -> float:
    start = process_time()
    call()
    return process_time() - start


def object_pairs() -> Callable[[], None]:
    """200,000 pairs of kmem_cache_alloc and kmem_cache_free over 50 caches."""
    slub = slab_allocator(MachineSpec(), page_allocator(), page_offset=0xFFFF888000000000)
    caches = [slub.kmem_cache_create(f"cache-{n}", 32 + 24 * n, flags={"no_merge"}) for n in range(CACHES)]

    def run() -> None:
        alloc, free = slub.kmem_cache_alloc, slub.kmem_cache_free
        held = {cache: alloc(cache) for cache in caches}
        for number in range(PAIRS):
            # Each cache always has one object in use, so that none goes back to the page allocator by accident.
            cache = caches[number % CACHES]
            free(cache, held[cache])
            held[cache] = alloc(cache)
        for cache, address in held.items():
            free(cache, address)

    return run


def mixed_objects() -> Callable[[], None]:
    """The allocator stream again, but of objects: up to 20,000 are live, slabs come and go."""
    slub = slab_allocator(MachineSpec(), page_allocator(), page_offset=0xFFFF888000000000)
    caches = [slub.kmem_cache_create(f"cache-{n}", 32 + 24 * n, flags={"no_merge"}) for n in range(CACHES)]

    def run() -> None:
        alloc, free = slub.kmem_cache_alloc, slub.kmem_cache_free
        live = []
        x = 12345
        for _ in range(OPERATIONS):
            x ^= x << 13 & 0xFFFFFFFF
            x ^= x >> 17
            x ^= x << 5 & 0xFFFFFFFF
            half = x >> 1
            if len(live) < 16 or (len(live) < 20_000 and x & 1):
                cache = caches[half % CACHES]
                live.append((cache, alloc(cache)))
            else:
                at = half % len(live)
                live[at], live[-1] = live[-1], live[at]
                free(*live.pop())
        for cache, address in live:
            free(cache, address)

    return run


def test_objects_against_pages() -> None:
    pages, pairs, mixed = [], [], []
    for _ in range(REPEATS):
        allocator = page_allocator()
        pages.append(seconds(lambda allocator=allocator: allocator_stream(allocator)))  # type: ignore[misc]
        pairs.append(seconds(object_pairs()))
        mixed.append(seconds(mixed_objects()))
    stream = OPERATIONS / statistics.median(pages)
    rates = {
        "pairs of kmem_cache_alloc and kmem_cache_free": PAIRS / statistics.median(pairs),
        "operations of the stream on objects": OPERATIONS / statistics.median(mixed),
    }
    print(f"\npage allocator, allocator stream: {stream / 1000:.0f} k operations/s")
    for what, rate in rates.items():
        print(f"{rate / 1000:.0f} k {what}/s: {rate / stream:.2f} times the page allocator")
    assert rates["pairs of kmem_cache_alloc and kmem_cache_free"] >= stream


def test_vmalloc_scales() -> None:
    rules = pick(VmallocRules, TABLE, (6, 1, 192))

    def churn(areas: int) -> float:
        v = Vmalloc(rules, 0xFFFFC90000000000, 0xFFFFE90000000000)
        live = [v.vmalloc(4096 * (1 + n % 7)) for n in range(areas)]
        for address in live[::2]:
            v.vfree(address)
        v.purge()

        def run() -> None:
            for n in range(2000):
                v.vfree(v.vmalloc(4096 * (1 + n % 9)))

        return seconds(run)

    few = statistics.median(churn(100) for _ in range(3))
    many = statistics.median(churn(20_000) for _ in range(3))
    print(
        f"\n2000 vmalloc and vfree: {few:.3f} s beside 100 areas, {many:.3f} s beside 20,000 ({many / few:.1f} times)"
    )
    assert many < 20 * few
