"""The stages of a boot, told by who allocates."""

from __future__ import annotations

from typing import Any

import pytest

from kmemwidgets.records import MachineSpec, parse_version
from kmemwidgets.replay.boot import BootStages
from kmemwidgets.replay.pages import PageReplay
from kmemwidgets.sim.memmap import MemMap
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules.allocator import allocator_rules

PAGES = 1 << 18
THP = (("CONFIG_TRANSPARENT_HUGEPAGE", "y"), ("CONFIG_TRANSPARENT_HUGEPAGE_ALWAYS", "y"))


def early(kernel: str) -> tuple[PageAllocator, BootStages]:
    """Build an allocator as it is right after the hand-over, and who follows its boot."""
    zone = Zone(0, 2, "Normal", 0, PAGES)
    zone.present = zone.managed = PAGES
    zone.pcp_batch = 1
    names = ("DMA", "DMA32", "Normal", "Movable")
    version = parse_version(kernel)
    allocator = PageAllocator([zone], MemMap(PAGES), allocator_rules(version), cpu_node=(0,), zone_names=names)
    allocator.free_boot_range(0, 0, PAGES)
    allocator.setup_per_cpu_pageset()
    return allocator, BootStages(allocator, MachineSpec(kernel=version, config=THP))


def see(boot: BootStages, *sites: str) -> None:
    for site in sites:
        boot.see((f"{site}+0x1/0x2", 0, 8, 8, "GFP_KERNEL", -1))


def test_lists_get_their_size_with_the_consoles_screen() -> None:
    allocator, boot = early("6.1")
    pcp = allocator.zones[0].pcps[0]
    see(boot, "kmem_cache_create_usercopy", "con_init")
    assert pcp.batch == 1
    see(boot, "con_init")
    assert (pcp.batch, allocator.zones[0].zone.wmark_min) == (63, 0)


@pytest.mark.parametrize(
    ("kernel", "class_create", "before", "khugepaged"),
    [
        ("6.1", "__class_create", (), "mem_cgroup_init"),
        ("6.12", "class_create", ("hugepage_init", "mem_cgroup_init"), "__kthread_create_on_node"),
    ],
)
def test_marks_are_set_and_raised_by_each_kernels_initcalls(
    kernel: str, class_create: str, before: tuple[str, ...], khugepaged: str
) -> None:
    allocator, boot = early(kernel)
    zone = allocator.zones[0].zone
    see(boot, "con_init", "con_init", "__kthread_create_on_node", class_create, *before)
    roots = zone.wmark_min
    assert roots == 4096 // 4  # the square root of 16 times the memory in KiB, in pages
    see(boot, khugepaged)
    assert zone.wmark_min == 11 * 512


def alloc(pfn: int, order: int) -> tuple[Any, ...]:
    return ("mm_page_alloc", "init", 1, 0, "0", ".....", (pfn, order, 0, "GFP_KERNEL"))


@pytest.mark.parametrize("boots", [True, False])
def test_blocks_of_any_order_may_be_taken_while_a_boots_events_are_off(boots: bool) -> None:
    allocator, boot = early("6.1")
    rows = [alloc(4, 1), alloc(6, 1), alloc(8, 1)]
    result = PageReplay(allocator, allocator.rules.version, boot=boot if boots else None).run(rows)
    assert (result.allocs.exact, result.inferred) == ((2, 1) if boots else (0, 0))
