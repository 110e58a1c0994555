"""Fake nodes that numa=fake= makes of a machine's memory (mm/numa_emulation.c, before 6.12 arch/x86/mm).

``numa=fake=4`` makes four nodes in all, ``numa=fake=512M`` nodes of at least that much RAM, ``numa=fake=2U`` two of
each physical node. A fake node begins where the one before it ends and counts RAM only, so that it spans holes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kmemwidgets.records import MachineSpec, NodeRange

from .cmdline import memparse, parameters

#: Fake nodes begin at multiples of it, counted from their physical node's start (FAKE_NODE_MIN_SIZE).
LEAST = 32 << 20
DMA32_END = 1 << 32
#: Nodes that a kernel is built for where its configuration isn't known (CONFIG_NODES_SHIFT).
USUAL_NODES_SHIFT = 10

_WANTED = re.compile(r"fake=(0[xX][0-9a-fA-F]+|\d+)([kKmMgGtT]?)(U?)")


@dataclass(frozen=True, slots=True)
class FakeNodes:
    """The nodes that the kernel takes for real.

    Attributes
    ----------
    nodes : tuple of NodeRange
    physical : tuple of int
        By number of a fake node the physical one that it was cut from.
    """

    nodes: tuple[NodeRange, ...]
    physical: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    nid: int
    start: int
    end: int


def emulate_nodes(spec: MachineSpec, ram: Sequence[tuple[int, int]]) -> FakeNodes | None:
    """Return the fake nodes that the command line asks for; None where it doesn't, or the kernel gives it up.

    Parameters
    ----------
    spec : MachineSpec
    ram : sequence of (int, int)
        RAM in bytes, whole pages, ascending.
    """
    wanted = next((found for value in parameters(spec.cmdline, "numa") if (found := _WANTED.match(value))), None)
    if wanted is None or not _can_emulate(spec):
        return None
    blocks = _physical(spec, ram)
    most = 1 << int(spec.option("CONFIG_NODES_SHIFT") or USUAL_NODES_SHIFT)
    number = memparse(wanted[1])
    if wanted[3]:
        return _each_split(blocks, ram, number) if number else None
    if wanted[2]:
        return _split(blocks, ram, _size_of_nodes(ram, memparse(wanted[1] + wanted[2]), most), most)
    number = min(number, most)
    if not number:
        return None
    share = sum(end - start for start, end in ram) // spec.page_size // number * spec.page_size
    # What is left of the shares is enough for so many larger nodes.
    return _split(blocks, ram, share // LEAST * LEAST, number, larger=share % LEAST * number // LEAST)


def _can_emulate(spec: MachineSpec) -> bool:
    if spec.option("CONFIG_NUMA") == "n" or spec.option("CONFIG_NUMA_EMU") == "n":
        return False
    return spec.arch == "x86_64"


def _physical(spec: MachineSpec, ram: Sequence[tuple[int, int]]) -> list[_Block]:
    """Return the physical nodes' memory, joined over holes that hold nothing of another node (numa_cleanup_meminfo)."""
    top = ram[-1][1]
    blocks = [_Block(entry.nid, entry.start, min(entry.end, top)) for entry in spec.nodes if entry.start < top]
    blocks = sorted(blocks, key=lambda block: block.start) or [_Block(0, 0, top)]
    joined: list[_Block] = []
    for block in blocks:
        last = next((old for old in reversed(joined) if old.nid == block.nid), None)
        between = [b for b in blocks if last and b.nid != block.nid and last.end <= b.start < block.start]
        if last and not between:
            joined[joined.index(last)] = _Block(block.nid, last.start, block.end)
        else:
            joined.append(block)
    return joined


def _present(ram: Sequence[tuple[int, int]], low: int, high: int) -> int:
    """Return the bytes of RAM in a range."""
    return sum(max(min(end, high) - max(start, low), 0) for start, end in ram)


def _size_of_nodes(ram: Sequence[tuple[int, int]], asked: int, most: int) -> int:
    """Return how large nodes become where a size is asked for: at least what spreads all RAM over all nodes."""
    least = sum(end - start for start, end in ram) // most
    least = -(-max(least, LEAST) // LEAST) * LEAST
    return max(asked, least) // LEAST * LEAST


def _split(
    blocks: list[_Block], ram: Sequence[tuple[int, int]], size: int, number: int, larger: int = 0
) -> FakeNodes | None:
    """Cut nodes of `size` bytes of RAM from every physical node in turn, until nothing is left of any."""
    if not size:
        return None
    left = list(blocks)
    nodes: list[NodeRange] = []
    physical: dict[int, int] = {}
    while left:
        for nid in sorted({block.nid for block in left}):
            block = next(block for block in left if block.nid == nid)
            end = block.start + size + (LEAST if len(nodes) < larger else 0)
            while end < block.end and _present(ram, block.start, end) < size:
                end += LEAST
            if end < DMA32_END and _present(ram, end, DMA32_END) < LEAST:
                end = DMA32_END
            if _present(ram, end, block.end) < size:
                end = block.end
            _take(left, block, min(end, block.end), len(nodes) % number, nodes, physical)
    return FakeNodes(tuple(nodes), tuple(physical[nid] for nid in sorted(physical)))


def _each_split(blocks: list[_Block], ram: Sequence[tuple[int, int]], number: int) -> FakeNodes | None:
    """Cut every physical node into so many of equal span, holes included; None where one is too small for that."""
    left = list(blocks)
    nodes: list[NodeRange] = []
    physical: dict[int, int] = {}
    for block in blocks:
        size = -(-max((block.end - block.start) // number, LEAST) // LEAST) * LEAST
        before = len(nodes)
        while block in left:
            end = block.start + size
            if end < DMA32_END and _present(ram, end, DMA32_END) < LEAST:
                end = DMA32_END
            end = min(end, block.end)
            _take(left, block, end, len(nodes), nodes, physical)
            block = _Block(block.nid, end, block.end)
        if len(nodes) - before < number:
            return None
    return FakeNodes(tuple(nodes), tuple(physical[nid] for nid in sorted(physical)))


def _take(
    left: list[_Block], block: _Block, end: int, nid: int, nodes: list[NodeRange], physical: dict[int, int]
) -> None:
    """Give a block's memory up to `end` to a fake node."""
    nodes.append(NodeRange(nid, block.start, end))
    physical.setdefault(nid, block.nid)
    at = left.index(block)
    left[at : at + 1] = [_Block(block.nid, end, block.end)] if end < block.end else []
