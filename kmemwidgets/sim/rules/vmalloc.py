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


def _nodes(cpus: int, word: int) -> int:
    """Return the nodes: 32-bit kernels have too little space to share out."""
    return max(1, min(cpus, MAX_NODES)) if word == 8 else 1


@dataclass(frozen=True, slots=True)
class VmallocRules:
    """What differs between kernels.

    Attributes
    ----------
    search_length : callable (size, align, page_size) -> bytes
        Size of hole that is looked for, so that an aligned start is sure to fit.
    lazy_max_pages : callable (online cpus, page_size) -> pages
        Lazily freed pages that are kept before all of them are purged; 0: freed at once.
    vmap_nodes : callable (possible cpus, bytes of a word) -> nodes
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
    no_room : tuple of str
        What the kernel says where no hole is large enough; ``{size}``, ``{start}`` and ``{end}`` are filled in.
    ioremap_order : callable (bytes) -> log2
        What ioremap aligns its area to.
    page_array : bool
        Whether an area keeps an array of its pages.
    struct_bytes : callable (bytes of a word, bytes of a physical address) -> bytes
        Size of struct vm_struct.
    area_words : int
        Words of struct vmap_area, which has a cache of its own; 0: there is none.
    """

    search_length: Callable[[int, int, int], int]
    lazy_max_pages: Callable[[int, int], int]
    vmap_nodes: Callable[[int, int], int]
    guard_always: bool
    huge: bool
    unpurged_last: bool
    vmap_blocks: bool
    vmap_stacks: frozenset[str]
    no_room: tuple[str, ...]
    ioremap_order: Callable[[int], int]
    page_array: bool
    struct_bytes: Callable[[int, int], int]
    area_words: int


def _struct_with_caller(word: int, phys: int) -> int:
    """next, addr, size, flags, pages; a count of pages in 4 bytes, padded on 64 bits; phys_addr; caller."""
    return 5 * word + word + phys + word


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
    Rule("vmap_nodes", (2, 4), lambda _cpus, _word: 1, "There is one set of areas.", "mm/vmalloc.c, alloc_vmap_area"),
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
    Rule("no_room", (2, 4), (), "Nobody says that there is no room.", "mm/vmalloc.c, get_vm_area", ("source",)),
    Rule(
        "no_room", (2, 6), ("allocation failed: out of vmalloc space - use vmalloc=<size> to increase size.",),
        "The kernel says that there is no room.", "mm/vmalloc.c, __get_vm_area", ("source",),
    ),
    Rule(
        "no_room", (2, 6, 28), ("vmap allocation for size {size} failed: use vmalloc=<size> to increase size",),
        "The kernel says for what there is no room.", "mm/vmalloc.c, alloc_vmap_area", ("source",),
    ),
    Rule(
        "no_room", (6, 10),
        ("vmalloc_node_range for size {size} failed: Address range restricted to {start:#x} - {end:#x}",),
        "The kernel says where there is no room, too.", "mm/vmalloc.c, alloc_vmap_area", ("source",),
    ),
    Rule("ioremap_order", (2, 4), lambda _size: 0, "Device memory begins at any page.", "mm/vmalloc.c, get_vm_area",
         ("source",)),
    Rule(
        "ioremap_order", (2, 6), lambda size: size.bit_length(),
        "Device memory is aligned to the power of two above its size.", "mm/vmalloc.c, __get_vm_area", ("source",),
    ),
    Rule(
        "ioremap_order", (4, 7), lambda size: (size - 1).bit_length(),
        "Device memory is aligned to the power of two that holds it.", "mm/vmalloc.c, __get_vm_area_node", ("source",),
    ),
    Rule("page_array", (2, 4), False, "Only the page tables know an area's pages.", "mm/vmalloc.c, vmalloc_area_pages",
         ("source",)),
    Rule("page_array", (2, 6), True, "An area has an array of its pages: kmalloc's if it fits a page, else vmalloc's.",
         "mm/vmalloc.c, __vmalloc", ("recording:6.1",)),
    Rule("struct_bytes", (2, 4), lambda word, _phys: 4 * word, "An area is four words.",
         "include/linux/vmalloc.h, struct vm_struct", ("source",)),
    Rule("struct_bytes", (2, 6), lambda word, _phys: 7 * word, "An area knows its pages and what device is behind it.",
         "include/linux/vmalloc.h, struct vm_struct", ("source",)),
    Rule("struct_bytes", (5, 6), _struct_with_caller, "An area knows who asked for it.",
         "include/linux/vmalloc.h, struct vm_struct", ("source",)),
    Rule("struct_bytes", (6, 15), lambda word, phys: _struct_with_caller(word, phys) + word,
         "An area knows how much was asked for.", "include/linux/vmalloc.h, struct vm_struct", ("source",),
         backports=((6, 12, 30),)),
    Rule("area_words", (2, 4), 0, "There is one list of areas, and no other struct.", "mm/vmalloc.c, vmlist",
         ("source",)),
    Rule("area_words", (5, 2), 8, "Every range of addresses, free or not, is an object of a cache.",
         "mm/vmalloc.c, vmap_area_cachep", ("recording:6.1",)),
    Rule("area_words", (6, 3), 9, "A range also has flags.", "include/linux/vmalloc.h, struct vmap_area",
         ("recording:6.12",)),
)  # fmt: skip
