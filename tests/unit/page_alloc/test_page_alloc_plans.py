"""When what was noted for the fast path holds no longer."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from kmemwidgets.sim.gfp import __GFP_NOWARN as NOWARN
from kmemwidgets.sim.gfp import GFP_HIGHUSER_MOVABLE, GFP_KERNEL
from kmemwidgets.sim.memmap import UNKNOWN, UNKNOWN_LRU
from kmemwidgets.sim.migratetype import CMA, MOVABLE, RECLAIMABLE
from kmemwidgets.sim.page_alloc import PageAllocator

Build = Callable[..., PageAllocator]


@pytest.mark.parametrize("kernel", ["6.1", "6.18"])
def test_a_zone_that_sank_to_its_mark_gives_no_more_from_the_list(build: Build, kernel: str) -> None:
    zones = ((0, "DMA32", 0, 4096), (0, "Normal", 4096, 2048))
    allocator = build(zones, kernel, marks=(10, 2001, 2002))
    assert allocator.alloc_pages(GFP_KERNEL) >= 4096
    assert allocator.alloc_pages(GFP_KERNEL) >= 4096
    # 2048 - 31 - 16 = 2001 is not above 2001 any more, though the list still holds pages.
    assert allocator.alloc_pages(GFP_KERNEL, 4) >= 4096
    assert allocator.pcp(1, 0).lists[0]
    assert allocator.alloc_pages(GFP_KERNEL) < 4096


@pytest.mark.parametrize("kernel", ["6.1", "6.18"])
def test_a_page_goes_to_the_list_of_its_page_blocks_type_now(build: Build, kernel: str) -> None:
    allocator = build(((0, "Normal", 0, 1024),), kernel, marks=(1, 2, 3))
    pages = [allocator.alloc_pages(GFP_HIGHUSER_MOVABLE) for _ in range(40)]
    for pfn in pages[:10]:
        allocator.free_pages(pfn)
    allocator.zones[0].free_area.set_types(0, 512, RECLAIMABLE)
    allocator.free_pages(pages[20])
    lists = allocator.pcp(0, 0).lists
    assert lists[RECLAIMABLE] == [pages[20]]
    assert pages[20] not in lists[MOVABLE]


def test_without_a_largest_block_a_request_looks_for_one_large_enough(build: Build) -> None:
    allocator = build(((0, "Normal", 0, 1024),), marks=(1, 2, 3))
    assert allocator.alloc_pages(GFP_KERNEL, 3) >= 0
    assert allocator.zones[0].free_area.heads[allocator.zones[0].free_area.top_movable] == {}
    assert allocator.plans == {}


def lent(build: Build, kernel: str) -> PageAllocator:
    """Return an allocator with page blocks that are kept for contiguous allocations."""
    allocator = build(((0, "Normal", 0, 16384),), kernel, marks=(3000, 3100, 3200), cma=True, hand_over=False)
    live = allocator.zones[0]
    live.free_area.set_types(0, 14 * 512, CMA)
    allocator.free_boot_range(0, 0, 16384)
    live.nr_free_cma = 14 * 512
    return allocator


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
def test_a_plan_counts_the_pages_of_cma_as_the_whole_way_does(build: Build, kernel: str, seed: int) -> None:
    rng = Random(seed)
    quick, whole = lent(build, kernel), lent(build, kernel)
    whole.take_the_whole_way(True)
    pages: list[tuple[int, int]] = []
    for _ in range(12000):
        if pages and rng.random() < 0.3:
            page, order = pages.pop(rng.randrange(len(pages)))
            for allocator in (quick, whole):
                allocator.free_pages(page, order)
            continue
        gfp, order = rng.choice((GFP_KERNEL, GFP_HIGHUSER_MOVABLE)), rng.choice((0, 0, 0, 1, 5))
        mine = quick.alloc_pages(gfp | NOWARN, order)
        assert mine == whole.alloc_pages(gfp | NOWARN, order)
        if mine >= 0:
            pages.append((mine, order))
    assert quick.zones[0].save() == whole.zones[0].save()
    assert quick.numa.of_zone(0) == whole.numa.of_zone(0)


def test_no_plan_counts_on_pages_of_cma_that_came_back(build: Build) -> None:
    allocator = lent(build, "6.1")
    live = allocator.zones[0]
    live.nr_free_cma = 0
    assert allocator.alloc_pages(GFP_KERNEL) >= 0
    assert allocator.plans[None]
    live.account_cma(0, 512)
    assert allocator.plans == {}


def test_a_zone_that_shares_a_page_block_takes_its_pages_back_the_quick_way(build: Build) -> None:
    zones = ((0, "DMA32", 0, 1000), (0, "Normal", 1000, 4096))
    quick, whole = build(zones, "6.1", marks=(1, 2, 3)), build(zones, "6.1", marks=(1, 2, 3))
    whole.take_the_whole_way(True)
    for allocator in (quick, whole):
        pages = [allocator.alloc_pages(GFP_HIGHUSER_MOVABLE) for _ in range(4600)]
        for page in pages:
            allocator.free_pages(page)
    assert [live.save() for live in quick.zones] == [live.save() for live in whole.zones]
    shared = 1000 >> 9
    assert not quick.memmap.places[shared]
    assert all(quick.memmap.places[shared + 1 : 5096 >> 9])


@pytest.mark.parametrize("code", [UNKNOWN, UNKNOWN_LRU])
def test_a_recorded_page_of_unknown_order_goes_to_the_list_that_it_would(build: Build, code: int) -> None:
    quick, whole = build(((0, "Normal", 0, 4096),)), build(((0, "Normal", 0, 4096),))
    whole.take_the_whole_way(True)
    for allocator in (quick, whole):
        pages = [allocator.alloc_pages(GFP_HIGHUSER_MOVABLE) for _ in range(20)]
        for page in pages:
            allocator.state[page] = code
            allocator.free_pages(page)
    assert quick.zones[0].save() == whole.zones[0].save()
    assert quick.state[:4096] == whole.state[:4096]
    assert quick.free_plans[0][code]
