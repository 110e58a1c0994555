"""Huge pages that khugepaged asks of a node, and frames beyond a miss that are no one's."""

from __future__ import annotations

from typing import Any

import pytest

from kmemwidgets.records import parse_version
from kmemwidgets.replay.pages import PageReplay
from kmemwidgets.sim.memmap import MemMap
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules.allocator import allocator_rules

PAGES = 8192
HUGE, SINGLE = "GFP_TRANSHUGE", "GFP_HIGHUSER_MOVABLE"


def build() -> PageAllocator:
    """Build two nodes of a zone each; the cpu is on the first. The upper half of each zone is in use."""
    zones = []
    for nid in range(2):
        zone = Zone(nid, 0, "DMA32", nid * PAGES, PAGES)
        zone.present = zone.managed = PAGES
        zone.wmark_min, zone.wmark_low, zone.wmark_high = 8, 10, 12
        zone.pcp_batch, zone.pcp_high, zone.pcp_high_max = 63, 1024, 1024
        zones.append(zone)
    allocator = PageAllocator(
        zones, MemMap(2 * PAGES), allocator_rules(parse_version("6.1.192")), cpu_node=(0,),
        zone_names=("DMA32", "Movable"),
        node_order=((0, 1), (1, 0)), huge_order=9,
    )  # fmt: skip
    for nid in range(2):
        allocator.free_boot_range(nid, nid * PAGES, nid * PAGES + PAGES // 2)
    allocator.setup_per_cpu_pageset()
    return allocator


def row(name: str, *values: Any, comm: str = "khugepaged") -> tuple[Any, ...]:
    return (name, comm, 40, 0, "0", ".....", values)


def first_of(nid: int) -> int:
    return int(build().alloc_pages(0x140DCA, 9, nid, 0))


@pytest.mark.parametrize("nid", [0, 1])
def test_khugepaged_asks_the_node_of_the_pages_that_it_copies(nid: int) -> None:
    frees = [row("mm_page_free", nid * PAGES + PAGES // 2 + number, 0) for number in range(3)]
    frees.append(row("mm_page_free", (1 - nid) * PAGES + PAGES // 2, 0))
    allocator = build()
    result = PageReplay(allocator, allocator.rules.version).run(
        [row("mm_page_alloc", first_of(nid), 9, 1, HUGE), *frees]
    )
    assert (result.allocs.exact, result.wrong_zone) == (1, 0)


def test_a_request_of_another_zone_leaves_the_free_pages_where_they_are() -> None:
    allocator = build()
    rows = [row("mm_page_alloc", first_of(1), 9, 1, HUGE, comm="task")]
    result = PageReplay(allocator, allocator.rules.version).run(rows)
    assert (result.wrong_zone, result.inferred) == (1, 0)
    assert allocator.alloc_pages(0x140DCA, 9, 0, 0) == first_of(0)
    assert sum(pcp.count for pcp in allocator.zones[0].pcps) <= 1024
