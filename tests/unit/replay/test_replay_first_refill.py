"""How often refills had doubled before a trace began."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from kmemwidgets.records import parse_version
from kmemwidgets.replay.first_refill import doubled_before
from kmemwidgets.replay.pages import PageReplay
from kmemwidgets.replay.result import PageResult
from kmemwidgets.replay.search import Place, search_factors
from kmemwidgets.sim.events import ZONE_LOCKED
from kmemwidgets.sim.memmap import MemMap
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.pcp import PerCpuPages
from kmemwidgets.sim.rules.allocator import allocator_rules

BATCH = 7
GFP = "GFP_HIGHUSER_MOVABLE"


def build(kernel: str = "6.12.117", doubled: int = 0) -> PageAllocator:
    zone = Zone(0, 0, "DMA32", 0, 4096)
    zone.present = zone.managed = 4096
    zone.wmark_min, zone.wmark_low, zone.wmark_high = 8, 10, 12
    zone.pcp_batch, zone.pcp_high, zone.pcp_high_max = BATCH, 100, 1000
    allocator = PageAllocator(
        [zone], MemMap(4096), allocator_rules(parse_version(kernel)), cpu_node=(0,), zone_names=("DMA32", "Movable"),
        huge_order=-1,
    )  # fmt: skip
    allocator.free_boot_range(0, 0, 4096)
    allocator.setup_per_cpu_pageset()
    allocator.zones[0].pcps[0].alloc_factor = doubled
    return allocator


def row(name: str, *values: Any) -> tuple[Any, ...]:
    return (name, "task", 5, 0, "0", ".....", values)


def recorded(doubled: int, requests: int) -> list[tuple[Any, ...]]:
    """Return the trace of a kernel whose refills had doubled so often before."""
    kernel = build(doubled=doubled)
    told: list[tuple[Any, ...]] = []
    kernel.zones[0].free_area.trace = told.append
    rows: list[tuple[Any, ...]] = []
    for _ in range(requests):
        pfn = kernel.alloc_pages(0x100CCA, 0, None, 0)
        rows += [row("mm_page_alloc_zone_locked", *event[2:6]) for event in told if event[0] == ZONE_LOCKED]
        rows.append(row("mm_page_alloc", int(pfn), 0, 1, GFP))
        told.clear()
    return rows


@pytest.mark.parametrize("doubled", [0, 1, 3])
def test_the_first_refill_tells_what_the_next_ones_will_be(doubled: int) -> None:
    allocator = build()
    result = PageReplay(allocator, allocator.rules.version).run(recorded(doubled, requests=(BATCH << doubled) + 1))
    assert (result.refills.exact, result.refills.of, result.allocs.of - result.allocs.exact) == (2, 2, 0)
    assert len([note for note in result.notes if "first refill" in note]) == (doubled > 0)


def test_only_a_refill_that_goes_on_as_predicted_was_doubled() -> None:
    pcp = PerCpuPages(0, 14)
    pcp.batch = 2
    run = [(pfn, 0, 1, 1) for pfn in range(8)]
    assert doubled_before(pcp, run, run[:2]) == 2
    assert doubled_before(pcp, run[:6], run[:2]) == 0
    assert doubled_before(pcp, run, run[:3]) == 0
    assert doubled_before(pcp, run, [(5, 0, 1, 1), (6, 0, 1, 1)]) == 0


def full(doubled: int) -> PageAllocator:
    """Build an allocator whose lists are as full as they may be: the next refill is no more than a batch."""
    allocator = build()
    pages = [allocator.alloc_pages(0xCC0, 0, None, 0) for _ in range(100)]
    pcp = allocator.zones[0].pcps[0]
    allocator.drain_all_pages()
    pcp.high, pcp.alloc_factor = 1000, 0
    for page in pages:
        allocator.free_pages(page, 0, 0)
    pcp.high, pcp.alloc_factor, pcp.streak = pcp.count, doubled, 0
    return allocator


@pytest.mark.parametrize("doubled", [0, 1, 2])
def test_what_the_first_refill_hides_is_searched(doubled: int) -> None:
    kernel = full(doubled)
    told: list[tuple[Any, ...]] = []
    kernel.zones[0].free_area.trace = told.append
    rows: list[tuple[Any, ...]] = []
    for mt, gfp, text in ((1, 0x100CCA, GFP), (2, 0xCD0, "GFP_KERNEL|__GFP_RECLAIMABLE")):
        pfn = int(kernel.alloc_pages(gfp, 0, None, 0))
        rows += [row("mm_page_alloc_zone_locked", *event[2:6]) for event in told if event[0] == ZONE_LOCKED]
        rows.append(row("mm_page_alloc", pfn, 0, mt, text))
        told.clear()

    def replay(factors: Mapping[Place, int]) -> PageResult:
        allocator = full(factors.get((0, 0), 0))
        return PageReplay(allocator, allocator.rules.version).run(rows)

    best, known = search_factors(replay, replay({}), [(0, 0)], "refill")
    assert best.refills.exact == best.refills.of == 2
    assert known == ({(0, 0): doubled} if doubled else {})
