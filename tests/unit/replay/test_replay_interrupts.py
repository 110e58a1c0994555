"""Requests of interrupts that came into a request of a task (pcp_spin_trylock)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from kmemwidgets.records import parse_version
from kmemwidgets.replay.cpu import Cpu
from kmemwidgets.replay.interrupts import Interrupts
from kmemwidgets.replay.pages import PageReplay
from kmemwidgets.replay.result import PageResult
from kmemwidgets.sim.memmap import MemMap
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.pcp_lock import alloc_past_lists, free_past_lists
from kmemwidgets.sim.rules.allocator import allocator_rules

GFP = "GFP_KERNEL"
TASK, OTHER = 5, 6


def build(kernel: str = "6.1", cpus: int = 1) -> PageAllocator:
    """Build an allocator of one zone; a few single pages of it are in use."""
    zone = Zone(0, 2, "Normal", 0, 4096)
    zone.present = zone.managed = 4096
    zone.wmark_min, zone.wmark_low, zone.wmark_high = 16, 20, 24
    zone.pcp_batch, zone.pcp_high, zone.pcp_high_max = 7, 28, 28
    names = ("DMA", "DMA32", "Normal", "Movable")
    rules = allocator_rules(parse_version(kernel))
    allocator = PageAllocator([zone], MemMap(4096), rules, cpu_node=(0,) * cpus, zone_names=names, huge_order=-1)
    allocator.free_boot_range(0, 0, 4096)
    allocator.setup_per_cpu_pageset()
    return allocator


def in_use(allocator: PageAllocator, count: int) -> list[int]:
    """Take pages and leave the lists empty."""
    pages = [int(allocator.alloc_pages(0xCC0, 0)) for _ in range(count)]
    allocator.drain_all_pages()
    return pages


def row(name: str, *values: Any, pid: int = TASK, flags: str = ".....", cpu: int = 0) -> tuple[Any, ...]:
    return (name, "task", pid, cpu, "0", flags, values)


def free(pfn: int, **more: Any) -> tuple[Any, ...]:
    return row("mm_page_free", pfn, 0, **more)


def batched(pfn: int, **more: Any) -> tuple[Any, ...]:
    return row("mm_page_free_batched", pfn, 0, **{"flags": "...2.", **more})


def run(allocator: PageAllocator, rows: Iterable[tuple[Any, ...]], **more: Any) -> PageResult:
    replay = PageReplay(allocator, allocator.rules.version, **more)
    return replay.run(list(rows))


def listed(allocator: PageAllocator, cpu: int = 0) -> list[int]:
    """Return the pages on a cpu's list of single unmovable pages, head first, behind them movable ones."""
    lists = allocator.zones[0].pcps[cpu].lists
    return [*reversed(lists[0]), *reversed(lists[1])]


@pytest.mark.parametrize("counts", [False, True])
def test_a_batch_holds_the_lists_until_its_end(counts: bool) -> None:
    allocator = build()
    a, b, c, d = in_use(allocator, 4)
    rows = [free(a), free(b), free(c), batched(a), free(d, flags="..s2."), batched(b), batched(c)]
    run(allocator, rows, counts_preemption=counts)
    assert listed(allocator) == [c, b, a]
    assert d in {pfn for pfns in allocator.zones[0].free_area.lists().values() for pfn in pfns}


def at_the_end_of_a_batch(flags: str, **more: Any) -> tuple[PageAllocator, PageResult, int]:
    """Have an interrupt free a page right after the last event of a batch, and give that page out again at last."""
    allocator = build()
    a, b, d = in_use(allocator, 3)
    rows = [free(a), free(b), batched(a), batched(b), free(d, flags=flags)]
    rows += [row("mm_page_alloc", pfn, 0, 0, GFP) for pfn in (b, a)]
    return allocator, run(allocator, rows, **more), d


@pytest.mark.parametrize(("flags", "counts"), [("..s..", False), ("..s2.", True)])
def test_whether_a_batch_holds_the_lists_beyond_its_last_event_the_frames_that_come_next_tell(
    flags: str, counts: bool
) -> None:
    _, free_lists, _ = at_the_end_of_a_batch(flags, counts_preemption=counts)
    assert free_lists.allocs.exact < 2  # the predicted frame is the one that the interrupt freed
    assert free_lists.doubtful == 4
    allocator, locked, d = at_the_end_of_a_batch(flags, counts_preemption=counts, held={4})
    assert (locked.allocs.exact, locked.doubtful) == (2, -1)
    assert d not in listed(allocator)


def test_with_preemption_disabled_once_a_batch_no_longer_holds_the_lists() -> None:
    _, result, _ = at_the_end_of_a_batch("..s1.", counts_preemption=True, held={4})
    assert result.allocs.exact < 2
    assert result.doubtful == -1


def test_a_recorded_frame_that_an_interrupt_freed_in_doubt_tells_of_the_batch() -> None:
    allocator = build()
    a, b, c, d = in_use(allocator, 4)
    rows = [free(a), free(b), batched(a), batched(b), free(c, flags="..s.."), free(d)]
    # The list would give what was freed last; from the buddy lists another one came.
    result = run(allocator, [*rows, row("mm_page_alloc", c, 0, 0, GFP)])
    assert result.doubtful == 4


def test_an_interrupt_between_two_batches_finds_the_lists_free() -> None:
    allocator = build()
    a, b, d = in_use(allocator, 3)
    # Preemption is not disabled deep enough for the lists to be locked.
    rows = [free(a), free(b), batched(a), free(d, flags="..s1."), batched(b)]
    run(allocator, rows, counts_preemption=True)
    assert listed(allocator) == [b, d, a]


def test_an_interrupt_before_a_batch_reaches_the_lists_comes_first() -> None:
    allocator = build()
    a, b, d = in_use(allocator, 3)
    run(allocator, [free(a), free(b), free(d, flags="..s.."), batched(a), batched(b)])
    assert listed(allocator) == [b, a, d]


def test_a_batch_of_the_interrupts_own_reaches_the_lists_as_it_is_told() -> None:
    allocator = build()
    a, b, c, _ = in_use(allocator, 4)
    irq = {"flags": "..s.."}
    rows = [free(a, **irq), free(b, **irq), free(c, **irq), *(batched(pfn, **irq) for pfn in (a, b, c))]
    for over, expected in ((4, [a]), (5, [b, a]), (6, [c, b, a])):
        allocator = build()
        in_use(allocator, 4)
        replay = PageReplay(allocator, allocator.rules.version)
        replay.begin(rows)
        replay.go_on(over)
        assert listed(allocator) == expected


def test_an_interrupt_after_a_single_free_comes_second() -> None:
    allocator = build()
    a, d = in_use(allocator, 2)
    run(allocator, [free(a), free(d, flags="..s..")])
    assert listed(allocator) == [d, a]


def test_another_task_than_the_one_interrupted_holds_no_lock() -> None:
    allocator = build()
    a, b, d = in_use(allocator, 3)
    run(allocator, [free(a), free(b), batched(a), free(d, flags="..s2.", pid=OTHER), batched(b)])
    assert d in listed(allocator)


def test_older_kernels_let_interrupts_wait() -> None:
    allocator = build("5.6")
    a, b, d = in_use(allocator, 3)
    run(allocator, [free(a), free(b), batched(a), free(d, flags="..s2."), batched(b)])
    assert d in listed(allocator)


@pytest.mark.parametrize(("flags", "kept"), [("..s2.", False), ("..s..", True)])
def test_an_interrupt_inside_a_refill(flags: str, kept: bool) -> None:
    # What the refill gives is known from an allocator that nobody interrupts.
    other = build()
    in_use(other, 4)
    first = int(other.alloc_pages(0xCC0, 0))
    refilled = [first, *reversed(other.zones[0].pcps[0].lists[0])]

    allocator = build()
    d = in_use(allocator, 4)[0]
    rows = [row("mm_page_alloc_zone_locked", pfn, 0, 0, 1, flags="d..3.") for pfn in refilled]
    rows += [free(d, flags=flags), row("mm_page_alloc", first, 0, 0, GFP)]
    result = run(allocator, rows, counts_preemption=True)
    assert (result.allocs.exact, result.refills.exact) == (1, 1), result.misses
    assert (d in listed(allocator)) is kept


@pytest.mark.parametrize(("order", "held"), [(0, True), (3, True), (9, False)])
def test_who_does_not_count_preemption_is_near_its_event_but_for_a_huge_page(order: int, held: bool) -> None:
    allocator = build()
    state = Cpu()
    state.refill.append((0, order, 0, 1))
    assert (Interrupts(allocator, counts_preemption=False).lock_held(state, "..s..") is not None) is held
    assert Interrupts(allocator, counts_preemption=True).lock_held(state, "..s2.") is not None


@pytest.mark.parametrize("locked", [True, False])
def test_only_frees_of_the_zone_whose_lists_are_locked_go_past_them(locked: bool) -> None:
    allocator = build()
    d = in_use(allocator, 4)[0]
    first = int(allocator.zones[0].free_area.lists()[min(allocator.zones[0].free_area.lists())][0])
    replay = PageReplay(allocator, allocator.rules.version, counts_preemption=False)
    elsewhere = build().zones[0]
    zone = allocator.zones[0] if locked else elsewhere
    replay.interrupts.lock_held = lambda *_: zone  # type: ignore[method-assign, assignment]
    refill = row("mm_page_alloc_zone_locked", first, 0, 0, 1, flags="d....")
    replay.run([refill, free(d, flags="..s.."), row("mm_page_alloc", first, 0, 0, GFP)])
    assert (d in listed(allocator)) is not locked


def test_without_triggers_a_recorded_refill_tells_nothing() -> None:
    allocator = build()
    d = in_use(allocator, 4)[0]
    rows = [
        row("mm_page_alloc_zone_locked", 100, 0, 0, 1), free(d, flags="..s.."), row("mm_page_alloc", d, 0, 0, GFP)
    ]  # fmt: skip
    assert run(allocator, rows, triggers=False).allocs.exact == 1


def test_an_allocation_told_after_an_interrupts_frees_is_inferred() -> None:
    allocator = build()
    pages = in_use(allocator, 3)
    head = int(allocator.alloc_pages(0xCC0, 0))
    allocator.free_pages(head, 0)
    under = listed(allocator)[1]
    rows = [
        free(pages[0], flags="..s.."), free(pages[1], flags="..s.."), row("mm_page_alloc", head, 0, 0, GFP),
        row("mm_page_alloc", pages[1], 0, 0, GFP), row("mm_page_alloc", pages[0], 0, 0, GFP),
        row("mm_page_alloc", under, 0, 0, GFP),
    ]  # fmt: skip
    result = run(allocator, rows)
    assert (result.allocs.of, result.allocs.exact, result.inferred) == (4, 3, 1)
    assert result.misses[0].what == "alloc interrupted before its event"


def test_an_allocation_that_finds_the_lists_locked() -> None:
    allocator = build()
    a, b = in_use(allocator, 2)
    head = int(allocator.alloc_pages(0xCC0, 0))
    allocator.free_pages(head, 0)
    free_block = allocator.zones[0].free_area
    before = dict(free_block.lists())
    smallest = min(order for mt, order in before if mt == 0)
    rows = [
        free(a), free(b), batched(a),
        row("mm_page_alloc", before[0, smallest][0], 0, 0, GFP, flags="..s2."),
        batched(b),
    ]  # fmt: skip
    result = run(allocator, rows)
    assert result.allocs.exact == 1, result.misses
    assert head in listed(allocator)


def test_a_batch_that_goes_on_on_another_cpu() -> None:
    allocator = build(cpus=2)
    a, b, c = in_use(allocator, 3)
    run(allocator, [free(a), free(b), free(c, cpu=1, pid=OTHER), batched(a, cpu=1), batched(b, cpu=1)])
    assert listed(allocator, 0) == []
    assert listed(allocator, 1) == [b, a, c]


def test_past_the_lists_is_past_the_lists() -> None:
    allocator = build()
    pfn = alloc_past_lists(allocator, 0xCC0)
    assert pfn >= 0
    assert listed(allocator) == []
    assert allocator.pcp_allowed(0)
    free_past_lists(allocator, pfn)
    assert listed(allocator) == []
    assert allocator.zones[0].free_pages_now() == allocator.zones[0].free_area.free_pages() == 4096
