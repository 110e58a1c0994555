"""What one cpu did is laid beside what that cpu did, whichever cpu comes next in the trace."""

from __future__ import annotations

from typing import Any

from kmemwidgets.records import parse_version
from kmemwidgets.replay.pages import PageReplay
from kmemwidgets.sim.events import PCPU_DRAIN
from kmemwidgets.sim.memmap import MemMap
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules.allocator import allocator_rules

BATCH, HIGH = 7, 28


def build() -> PageAllocator:
    zone = Zone(0, 2, "Normal", 0, 4096)
    zone.present = zone.managed = 4096
    zone.wmark_min, zone.wmark_low, zone.wmark_high = 16, 20, 24
    zone.pcp_batch, zone.pcp_high, zone.pcp_high_max = BATCH, HIGH, HIGH
    names = ("DMA", "DMA32", "Normal", "Movable")
    rules = allocator_rules(parse_version("6.1"))
    allocator = PageAllocator([zone], MemMap(4096), rules, cpu_node=(0, 0), zone_names=names, huge_order=-1)
    allocator.free_boot_range(0, 0, 4096)
    allocator.setup_per_cpu_pageset()
    return allocator


def in_use(allocator: PageAllocator) -> list[int]:
    pages = [int(allocator.alloc_pages(0xCC0, 0)) for _ in range(HIGH + 1)]
    allocator.drain_all_pages()
    return pages


def row(name: str, cpu: int, *values: Any) -> tuple[Any, ...]:
    return (name, "task", 5 + cpu, cpu, "0", ".....", values)


def drained_by(pages: list[int]) -> list[tuple[int, ...]]:
    """Tell what the last of these frees drains."""
    allocator = build()
    assert in_use(allocator)[: len(pages)] == pages
    told: list[tuple[Any, ...]] = []
    allocator.zones[0].free_area.trace = told.append
    for pfn in pages:
        allocator.free_pages(pfn, 0, 0)
    return [event[2:5] for event in told if event[0] == PCPU_DRAIN]


def test_a_drain_belongs_to_the_cpu_whose_free_caused_it() -> None:
    allocator = build()
    *pages, other = in_use(allocator)
    drains = drained_by(pages)
    assert len(drains) >= BATCH
    rows = [row("mm_page_free", 0, pfn, 0) for pfn in pages]
    rows += [row("mm_page_free_batched", 0, pfn, 0) for pfn in pages]
    rows += [row("mm_page_free", 1, other, 0), row("mm_page_alloc", 1, other, 0, 0, "GFP_KERNEL")]
    rows += [row("mm_page_pcpu_drain", 0, *values) for values in drains]
    result = PageReplay(allocator, allocator.rules.version).run(rows)
    assert (result.drains.exact, result.drains.of) == (1, 1)
    assert [miss.what for miss in result.misses] == []
