"""Shuffled pages: the largest blocks in random order, from the seed and from nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kmemwidgets import Machine
from kmemwidgets.sim.gfp import GFP_HIGHUSER_MOVABLE
from kmemwidgets.sim.migratetype import MOVABLE
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.shuffle import Shuffle

Build = Callable[..., PageAllocator]
TOP = 10
ZONES = ((0, "DMA32", 0, 32 << TOP), (0, "Normal", (32 << TOP) + 512, 64 << TOP))


def shuffled(build: Build, seed: int, kernel: str = "6.18") -> PageAllocator:
    """Build two zones, the second with ragged ends, and shuffle them as boot does."""
    allocator = build(ZONES, kernel, shuffle=Shuffle(seed))
    allocator.shuffle_free_memory()
    return allocator


def lists(allocator: PageAllocator) -> list[dict[tuple[int, int], list[int]]]:
    return [live.free_area.lists() for live in allocator.zones]


def take_and_give_back(allocator: PageAllocator, rounds: int = 30) -> list[Any]:
    """Take pairs of largest blocks, give them back the other way round, and return what came."""
    came = []
    for _ in range(rounds):
        pair = [allocator.alloc_pages(GFP_HIGHUSER_MOVABLE, TOP) for _ in range(2)]
        for pfn in reversed(pair):
            allocator.free_pages(pfn, TOP)
        came.append(pair)
    return [came, lists(allocator)]


@pytest.mark.parametrize("kernel", ["5.6", "6.18"])
def test_the_seed_alone_decides_the_order(build: Build, kernel: str) -> None:
    assert lists(shuffled(build, 7, kernel)) == lists(shuffled(build, 7, kernel))
    assert lists(shuffled(build, 7, kernel)) != lists(shuffled(build, 8, kernel))


@pytest.mark.parametrize("kernel", ["5.6", "6.18"])
def test_no_block_is_lost_and_small_ones_stay_where_they_are(build: Build, kernel: str) -> None:
    plain, mixed = lists(build(ZONES, kernel)), lists(shuffled(build, 7, kernel))
    for before, after in zip(plain, mixed, strict=True):
        assert before.keys() == after.keys()
        for (mt, order), blocks in before.items():
            assert sorted(after[mt, order]) == sorted(blocks)
            assert (after[mt, order] == blocks) == (order < TOP)


def test_no_block_moves_to_another_migrate_type(build: Build) -> None:
    allocator = build(((0, "Normal", 0, 64 << TOP),), shuffle=Shuffle(7))
    area = allocator.zones[0].free_area
    area.set_types(0, 8 << TOP, 0)
    area.move_freepages(0, 8 << TOP, 0)
    assert area.list_of((TOP + 1) << 4) == [block << TOP for block in range(8)]
    allocator.shuffle_free_memory()
    unmovable = area.list_of((TOP + 1) << 4)
    assert unmovable != sorted(unmovable)
    assert sorted(unmovable) == [block << TOP for block in range(8)]
    assert sorted(area.list_of((TOP + 1) << 4 | MOVABLE)) == [block << TOP for block in range(8, 64)]


def test_a_lone_block_finds_no_partner(build: Build) -> None:
    allocator = build(((0, "Normal", 0, 1 << TOP),), shuffle=Shuffle(7))
    allocator.shuffle_free_memory()
    assert lists(allocator) == [{(MOVABLE, TOP): [0]}]


def test_no_block_is_its_own_partner(build: Build) -> None:
    # Each of two swaps with the other, so that both are back in the end.
    for seed in range(8):
        allocator = build(((0, "Normal", 0, 2 << TOP),), shuffle=Shuffle(seed))
        allocator.shuffle_free_memory()
        assert lists(allocator) == [{(MOVABLE, TOP): [0, 1 << TOP]}]


def test_a_freed_largest_block_goes_to_either_end(build: Build) -> None:
    allocator = shuffled(build, 7)
    area = allocator.zones[1].free_area
    ends = []
    for _ in range(64):
        pfn = allocator.alloc_pages(GFP_HIGHUSER_MOVABLE, TOP)
        allocator.free_pages(pfn, TOP)
        blocks = area.list_of(area.top_movable)
        assert pfn in (blocks[0], blocks[-1])
        ends.append(pfn == blocks[0])
    assert 16 < sum(ends) < 48


def test_a_block_that_merges_up_to_the_largest_goes_to_either_end(build: Build) -> None:
    allocator = shuffled(build, 7)
    area = allocator.zones[1].free_area
    while area.list_of(TOP << 4 | MOVABLE):
        # The ragged ends, which would be split first.
        allocator.alloc_pages(GFP_HIGHUSER_MOVABLE, TOP - 1)
    ends = []
    for _ in range(64):
        pfn = allocator.alloc_pages(GFP_HIGHUSER_MOVABLE, 5)
        allocator.free_pages(pfn, 5)
        blocks = area.list_of(area.top_movable)
        assert pfn >> TOP << TOP in (blocks[0], blocks[-1])
        ends.append(pfn >> TOP << TOP == blocks[0])
    assert 16 < sum(ends) < 48


def test_smaller_blocks_go_to_the_head(build: Build) -> None:
    allocator = shuffled(build, 7)
    area = allocator.zones[1].free_area
    # Every other block of order 5, so that none merges.
    taken = [allocator.alloc_pages(GFP_HIGHUSER_MOVABLE, 5) for _ in range(64)]
    for pfn in taken[::2]:
        allocator.free_pages(pfn, 5)
        assert area.list_of(6 << 4 | MOVABLE)[0] == pfn


@pytest.mark.parametrize("used", [0, 1, 5])
def test_what_was_saved_goes_on_in_the_same_way(build: Build, used: int) -> None:
    allocator = shuffled(build, 7)
    take_and_give_back(allocator, used)
    saved = allocator.save()
    first = take_and_give_back(allocator)
    allocator.load(saved)
    assert take_and_give_back(allocator) == first
    other = shuffled(build, 99)
    other.load(saved)
    assert take_and_give_back(other) == first


def frames(**machine: Any) -> list[int]:
    booted = Machine.boot(memory="256M", cpus=1, **machine)
    return [booted.alloc_pages("GFP_KERNEL", TOP) for _ in range(8)]


@pytest.mark.parametrize("value", ["=1", "=Y", "=y", "=on", ""])
def test_the_command_line_turns_it_on(value: str) -> None:
    assert frames(cmdline=f"quiet page_alloc.shuffle{value}") != frames(cmdline="quiet")


@pytest.mark.parametrize(
    "machine",
    [
        {"cmdline": "page_alloc.shuffle=0"},
        {"cmdline": "page_alloc.shuffle=off"},
        {"cmdline": "shuffle=1"},
        {"cmdline": "page_alloc.shuffle=1", "config": {"CONFIG_SHUFFLE_PAGE_ALLOCATOR": "n"}},
        {"cmdline": "page_alloc.shuffle=1", "kernel": "2.6.11", "arch": "x86_32"},
    ],
)
def test_otherwise_it_stays_off(machine: dict[str, Any]) -> None:
    plain = {name: machine[name] for name in ("kernel", "arch") if name in machine}
    assert frames(**machine, seed=3) == frames(**plain)


def test_a_machine_boots_again_with_its_seed() -> None:
    machine = Machine.boot(memory="256M", cpus=1, cmdline="page_alloc.shuffle=1", seed=5)
    same = {"cmdline": "page_alloc.shuffle=1", "seed": 5}
    first = [machine.alloc_pages("GFP_KERNEL", TOP) for _ in range(8)]
    machine.reset()
    assert [machine.alloc_pages("GFP_KERNEL", TOP) for _ in range(8)] == first == frames(**same)
    assert first != frames(**same | {"seed": 6})
