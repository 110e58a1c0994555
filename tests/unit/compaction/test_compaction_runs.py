"""Compaction of a simulated zone: nothing is lost, and the runs start, stop and are put off as the kernel does it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmemwidgets.records import parse_version
from kmemwidgets.sim.compact_result import (
    COMPLETE,
    CONTINUE,
    PRIO_ASYNC,
    PRIO_SYNC_FULL,
    PRIO_SYNC_LIGHT,
    SKIPPED,
    SUCCESS,
)
from kmemwidgets.sim.compaction import Compaction
from kmemwidgets.sim.compaction_scan import SYNC, WHOLE
from kmemwidgets.sim.compaction_zone import MAX_DEFER_SHIFT
from kmemwidgets.sim.events import told
from kmemwidgets.sim.gfp import GFP_HIGHUSER_MOVABLE, GFP_KERNEL
from kmemwidgets.sim.kcompactd import Kcompactd
from kmemwidgets.sim.memmap import IN_USE, IN_USE_LRU, MemMap
from kmemwidgets.sim.migratetype import UNMOVABLE
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.allocator import allocator_rules
from kmemwidgets.sim.rules.compaction import TABLE, CompactionRules

KERNELS = ["6.1", "6.12", "6.18"]
PAGES = 16 * 512


def make(kernel="6.1", pages=PAGES, start=512, **more):
    zone = Zone(0, 0, "Normal", start, pages)
    zone.present = zone.managed = pages
    zone.wmark_min, zone.wmark_low, zone.wmark_high = 16, 20, 24
    version = parse_version(kernel)
    allocator = PageAllocator([zone], MemMap(start + pages), allocator_rules(version))
    allocator.free_boot_range(0, start, start + pages)
    return allocator, Compaction(allocator, pick(CompactionRules, TABLE, version), **more)


def fill_with_holes(allocator, unmovable_every=0, keep_every=2):
    """Take nearly everything, page by page, and free all but every n-th page."""
    pfns = []
    while allocator.zones[0].free_pages_now() > 64:
        gfp = GFP_KERNEL if unmovable_every and len(pfns) % unmovable_every == 0 else GFP_HIGHUSER_MOVABLE
        pfn = allocator.alloc_pages(gfp)
        if pfn < 0:
            break
        pfns.append(pfn)
    kept = set()
    for at, pfn in enumerate(pfns):
        if at % keep_every and allocator.state[pfn] == IN_USE_LRU:
            allocator.free_pages(pfn)
        else:
            kept.add(pfn)
    allocator.drain_all_pages()
    return kept


def in_use(allocator):
    return sum(1 << (c & 15) for c in allocator.state[: allocator.memmap.max_pfn] if c & 0xF0 in (IN_USE, IN_USE_LRU))


def check(allocator, pages=PAGES):
    live = allocator.zones[0]
    on_lists = live.free_area.free_pages()
    on_pcp = sum(pcp.count for pcp in live.pcps)
    assert on_lists == live.free_pages_now()
    assert on_lists + on_pcp + in_use(allocator) == pages
    owned = set()
    for (_, order), blocks in live.free_area.lists().items():
        for pfn in blocks:
            span = set(range(pfn, pfn + (1 << order)))
            assert not owned & span
            owned |= span


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_checkered_zone_becomes_two_halves(kernel):
    allocator, compaction = make(kernel)
    kept = fill_with_holes(allocator)
    before = in_use(allocator)
    assert not any(sum(row) for row in allocator.zones[0].free_area.counts()[9:])
    moved = {}
    compaction.migrate = lambda source, target, _order: moved.update({source: target}) is None
    compaction.compact_memory()
    allocator.drain_all_pages()
    check(allocator)
    assert in_use(allocator) == before
    assert set(moved) <= kept
    assert len(set(moved.values())) == len(moved)
    assert all(target > source for source, target in moved.items())
    assert (
        sum(sum(row) << order for order, row in enumerate(allocator.zones[0].free_area.counts()) if order >= 9) > 3000
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), kernel=st.sampled_from(KERNELS), again=st.booleans(), fails=st.integers(0, 9))
def test_no_page_is_lost(seed, kernel, again, fails):
    rng = random.Random(seed)
    allocator, compaction = make(kernel, pages=8 * 512 + 100, start=512)
    held = []
    for _ in range(3000):
        if held and rng.random() < 0.45:
            allocator.free_pages(*held.pop(rng.randrange(len(held))))
        else:
            order = rng.choice((0, 0, 0, 0, 1, 2, 4))
            movable = rng.random() < 0.7
            pfn = allocator.alloc_pages(GFP_HIGHUSER_MOVABLE if movable else GFP_KERNEL, order)
            if pfn >= 0:
                held.append((pfn, order))
    owners = dict(held)
    stuck = {pfn for pfn in owners if rng.random() < fails / 20}

    def migrate(source, target, order):
        assert owners[source] == order
        assert target not in owners
        if source in stuck:
            return False
        owners[target] = owners.pop(source)
        return True

    compaction.migrate = migrate
    for _ in range(1 + again):
        compaction.compact_memory()
        check(allocator, 8 * 512 + 100)
        assert all(allocator.state[pfn] & 0xDF == IN_USE | order for pfn, order in owners.items())
    for pfn, order in owners.items():
        allocator.free_pages(pfn, order)
    allocator.drain_all_pages()
    assert allocator.zones[0].free_area.free_pages() == 8 * 512 + 100


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_same_commands_give_the_same_bytes(kernel):
    saved = []
    for _ in range(2):
        allocator, compaction = make(kernel)
        fill_with_holes(allocator, unmovable_every=97)
        compaction.compact_memory()
        saved.append(allocator.save())
    assert saved[0] == saved[1]


def test_a_run_may_pause_between_two_pages():
    whole, paused = make(), make()
    for allocator, _ in (whole, paused):
        fill_with_holes(allocator)
    whole[1].compact_memory()
    allocator, compaction = paused
    cc = compaction.begin(0, WHOLE, SYNC, whole_zone=True, ignore_skip_hint=True)
    while (move := compaction.next_move(cc)) is not None:
        source, target, order = move
        allocator.state[target] = IN_USE_LRU | order
        allocator.free_pages(source, order)
    for pfn, order in compaction.release(cc):
        allocator.free_pages(pfn, order)
    assert allocator.save() == whole[0].save()


def test_pages_that_can_not_move_stay():
    allocator, compaction = make(migrate=lambda *_: False)
    fill_with_holes(allocator)
    allocator.drain_all_pages()
    before = allocator.zones[0].free_area.counts()
    compaction.compact_memory()
    allocator.drain_all_pages()
    assert allocator.zones[0].free_area.free_pages() == sum(sum(row) << o for o, row in enumerate(before))
    check(allocator)


def test_free_pages_come_only_from_movable_blocks():
    allocator, compaction = make()
    fill_with_holes(allocator)
    area = allocator.zones[0].free_area
    top = range((512 + PAGES >> 9) - 3, 512 + PAGES >> 9)
    for block in top:
        area.set_types(block << 9, 512, UNMOVABLE)
    targets = []
    compaction.migrate = lambda _source, target, _order: targets.append(target) is None
    compaction.compact_memory()
    assert targets
    assert not {target >> 9 for target in targets} & set(top)


def test_the_reserve_is_kept():
    allocator, compaction = make()
    fill_with_holes(allocator, keep_every=1)
    live = allocator.zones[0]
    live.zone.wmark_min = live.free_pages_now() + 1
    compaction.compact_memory()
    assert live.free_pages_now() == live.zone.wmark_min - 1


def test_proactive_compaction_stops_at_the_low_score():
    allocator, compaction = make()
    fill_with_holes(allocator)
    kcompactd = Kcompactd(compaction)
    assert kcompactd.score(0) > 90
    assert kcompactd.should_proactive_compact(0)
    kcompactd.proactive_compact_node(0)
    live = allocator.zones[0]
    free = live.free_area.free_pages()
    huge = sum(sum(row) << order for order, row in enumerate(live.free_area.counts()) if order >= 9)
    assert 20 <= huge * 100 // free <= 40
    assert not kcompactd.should_proactive_compact(0)


def test_who_keeps_proactive_compaction_away():
    for more in ({"proactiveness": 0}, {"kswapd_runs": lambda _nid: True}):
        allocator, compaction = make(**more)
        fill_with_holes(allocator)
        assert not Kcompactd(compaction).should_proactive_compact(0)
    allocator, compaction = make("5.6")
    fill_with_holes(allocator)
    assert not Kcompactd(compaction).should_proactive_compact(0)


def test_for_an_allocation_it_stops_when_that_would_succeed():
    allocator, compaction = make()
    fill_with_holes(allocator)
    more = {"highest_zoneidx": 0, "alloc_flags": 0}
    assert compaction.suitable(0, 8, 0, 0) == CONTINUE
    assert compaction.try_to_compact_pages(8, GFP_HIGHUSER_MOVABLE, PRIO_SYNC_LIGHT, [0], **more) == SUCCESS
    assert allocator.alloc_pages(GFP_HIGHUSER_MOVABLE, 8) >= 0
    assert compaction.suitable(0, 0, 0, 0) == SUCCESS
    check(allocator)


def test_without_memory_or_io_there_is_no_compaction():
    allocator, compaction = make()
    fill_with_holes(allocator)
    more = {"highest_zoneidx": 0, "alloc_flags": 0}
    assert compaction.try_to_compact_pages(8, 0, PRIO_SYNC_LIGHT, [0], **more) == SKIPPED
    gap = 2 << 8
    free = allocator.zones[0].free_pages_now()
    allocator.zones[0].zone.wmark_min = free - 300
    assert compaction.suitable(0, 8, 0, 0) == CONTINUE  # a costly order is held against the low mark
    allocator.zones[0].zone.wmark_low = free - gap - 1
    assert compaction.suitable(0, 8, 0, 0) == CONTINUE
    allocator.zones[0].zone.wmark_low = free - gap
    assert compaction.suitable(0, 8, 0, 0) == SKIPPED


def test_lack_of_memory_is_no_fragmentation():
    allocator, compaction = make()
    zone = allocator.zones[0].zone
    zone.wmark_low = zone.wmark_min = -5000
    blocks = [allocator.alloc_pages(GFP_HIGHUSER_MOVABLE, 5) for _ in range(40)]
    while allocator.alloc_pages(GFP_HIGHUSER_MOVABLE) >= 0:
        pass
    # two blocks of 32 pages: most of what an order-9 block needs isn't there; in forty pieces it is
    for pfn in blocks[:3:2]:
        allocator.free_pages(pfn, 5)
    assert compaction.suitable(0, 9, 0, 0) == SKIPPED
    for pfn in blocks[4::2]:
        allocator.free_pages(pfn, 5)
    assert compaction.suitable(0, 9, 0, 0) == CONTINUE


def test_a_failure_puts_the_next_attempts_off():
    allocator, compaction = make(migrate=lambda *_: False)
    fill_with_holes(allocator)
    more = {"highest_zoneidx": 0, "alloc_flags": 0}
    results = [compaction.try_to_compact_pages(9, GFP_HIGHUSER_MOVABLE, PRIO_SYNC_LIGHT, [0], **more) for _ in range(8)]
    assert [result == "deferred" for result in results] == [False, True, False, True, True, True, False, True]
    full = compaction.try_to_compact_pages(9, GFP_HIGHUSER_MOVABLE, PRIO_SYNC_FULL, [0], **more)
    assert full == COMPLETE
    compaction.allocation_succeeded(0, 9)
    assert compaction.zones[0].defer_shift == 0
    assert compaction.zones[0].order_failed == 10
    for _ in range(500):
        compaction.try_to_compact_pages(10, GFP_HIGHUSER_MOVABLE, PRIO_SYNC_LIGHT, [0], **more)
    assert compaction.zones[0].defer_shift == MAX_DEFER_SHIFT


def test_asynchronous_compaction_moves_only_out_of_blocks_of_its_type():
    allocator, compaction = make()
    fill_with_holes(allocator)
    area = allocator.zones[0].free_area
    area.set_types(512, 4 * 512, UNMOVABLE)
    sources = []
    compaction.migrate = lambda source, _target, _order: sources.append(source) is None
    compaction.try_to_compact_pages(8, GFP_HIGHUSER_MOVABLE, PRIO_ASYNC, [0], highest_zoneidx=0, alloc_flags=0)
    assert sources
    assert min(sources) >= 5 * 512


def test_what_it_does_is_told():
    allocator, compaction = make()
    fill_with_holes(allocator)
    raw = []
    allocator.listen(trace=raw.append)
    compaction.compact_memory()
    events = [told(event, at) for at, event in enumerate(raw)]
    names = [event.name for event in events if event.system == "compaction"]
    assert names[:2] == ["mm_compaction_suitable", "mm_compaction_begin"]
    assert names[-1] == "mm_compaction_end"
    taken = sum(e.fields["nr_taken"] for e in events if e.name == "mm_compaction_isolate_migratepages")
    frees = sum(e.name == "mm_page_free" for e in events)
    frees_expected = sum(e.fields["nr_taken"] for e in events if e.name == "mm_compaction_isolate_freepages")
    assert taken > 1000
    # each page moved frees its old frame; each isolated frame that was not needed is freed again
    assert frees == frees_expected
