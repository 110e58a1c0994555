"""vmalloc: how a hole is searched, when freed areas come back, how cpus share the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .table import Rule

MIB = 1 << 20
#: Pages of a zone of addresses that belongs to one vmap node (mm/vmalloc.c, VMAP_ZONE_SIZE).
ZONE_PAGES = 16
#: Nodes at most, and pages of the largest area that a node's pools keep (mm/vmalloc.c, MAX_VA_SIZE_PAGES).
MAX_NODES, MAX_POOL_PAGES = 128, 256


def _nodes(cpus: int) -> int:
    return max(1, min(cpus, MAX_NODES))


@dataclass(frozen=True, slots=True)
class VmallocRules:
    """What differs between kernels.

    Attributes
    ----------
    search_length : callable (size, align, page_size) -> bytes
        Size of hole that is looked for, so that an aligned start is sure to fit.
    lazy_max_pages : callable (online cpus, page_size) -> pages
        Lazily freed pages that are kept before all of them are purged; 0: freed at once.
    vmap_nodes : callable (possible cpus) -> nodes
        Parts of the busy and lazily freed areas with locks and pools of their own.
    guard_always : bool
        Whether every area ends in a guard page.
    huge : bool
        Whether areas that allow it are mapped by huge pages.
    unpurged_last : bool
        Whether /proc/vmallocinfo shows lazily freed areas, behind all others.
    vmap_blocks : bool
        Whether there is vm_map_ram, which cuts small mappings from blocks that each cpu keeps.
    vmap_stacks : frozenset of str
        Architectures whose kernel stacks lie in vmalloc's space.
    """

    search_length: Callable[[int, int, int], int]
    lazy_max_pages: Callable[[int, int], int]
    vmap_nodes: Callable[[int], int]
    guard_always: bool
    huge: bool
    unpurged_last: bool
    vmap_blocks: bool
    vmap_stacks: frozenset[str]


TABLE: tuple[Rule, ...] = (
    Rule(
        "search_length", (2, 4), lambda size, _align, _page: size,
        "An area takes the first gap of a sorted list that holds its size.",
        "mm/vmalloc.c, get_vm_area",
    ),
    Rule(
        "search_length", (5, 2), lambda size, align, _page: size + align - 1,
        "An area takes the lowest hole that holds its size and the worst alignment.",
        "mm/vmalloc.c, find_vmap_lowest_match",
    ),
    Rule(
        "search_length", (5, 17), lambda size, align, page: size + align - 1 if align > page else size,
        "An area takes the lowest hole that holds its size; alignment to a page costs nothing.",
        "mm/vmalloc.c, find_vmap_lowest_match", ("recording:6.1",),
    ),
    Rule("lazy_max_pages", (2, 4), lambda _cpus, _page: 0, "A freed area is free at once.", "mm/vmalloc.c, vfree"),
    Rule(
        "lazy_max_pages", (2, 6, 28), lambda cpus, page: cpus.bit_length() * (32 * MIB // page),
        "32 MiB of freed areas for each doubling of the cpus wait for one flush of the TLBs.",
        "mm/vmalloc.c, lazy_max_pages", ("recording:6.1",),
    ),
    Rule("vmap_nodes", (2, 4), lambda _cpus: 1, "There is one set of areas.", "mm/vmalloc.c, alloc_vmap_area"),
    Rule(
        "vmap_nodes", (6, 9), _nodes, "There is a set of areas for each possible cpu, up to 128.",
        "mm/vmalloc.c, vmap_init_nodes", ("source",),
    ),
    Rule("guard_always", (2, 4), True, "Every area ends in a guard page.", "mm/vmalloc.c, get_vm_area"),
    Rule(
        "guard_always", (3, 14), False, "Every area ends in a guard page, unless VM_NO_GUARD asks for none.",
        "mm/vmalloc.c, __get_vm_area_node", ("recording:6.1",),
    ),
    Rule("huge", (2, 4), False, "Pages are mapped one by one.", "mm/vmalloc.c, vmap_pte_range"),
    Rule(
        "huge", (5, 12), True, "Areas that allow it are made of huge pages.",
        "mm/vmalloc.c, __vmalloc_node_range", ("source",),
    ),
    Rule("unpurged_last", (2, 4), False, "/proc/vmallocinfo doesn't show freed areas.", "mm/vmalloc.c, s_show"),
    Rule(
        "unpurged_last", (5, 4), True, "/proc/vmallocinfo shows lazily freed areas last.",
        "mm/vmalloc.c, show_purge_info", ("recording:6.1",),
    ),
    Rule("vmap_blocks", (2, 4), False, "Every mapping has an area of its own.", "mm/vmalloc.c, vmap"),
    Rule(
        "vmap_blocks", (2, 6, 28), True, "Mappings of up to 64 pages are cut from blocks that each cpu keeps.",
        "mm/vmalloc.c, vm_map_ram", ("source",),
    ),
    Rule("vmap_stacks", (2, 4), frozenset(), "Kernel stacks are pages of the direct map.", "kernel/fork.c"),
    Rule(
        "vmap_stacks", (4, 9), frozenset({"x86_64"}), "Kernel stacks lie in vmalloc's space.",
        "kernel/fork.c, alloc_thread_stack_node", ("recording:6.1",),
    ),
    Rule(
        "vmap_stacks", (4, 14), frozenset({"x86_64", "arm64"}), "Kernel stacks lie in vmalloc's space.",
        "kernel/fork.c, alloc_thread_stack_node", ("recording:6.1",),
    ),
)  # fmt: skip
