"""Taking from another migrate type, in page blocks made up for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kmemwidgets.sim.buddy import FreeAreas
from kmemwidgets.sim.memmap import IN_USE_LRU
from kmemwidgets.sim.migratetype import MOVABLE, RECLAIMABLE, UNMOVABLE
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules.allocator import allocator_rules

Build = Callable[..., PageAllocator]


def block_with(build: Build, kernel: str, mt: int, *blocks: tuple[int, int]) -> FreeAreas:
    """Build a zone whose only free blocks are these (pfn, order), in page blocks of one type."""
    area = build(((0, "Normal", 0, 1024),), kernel).zones[0].free_area
    area.remove(0)
    area.set_types(0, 1024, mt)
    for pfn, order in blocks:
        area.push_head(pfn, (order + 1) << 4 | mt)
    return area


def test_which_algorithm_a_kernel_has() -> None:
    found = {
        version: allocator_rules(version).buddy.fallback for version in ((6, 1), (6, 12, 0), (6, 12, 117), (6, 18))
    }
    assert list(found.values()) == ["steal", "steal_page", "claim_or_steal", "claim_or_steal"]


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_movable_requests_claim_from_half_a_page_blocks_order_up(build: Build, kernel: str) -> None:
    blocks = tuple((512 + (1 << order), order) for order in range(4, 9))
    area = block_with(build, kernel, UNMOVABLE, *blocks)
    assert area.alloc(0, MOVABLE) == 528
    assert area.types[1] == MOVABLE
    assert not [key for key in area.lists() if key[0] == UNMOVABLE]
    # One order less is not enough.
    area = block_with(build, kernel, UNMOVABLE, (512 + 8, 3))
    assert area.alloc(0, MOVABLE) == 520
    assert area.types[1] == UNMOVABLE


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
@pytest.mark.parametrize("mt", [UNMOVABLE, RECLAIMABLE])
def test_others_claim_with_any_order(build: Build, kernel: str, mt: int) -> None:
    # What is in use here is not movable, so it counts as alike.
    area = block_with(build, kernel, MOVABLE, (8, 3))
    assert area.alloc(0, mt) == 8
    assert area.types[0] == mt


@pytest.mark.parametrize("kernel", ["6.1", "6.18"])
def test_movable_pages_in_use_speak_for_a_movable_claim(build: Build, kernel: str) -> None:
    for pages, claimed in ((240, True), (239, False)):
        area = block_with(build, kernel, UNMOVABLE, (16, 4))
        area.state[100 : 100 + pages] = bytes((IN_USE_LRU,)) * pages
        assert area.alloc(0, MOVABLE) == 16
        assert (area.types[0] == MOVABLE) is claimed


@pytest.mark.parametrize("kernel", ["6.1", "6.18"])
def test_movable_pages_in_use_speak_against_an_unmovable_claim(build: Build, kernel: str) -> None:
    for pages, claimed in ((256, True), (257, False)):
        area = block_with(build, kernel, MOVABLE, (16, 4))
        area.state[100 : 100 + pages] = bytes((IN_USE_LRU,)) * pages
        assert area.alloc(0, UNMOVABLE) == 16
        assert (area.types[0] == UNMOVABLE) is claimed


def test_a_small_movable_request_takes_the_smallest_block_in_6_1(build: Build) -> None:
    area = block_with(build, "6.1", UNMOVABLE, (8, 3), (64, 1))
    assert area.alloc(0, MOVABLE) == 64
    # The block is moved as a whole before it is split: its rest is movable, though its page block isn't.
    assert area.lists() == {(MOVABLE, 0): [65], (UNMOVABLE, 3): [8]}


def test_nothing_is_mixed_when_fragmentation_is_to_be_avoided(build: Build) -> None:
    for kernel in ("6.1", "6.18"):
        area = block_with(build, kernel, MOVABLE, (16, 4))
        assert area.rmqueue(0, UNMOVABLE, 0x100) == -1
        assert area.rmqueue(0, UNMOVABLE, 0) == 16


def test_a_block_that_sticks_out_of_the_zone_is_not_claimed(build: Build) -> None:
    for kernel in ("6.1", "6.18"):
        area = build(((0, "Normal", 0, 400),), kernel, hand_over=False).zones[0].free_area
        area.push_head(0, 9 << 4 | MOVABLE)
        assert area.alloc(0, UNMOVABLE) == 0
        assert area.types[0] == MOVABLE
