"""While a machine with several nodes boots, its first tasks go round the nodes."""

from __future__ import annotations

from typing import Any

import pytest
from casefinder import DATA

from kmemwidgets.capture import Capture
from kmemwidgets.records import parse_version
from kmemwidgets.replay import trace
from kmemwidgets.replay.boot_policy import POLICY_EVENTS, BootPolicy, interleaved
from kmemwidgets.replay.pages import PageReplay
from kmemwidgets.replay.result import PageResult
from kmemwidgets.sim.gfp import parse_gfp
from kmemwidgets.sim.memmap import MemMap
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules.allocator import allocator_rules
from kmemwidgets.sim.several_pages import alloc_pages_bulk

PAGES = 1 << 13
#: The last node has 8 MiB: too little to be gone round to.
SIZES = (PAGES, PAGES, PAGES // 4)
TABLE = "GFP_KERNEL|__GFP_ZERO"
SLAB = "GFP_KERNEL|__GFP_NOWARN|__GFP_NORETRY"
VMALLOC = "GFP_KERNEL|__GFP_HIGHMEM|__GFP_NOWARN"


def build(kernel: str = "6.1", sizes: tuple[int, ...] = SIZES) -> PageAllocator:
    zones = []
    for nid, pages in enumerate(sizes):
        zone = Zone(nid, 0, "DMA32", nid * PAGES, pages)
        zone.present = zone.managed = pages
        zone.pcp_batch, zone.pcp_high, zone.pcp_high_max = 7, 42, 42
        zones.append(zone)
    order = tuple(tuple(sorted(range(len(sizes)), key=lambda nid: (nid != own, nid))) for own in range(len(sizes)))
    allocator = PageAllocator(
        zones, MemMap(len(sizes) * PAGES), allocator_rules(parse_version(kernel)), cpu_node=(0,),
        zone_names=("DMA32", "Movable"), node_order=order,
    )  # fmt: skip
    for nid, pages in enumerate(sizes):
        allocator.free_boot_range(nid, nid * PAGES, nid * PAGES + pages)
    allocator.setup_per_cpu_pageset()
    return allocator


class Boot:
    """A kernel whose requests name the node that is expected of the replay, and the trace of that."""

    def __init__(self, kernel: str = "6.1") -> None:
        self.kernel = kernel
        self.allocator = build(kernel)
        self.rows: list[tuple[Any, ...]] = []
        self.object("kmem_cache_alloc", "mpol_new")

    def object(self, name: str, site: str, size: int = 64, node: int = -1, pid: int = 0) -> None:
        self.rows.append(
            (name, "swapper", pid, 0, "0", ".....", (f"{site}+0x1/0x2", 0, size, size, "GFP_KERNEL", node))
        )

    def page(self, nid: int, gfp: str = TABLE, order: int = 0, pid: int = 0, flags: str = ".....") -> None:
        pfn = self.allocator.alloc_pages(parse_gfp(gfp, self.allocator.rules.version), order, nid, 0)
        assert self.allocator.zone_of(pfn).zone.nid == nid
        self.rows.append(("mm_page_alloc", "swapper", pid, 0, "0", flags, (pfn, order, 0, gfp)))

    def slab(self, nid: int, node: int = -1, flags: str = ".....") -> None:
        self.page(nid, SLAB, flags=flags)
        self.object("kmem_cache_alloc", "__kernfs_new_node", node=node)

    def drop(self, pid: int = 0) -> None:
        self.rows.append(("kmem_cache_free", "swapper", pid, 0, "0", ".....", ("do_set_mempolicy+0x1/0x2", 0, "")))

    def replay(self) -> PageResult:
        allocator = build(self.kernel)
        version = allocator.rules.version
        return PageReplay(allocator, version, boot_policy=BootPolicy(allocator, version)).run(self.rows)


def all_exact(boot: Boot) -> None:
    result = boot.replay()
    assert (result.allocs.exact, result.inferred) == (result.allocs.of, 0)
    assert result.allocs.of == sum(row[0] == "mm_page_alloc" for row in boot.rows)


@pytest.mark.parametrize(("sizes", "nodes"), [(SIZES, (0, 1)), ((PAGES // 4, PAGES // 4 - 1, PAGES // 2 - 1), (2,))])
def test_small_nodes_are_left_out_unless_all_are_small(sizes: tuple[int, ...], nodes: tuple[int, ...]) -> None:
    assert interleaved(build(sizes=sizes)) == nodes


def test_swappers_requests_go_round_until_it_drops_the_policy() -> None:
    boot = Boot()
    for nid in (0, 1, 0):
        boot.page(nid)
    boot.page(0, pid=2)
    boot.page(0, flags="..h..")
    boot.page(1)
    boot.drop()
    boot.page(0)
    boot.page(0)
    # Nobody sets it again: a program that sets a policy of its own is another matter.
    boot.object("kmem_cache_alloc", "mpol_new")
    boot.page(0)
    boot.page(0)
    all_exact(boot)


def test_init_goes_on_where_swapper_was_when_its_task_was_copied() -> None:
    boot = Boot()
    boot.page(0)
    boot.object("kmem_cache_alloc_node", "dup_task_struct")
    boot.page(1)
    boot.object("kmem_cache_alloc", "copy_process")
    boot.object("kmem_cache_alloc", "__mpol_dup")
    boot.drop()
    boot.page(0)
    boot.page(1, pid=1)
    boot.page(0, pid=1)
    boot.drop(pid=1)
    boot.page(0, pid=1)
    boot.page(0, pid=1)
    all_exact(boot)


def test_a_slab_moves_the_round_twice_unless_its_object_names_a_node_with_memory() -> None:
    boot = Boot()
    boot.slab(1)
    boot.slab(1)
    boot.slab(2, node=2)
    boot.page(0)
    boot.slab(0, node=3)
    boot.slab(0)
    all_exact(boot)


def test_with_softirqs_off_only_the_look_for_a_slab_moves_the_round() -> None:
    boot = Boot()
    boot.slab(0, flags="b....")
    boot.page(1)
    boot.page(0, flags="b....")
    boot.page(0)
    all_exact(boot)


@pytest.mark.parametrize(("kernel", "follows"), [("5.10", True), ("6.1", False), ("6.17", True)])
def test_a_large_kmalloc_follows_the_policy_of_some_kernels(kernel: str, follows: bool) -> None:
    boot = Boot(kernel)
    boot.page(0)
    boot.page(1 if follows else 0, "GFP_KERNEL|__GFP_COMP", order=3)
    boot.object("kmalloc", "kernfs_init", size=32768)
    boot.page(0 if follows else 1)
    # A page block of the same flags that no kmalloc gets is a request like any other.
    boot.page(1 if follows else 0, "GFP_KERNEL|__GFP_COMP", order=3)
    boot.object("kmalloc", "other", size=64)
    all_exact(boot)


@pytest.mark.parametrize("pages", [1, 2, 3, 4, 7])
def test_a_vmallocs_pages_are_dealt_out_and_single_ones_have_events(pages: int) -> None:
    boot = Boot()
    boot.object("kmalloc", "__vmalloc_node_range", size=8 * pages)
    for nid, share in ((0, pages - pages // 2), (1, pages // 2)):
        if share == 1:
            boot.page(nid, VMALLOC)
        elif share:
            alloc_pages_bulk(boot.allocator, 0xCC0, share, nid)
    boot.page(0)
    boot.page(1)
    all_exact(boot)


def test_a_vmalloc_of_a_node_gets_its_pages_there() -> None:
    boot = Boot()
    boot.object("kmalloc", "__vmalloc_node_range", size=8 * 4, node=1)
    alloc_pages_bulk(boot.allocator, 0xCC0, 4, 1)
    boot.page(0)
    boot.page(1)
    all_exact(boot)


def test_huge_pages_of_a_vmalloc_take_the_place_of_its_bulk() -> None:
    boot = Boot()
    boot.object("kmalloc", "__vmalloc_node_range", size=8 * 1024)
    boot.page(0, VMALLOC, order=9)
    boot.page(1, VMALLOC, order=9)
    boot.page(0)
    all_exact(boot)


def test_a_round_that_moved_unseen_is_inferred_and_goes_on_from_there() -> None:
    boot = Boot()
    boot.page(0)
    boot.page(0)
    boot.page(1)
    boot.page(0)
    result = boot.replay()
    assert (result.allocs.exact, result.inferred, result.allocs.of) == (3, 1, 4)
    assert [miss.recorded for miss in result.misses if "of which no event tells" in miss.cause] == ["pfn 0x1"]
    assert sum("of which no event tells" in note for note in result.notes) == 1


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_recorded_boot_has_the_policy_if_there_are_several_nodes(nodes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    boot = Capture.load(DATA / "captures" / "amd64-512m-boot.tar.xz")
    monkeypatch.setattr(trace, "start_allocator", lambda *_: build(sizes=SIZES[:nodes]))
    replay, names = trace.prepare(boot, "t_boot", b"")
    assert (replay.boot_policy is not None) == (set(POLICY_EVENTS) <= set(names)) == (nodes > 1)
