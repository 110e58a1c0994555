"""The scanners in detail: how much they take, in which order, and where they don't look."""

from __future__ import annotations

import pytest

from kmemwidgets.records import parse_version
from kmemwidgets.sim.compaction import Compaction
from kmemwidgets.sim.compaction_scan import ASYNC, SYNC, SYNC_LIGHT, WHOLE, isolate_free_page
from kmemwidgets.sim.compaction_zone import compaction_defer_reset, compaction_deferred, defer_compaction
from kmemwidgets.sim.gfp import GFP_HIGHUSER_MOVABLE
from kmemwidgets.sim.kcompactd import Kcompactd
from kmemwidgets.sim.memmap import IN_USE_LRU, MemMap
from kmemwidgets.sim.migratetype import MOVABLE, RECLAIMABLE, UNMOVABLE
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.allocator import allocator_rules
from kmemwidgets.sim.rules.compaction import TABLE, CompactionRules

BLOCKS = 12
FIRST = 512


class Scene:
    """A zone of twelve page blocks, every page a movable one in use."""

    def __init__(self, kernel="6.1"):
        self.zone = Zone(0, 0, "Normal", FIRST, BLOCKS * 512)
        self.zone.present = self.zone.managed = BLOCKS * 512
        self.zone.wmark_min = self.zone.wmark_low = self.zone.wmark_high = -10_000
        version = parse_version(kernel)
        self.allocator = PageAllocator([self.zone], MemMap(FIRST + BLOCKS * 512), allocator_rules(version))
        self.allocator.free_boot_range(0, FIRST, FIRST + BLOCKS * 512)
        for _ in range(BLOCKS * 512):
            self.allocator.alloc_pages(GFP_HIGHUSER_MOVABLE)
        self.compaction = Compaction(self.allocator, pick(CompactionRules, TABLE, version))
        self.live = self.allocator.zones[0]

    def free(self, *pfns):
        for pfn in pfns:
            assert self.allocator.state[pfn] == IN_USE_LRU
            self.allocator.free_pages(pfn)
        self.allocator.drain_all_pages()

    def block(self, number):
        return FIRST + 512 * number

    def begin(self, order=WHOLE, mode=SYNC, **more):
        more = {"whole_zone": True, "ignore_skip_hint": True} | more
        return self.compaction.begin(0, order, mode, **more)

    def moves(self, cc, most=10_000):
        found = []
        while len(found) < most and (move := self.compaction.next_move(cc)) is not None:
            found.append(move[:2])
            self.allocator.state[move[1]] = IN_USE_LRU
            self.allocator.free_pages(move[0])
        return found


def scans(scene, cc):
    """Note what the scanners tell, in their order."""
    told = []
    scene.allocator.listen(trace=lambda event: told.append((event[3], event[4])) if event[0] == 18 else None)
    scene.moves(cc)
    scene.allocator.listen()
    return told


def test_the_first_pages_of_a_block_and_then_the_rest():
    scene = Scene()
    scene.free(*range(scene.block(10), scene.block(12), 2))
    told = scans(scene, scene.begin())
    taken = [fields["nr_taken"] for name, fields in told if "migratepages" in name and "isolate" in name]
    assert taken[:3] == [32, 480, 32]
    freed = [fields["nr_taken"] for name, fields in told if "isolate_freepages" in name]
    assert freed[0] == 32


def test_the_last_page_taken_goes_to_the_last_frame_taken():
    scene = Scene()
    holes = list(range(scene.block(11), scene.block(12), 4))
    scene.free(*holes)
    first, second = scene.moves(scene.begin(), 2)
    assert first == (FIRST + 31, holes[31])
    assert second == (FIRST + 30, holes[30])


def test_whole_blocks_are_kept_by_newer_kernels():
    scene = Scene("6.12")
    # two blocks of eight pages: the first one found is used first, lowest page first
    for start in (scene.block(11) + 8, scene.block(11) + 64):
        scene.free(*range(start, start + 8))
    targets = [target for _, target in scene.moves(scene.begin(), 10)]
    start = scene.block(11) + 8
    assert targets[:8] == list(range(start, start + 8))
    assert targets[8] == scene.block(11) + 64


def test_a_large_free_block_is_left_alone():
    scene = Scene()
    scene.free(*range(scene.block(11), scene.block(12)))
    scene.free(*range(scene.block(10), scene.block(11), 2))
    targets = {target >> 9 for _, target in scene.moves(scene.begin(), 100)}
    assert targets == {scene.block(10) >> 9}


def test_fewer_pages_are_looked_at_while_nothing_is_found():
    scene = Scene()
    scene.free(scene.block(3))
    told = scans(scene, scene.begin())
    looked = [fields["nr_scanned"] for name, fields in told if "isolate_freepages" in name]
    assert looked[:7] == [512, 256, 128, 64, 32, 16, 16]
    scene = Scene()
    scene.free(scene.block(3))
    told = scans(scene, scene.begin(mode=ASYNC))
    looked = [fields["nr_scanned"] for name, fields in told if "isolate_freepages" in name]
    assert looked[:2] == [16, 16]


def test_the_minimum_stays_free_at_every_moment():
    scene = Scene()
    scene.free(*range(scene.block(10), scene.block(12), 2))
    scene.zone.wmark_min = scene.live.free_pages_now() - 50
    cc = scene.begin()
    least = scene.live.free_pages_now()
    while (move := scene.compaction.next_move(cc)) is not None:
        least = min(least, scene.live.free_pages_now())
        scene.allocator.state[move[1]] = IN_USE_LRU
        scene.allocator.free_pages(move[0])
    assert scene.zone.wmark_min <= least < scene.zone.wmark_min + 32


@pytest.mark.parametrize(("order", "becomes"), [(7, UNMOVABLE), (8, MOVABLE)])
def test_half_a_block_taken_makes_it_movable(order, becomes):
    scene = Scene()
    start = scene.block(4)
    scene.free(*range(start, start + (1 << order)))
    scene.live.free_area.set_types(start, 512, UNMOVABLE)
    before = scene.live.free_pages_now()
    assert isolate_free_page(scene.live, start, order, 0)
    assert scene.live.free_area.types[start >> 9] == becomes
    assert scene.live.free_pages_now() == before - (1 << order)


def test_blocks_without_pages_to_move_are_marked():
    scene = Scene()
    for number in (0, 1, 2):
        for pfn in range(scene.block(number), scene.block(number + 1)):
            scene.allocator.state[pfn] = 0xC0
    scene.free(*range(scene.block(11), scene.block(12), 2))
    scene.moves(scene.begin(9, SYNC_LIGHT, ignore_skip_hint=False), 10)
    assert {0 + 1, 1 + 1, 2 + 1} <= scene.compaction.zones[0].skip
    told = scans(scene, scene.begin(9, SYNC_LIGHT, ignore_skip_hint=False))
    first = next(fields["start_pfn"] for name, fields in told if name == "mm_compaction_isolate_migratepages")
    # The fourth is marked as well: the first run took its first page, and has not come to its end.
    assert first == scene.block(4)
    # Only once a run for a request has seen all of the zone, and only where it is worthwhile again.
    scene.compaction.reset_isolation_suitable(0)
    assert {2, 3} <= scene.compaction.zones[0].skip
    scene.compaction.zones[0].blockskip_flush = True
    scene.allocator.state[scene.block(1) + 8] = IN_USE_LRU
    scene.free(scene.block(10) + 16)
    scene.compaction.reset_isolation_suitable(0)
    assert scene.compaction.zones[0].skip & {1, 2, 3} == {1, 3}
    assert scene.compaction.zones[0].cached_migrate_pfn == [scene.block(1)] * 2
    assert scene.compaction.zones[0].init_migrate_pfn == scene.block(1)
    # The free scanner's new place is not rounded down: the kernel counts from the zone's last page.
    assert scene.compaction.zones[0].cached_free_pfn == scene.block(11) - 1


def test_asynchronous_runs_stay_in_blocks_of_the_type():
    scene = Scene()
    scene.live.free_area.set_types(FIRST, 3 * 512, RECLAIMABLE)
    scene.free(*range(scene.block(11), scene.block(12), 2))
    more = {"direct": True, "migratetype": MOVABLE, "ignore_skip_hint": False}
    (first, *_) = scene.moves(scene.begin(9, ASYNC, **more), 1)
    assert first[0] >> 9 == scene.block(3) >> 9


def test_the_score_that_starts_a_run_is_above_the_one_that_ends_it():
    kcompactd = Kcompactd(Scene().compaction)
    for score, runs in ((80, False), (90, False), (91, True)):
        kcompactd.score = lambda _nid, value=score: value
        assert kcompactd.should_proactive_compact(0) is runs


def test_only_orders_that_failed_are_put_off():
    memory = Scene().compaction.zones[0]
    defer_compaction(memory, 9)
    memory.order_failed = 9
    assert not compaction_deferred(memory, 8)
    assert compaction_deferred(memory, 9)
    assert not compaction_deferred(memory, 9)
    compaction_defer_reset(memory, 9, success=False)
    assert memory.order_failed == 10
    assert not compaction_deferred(memory, 9)
