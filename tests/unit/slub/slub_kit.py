"""A page allocator of a few lines, and allocators on it."""

from __future__ import annotations

from kmemwidgets.records import MachineSpec
from kmemwidgets.sim.slub import Slub
from kmemwidgets.sim.slub_init import slab_allocator

BASE = 0xFFFF888000000000


class FewPages:
    """Hands out blocks from below; what was freed last goes out first."""

    def __init__(self, pages: int = 1 << 20, nodes: int = 1) -> None:
        self.pages = pages
        self.nodes = nodes
        self.next = 0
        self.free: dict[int, list[int]] = {}
        self.out: dict[int, int] = {}
        self.asked: list[tuple[int, int, int | None]] = []

    def alloc_pages(self, gfp: int, order: int = 0, nid: int | None = None, cpu: int = 0) -> int:
        self.asked.append((gfp, order, nid))
        kept = self.free.setdefault(order, [])
        if kept:
            pfn = kept.pop()
        else:
            pfn = (self.next + (1 << order) - 1) & -(1 << order)
            if pfn + (1 << order) > self.pages:
                return -1
            self.next = pfn + (1 << order)
        self.out[pfn] = order
        return pfn

    def free_pages(self, pfn: int, order: int = 0, cpu: int = 0) -> None:
        assert self.out.pop(pfn) == order
        self.free.setdefault(order, []).append(pfn)


def boot(
    kernel: tuple[int, ...] = (6, 1, 192), cpus: int = 1, cmdline: str = "", *, pages: int = 1 << 20,
    nodes: tuple[int, ...] = (0,), seed: int = 0, **config: str,
) -> Slub:  # fmt: skip
    spec = MachineSpec(
        kernel=kernel, cpus=cpus, cmdline=cmdline, config=tuple(config.items()),
        cpu_node=tuple(nodes[cpu % len(nodes)] for cpu in range(cpus)),
    )  # fmt: skip
    return slab_allocator(spec, FewPages(pages), page_offset=BASE, nodes=nodes, seed=seed)
