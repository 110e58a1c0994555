"""The rules one by one, with figures worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kmemwidgets.sim import alloc_flags as af
from kmemwidgets.sim.gfp import GFP_ATOMIC, GFP_DMA, GFP_HIGHUSER_MOVABLE, GFP_KERNEL, GFP_NOWAIT
from kmemwidgets.sim.highatomic import unreserve_highatomic
from kmemwidgets.sim.migratetype import CMA, HIGHATOMIC, MOVABLE, RECLAIMABLE, UNMOVABLE
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.pcp import decay_high
from kmemwidgets.sim.rules.watermark import high_then_harder, nested, one_percent_and_a_block, one_percent_rounded_up
from kmemwidgets.sim.several_pages import alloc_pages_bulk, alloc_pages_exact

Build = Callable[..., PageAllocator]
THISNODE, MEMALLOC, NORETRY, NOWARN = 0x200000, 0x20000, 0x10000, 0x2000


# The buddy system


def test_a_split_keeps_the_lower_half_since_2_6_and_the_upper_before(build: Build) -> None:
    area = build(((0, "Normal", 0, 1024),)).zones[0].free_area
    assert area.alloc(0, MOVABLE) == 0
    assert area.lists() == {(MOVABLE, order): [1 << order] for order in range(10)}
    area = build(((0, "Normal", 0, 512),), "2.4").zones[0].free_area
    assert area.alloc(0) == 511
    assert area.lists() == {(0, order): [512 - (2 << order)] for order in range(9)}


@pytest.mark.parametrize(("kernel", "first"), [("5.6", 3072), ("6.1", 0), ("6.18", 0)])
def test_boot_hands_over_to_the_head_before_5_10_and_to_the_tail_since(build: Build, kernel: str, first: int) -> None:
    assert build(((0, "Normal", 0, 4096),), kernel).zones[0].free_area.alloc(10, MOVABLE) == first


@pytest.mark.parametrize(("kernel", "order"), [("2.6.11", "head"), ("6.18", "tail")])
def test_a_block_whose_merge_is_likely_goes_to_the_tail(build: Build, kernel: str, order: str) -> None:
    allocator = build(((0, "Normal", 0, 1024),), kernel)
    area = allocator.zones[0].free_area
    mt = allocator.memmap.types[0]
    pages = [area.alloc(0, mt) for _ in range(16)]
    assert pages == list(range(16))
    # 6 and 7 are one free block when 4 comes: were 5 freed as well, 4 would merge twice.
    for pfn in (6, 7, 13, 4):
        area.free(pfn, 0)
    singles = area.lists()[mt, 0]
    assert (singles[-1] if order == "tail" else singles[0]) == 4
    area.free(5, 0)
    assert 4 in area.lists()[mt, 2]


def test_large_blocks_are_freed_page_block_by_page_block(build: Build) -> None:
    area = build(((0, "Normal", 0, 4096),)).zones[0].free_area
    pfn = area.alloc(10, UNMOVABLE)
    assert pfn == 0
    assert bytes(area.types[0:2]) == b"\0\0"
    area.set_types(512, 512, RECLAIMABLE)
    area.free(pfn, 10)
    # Both halves merge, and the block has the type of the half that came last.
    assert area.lists()[RECLAIMABLE, 10] == [0]
    assert bytes(area.types[0:2]) == bytes((RECLAIMABLE, RECLAIMABLE))


def test_high_atomic_blocks_do_not_merge_with_others(build: Build) -> None:
    area = build(((0, "Normal", 0, 1024),), "6.1").zones[0].free_area
    first, second = area.alloc(9, MOVABLE), area.alloc(9, MOVABLE)
    area.set_types(512, 512, HIGHATOMIC)
    area.free(first, 9)
    area.free(second, 9)
    assert area.lists() == {(MOVABLE, 9): [0], (HIGHATOMIC, 9): [512]}


# Fallback


def test_a_claimed_page_block_changes_its_type(build: Build) -> None:
    allocator = build(((0, "Normal", 0, 2048),))
    assert allocator.alloc_pages(GFP_KERNEL, 4) == 0
    assert bytes(allocator.memmap.types[0:4]) == bytes((UNMOVABLE, UNMOVABLE, MOVABLE, MOVABLE))


def test_a_small_movable_request_steals_the_smallest_block(build: Build) -> None:
    area = build(((0, "Normal", 0, 1024),)).zones[0].free_area
    area.set_types(0, 1024, UNMOVABLE)
    area.remove(0)
    for order in (1, 2, 3):
        area.push_head(16 << order, (order + 1) << 4 | UNMOVABLE)
    assert area.alloc(0, MOVABLE) == 32
    assert area.types[0] == UNMOVABLE
    # The rest of the block stays on the lists of its own type.
    assert area.lists() == {(UNMOVABLE, 0): [33], (UNMOVABLE, 2): [64], (UNMOVABLE, 3): [128]}


def test_unmovable_looks_at_reclaimable_first(build: Build) -> None:
    area = build(((0, "Normal", 0, 2048),)).zones[0].free_area
    assert area.alloc(10, MOVABLE) == 0
    area.free(0, 10)
    area.set_types(1024, 1024, RECLAIMABLE)
    area.remove(1024)
    area.push_head(1024, 11 << 4 | RECLAIMABLE)
    assert area.alloc(0, UNMOVABLE) == 1024


def test_a_boost_adds_a_page_block_up_to_one_and_a_half_high_marks(build: Build) -> None:
    allocator = build(((0, "Normal", 0, 16384),), marks=(100, 200, 800), pcp=(1, 0, 0))
    zone = allocator.zones[0].zone
    area = allocator.zones[0].free_area
    for number in range(1, 5):
        area.boosted = False
        # A free block smaller than a page block is claimed: that mixes.
        for blocks in area.heads:
            blocks.clear()
        area.ranges.clear()
        area.set_types(0, 16384, MOVABLE)
        area.push_head(number * 1024, 9 << 4 | MOVABLE)
        assert area.rmqueue(0, UNMOVABLE, af.KSWAPD) == number * 1024
        assert zone.watermark_boost == min(512 * number, 800 * 15000 // 10000)
        assert area.boosted


# Watermarks


@pytest.mark.parametrize(
    ("flags", "old", "new"),
    [
        (0, 1000, 1000),
        (af.MIN_RESERVE, 500, 500),
        (af.MIN_RESERVE | af.NON_BLOCK, 375, 375),
        (af.NON_BLOCK, 750, 1000),
        (af.OOM, 500, 500),
    ],
)
def test_what_may_go_below_the_mark(flags: int, old: int, new: int) -> None:
    assert high_then_harder(1000, flags) == old
    assert nested(1000, flags) == new


@pytest.mark.parametrize(
    ("free", "mark", "order", "flags", "passes"),
    [
        (1001, 1000, 0, 0, True),
        (1000, 1000, 0, 0, False),
        (1008, 1000, 3, 0, True),
        (1007, 1000, 3, 0, False),
        (376, 1000, 0, af.MIN_RESERVE | af.NON_BLOCK, True),
        (375, 1000, 0, af.MIN_RESERVE | af.NON_BLOCK, False),
        (501, 1000, 0, af.OOM, True),
        (500, 1000, 0, af.OOM, False),
    ],
)
def test_the_watermark_test(build: Build, free: int, mark: int, order: int, flags: int, passes: bool) -> None:
    live = build().zones[0]
    live.nr_free_pages = free
    assert live.watermark_ok(order, mark, 2, flags) is passes
    # The lowmem reserve comes on top of the mark.
    live.zone.lowmem_reserve = (0, 0, 0, 10)
    assert live.watermark_ok(order, mark, 2, flags) is passes
    live.nr_free_pages = free + 10
    assert live.watermark_ok(order, mark, 3, flags) is passes


def test_a_large_request_needs_a_large_block(build: Build) -> None:
    live = build(((0, "Normal", 0, 1024),)).zones[0]
    area = live.free_area
    for pfn in [area.alloc(0, MOVABLE) for _ in range(1024)][::2]:
        assert pfn is not None
        area.free(pfn, 0)
    live.nr_free_pages = 512
    assert live.watermark_ok(0, 100, 2, 0)
    assert not live.watermark_ok(1, 100, 2, 0)


def test_small_blocks_do_not_count_in_2_6_11(build: Build) -> None:
    live = build(((0, "Normal", 0, 1024),), "2.6.11").zones[0]
    live.nr_free_pages = 1024
    assert live.watermark_ok(2, 1000, 1, 0)
    area = live.free_area
    pages = [area.alloc(0, 0) for _ in range(600)]
    for pfn in pages[::2]:
        assert pfn is not None
        area.free(pfn, 0)
    live.nr_free_pages = 724
    # 300 single pages: 724 - 3 - 300 = 421 must exceed half the mark, 422.
    assert live.watermark_ok(2, 720, 1, 0)
    assert live.watermark_ok(2, 700, 1, 0)
    assert not live.watermark_ok(0, 724, 1, 0)


def test_the_boost_does_not_bind_high_priority_pages(build: Build) -> None:
    live = build().zones[0]
    live.zone.watermark_boost = 4000
    live.nr_free_pages = 2000
    assert not live.watermark_fast(0, live.mark(af.WMARK_MIN), 2, 0)
    assert live.watermark_fast(0, live.mark(af.WMARK_MIN), 2, af.MIN_RESERVE)
    assert not live.watermark_fast(0, live.mark(af.WMARK_LOW), 2, af.MIN_RESERVE | af.WMARK_LOW)


def test_high_atomic_limits() -> None:
    assert one_percent_and_a_block(100_000, 512) == 1512
    assert one_percent_rounded_up(100_000, 512) == 1024
    assert one_percent_rounded_up(51_199, 512) == 0
    assert one_percent_rounded_up(51_200, 512) == 512


# The walk


def test_a_request_goes_down_the_zones_and_never_up(build: Build) -> None:
    zones = ((0, "DMA", 0, 1024), (0, "DMA32", 1024, 1024), (0, "Normal", 2048, 1024))
    allocator = build(zones, marks=(10, 12, 14), pcp=(1, 0, 0))
    order = []
    while True:
        pfn = allocator.alloc_pages(GFP_KERNEL | NOWARN, 6)
        if pfn < 0:
            break
        order.append(pfn // 1024)
    assert order == sorted(order, reverse=True)
    assert set(order) == {0, 1, 2}
    allocator = build(zones, marks=(10, 12, 14), pcp=(1, 0, 0))
    assert {allocator.alloc_pages(GFP_DMA | NOWARN, 6) // 1024 for _ in range(30)} == {0, -1}


def test_the_lowmem_reserve_keeps_a_zone_for_those_who_need_it(build: Build) -> None:
    zones = ((0, "DMA", 0, 1024), (0, "Normal", 1024, 1024))
    allocator = build(zones, marks=(10, 12, 14), reserve=1000, pcp=(1, 0, 0))
    taken = [allocator.alloc_pages(GFP_KERNEL | NOWARN, 3) for _ in range(140)]
    # 1024 - 7 > 10 + 1000 holds for the first block of the lower zone only, in the slow path.
    assert len([pfn for pfn in taken if 0 <= pfn < 1024]) == 1
    assert allocator.alloc_pages(GFP_DMA, 3) >= 0


def test_dma32_comes_before_mixed_page_blocks(build: Build) -> None:
    zones = ((0, "DMA32", 0, 4096), (0, "Normal", 4096, 4096))
    for avoid in (True, False):
        allocator = build(zones, marks=(10, 12, 14), pcp=(1, 0, 0))
        normal = allocator.zones[1].free_area
        normal.ranges.clear()
        normal.remove(4096)
        # All that Normal has left is a movable block smaller than a page block.
        normal.push_head(4096, 5 << 4 | MOVABLE)
        allocator.zones[1].nr_free_pages = 2000
        if not avoid:
            # Nothing to avoid it with: both zones are in the same state.
            allocator.zones[0].nr_free_pages = 0
        pfn = allocator.alloc_pages(GFP_KERNEL, 0)
        assert allocator.zone_of(pfn).name == ("DMA32" if avoid else "Normal")


def test_nodes_are_walked_in_order_and_can_be_bound(build: Build) -> None:
    zones = ((0, "Normal", 0, 1024), (1, "Normal", 1024, 1024))
    allocator = build(zones, marks=(10, 12, 14), pcp=(1, 0, 0), cpus=(0, 1))
    assert allocator.alloc_pages(GFP_KERNEL, 0, None, 1) >= 1024
    assert allocator.alloc_pages(GFP_KERNEL, 0, 0, 1) < 1024
    home = [allocator.alloc_pages(GFP_KERNEL | THISNODE | NOWARN, 5, 0) for _ in range(40)]
    assert -1 in home
    assert max(home) < 1024
    assert allocator.alloc_pages(GFP_KERNEL, 5, 0) >= 1024
    assert allocator.alloc_pages_nodemask(GFP_KERNEL, 0, 0, 0, frozenset({1})) >= 1024


# Per-CPU lists


def pages_on(allocator: PageAllocator, index: int) -> list[int]:
    return list(reversed(allocator.pcp(0, 0).lists[index]))


@pytest.mark.parametrize("kernel", ["5.6", "6.1"])
def test_a_refill_is_a_batch_in_ascending_order(build: Build, kernel: str) -> None:
    allocator = build(((0, "Normal", 0, 1024),), kernel, marks=(1, 2, 3))
    assert allocator.alloc_pages(GFP_HIGHUSER_MOVABLE) == 0
    assert pages_on(allocator, MOVABLE) == list(range(1, 31))
    # The list is last in, first out.
    allocator.free_pages(0)
    assert allocator.alloc_pages(GFP_HIGHUSER_MOVABLE) == 0


@pytest.mark.parametrize(("order", "blocks"), [(1, 15), (2, 7), (3, 3), (9, 2)])
def test_a_refill_of_larger_blocks_is_smaller(build: Build, order: int, blocks: int) -> None:
    allocator = build(((0, "Normal", 0, 65536),), "6.1", marks=(1, 2, 3))
    allocator.alloc_pages(GFP_HIGHUSER_MOVABLE, order)
    index = order * 3 + MOVABLE if order < 4 else 13
    assert len(pages_on(allocator, index)) == blocks - 1
    assert allocator.pcp(0, 0).count == (blocks - 1) << order


def test_order_four_has_no_list(build: Build) -> None:
    allocator = build()
    allocator.alloc_pages(GFP_HIGHUSER_MOVABLE, 4)
    assert allocator.pcp(0, 0).count == 0


def drained(allocator: PageAllocator, frees: int, order: int = 0) -> list[tuple[int, int]]:
    """Free pages one by one and return (number of the free, pages that went on) for each drain."""
    pages = [allocator.alloc_pages(GFP_HIGHUSER_MOVABLE, order) for _ in range(frees)]
    allocator.drain_all_pages()
    pcp = allocator.pcp(0, 0)
    found = []
    for number, pfn in enumerate(pages, 1):
        before = pcp.count
        allocator.free_pages(pfn, order)
        gone = before + (1 << order) - pcp.count
        if gone:
            found.append((number, gone))
    return found


def test_drains_double_while_nothing_is_allocated(build: Build) -> None:
    # high 320, batch 31: 31, then 62, 124, 248, at most high - batch = 289.
    found = drained(build(kernel="6.1", marks=(1, 2, 3)), 1200)
    assert [gone for _, gone in found] == [31, 62, 124, 248, 289, 289]
    assert found[0][0] == 320
    assert found[1][0] == 351


def test_every_drain_is_a_batch_in_5_6(build: Build) -> None:
    found = drained(build(kernel="5.6", marks=(1, 2, 3)), 500)
    assert {gone for _, gone in found} == {31}


def test_an_allocation_halves_the_next_drain(build: Build) -> None:
    allocator = build(kernel="6.1", marks=(1, 2, 3))
    drained(allocator, 700)
    pcp = allocator.pcp(0, 0)
    factor = pcp.streak
    assert factor >= 3
    allocator.alloc_pages(GFP_HIGHUSER_MOVABLE)
    assert pcp.streak == factor >> 1


def test_a_free_of_a_larger_block_after_a_drain_empties_all_lists_in_6_1(build: Build) -> None:
    allocator = build(kernel="6.1", marks=(1, 2, 3))
    block = allocator.alloc_pages(GFP_HIGHUSER_MOVABLE, 2)
    drained(allocator, 400)
    pcp = allocator.pcp(0, 0)
    assert pcp.streak
    assert pcp.count > 4
    allocator.free_pages(block, 2)
    assert pcp.count == 0


def test_reclaim_shrinks_the_lists_to_four_batches(build: Build) -> None:
    allocator = build(kernel="6.1", marks=(1, 2, 3))
    allocator.zones[0].reclaim_active = True
    found = drained(allocator, 200)
    assert found[0] == (124, 31)


def test_refills_double_while_nothing_is_freed_in_6_12(build: Build) -> None:
    allocator = build(kernel="6.12", marks=(1, 2, 3), pcp=(31, 2000, 8192))
    pcp = allocator.pcp(0, 0)
    sizes = []
    for _ in range(1500):
        was_empty = not pcp.lists[MOVABLE]
        allocator.alloc_pages(GFP_HIGHUSER_MOVABLE)
        if was_empty:
            sizes.append(len(pcp.lists[MOVABLE]) + 1)
    assert sizes == [31, 62, 124, 248, 496, 992]
    # Each refill raised what the lists may hold.
    assert pcp.high == 2000 + sum(sizes)
    allocator.free_pages(0)
    assert pcp.alloc_factor == 2


@pytest.mark.parametrize(("kernel", "after"), [("6.12", 31), ("6.18", 31 + 160)])
def test_larger_blocks_in_a_row_are_given_back_early(build: Build, kernel: str, after: int) -> None:
    allocator = build(kernel=kernel, marks=(1, 2, 3))
    found = drained(allocator, 300, 1)
    # The streak is looked at before it grows by the block, and must have reached a batch (and half of high_min).
    first = -(-after // 2) + 1
    assert found[0] == (first, 2 * first)


def test_a_streak_of_exactly_a_batch_is_enough(build: Build) -> None:
    found = drained(build(kernel="6.12", marks=(1, 2, 3), pcp=(30, 320, 2048)), 300, 1)
    assert found[0] == (16, 32)


@pytest.mark.parametrize(("kernel", "goes_to"), [("6.1", MOVABLE), ("6.12", RECLAIMABLE)])
def test_a_drained_page_goes_to_the_list_of(build: Build, kernel: str, goes_to: int) -> None:
    # The type noted when it was freed, or the one that its page block has when it is drained.
    allocator = build(((0, "Normal", 0, 1024),), kernel, marks=(1, 2, 3))
    pages = [allocator.alloc_pages(GFP_HIGHUSER_MOVABLE) for _ in range(40)]
    allocator.drain_all_pages()
    allocator.free_pages(pages[3])
    allocator.zones[0].free_area.set_types(0, 512, RECLAIMABLE)
    allocator.drain_all_pages()
    assert allocator.zones[0].free_area.lists()[goes_to, 0] == [pages[3]]


def test_high_decays_by_an_eighth_and_takes_the_surplus_along(build: Build) -> None:
    allocator = build(kernel="6.12", marks=(1, 2, 3), pcp=(31, 320, 8192))
    live = allocator.zones[0]
    pcp = live.pcps[0]
    pages = [allocator.alloc_pages(GFP_HIGHUSER_MOVABLE) for _ in range(300)]
    allocator.drain_all_pages()
    for pfn in pages:
        allocator.free_pages(pfn)
    pcp.high = 336
    assert decay_high(live, pcp) is False
    # An eighth less would be 294, but the least is 320.
    assert (pcp.high, pcp.count) == (320, 300)
    pcp.high_min, pcp.high = 100, 200
    assert decay_high(live, pcp) is True
    # 200 - 25 = 175; 125 too many go in whole batches of 31, the last of one page.
    assert (pcp.high, pcp.count) == (175, 175)


def test_lists_give_way_when_the_zone_is_below_its_high_mark(build: Build) -> None:
    allocator = build(kernel="6.12", marks=(1, 2, 3), pcp=(31, 320, 2048))
    live = allocator.zones[0]
    pcp = live.pcps[0]
    pages = [allocator.alloc_pages(GFP_HIGHUSER_MOVABLE) for _ in range(600)]
    high = pcp.high
    assert high > 320
    live.below_high = True
    live.zone.wmark_high = 70_000
    before = live.free_pages_now()
    for pfn in pages[:20]:
        allocator.free_pages(pfn)
    assert pcp.high < high
    # Every free gives a batch on, down to the least that the lists may always hold.
    assert live.free_pages_now() > before
    assert pcp.count <= 320
    live.zone.wmark_high = 3
    for pfn in pages[20:]:
        allocator.free_pages(pfn)
    assert not live.below_high


def test_a_request_notes_a_zone_below_its_high_mark(build: Build) -> None:
    live_of = {kernel: build(kernel=kernel, marks=(1, 2, 70_000)) for kernel in ("6.1", "6.12")}
    for allocator in live_of.values():
        assert allocator.alloc_pages(GFP_KERNEL) >= 0
    assert not live_of["6.1"].zones[0].below_high
    assert live_of["6.12"].zones[0].below_high


def test_the_hot_list_of_2_6_11(build: Build) -> None:
    allocator = build(((0, "Normal", 0, 4096),), "2.6.11", marks=(1, 2, 3), pcp=(15, 90, 90))
    assert allocator.alloc_pages(GFP_KERNEL) == 3072
    hot = allocator.pcp(0, 0).lists[0]
    assert len(hot) == 14
    # At two batches and below another batch comes to the tail.
    assert allocator.alloc_pages(GFP_KERNEL) == 3073
    assert len(hot) == 28


# Counters


def test_a_cpu_keeps_small_changes_to_itself(build: Build) -> None:
    live = build(threshold=8).zones[0]
    base = live.nr_free_pages
    live.account(0, -8)
    assert (live.nr_free_pages, live.diff) == (base, [-8])
    live.account(0, -1)
    assert (live.nr_free_pages, live.diff) == (base - 9, [0])
    live.account(0, 5)
    assert live.free_pages_now() == base - 4
    live.fold()
    assert (live.nr_free_pages, live.diff) == (base - 4, [0])


# CMA


def cma_zone(build: Build, movable_blocks: int, cma_blocks: int) -> PageAllocator:
    pages = (movable_blocks + cma_blocks) * 1024
    allocator = build(((0, "Normal", 0, pages),), "6.1", marks=(1, 2, 3), pcp=(1, 0, 0), cma=True, hand_over=False)
    start = movable_blocks * 1024
    allocator.memmap.types[start >> 9 : pages >> 9] = bytes((CMA,)) * (cma_blocks * 2)
    allocator.free_boot_range(0, 0, pages)
    allocator.zones[0].nr_free_cma = cma_blocks * 1024
    return allocator


def test_movable_requests_use_cma_while_it_is_most_of_what_is_free(build: Build) -> None:
    allocator = cma_zone(build, 1, 2)
    pfn = allocator.alloc_pages(GFP_HIGHUSER_MOVABLE, 0)
    assert pfn >= 1024
    assert allocator.zones[0].nr_free_cma == 2047
    allocator.free_pages(pfn)
    assert allocator.zones[0].nr_free_cma == 2048
    assert cma_zone(build, 2, 1).alloc_pages(GFP_HIGHUSER_MOVABLE, 0) < 2048


def test_others_can_not_have_cma(build: Build) -> None:
    allocator = cma_zone(build, 1, 1)
    live = allocator.zones[0]
    assert (live.unusable(0, 0), live.unusable(0, af.CMA)) == (1024, 0)
    taken = [allocator.alloc_pages(GFP_KERNEL | NOWARN, 6) for _ in range(20)]
    assert max(taken) < 1024
    assert taken[-1] == -1
    assert allocator.alloc_pages(GFP_HIGHUSER_MOVABLE, 6) >= 1024


# The slow path


class FakeReclaim:
    """Counts what it is asked, and frees what it was given when asked to reclaim."""

    def __init__(self, allocator: PageAllocator, pages: list[int]) -> None:
        self.allocator = allocator
        self.pages = pages
        self.asked: list[str] = []

    def wake_kswapd(self, *_: Any) -> None:
        self.asked.append("kswapd")

    def compact(self, *_: Any) -> str:
        self.asked.append("compact")
        return "skipped"

    def compacted(self, *_: Any) -> None:
        pass

    def compaction_suitable(self, *_: Any) -> bool:
        return False

    def reclaimable(self, *_: Any) -> int:
        return 0

    def reclaim(self, *_: Any) -> int:
        self.asked.append("reclaim")
        freed = self.pages[:32]
        del self.pages[:32]
        for pfn in freed:
            self.allocator.free_pages(pfn)
        return len(freed)

    def out_of_memory(self, *_: Any) -> bool:
        self.asked.append("oom")
        return False


def exhausted(build: Build, gfp: int = GFP_KERNEL | NOWARN) -> tuple[PageAllocator, list[int]]:
    allocator = build(((0, "Normal", 0, 1024),), marks=(64, 80, 96), pcp=(1, 0, 0))
    pages = []
    while (pfn := allocator.alloc_pages(gfp)) >= 0:
        pages.append(pfn)
    return allocator, pages


def test_who_may_wait_stops_at_the_minimum_and_who_may_not_goes_deeper(build: Build) -> None:
    allocator, pages = exhausted(build)
    assert len(pages) == 1024 - 64
    atomic = []
    while (pfn := allocator.alloc_pages(GFP_ATOMIC | NOWARN)) >= 0:
        atomic.append(pfn)
    assert len(atomic) == 64 - 24
    assert allocator.alloc_pages(GFP_NOWAIT | NOWARN) == -1
    assert allocator.alloc_pages(GFP_KERNEL | MEMALLOC | NOWARN) >= 0


def test_a_failed_request_is_reported_in_the_kernels_words(build: Build) -> None:
    allocator, _ = exhausted(build)
    assert allocator.reports.texts == []
    assert allocator.alloc_pages(GFP_ATOMIC & ~0x20 | 0x40000, 2) == -1
    report = allocator.reports.texts[0]
    assert "page allocation failure: order:2, mode:0x40800(" in report
    assert "Node 0 Normal free:256kB" in report
    assert "min:256kB low:320kB high:384kB" in report


def test_reclaim_is_asked_and_what_it_frees_is_taken(build: Build) -> None:
    allocator, pages = exhausted(build)
    reclaim = FakeReclaim(allocator, pages)
    allocator.reclaim = reclaim
    assert allocator.alloc_pages(GFP_KERNEL) >= 0
    assert reclaim.asked == ["kswapd", "reclaim"]
    # Nothing can be reclaimed for who may not wait.
    reclaim.asked.clear()
    while allocator.alloc_pages(GFP_NOWAIT | NOWARN) >= 0:
        pass
    assert set(reclaim.asked) == {"kswapd"}


def test_the_oom_killer_is_the_last_resort_but_not_for_large_requests(build: Build) -> None:
    allocator, _ = exhausted(build)
    reclaim = FakeReclaim(allocator, [])
    allocator.reclaim = reclaim
    assert allocator.alloc_pages(GFP_KERNEL | NOWARN) == -1
    assert reclaim.asked[-1] == "oom"
    reclaim.asked.clear()
    assert allocator.alloc_pages(GFP_KERNEL | NOWARN, 5) == -1
    assert "oom" not in reclaim.asked
    assert "compact" in reclaim.asked
    reclaim.asked.clear()
    assert allocator.alloc_pages(GFP_KERNEL | NORETRY | NOWARN) == -1
    assert reclaim.asked.count("reclaim") == 1
    assert "oom" not in reclaim.asked


def test_an_atomic_block_reserves_its_page_block_and_gives_it_back_before_failing(build: Build) -> None:
    allocator = build(((0, "Normal", 0, 65536),), marks=(64, 80, 96), pcp=(1, 0, 0))
    live = allocator.zones[0]
    # Below the low mark the request takes the slow path, which is where atomic ones get ALLOC_HIGHATOMIC.
    live.zone.wmark_low = live.zone.wmark_high = 70_000
    pfn = allocator.alloc_pages(GFP_ATOMIC, 2)
    assert live.nr_reserved_highatomic == 512
    assert live.free_area.types[pfn >> 9] == HIGHATOMIC
    assert live.unusable(0, 0) == live.free_highatomic() > 0
    assert live.unusable(0, af.NON_BLOCK) == 0
    assert unreserve_highatomic(allocator, allocator.zones, MOVABLE, force=False) is False
    assert unreserve_highatomic(allocator, allocator.zones, MOVABLE, force=True)
    assert live.nr_reserved_highatomic == 0
    assert live.free_area.types[pfn >> 9] == MOVABLE


# Other ways in


def test_exact_pages_give_the_rest_back_to_the_tail(build: Build) -> None:
    allocator = build(((0, "Normal", 0, 1024),), "6.1", marks=(1, 2, 3))
    pfn = alloc_pages_exact(allocator, 5, GFP_KERNEL)
    assert pfn == 0
    assert allocator.memmap.state[4] == 0xC0
    area = allocator.zones[0].free_area
    for order, first in ((0, 5), (1, 6)):
        assert area.lists()[UNMOVABLE, order][-1] == first
    assert allocator.pcp(0, 0).lists[0] == []
    for page in range(5):
        allocator.free_pages(page)


def test_bulk_pages_come_from_the_list_without_adapting_it(build: Build) -> None:
    allocator = build(kernel="6.1", marks=(1, 2, 3))
    drained(allocator, 700)
    pcp = allocator.pcp(0, 0)
    streak = pcp.streak
    pages = alloc_pages_bulk(allocator, GFP_HIGHUSER_MOVABLE, 10)
    assert len(set(pages)) == 10
    assert pcp.streak == streak
    # The mark is the low one and the number of pages; else one page comes the usual way.
    allocator.zones[0].zone.wmark_low = allocator.zones[0].nr_free_pages - 10
    assert len(alloc_pages_bulk(allocator, GFP_HIGHUSER_MOVABLE, 10)) == 1
    allocator.zones[0].zone.wmark_low -= 1
    assert len(alloc_pages_bulk(allocator, GFP_HIGHUSER_MOVABLE, 10)) == 10
