"""An area of vmalloc's space, and the nodes that freed ones wait in (mm/vmalloc.c, struct vmap_area and vmap_node)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kmemwidgets.records import VmallocArea


class VmallocPages(Protocol):
    """What vmalloc asks of the page allocator."""

    def alloc_pages(self, gfp: int, order: int = 0, nid: int | None = None, cpu: int = 0) -> int:
        """Return the first pfn of a block, -1 where there is none."""

    def free_pages(self, pfn: int, order: int = 0, cpu: int = 0) -> None:
        """Take a block back."""


@dataclass(frozen=True, slots=True)
class VmapArea:
    """An area in use.

    Attributes
    ----------
    row : VmallocArea
        What /proc/vmallocinfo shows of it.
    node : int
        The vmap node it will be freed to, -1 for the one of its address.
    order : int
        Order of the blocks it is mapped by.
    pfns : tuple of int
        First frame of each block; empty for mappings of what isn't memory.
    array : int
        Start of the area that holds the array of page pointers, 0 where kmalloc did.
    owned : bool
        Whether the frames go back when the area goes; those that vmap maps stay their owner's.
    """

    row: VmallocArea
    node: int = -1
    order: int = 0
    pfns: tuple[int, ...] = ()
    array: int = 0
    owned: bool = True


class VmapNode:
    """struct vmap_node: a cpu's share of lazily freed areas, and ready ones of small sizes.

    Attributes
    ----------
    freed : list of (int, int, bool)
        Areas since the last purge: start, end, and whether the node's pools may keep it.
    pools : dict of int to list of (int, int)
        Purged areas by their number of pages, the next one first.
    """

    __slots__ = ("freed", "pools")

    def __init__(self) -> None:
        self.freed: list[tuple[int, int, bool]] = []
        self.pools: dict[int, list[tuple[int, int]]] = {}
