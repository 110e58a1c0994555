"""The early allocator: two sorted arrays of regions, what there is and what is taken (mm/memblock.c).

It serves from the firmware's map until the page allocator is handed everything that is left. Addresses are bytes, ends
exclusive.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

NONE = 0
HOTPLUG = 1
MIRROR = 2
NOMAP = 4
DRIVER_MANAGED = 8
NOINIT = 0x10

#: Regions that each array starts with.
INIT_REGIONS = 128
#: Bytes of struct memblock_region on a 64-bit kernel.
REGION_BYTES = 24
ANY_NODE = -1


@dataclass(slots=True)
class MemRegion:
    """One region of an array."""

    base: int
    end: int
    nid: int = ANY_NODE
    flags: int = NONE

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.base


@dataclass(slots=True)
class RegionArray:
    """struct memblock_type: regions by address, apart from each other, and room for so many."""

    name: str
    regions: list[MemRegion] = field(default_factory=list)
    max: int = INIT_REGIONS

    @property
    def total(self) -> int:
        """Bytes in all regions."""
        return sum(region.size for region in self.regions)

    def uncovered(self, base: int, end: int) -> list[tuple[int, int]]:
        """Return the pieces of a range that are in no region."""
        pieces = []
        for region in self.overlapping(base, end):
            if region.base > base:
                pieces.append((base, region.base))
            base = max(base, region.end)
        if base < end:
            pieces.append((base, end))
        return pieces

    def overlapping(self, base: int, end: int) -> list[MemRegion]:
        """Return the regions that share a byte with a range."""
        first = bisect_right(self.regions, base, key=lambda region: region.end)
        last = bisect_left(self.regions, end, key=lambda region: region.base)
        return self.regions[first:last]

    def insert(self, region: MemRegion) -> None:
        """Put a region where its address belongs."""
        self.regions.insert(bisect_left(self.regions, region.base, key=lambda entry: entry.base), region)

    def isolate(self, base: int, end: int) -> list[MemRegion]:
        """Split regions at both ends of a range, and return those inside it."""
        for cut in (base, end):
            for region in self.overlapping(cut, cut + 1):
                if region.base < cut:
                    self.insert(MemRegion(cut, region.end, region.nid, region.flags))
                    region.end = cut
        return [region for region in self.overlapping(base, end) if region.base >= base and region.end <= end]

    def merge(self) -> None:
        """Join neighbours that touch and have the same node and flags."""
        merged: list[MemRegion] = []
        for region in self.regions:
            last = merged[-1] if merged else None
            if last and (last.end, last.nid, last.flags) == (region.base, region.nid, region.flags):
                last.end = region.end
            else:
                merged.append(region)
        self.regions[:] = merged


@dataclass(frozen=True, slots=True)
class Call:
    """Something that was asked of the early allocator, for whoever shows a boot step by step."""

    what: str
    start: int
    end: int
    caller: str = ""
    estimated: bool = False


class Memblock:
    """The early allocator of a machine.

    Parameters
    ----------
    page_size : int
    bottom_up : bool
        Search from low addresses; the kernel does so only to keep hot-pluggable memory free.

    Attributes
    ----------
    memory, reserved : RegionArray
    current_limit : int
        Nothing is allocated at or above this address.
    calls : list of Call
        All that was asked, in order.
    """

    def __init__(self, page_size: int = 4096, *, bottom_up: bool = False) -> None:
        self.page_size = page_size
        self.bottom_up = bottom_up
        self.memory = RegionArray("memory")
        self.reserved = RegionArray("reserved")
        self.current_limit = 1 << 64
        self.calls: list[Call] = []

    # Changing the arrays

    def add(self, base: int, size: int, nid: int = ANY_NODE, flags: int = NONE) -> None:
        """Tell of RAM."""
        self.calls.append(Call("add", base, base + size))
        self._add_range(self.memory, base, base + size, nid, flags)

    def reserve(self, base: int, size: int, caller: str = "", *, estimated: bool = False) -> None:
        """Take a range, whether or not it is RAM or taken already."""
        self.calls.append(Call("reserve", base, base + size, caller, estimated))
        self._add_range(self.reserved, base, base + size, ANY_NODE, NONE)

    def remove(self, base: int, size: int) -> None:
        """Forget RAM."""
        self.calls.append(Call("remove", base, base + size))
        self._remove_range(self.memory, base, base + size)

    def phys_free(self, base: int, size: int, caller: str = "") -> None:
        """Give back what was taken."""
        self.calls.append(Call("free", base, base + size, caller))
        self._remove_range(self.reserved, base, base + size)

    def set_node(self, base: int, size: int, nid: int) -> None:
        """Say which node owns a range of RAM."""
        for region in self.memory.isolate(base, base + size):
            region.nid = nid
        self.memory.merge()

    def mark(self, base: int, size: int, flags: int) -> None:
        """Set flags on a range of RAM."""
        for region in self.memory.isolate(base, base + size):
            region.flags |= flags
        self.memory.merge()

    def _add_range(self, array: RegionArray, base: int, end: int, nid: int, flags: int) -> None:
        if base >= end:
            return
        pieces = array.uncovered(base, end)
        while len(array.regions) + len(pieces) > array.max:
            self._double(array, base, end)
            pieces = array.uncovered(base, end)
        for start, stop in pieces:
            array.insert(MemRegion(start, stop, nid, flags))
        array.merge()

    def _remove_range(self, array: RegionArray, base: int, end: int) -> None:
        inside = {id(region) for region in array.isolate(base, end)}
        array.regions[:] = [region for region in array.regions if id(region) not in inside]

    def _double(self, array: RegionArray, base: int, end: int) -> None:
        """Give an array room for twice as many regions; the new array is itself allocated here."""
        array.max *= 2
        size = -(-array.max * REGION_BYTES // self.page_size) * self.page_size
        # What is about to be reserved is not in the array yet, so the search must avoid it.
        place = self.find(size, self.page_size, end, self.current_limit)
        if place is None:
            place = self.find(size, self.page_size, 0, base)
        if place is None:
            raise MemoryError(f"no room for {array.max} {array.name} regions")
        self.reserve(place, size, "memblock_double_array")

    # Searching

    def free_ranges(self, nid: int = ANY_NODE, flags: int = NONE) -> Iterator[tuple[int, int, int]]:
        """Yield what is RAM and not taken, ascending: start, end, node."""
        taken = self.reserved.regions
        for region in self.memory.regions:
            if nid not in (ANY_NODE, region.nid) or self._skips(region, flags):
                continue
            base = region.base
            first = bisect_right(taken, base, key=lambda entry: entry.end)
            for entry in taken[first:]:
                if entry.base >= region.end:
                    break
                if entry.base > base:
                    yield base, entry.base, region.nid
                base = max(base, entry.end)
            if base < region.end:
                yield base, region.end, region.nid

    def _skips(self, region: MemRegion, flags: int) -> bool:
        """Tell whether a search passes a region over for its flags."""
        if flags & MIRROR and not region.flags & MIRROR:
            return True
        return bool(region.flags & (NOMAP | DRIVER_MANAGED) & ~flags)

    def find(self, size: int, align: int, low: int, high: int, nid: int = ANY_NODE) -> int | None:
        """Find room for `size` bytes in [low, high): the highest, unless searching from the bottom up."""
        low = max(low, self.page_size)
        ranges = list(self.free_ranges(nid))
        for start, end, _nid in ranges if self.bottom_up else reversed(ranges):
            start, end = max(start, low), min(end, high)
            if end - start < size:
                continue
            place = -(-start // align) * align if self.bottom_up else (end - size) // align * align
            if place >= start and place + size <= end:
                return place
        return None

    def alloc(
        self,
        size: int,
        align: int = 64,
        *,
        low: int = 0,
        high: int = 0,
        nid: int = ANY_NODE,
        exact: bool = False,
        caller: str = "",
        estimated: bool = False,
    ) -> int | None:
        """Find room, take it and return its address; another node or a lower address will do, unless `exact`.

        Parameters
        ----------
        size, align : int
        low, high : int
            Bounds; `high` 0 means `current_limit`.
        nid : int
            Node that is preferred.
        exact : bool
            Whether no other node will do.
        caller : str
            Who asks.
        estimated : bool
            Whether the size is a guess about what a real boot takes.
        """
        limit = min(high or self.current_limit, self.current_limit)
        place = self.find(size, align, low, limit, nid)
        if place is None and nid != ANY_NODE and not exact:
            place = self.find(size, align, low, limit)
        if place is None and low:
            return self.alloc(size, align, high=high, nid=nid, exact=exact, caller=caller, estimated=estimated)
        if place is not None:
            self.reserve(place, size, caller, estimated=estimated)
        return place

    # Handing over

    def free_pfn_ranges(self) -> list[tuple[int, int, int]]:
        """Return the whole frames that are left, ascending: start, end (exclusive), node."""
        size = self.page_size
        ranges = [(-(-start // size), end // size, nid) for start, end, nid in self.free_ranges()]
        return [(start, end, nid) for start, end, nid in ranges if start < end]
