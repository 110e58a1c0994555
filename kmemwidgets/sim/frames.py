"""Every frame of a machine as one byte, kept up to date piece by piece: what a map of frames shows.

The page allocator writes one byte for the head of each block. Here that is spread over all of its frames, but only
where something changed since the last look: the allocator's table is compared with a copy, so that it need not tell of
anything itself. Code 0 means free, so that memory never used costs nothing here either.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence

from kmemwidgets.records import KPF, FrameTable

from .memmap import CHUNK, IN_USE, IN_USE_LRU, ON_PCP, RESERVED, UNKNOWN, make_table
from .page_alloc import PageAllocator
from .pcp import HUGE_LIST

FREE, USED, LRU, PER_CPU, KEPT, HOLE = range(6)
PALETTE = (KPF["BUDDY"], 0, KPF["LRU"], 0, KPF["RESERVED"], KPF["NOPAGE"])
LABELS = ("free", "in use", "in use, on a list for reclaim", "on a per-CPU list", "reserved at boot", "no memory here")

#: Frames that are worked out together: no block crosses a multiple of this.
PIECE = 1024
#: Frames that are told of together.
GRAIN = 64
#: Heads of blocks in use with more than one frame.
_LARGE = re.compile(rb"[\xc1-\xca\xe1-\xea]")
#: How many sets of changes are kept for those who ask late.
KEPT_CHANGES = 64


def _codes() -> bytes:
    table = bytearray(256)
    for state in range(256):
        if state >= IN_USE:
            table[state] = USED
        if IN_USE_LRU <= state < 0xF0:
            table[state] = LRU
        if ON_PCP <= state < IN_USE_LRU:
            table[state] = PER_CPU
    table[RESERVED] = KEPT
    table[UNKNOWN] = USED
    return bytes(table)


_TRANSLATE = _codes()


class Frames:
    """The frames of a machine.

    Parameters
    ----------
    page_alloc : PageAllocator
    memory : sequence of (int, int)
        Ranges of frames that exist, ascending.

    Attributes
    ----------
    codes : memoryview
        One byte a frame, from frame 0; an index into `PALETTE`.
    """

    def __init__(self, page_alloc: PageAllocator, memory: Sequence[tuple[int, int]]) -> None:
        self.page_alloc = page_alloc
        self.end_pfn = page_alloc.memmap.max_pfn
        self.codes = make_table(len(page_alloc.memmap.state))
        self._seen = make_table(len(page_alloc.memmap.state))
        # Pieces that had been written at the last look; all others are zero then and now.
        self._touched: set[int] = set()
        self._holes = _holes(memory, self.end_pfn)
        for start, end in self._holes:
            self.codes[start:end] = bytes((HOLE,)) * (end - start)

    def table(self) -> FrameTable:
        """Return the frames as they were at the last look; `codes` are live."""
        return FrameTable(0, self.codes[: self.end_pfn], PALETTE, "flags", LABELS)

    def translated(self, codes: bytes) -> memoryview:
        """Return all frames as of the last look, by other codes; 0 must stay 0, so that unused memory costs nothing.

        Parameters
        ----------
        codes : bytes
            The new code of each of the 256 codes.
        """
        table = make_table(self.end_pfn)
        for start, end in self.used():
            table[start:end] = bytes(self.codes[start:end]).translate(codes)
        return table

    def used(self) -> list[tuple[int, int]]:
        """Return the ranges of frames that are not free memory as boot handed it over, and perhaps more; ascending."""
        pieces = [(number * CHUNK, min(number * CHUNK + CHUNK, self.end_pfn)) for number in self._touched]
        return sorted([*((start, end) for start, end in pieces if start < end), *self._holes])

    def look(self) -> tuple[tuple[int, int], ...]:
        """Work out anew what changed since the last look; return the ranges: first pfn, frames."""
        state, seen = self.page_alloc.state, self._seen
        changed: list[tuple[int, int]] = []
        resting: dict[int, list[tuple[int, int]]] | None = None
        touched = self.page_alloc.memmap.touched
        for base in sorted(number * CHUNK for number in touched | self._touched):
            top = min(base + CHUNK, len(state))
            chunk = bytes(state[base:top])
            old = bytes(seen[base:top])
            if chunk == old:
                continue
            for at in range(0, top - base, PIECE):
                if chunk[at : at + PIECE] != old[at : at + PIECE]:
                    if resting is None:
                        resting = self._large_on_pcp()
                    changed.extend(self._work_out(base + at, min(base + at + PIECE, top), resting))
            seen[base:top] = chunk
        self._touched = set(touched)
        return tuple((start, min(start + length, self.end_pfn) - start) for start, length in changed)

    def _large_on_pcp(self) -> dict[int, list[tuple[int, int]]]:
        """Return the larger blocks on per-CPU lists by piece: the table doesn't say how large they are."""
        found: dict[int, list[tuple[int, int]]] = {}
        for live in self.page_alloc.zones:
            for pcp in live.pcps:
                for index in range(3, len(pcp.lists)):
                    order = index // 3 if index < HUGE_LIST else self.page_alloc.huge_order
                    for pfn in pcp.lists[index]:
                        found.setdefault(pfn // PIECE, []).append((pfn, 1 << order))
        return found

    def _work_out(self, start: int, end: int, resting: Mapping[int, list[tuple[int, int]]]) -> list[tuple[int, int]]:
        """Spread the heads of a piece over their blocks, and return where that changed a frame's code."""
        before = bytes(self.codes[start:end])
        raw = bytes(self.page_alloc.state[start:end])
        codes = bytearray(raw.translate(_TRANSLATE))
        for found in _LARGE.finditer(raw):
            at = found.start()
            size = 1 << (raw[at] & 15)
            codes[at : at + size] = bytes((codes[at],)) * size
        for pfn, size in resting.get(start // PIECE, ()):
            codes[pfn - start : pfn - start + size] = bytes((PER_CPU,)) * size
        self.codes[start:end] = codes[: end - start]
        at = max(bisect_right(self._holes, (start, 0)) - 1, 0)
        for low, high in self._holes[at:]:
            if low >= end:
                break
            low, high = max(low, start), min(high, end)
            if low < high:
                self.codes[low:high] = bytes((HOLE,)) * (high - low)
        return _differences(before, bytes(self.codes[start:end]), start)


def _differences(before: bytes, after: bytes, start: int) -> list[tuple[int, int]]:
    """Return where two pieces differ, in grains: first pfn, frames."""
    found: list[tuple[int, int]] = []
    for at in range(0, len(after), GRAIN):
        if before[at : at + GRAIN] == after[at : at + GRAIN]:
            continue
        length = min(GRAIN, len(after) - at)
        if found and sum(found[-1]) == start + at:
            found[-1] = (found[-1][0], found[-1][1] + length)
        else:
            found.append((start + at, length))
    return found


class ChangeLog:
    """What changed when: numbered sets of ranges, the last few of which are kept for those who ask late.

    Attributes
    ----------
    seq : int
        Number of the last set.
    """

    def __init__(self) -> None:
        self.seq = 0
        self._sets: deque[tuple[int, tuple[tuple[int, int], ...]]] = deque(maxlen=KEPT_CHANGES)

    def add(self, ranges: tuple[tuple[int, int], ...]) -> None:
        """Take down the next set."""
        self.seq += 1
        self._sets.append((self.seq, ranges))

    def since(self, number: int) -> tuple[tuple[int, int], ...] | None:
        """Return all ranges changed after a set, joined; None if that is too long ago to know."""
        if number == self.seq:
            return ()
        if not 0 <= number < self.seq or not self._sets or number < self._sets[0][0] - 1:
            return None
        joined: list[tuple[int, int]] = []
        for start, length in sorted(piece for at, ranges in self._sets if at > number for piece in ranges):
            if joined and start <= sum(joined[-1]):
                joined[-1] = (joined[-1][0], max(sum(joined[-1]), start + length) - joined[-1][0])
            else:
                joined.append((start, length))
        return tuple(joined)


def _holes(memory: Sequence[tuple[int, int]], end_pfn: int) -> list[tuple[int, int]]:
    holes = []
    at = 0
    for start, end in memory:
        if start > at:
            holes.append((at, start))
        at = end
    if at < end_pfn:
        holes.append((at, end_pfn))
    return holes
