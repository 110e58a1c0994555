"""Small machines for tests of the page allocator: no boot, one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from kmemwidgets.records import parse_version
from kmemwidgets.sim.memmap import MemMap
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules.allocator import allocator_rules

#: Zones as (node, name, first pfn, pages).
Zones = Sequence[tuple[int, str, int, int]]
NAMES = ("DMA", "DMA32", "Normal", "Movable")


def build(
    zones: Zones = ((0, "Normal", 0, 65536),),
    kernel: str = "6.18",
    *,
    marks: tuple[int, int, int] = (256, 320, 384),
    reserve: int = 0,
    pcp: tuple[int, int, int] = (31, 320, 2048),
    threshold: int = 0,
    cpus: Sequence[int] = (0,),
    hand_over: bool = True,
    names: Sequence[str] = NAMES,
    **options: Any,
) -> PageAllocator:
    """Build an allocator whose zones hold all their pages."""
    made = []
    for nid, name, start, pages in zones:
        zone = Zone(nid, names.index(name), name, start, pages)
        zone.present = zone.managed = pages
        zone.wmark_min, zone.wmark_low, zone.wmark_high = marks
        zone.wmark_promo = 2 * marks[2] - marks[1]
        zone.lowmem_reserve = tuple(reserve if index > zone.index else 0 for index in range(len(names)))
        zone.pcp_batch, zone.pcp_high, zone.pcp_high_max = pcp
        zone.stat_threshold = threshold
        made.append(zone)
    end = max(start + pages for _, _, start, pages in zones)
    allocator = PageAllocator(
        made, MemMap(end), allocator_rules(parse_version(kernel)), cpu_node=cpus, zone_names=names, **options
    )
    if hand_over:
        for index, (_, _, start, pages) in enumerate(zones):
            allocator.free_boot_range(index, start, start + pages)
    allocator.setup_per_cpu_pageset()
    return allocator


@pytest.fixture(name="build")
def build_fixture() -> Callable[..., PageAllocator]:
    """Return the function that builds an allocator."""
    return build
