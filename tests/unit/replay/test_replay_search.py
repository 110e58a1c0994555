"""Starting values that no file shows: found by what makes the rest agree, harmless where they can't be found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kmemwidgets.capture import Capture
from kmemwidgets.records import parse_version
from kmemwidgets.replay.pages import PageReplay
from kmemwidgets.replay.result import PageResult
from kmemwidgets.replay.search import Place, search_factors, search_locked
from kmemwidgets.replay.trace import _replay
from kmemwidgets.sim.events import PCPU_DRAIN
from kmemwidgets.sim.memmap import IN_USE, MemMap
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules.allocator import allocator_rules

PAGES = 4096
RECORDING = Path(__file__).parents[2] / "data" / "captures" / "amd64-512m.tar.xz"


def build(factors: Mapping[Place, int]) -> PageAllocator:
    """Build a remote and a local zone whose pages are all in use, with lists that have drained often or not."""
    zones = []
    for nid, start in ((0, 0), (1, PAGES)):
        zone = Zone(nid, 2, "Normal", start, PAGES)
        zone.present = zone.managed = PAGES
        zone.pcp_batch, zone.pcp_high, zone.pcp_high_max = 7, 280, 280
        zones.append(zone)
    allocator = PageAllocator(
        zones, MemMap(2 * PAGES), allocator_rules(parse_version("6.1.192")), cpu_node=(0, 1),
        zone_names=("DMA", "DMA32", "Normal", "Movable"), huge_order=-1,
    )  # fmt: skip
    allocator.state[: 2 * PAGES] = bytes((IN_USE,)) * (2 * PAGES)
    allocator.setup_per_cpu_pageset()
    for (at, cpu), factor in factors.items():
        allocator.zones[at].pcps[cpu].streak = factor
    return allocator


def record(factors: Mapping[Place, int]) -> list[tuple[Any, ...]]:
    """Free pages of both zones on cpu 0, and write down what a kernel would tell."""
    allocator = build(factors)
    told: list[tuple[Any, ...]] = []
    for live in allocator.zones:
        live.free_area.trace = told.append
    rows: list[tuple[Any, ...]] = []
    for pfn in [*range(PAGES, PAGES + 1200), *range(600)]:
        rows.append(("mm_page_free", "task", 5, 0, "0", ".....", (pfn, 0)))
        allocator.free_pages(pfn, 0, 0)
        rows += [
            ("mm_page_pcpu_drain", "task", 5, 0, "0", "d..2.", event[2:5]) for event in told if event[0] == PCPU_DRAIN
        ]
        told.clear()
    return rows


@pytest.mark.parametrize("factors", [{(1, 0): 3}, {(1, 0): 2, (0, 0): 4}])
def test_the_value_that_makes_the_rest_agree_is_found(factors: dict[Place, int]) -> None:
    rows = record(factors)

    def replay(tried: Mapping[Place, int]) -> PageResult:
        allocator = build(tried)
        return PageReplay(allocator, allocator.rules.version).run(rows)

    first = replay({})
    assert first.drains.exact < first.drains.of
    best, known = search_factors(replay, first, [(0, 0), (1, 0), (1, 1)])
    assert known == factors
    assert best.drains.exact == best.drains.of


def test_what_no_value_explains_stays_as_it_is() -> None:
    rows = record({})
    rows.insert(20, ("mm_page_pcpu_drain", "task", 5, 0, "0", "d..2.", (PAGES + 3, 0, 0)))

    def replay(tried: Mapping[Place, int]) -> PageResult:
        allocator = build(tried)
        return PageReplay(allocator, allocator.rules.version, triggers=False).run(rows)

    first = replay({})
    best, known = search_factors(replay, first, [(0, 0), (1, 0)])
    assert (best is first, known) == (True, {})


def test_a_wrong_start_is_made_up_for() -> None:
    # The recorded machine began with zero: what begins with more comes to the same lists.
    capture = Capture.load(RECORDING)
    raw = capture.bytes("t_fork/trace")
    for factor in (1, 5):
        result = _replay(capture, "t_fork", raw, triggers=True, factors={(0, 0): factor, (1, 0): factor})
        assert result.allocs.exact == result.allocs.of
        assert result.refills.exact == result.refills.of
        for lists in (result.free_lists, result.pcp_lists):
            assert lists is not None
            assert lists.exact == lists.of


def test_locked_lists_are_sought_one_batch_after_the_other() -> None:
    """Three batches are in doubt; after two of them the lists were locked."""
    asked: list[frozenset[int]] = []

    def replay(rows: frozenset[int]) -> PageResult:
        asked.append(rows)
        result = PageResult()
        result.allocs.of = 10
        result.allocs.exact = 5 + len(rows & {3, 8})
        result.doubtful = next((row for row in (3, 8, 20) if row not in rows), -1)
        return result

    best, held = search_locked(replay, replay(frozenset()))
    assert held == {3, 8}
    assert best.allocs.exact == 7
    assert asked == [frozenset(), {3}, {3, 8}, {3, 8, 20}]


def test_without_a_doubt_nothing_is_sought() -> None:
    first = PageResult()

    def never(rows: frozenset[int]) -> PageResult:
        raise AssertionError(rows)

    assert search_locked(never, first) == (first, frozenset())
