"""bootmem: the early allocator before memblock, one bit for each frame of low memory (mm/bootmem.c).

All frames begin as taken; boot frees what is RAM and takes back what it needs. A request gets the first gap from its
goal upward, and one that is smaller than a page goes on where the last one ended. Addresses are bytes, ends exclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .memblock import Call, MemRegion, RegionArray

#: A frame's byte in the map; the kernel has a bit.
FREE, TAKEN = 0, 1


@dataclass(slots=True)
class BootmemData:
    """struct bootmem_data: the frames of one node, and where its last request ended.

    Attributes
    ----------
    nid, start, end : int
        The node, its first frame and the one behind its last.
    map_start, map_end : int
        The frames that the map itself lies in; nobody's once it is given up.
    last_pos, last_offset : int
        Frame in which the last request ended, and the bytes that it took of it; 0 for all of it.
    last_success : int
        Byte address of the last gap that was found, where the kernel remembers it.
    """

    nid: int
    start: int
    end: int
    map_start: int = 0
    map_end: int = 0
    last_pos: int = 0
    last_offset: int = 0
    last_success: int = 0


class Bootmem:
    """The early allocator of a machine with an old kernel.

    Parameters
    ----------
    page_size : int
    nodes : sequence of (int, int, int)
        Number of each node, the first frame of its low memory and the one behind its last.
    remembers : bool
        Whether a search begins where the last one succeeded (2.6).

    Attributes
    ----------
    map : bytearray
        A byte for each frame from 0 on.
    memory : RegionArray
        All RAM, high memory too.
    calls : list of Call
        All that was asked, in order.
    """

    def __init__(self, page_size: int, nodes: Sequence[tuple[int, int, int]], *, remembers: bool = False) -> None:
        self.page_size = page_size
        self.remembers = remembers
        self.nodes = [BootmemData(nid, start, end) for nid, start, end in nodes]
        self.map = bytearray((TAKEN,)) * max(end for _nid, _start, end in nodes)
        self.memory = RegionArray("memory")
        self.calls: list[Call] = []

    def add(self, base: int, size: int, nid: int) -> None:
        """Tell of RAM; what of it is low memory becomes free, in whole frames (free_bootmem)."""
        self.calls.append(Call("add", base, base + size))
        self.memory.insert(MemRegion(base, base + size, nid))
        first, last = -(-base // self.page_size), min((base + size) // self.page_size, len(self.map))
        if first < last:
            self.map[first:last] = bytes(last - first)

    def reserve(self, base: int, size: int, caller: str = "", *, estimated: bool = False) -> None:
        """Take every frame that a range touches, whether or not it is taken already (reserve_bootmem)."""
        self.calls.append(Call("reserve", base, base + size, caller, estimated))
        first, last = base // self.page_size, min(-(-(base + size) // self.page_size), len(self.map))
        if first < last:
            self.map[first:last] = bytes((TAKEN,)) * (last - first)

    def init_map(self, data: BootmemData, start_pfn: int) -> None:
        """Put a node's map into frames from `start_pfn` on (init_bootmem)."""
        size = -(-(data.end - data.start) // 8)
        data.map_start, data.map_end = start_pfn, start_pfn - (-size // self.page_size)
        self.reserve(start_pfn * self.page_size, size, "bootmem map")

    def alloc(
        self, size: int, align: int = 32, *, goal: int = 0, nid: int = -1, caller: str = "", estimated: bool = False
    ) -> int | None:
        """Take memory, above the goal if there is some, of a node if it has some; returns its address.

        Source: mm/bootmem.c __alloc_bootmem_node, __alloc_bootmem_core.
        """
        ordered = sorted(self.nodes, key=lambda data: data.nid != nid)
        for data in ordered:
            address = self._alloc_core(data, size, align, goal)
            if address is not None:
                self.calls.append(Call("reserve", address, address + size, caller, estimated))
                return address
        return None

    def _alloc_core(self, data: BootmemData, size: int, align: int, goal: int) -> int | None:
        page = self.page_size
        start = self._find(data, -(-size // page), max(align // page, 1), goal)
        if start is None:
            return None
        data.last_success = start * page
        merges = align < page if self.remembers else align <= page
        if merges and data.last_offset and data.last_pos + 1 == start:
            # It goes on in the frame in which the last request ended.
            offset = -(-data.last_offset // align) * align
            address = data.last_pos * page + offset
            left = page - offset
            if size < left:
                frames = 0
                data.last_offset = offset + size
            else:
                frames = -(-(size - left) // page)
                data.last_pos, data.last_offset = start + frames - 1, size - left
        else:
            frames = -(-size // page)
            address = start * page
            data.last_pos, data.last_offset = start + frames - 1, size
        data.last_offset %= page
        self.map[start : start + frames] = bytes((TAKEN,)) * frames
        return address

    def _find(self, data: BootmemData, frames: int, step: int, goal: int) -> int | None:
        """Return the first gap of so many frames from the goal upward, else the first of all."""
        preferred = data.start
        if data.start <= goal // self.page_size < data.end and goal:
            preferred = goal // self.page_size
            if self.remembers and data.last_success > goal:
                preferred = data.last_success // self.page_size
        for begin in dict.fromkeys((preferred, data.start)):
            at = -(-begin // step) * step
            while (at := self.map.find(FREE, at, data.end)) >= 0:
                at = -(-at // step) * step
                taken = self.map.find(TAKEN, at, at + frames)
                if at + frames <= data.end and taken < 0:
                    return at
                at = max(taken, at) + 1
        return None

    # Handing over

    @property
    def reserved(self) -> RegionArray:
        """What is taken of the RAM, less the maps, which are given up at the hand-over."""
        found = RegionArray("reserved")
        own = bytearray(self.map)
        for data in self.nodes:
            own[data.map_start : data.map_end] = bytes(data.map_end - data.map_start)
        for region in self.memory.regions:
            end = min(-(-region.end // self.page_size), len(own))
            at = region.base // self.page_size
            while (at := own.find(TAKEN, at, end)) >= 0:
                stop = own.find(FREE, at, end)
                stop = end if stop < 0 else stop
                found.regions.append(MemRegion(at * self.page_size, stop * self.page_size, region.nid))
                at = stop
        return found

    def free_pfn_ranges(self) -> list[tuple[int, int, int]]:
        """Return the whole frames that are left: node by node, each with its map last, then high memory.

        Source: mm/bootmem.c free_all_bootmem_core; arch/i386/mm/init.c mem_init.
        """
        found: list[tuple[int, int, int]] = []
        for data in self.nodes:
            at = data.start
            while (at := self.map.find(FREE, at, data.end)) >= 0:
                stop = self.map.find(TAKEN, at, data.end)
                stop = data.end if stop < 0 else stop
                found.append((at, stop, data.nid))
                at = stop
            found.append((data.map_start, data.map_end, data.nid))
        for region in self.memory.regions:
            low, high = -(-region.base // self.page_size), region.end // self.page_size
            if max(low, len(self.map)) < high:
                found.append((max(low, len(self.map)), high, region.nid))
        return found
