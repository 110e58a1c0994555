"""Requests that go further because of who asks: reclaimers, who has just reclaimed, realtime tasks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from kmemwidgets.records import parse_version
from kmemwidgets.replay.kswapd import DIRECT_BEGIN, DIRECT_END, MARK_VICTIM, SLEEP, WAKE, WAKEUP, Kswapd
from kmemwidgets.replay.pages import PageReplay
from kmemwidgets.replay.result import PageResult
from kmemwidgets.sim.memmap import MemMap
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules.allocator import allocator_rules

GFP = "GFP_HIGHUSER_MOVABLE"
TASK, KSWAPD = 5, 30
MIN, LOW = 100, 300


def build(free_above: int = 512) -> PageAllocator:
    """Build two zones: DMA with plenty, DMA32 above its mark or not."""
    zones = []
    for index, (name, start, marks) in enumerate((("DMA", 0, (8, 10, 12)), ("DMA32", 4096, (MIN, LOW, 400)))):
        zone = Zone(0, index, name, start, 4096)
        zone.present = zone.managed = 4096
        zone.wmark_min, zone.wmark_low, zone.wmark_high = marks
        zone.pcp_batch, zone.pcp_high, zone.pcp_high_max = 1, 0, 0
        zones.append(zone)
    names = ("DMA", "DMA32", "Movable")
    rules = allocator_rules(parse_version("6.1.192"))
    allocator = PageAllocator(zones, MemMap(8192), rules, cpu_node=(0,), zone_names=names, huge_order=-1)
    allocator.free_boot_range(0, 0, 4096)
    allocator.free_boot_range(1, 4096, 4096 + free_above)
    allocator.setup_per_cpu_pageset()
    return allocator


def row(name: str, *values: Any, pid: int = TASK) -> tuple[Any, ...]:
    return (name, "task", pid, 0, "0", ".....", values)


def alloc(pfn: int, gfp: str = GFP, pid: int = TASK) -> tuple[Any, ...]:
    return row("mm_page_alloc", pfn, 0, 1, gfp, pid=pid)


def run(allocator: PageAllocator, rows: Iterable[tuple[Any, ...]], **more: Any) -> PageResult:
    return PageReplay(allocator, allocator.rules.version, **more).run(list(rows))


def first_of(allocator: PageAllocator, zone: int) -> int:
    """Return the frame that a zone would give next."""
    lists = allocator.zones[zone].free_area.lists()
    return lists[min(key for key in lists)][0]


def test_who_has_reclaimed_goes_on_past_the_fast_path() -> None:
    # 200 pages are below the low mark and above the minimum.
    for triggers, zone in ((True, 1), (False, 0)):
        allocator = build(200)
        rows = [row(DIRECT_BEGIN, 0, GFP), row(DIRECT_END, 32), alloc(first_of(allocator, zone))]
        result = run(allocator, rows, triggers=triggers)
        assert result.allocs.exact == 1, (triggers, result.misses)


def test_only_the_request_that_reclaimed_goes_on() -> None:
    allocator = build(200)
    first, dma = first_of(allocator, 1), first_of(allocator, 0)
    rows = [row(DIRECT_BEGIN, 0, GFP), row(DIRECT_END, 32), alloc(dma, pid=6), alloc(first)]
    assert run(allocator, rows).allocs.exact == 2


def test_who_reclaims_may_use_every_reserve() -> None:
    for pid, rows in (
        (TASK, [row(DIRECT_BEGIN, 0, GFP)]),
        (KSWAPD, [row(WAKE, 0, 0, pid=KSWAPD)]),
    ):
        allocator = build(64)
        allocator.zones[0].zone.wmark_min = allocator.zones[0].zone.wmark_low = 5000
        frame = first_of(allocator, 1)
        assert run(allocator, [*rows, alloc(frame, pid=pid)]).allocs.exact == 1
        # Anybody else gets nothing at all.
        allocator = build(64)
        allocator.zones[0].zone.wmark_min = allocator.zones[0].zone.wmark_low = 5000
        assert run(allocator, [*rows, alloc(frame, pid=7)]).allocs.exact == 0


def test_a_realtime_task_is_known_by_what_it_gets() -> None:
    # 80 pages are below the minimum and above half of it.
    allocator = build(80)
    allocator.zones[0].zone.wmark_low = 5000
    frame = first_of(allocator, 1)
    result = run(allocator, [alloc(frame), alloc(frame + 1), alloc(first_of(allocator, 0), pid=6)])
    assert (result.allocs.of, result.allocs.exact) == (3, 2), result.misses
    assert "realtime" in result.notes[0]
    assert "realtime" in result.misses[0].cause


def test_no_class_of_task_explains_a_zone_that_the_fast_path_passes_by() -> None:
    allocator = build(80)
    result = run(allocator, [alloc(first_of(allocator, 1))])
    assert (result.allocs.exact, result.wrong_zone, result.notes) == (0, 1, [])


def test_nothing_is_learned_once_the_state_is_wrong() -> None:
    allocator = build(80)
    allocator.zones[0].zone.wmark_low = 5000
    frame, other = first_of(allocator, 1), first_of(allocator, 0)
    rows = [alloc(other + 2000 + 2 * number, pid=6) for number in range(6)]
    result = run(allocator, [*rows, alloc(frame)])
    assert not [note for note in result.notes if "realtime" in note]


def test_kswapd_works_up_to_the_zone_that_was_asked_for() -> None:
    allocator = build()
    kswapd = Kswapd(allocator)
    kswapd.ask(0, 0x1)  # GFP_DMA
    kswapd.wake(0)
    assert [live.reclaim_active for live in allocator.zones] == [True, False]
    kswapd.end_round(0)
    # Asked for nothing new, it goes on as before.
    kswapd.wake(0)
    assert [live.reclaim_active for live in allocator.zones] == [True, False]
    kswapd.end_round(0)
    kswapd.ask(None, 0xCC0)
    kswapd.wake_kswapd(0, 0)
    kswapd.wake(0)
    assert [live.reclaim_active for live in allocator.zones] == [True, True]
    kswapd.end_round(0)
    assert not any(live.reclaim_active for live in allocator.zones)


def test_a_boost_that_began_after_a_round_stays() -> None:
    allocator = build()
    kswapd = Kswapd(allocator)
    allocator.zones[0].zone.watermark_boost = 100
    kswapd.wake(0)
    allocator.zones[0].zone.watermark_boost += 50
    kswapd.end_round(0)
    assert allocator.zones[0].zone.watermark_boost == 50


def test_events_beside_requests_compare_nothing() -> None:
    # A refill is compared when its allocation is told, not when kswapd is woken in between.
    allocator = build()
    frame = first_of(allocator, 1)
    rows = [row("mm_page_alloc_zone_locked", frame, 0, 1, 1), row(WAKEUP, 0, 0, "none"), alloc(frame), row(SLEEP, 0)]
    result = run(allocator, rows)
    assert (result.refills.exact, result.refills.of) == (1, 1), result.misses


def victim(pid: int) -> tuple[Any, ...]:
    return row(MARK_VICTIM, pid)


@pytest.mark.parametrize(
    ("pid", "gfp", "zone"), [(TASK, GFP, 1), (6, GFP, 0), (TASK, "GFP_HIGHUSER_MOVABLE|__GFP_NOMEMALLOC", 0)]
)
def test_whom_the_oom_killer_chose_uses_its_reserve(pid: int, gfp: str, zone: int) -> None:
    # Half the minimum is free, and a little more.
    allocator = build(MIN // 2 + 10)
    first = first_of(allocator, zone)
    if zone:
        allocator.zones[0].zone.wmark_min = allocator.zones[0].zone.wmark_low = 10_000
        allocator.marks_changed()
    result = run(allocator, [victim(pid), alloc(first, gfp)])
    assert result.allocs.exact == 1, result.misses
