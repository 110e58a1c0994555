"""A tuned `high` that the timer lowered: no event says so but a drain that comes early."""

from __future__ import annotations

from typing import Any

import pytest

from kmemwidgets.records import parse_version
from kmemwidgets.replay.freed_lately import may_have_emptied
from kmemwidgets.replay.pages import PageReplay
from kmemwidgets.replay.result import PageResult
from kmemwidgets.sim.events import PCPU_DRAIN
from kmemwidgets.sim.memmap import MemMap
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.pcp import SCALE_MAX
from kmemwidgets.sim.rules.allocator import allocator_rules

FIRST, FREES, BATCH = 2048, 25, 7


def build(kernel: str = "6.12.117") -> PageAllocator:
    """Build a zone whose upper half is in use, with lists that may hold 60 pages until something lowers that."""
    zone = Zone(0, 0, "DMA32", 0, 4096)
    zone.present = zone.managed = 4096
    zone.wmark_min, zone.wmark_low, zone.wmark_high = 8, 10, 12
    zone.pcp_batch, zone.pcp_high, zone.pcp_high_max = BATCH, 20, 200
    allocator = PageAllocator(
        [zone], MemMap(4096), allocator_rules(parse_version(kernel)), cpu_node=(0,), zone_names=("DMA32", "Movable"),
        huge_order=-1,
    )  # fmt: skip
    allocator.free_boot_range(0, 0, FIRST)
    allocator.setup_per_cpu_pageset()
    allocator.zones[0].pcps[0].high = 60
    return allocator


def row(name: str, *values: Any, comm: str = "task") -> tuple[Any, ...]:
    return (name, comm, 5, 0, "0", ".....", values)


def replay(allocator: PageAllocator, comm: str = "task", *, batch: bool, triggers: bool = True) -> PageResult:
    """Free frames one by one or in a batch; the last one makes the kernel give the oldest ones on."""
    frees = [row("mm_page_free", FIRST + number, 0) for number in range(FREES)]
    batched = [row("mm_page_free_batched", FIRST + number) for number in range(FREES)] if batch else []
    # As many as were freed lately, but for a batch that stays.
    drained = [row("mm_page_pcpu_drain", FIRST + number, 0, 0, comm=comm) for number in range(FREES - BATCH)]
    more = [row("mm_page_free", FIRST + FREES, 0)]
    return PageReplay(allocator, allocator.rules.version, triggers=triggers).run([*frees, *batched, *drained, *more])


@pytest.mark.parametrize("batch", [False, True])
def test_an_early_drain_tells_what_high_has_become(batch: bool) -> None:
    allocator = build()
    result = replay(allocator, batch=batch)
    assert (result.drains.exact, result.drains.of, result.triggers) == (1, 1, 1)
    pcp = allocator.zones[0].pcps[0]
    assert (pcp.high, pcp.count) == (FREES, BATCH + 1)


def test_requests_alone_do_not_tell() -> None:
    allocator = build()
    result = replay(allocator, batch=True, triggers=False)
    assert result.drains.exact == 0
    assert allocator.zones[0].pcps[0].high == 60


def with_ten_on_the_lists(*, lately: bool) -> tuple[PageAllocator, int]:
    """Build lists that hold few pages, and a block in use; the kernel knows whether many blocks were freed lately."""
    allocator = build()
    pages = [allocator.alloc_pages(0xCC0, 0) for _ in range(10)]
    block = int(allocator.alloc_pages(0xCC0, 1))
    allocator.drain_all_pages()
    for page in pages:
        allocator.free_pages(page, 0, 0)
    pcp = allocator.zones[0].pcps[0]
    pcp.streak, pcp.freed_high_order = (BATCH, 1) if lately else (0, 0)
    return allocator, block


@pytest.mark.parametrize("order", [1, 0])
def test_a_drain_tells_that_blocks_were_freed_before_the_trace(order: int) -> None:
    kernel, block = with_ten_on_the_lists(lately=True)
    told: list[tuple[Any, ...]] = []
    kernel.zones[0].free_area.trace = told.append
    kernel.free_pages(block, 1, 0)
    drained = [row("mm_page_pcpu_drain", *event[2:5]) for event in told if event[0] == PCPU_DRAIN]
    assert len(drained) == 11
    allocator, _ = with_ten_on_the_lists(lately=False)
    result = PageReplay(allocator, allocator.rules.version).run([row("mm_page_free", block, order), *drained])
    assert result.drains.exact == (1 if order else 0)
    assert any("had been freed before" in note for note in result.notes) == bool(order)


ALLOC, OTHER_CPU = "mm_page_alloc", 1


@pytest.mark.parametrize(
    ("before", "may"),
    [
        ([], True),
        # Five allocations leave 7, a batch, of the 231 pages that are the most.
        ([(ALLOC, 0, 0)] * 5, True),
        ([(ALLOC, 0, 0)] * 6, False),
        ([(ALLOC, 0, OTHER_CPU)] * 6, True),
        # Larger blocks are on no list; what is freed on top counts.
        ([(ALLOC, 4, 0)] * 6, True),
        ([(ALLOC, 0, 0)] * 6 + [("mm_page_free", 2, 0)], True),
        # The block before was none of order 1 to 3.
        ([("mm_page_free", 0, 0)], False),
        ([("mm_page_free", 0, OTHER_CPU)], True),
        ([("mm_page_free", 0, 0), ("mm_page_free", 1, 0)], True),
    ],
)
def test_lists_may_have_been_emptied_as_long_as_enough_can_be_left(
    before: list[tuple[str, int, int]], may: bool
) -> None:
    allocator = build()
    live = allocator.zones[0]
    rows = [(name, "task", 5, cpu, "0", ".....", (FIRST, order)) for name, order, cpu in before]
    assert may_have_emptied(allocator, live, live.pcps[0], [*rows, row("mm_page_free", FIRST, 1)]) == may


@pytest.mark.parametrize("whole", [True, False])
def test_a_drain_tells_of_blocks_freed_before_behind_other_frees_too(whole: bool) -> None:
    kernel, block = with_ten_on_the_lists(lately=True)
    allocator, _ = with_ten_on_the_lists(lately=False)
    kernel.zones[0].pcps[0].streak, kernel.zones[0].pcps[0].freed_high_order = BATCH << SCALE_MAX, 0
    other = int(kernel.alloc_pages(0xCC0, 1))
    assert int(allocator.alloc_pages(0xCC0, 1)) == other
    told: list[tuple[Any, ...]] = []
    kernel.zones[0].free_area.trace = told.append
    kernel.free_pages(other, 1, 0)
    assert not told
    kernel.free_pages(block, 1, 0)
    drained = [row("mm_page_pcpu_drain", *event[2:5]) for event in told if event[0] == PCPU_DRAIN]
    assert not kernel.zones[0].pcps[0].count
    # A drain that leaves pages was not that of many blocks.
    drained = drained if whole else drained[:-BATCH]
    frees = [row("mm_page_free", other, 1), row("mm_page_free", block, 1)]
    result = PageReplay(allocator, allocator.rules.version).run([*frees, *drained])
    assert result.drains.exact == int(whole)
    assert any("had been freed before" in note for note in result.notes) == whole
    if whole:
        # At least a batch had been freed lately, and now the block, too.
        assert allocator.zones[0].pcps[0].streak == BATCH + 2
