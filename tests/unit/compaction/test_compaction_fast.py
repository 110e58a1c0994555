"""The fast search of compaction: which free blocks and page blocks it picks from the lists, and how lists turn."""

from __future__ import annotations

import random

import pytest

from kmemwidgets.records import parse_version
from kmemwidgets.sim.compact_result import SUCCESS
from kmemwidgets.sim.compaction import Compaction
from kmemwidgets.sim.compaction_fast import fast_find_migrateblock, fast_isolate_freepages
from kmemwidgets.sim.compaction_scan import ASYNC, SYNC_LIGHT, WHOLE, CompactControl
from kmemwidgets.sim.gfp import GFP_HIGHUSER_MOVABLE
from kmemwidgets.sim.memmap import IN_USE_LRU, MemMap
from kmemwidgets.sim.migratetype import MOVABLE
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.allocator import allocator_rules
from kmemwidgets.sim.rules.compaction import TABLE, CompactionRules

BLOCKS = 16
FIRST = 512
Blocks = list[tuple[int, int]]


class Scene:
    """A zone of sixteen page blocks, every page a movable one in use."""

    def __init__(self, kernel: str = "6.12") -> None:
        zone = Zone(0, 0, "Normal", FIRST, BLOCKS * 512)
        zone.present = zone.managed = BLOCKS * 512
        zone.wmark_min = zone.wmark_low = zone.wmark_high = -10_000
        version = parse_version(kernel)
        self.rules = pick(CompactionRules, TABLE, version)
        self.allocator = PageAllocator([zone], MemMap(FIRST + BLOCKS * 512), allocator_rules(version))
        self.allocator.free_boot_range(0, FIRST, FIRST + BLOCKS * 512)
        while self.allocator.alloc_pages(GFP_HIGHUSER_MOVABLE) >= 0:
            pass
        self.compaction = Compaction(self.allocator, self.rules)
        self.live = self.allocator.zones[0]

    def free(self, pfn: int, order: int = 0) -> None:
        """Free an aligned block, so that it is the head of its list."""
        for page in range(pfn, pfn + (1 << order)):
            assert self.allocator.state[page] == IN_USE_LRU
            self.allocator.free_pages(page)
            self.allocator.drain_all_pages()

    def begin(self, order: int = 9, **more: object) -> CompactControl:
        cc = self.compaction.begin(0, order, SYNC_LIGHT)
        cc.nr_migratepages = 32
        for name, value in more.items():
            setattr(cc, name, value)
        return cc

    def listed(self, order: int) -> list[int]:
        return self.live.free_area.list_of((order + 1) << 4 | MOVABLE)

    def isolate(self, cc: CompactControl) -> Blocks:
        blocks: Blocks = []
        fast_isolate_freepages(cc, self.rules, blocks)
        return blocks


def block(number: int) -> int:
    return FIRST + 512 * number


def test_free_pages_are_sought_in_the_upper_quarter_from_the_tail_on() -> None:
    scene = Scene()
    for number in (13, 3, 14, 15, 2):
        scene.free(block(number) + 64, 5)
    assert scene.listed(5) == [block(n) + 64 for n in (2, 15, 14, 3, 13)]
    cc = scene.begin()
    # What is to be scanned ends with block 15, so the upper quarter begins with block 11.
    assert scene.isolate(cc) == [(block(13) + 64, 5)]
    assert cc.nr_freepages == 32
    assert cc.search_order == 5
    # The tail was a find at once: nothing else was looked at, and what remains keeps its order.
    assert scene.listed(5) == [block(n) + 64 for n in (2, 15, 14, 3)]
    cc.nr_freepages = 0
    assert scene.isolate(cc) == [(block(14) + 64, 5)]
    # The low one that was in the way is now the last to be looked at again.
    assert scene.listed(5) == [block(n) + 64 for n in (3, 2, 15)]


def test_the_upper_half_will_do_and_what_is_lower_will_not() -> None:
    scene = Scene()
    for number in (2, 9, 10):
        scene.free(block(number) + 64, 5)
    cc = scene.begin()
    assert scene.isolate(cc) == [(block(10) + 64, 5)]
    cc.nr_freepages = 0
    assert scene.isolate(cc) == [(block(9) + 64, 5)]
    cc.nr_freepages = 0
    assert scene.isolate(cc) == []
    # Nothing is left there: walking goes on as before, and the next search looks less far.
    assert cc.fast_search_fail == 1
    assert cc.free_pfn == block(15)


def test_orders_are_searched_round_and_round_from_the_last_find_on() -> None:
    scene = Scene()
    scene.free(block(14) + 64, 2)
    scene.free(block(13) + 64, 6)
    cc = scene.begin(search_order=4)
    assert scene.isolate(cc)[0] == (block(14) + 64, 2)
    assert cc.search_order == 2
    cc.nr_freepages = 0
    # 2, 1, 0, then from the top: 8, 7, 6.
    assert scene.isolate(cc) == [(block(13) + 64, 6)]
    assert cc.search_order == 6


def test_a_run_over_a_whole_zone_does_without() -> None:
    scene = Scene()
    scene.free(block(14) + 64, 5)
    cc = scene.compaction.begin(0, WHOLE, SYNC_LIGHT, whole_zone=True, ignore_skip_hint=True)
    cc.nr_migratepages = 32
    assert scene.isolate(cc) == []


@pytest.mark.parametrize("kernel", ["6.0", "6.1.192", "6.12"])
def test_the_page_block_around_a_find_is_searched_until_there_is_enough(kernel: str) -> None:
    scene = Scene(kernel)
    scene.free(block(14) + 4, 2)
    scene.free(block(14) + 256, 4)
    scene.free(block(14) + 320, 3)
    cc = scene.begin(search_order=4)
    # 16 pages are found first; then those before them, and those behind.
    assert scene.isolate(cc) == [(block(14) + 256, 4), (block(14) + 4, 2), (block(14) + 320, 3)]
    assert cc.nr_freepages == 28
    # The search got to the end of the block: from 6.2 on that counts, before it that there was not enough.
    assert block(14) >> 9 in scene.compaction.zones[0].skip
    cc.nr_freepages, cc.nr_migratepages = 0, 8
    scene.free(block(13) + 256, 2)
    scene.free(block(13) + 264, 2)
    scene.free(block(13) + 272, 2)
    cc.search_order = 2
    assert len(scene.isolate(cc)) == 2
    assert block(13) >> 9 not in scene.compaction.zones[0].skip
    # An asynchronous run for a request is content with what it found.
    cc = scene.begin(search_order=2, direct=True, mode=ASYNC)
    assert len(scene.isolate(cc)) == 1


def test_where_nothing_is_found_the_free_scanner_goes_on_at_the_highest_block_seen() -> None:
    for kernel, place in (("5.15", 6), ("6.12", 15)):
        scene = Scene(kernel)
        scene.free(block(6) + 64, 3)
        scene.free(block(2) + 64, 3)
        cc = scene.begin(nr_migratepages=0)
        assert scene.isolate(cc) == []
        assert cc.free_pfn == block(place)
    # A request does not look at the upper half at all, if nothing is free there.
    cc = scene.begin(direct=True, nr_migratepages=0)
    scene.isolate(cc)
    assert cc.free_pfn == block(7)


def test_pages_to_move_are_sought_in_page_blocks_that_are_partly_free() -> None:
    scene = Scene()
    for number in (12, 5, 3):
        scene.free(block(number) + 64, 5)
    cc = scene.begin()
    assert fast_find_migrateblock(cc, scene.rules) == block(3)
    # What was looked at comes to the tail, and the next search finds another one.
    assert scene.listed(5) == [block(n) + 64 for n in (5, 12, 3)]
    assert fast_find_migrateblock(cc, scene.rules) == block(5)
    assert scene.listed(5) == [block(n) + 64 for n in (12, 3, 5)]
    scene.compaction.zones[0].skip |= {block(3) >> 9, block(5) >> 9}
    # Nothing is left: back to the lowest one found, once, and from there on in a line.
    assert fast_find_migrateblock(cc, scene.rules) == cc.migrate_pfn == block(3) + 64
    assert cc.fast_search_fail == 1
    cc.migrate_pfn = block(4)
    assert fast_find_migrateblock(cc, scene.rules) == block(4)


def test_who_does_not_search_for_pages_to_move() -> None:
    scene = Scene()
    scene.free(block(3) + 64, 5)
    for more in (
        {"ignore_skip_hint": True},
        {"order": 3},
        {"direct": True, "migratetype": 0},
        {"migrate_pfn": block(0) + 40},
        {"rescan": True},
    ):
        cc = scene.begin(**more)
        assert fast_find_migrateblock(cc, scene.rules) == cc.migrate_pfn
    assert fast_find_migrateblock(scene.begin(direct=True, migratetype=MOVABLE), scene.rules) == block(3)
    # Once it is under way only the next eighth of what is left is near enough.
    assert fast_find_migrateblock(scene.begin(migrate_pfn=block(1)), scene.rules) == block(1)
    assert fast_find_migrateblock(scene.begin(migrate_pfn=block(2)), scene.rules) == block(3) - 512


@pytest.mark.parametrize(("kernel", "moved"), [("6.1", 64 + 32 + 31), ("6.12", 31)])
def test_until_6_3_a_page_block_found_was_passed_over(kernel: str, moved: int) -> None:
    scene = Scene(kernel)
    scene.free(block(3) + 64, 5)
    scene.free(block(14) + 64, 5)
    move = scene.compaction.next_move(scene.begin(nr_migratepages=0))
    assert move is not None
    # The last of 32 pages moves first. In 6.1 the block is left at once, and come back to at the free block in it.
    assert move[0] == block(3) + moved
    assert move[1] >> 9 == block(14) >> 9


@pytest.mark.parametrize("kernel", ["5.6", "5.15", "6.1", "6.4", "6.12", "6.18"])
@pytest.mark.parametrize("order", [4, 9, 10])
def test_no_page_is_lost_on_the_way_to_a_block(kernel: str, order: int) -> None:
    chance = random.Random(order)
    scene = Scene(kernel)
    allocator = scene.allocator
    held = {pfn for pfn in range(FIRST, FIRST + BLOCKS * 512) if chance.random() < 0.6}
    for pfn in range(FIRST, FIRST + BLOCKS * 512):
        if pfn not in held:
            allocator.free_pages(pfn)
    allocator.drain_all_pages()
    stuck = {pfn for pfn in held if chance.random() < 0.01}

    def migrate(source: int, target: int, _order: int) -> bool:
        assert source in held
        assert target not in held
        if source in stuck:
            return False
        held.remove(source)
        held.add(target)
        return True

    scene.compaction.migrate = migrate
    free = scene.live.free_pages_now()
    done = set()
    for _ in range(4):
        cc = scene.compaction.begin(0, order, SYNC_LIGHT, migratetype=MOVABLE)
        done.add(scene.compaction.run(cc))
        allocator.drain_all_pages()
        assert scene.live.free_pages_now() == scene.live.free_area.free_pages() == free
        listed = [
            pfn for (_, size), blocks in scene.live.free_area.lists().items() for head in blocks
            for pfn in range(head, head + (1 << size))
        ]  # fmt: skip
        assert len(listed) == len(set(listed)) == free
        assert held.isdisjoint(listed)
        assert all(allocator.state[pfn] == IN_USE_LRU for pfn in held)
    if order == 4:
        assert SUCCESS in done
