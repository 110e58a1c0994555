"""Replay a trace that a simulated machine wrote while it was compacted: the same frames must leave the same lists."""

from __future__ import annotations

import random

import pytest

from kmemwidgets.records import BadInput, parse_version
from kmemwidgets.replay.compacting import FOLLOWED, CompactingReplay
from kmemwidgets.replay.frag import FragReplay, readings
from kmemwidgets.replay.pages import PageReplay
from kmemwidgets.sim.compaction import Compaction
from kmemwidgets.sim.events import ALLOC, FREE, OTHER
from kmemwidgets.sim.gfp import GFP_HIGHUSER_MOVABLE, GFP_KERNEL, format_gfp
from kmemwidgets.sim.kcompactd import Kcompactd
from kmemwidgets.sim.memmap import MemMap
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.allocator import allocator_rules
from kmemwidgets.sim.rules.compaction import TABLE, CompactionRules

PAGES = 12 * 512
WORK, DAEMON = ("work", 7), ("kcompactd0", 28)


def make(kernel):
    zone = Zone(0, 1, "DMA32", 512, PAGES)
    zone.present = zone.managed = PAGES
    zone.wmark_min, zone.wmark_low, zone.wmark_high = 16, 20, 24
    zone.pcp_batch, zone.pcp_high = 7, 40
    version = parse_version(kernel)
    allocator = PageAllocator([zone], MemMap(512 + PAGES), allocator_rules(version), zone_names=("DMA", "DMA32"))
    allocator.free_boot_range(0, 512, 512 + PAGES)
    allocator.setup_per_cpu_pageset()
    return allocator, version


class Recorder:
    """Turns what the allocator tells into the rows of a trace."""

    def __init__(self, allocator, version):
        self.rows = []
        self.version = version
        self.task = WORK
        allocator.listen(trace=self.hear)

    def hear(self, event):
        kind = event[0]
        if kind == ALLOC:
            _, _, pfn, order, mt, gfp = event
            self.add("mm_page_alloc", (pfn if pfn >= 0 else None, order, mt, format_gfp(gfp, self.version)))
        elif kind == FREE:
            self.add("mm_page_free", event[2:4])
        elif kind == OTHER and event[3] in FOLLOWED:
            self.add(event[3], tuple(event[4].values()))

    def add(self, name, values):
        self.rows.append((name, *self.task, 0, str(1000 * len(self.rows)), ".....", tuple(values)))


def live_through(kernel, seed, stuck=0.0):
    """Let a machine allocate, free and be compacted; return its trace and its last state."""
    rng = random.Random(seed)
    allocator, version = make(kernel)
    recorder = Recorder(allocator, version)
    compaction = Compaction(allocator, pick(CompactionRules, TABLE, version))
    owners = {}

    def migrate(source, target, order):
        if rng.random() < stuck:
            return False
        owners[target] = owners.pop(source)
        assert owners[target] == order
        return True

    compaction.migrate = migrate
    for turn in range(3):
        for _ in range(6000):
            if owners and rng.random() < 0.4:
                pfn = rng.choice(list(owners)[:50])
                allocator.free_pages(pfn, owners.pop(pfn))
            else:
                order = rng.choice((0, 0, 0, 0, 0, 1, 3))
                gfp = GFP_KERNEL if order or rng.random() < 0.1 else GFP_HIGHUSER_MOVABLE
                pfn = allocator.alloc_pages(gfp, order)
                if pfn >= 0:
                    owners[pfn] = order
        for pfn in [p for p, order in owners.items() if not order and rng.random() < 0.6]:
            allocator.free_pages(pfn, owners.pop(pfn))
        recorder.task = WORK if turn % 2 else DAEMON
        if turn % 2:
            compaction.compact_memory()
        else:
            compaction.proactiveness = 95
            Kcompactd(compaction).proactive_compact_node(0)
        recorder.task = WORK
    return recorder.rows, allocator, compaction


@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_machine_is_followed_across_compaction(kernel, seed):
    rows, machine, _ = live_through(kernel, seed)
    assert sum(row[0] == "mm_compaction_begin" for row in rows) == 3
    assert any(row[0] == "mm_compaction_suitable" for row in rows) == (kernel == "6.1")
    allocator, version = make(kernel)
    replay = CompactingReplay(allocator, version)
    replay.compaction.proactiveness = 95
    result = replay.run(rows)
    assert result.allocs.exact == result.allocs.of > 5000
    assert len(replay.moves) > 300
    live, there = allocator.zones[0], machine.zones[0]
    assert live.free_area.lists() == there.free_area.lists()
    assert [pcp.lists for pcp in live.pcps] == [pcp.lists for pcp in there.pcps]
    # without it the lists differ: the trace does not show the frames that pages moved to
    other, _ = make(kernel)
    PageReplay(other, version).run([row for row in rows if "compaction" not in row[0]])
    assert other.zones[0].free_area.lists() != there.free_area.lists()


@pytest.mark.parametrize("seed", [3, 4])
def test_pages_that_could_not_move_are_noticed(seed):
    rows, machine, _ = live_through("6.1", seed, stuck=0.05)
    allocator, version = make("6.1")
    replay = CompactingReplay(allocator, version)
    replay.compaction.proactiveness = 95
    result = replay.run(rows)
    assert result.allocs.of - result.allocs.exact <= 3
    assert free_frames(allocator) == free_frames(machine)


def free_frames(allocator):
    lists = allocator.zones[0].free_area.lists()
    return {pfn for (_, order), heads in lists.items() for head in heads for pfn in range(head, head + (1 << order))}


def test_the_lists_are_looked_at_before_the_next_event():
    allocator, version = make("6.1")
    rows = [
        ("mm_page_alloc", *WORK, 0, "1000", ".....", (512, 4, 1, "GFP_HIGHUSER_MOVABLE")),
        ("mm_page_alloc", *WORK, 0, "3000", ".....", (528, 4, 1, "GFP_HIGHUSER_MOVABLE")),
    ]
    replay = FragReplay(allocator, version)
    replay.look_at([2000, 500, 9000])
    replay.run(rows)
    while replay.moments:
        replay.look()
    free = {at: sum(n << o for o, n in enumerate(zones[0, "DMA32"])) for at, zones in replay.seen.items()}
    assert free == {500: PAGES, 2000: PAGES - 16, 9000: PAGES - 32}


def test_a_series_of_files():
    series = (
        "=== 20 filled unusable_index\nNode 0, zone      DMA 0.000 1.000 \n=== 10 start vmstat\nnr_free_pages 1\n"
        "=== 11 start extfrag_index\nNode 0, zone      DMA -1.000 0.859 \n"
    )
    first, second = readings(series)
    assert (first.time_ns, first.label, first.file, first.zones[0].values) == (
        11,
        "start",
        "extfrag_index",
        (-1000, 859),
    )
    assert (second.time_ns, second.zones[0].values) == (20, (0, 1000))
    assert readings("") == []
    with pytest.raises(BadInput, match="start extfrag_index:1"):
        readings("=== 11 start extfrag_index\nNode 0 zone DMA\n")
