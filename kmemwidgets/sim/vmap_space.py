"""Free ranges of addresses, searched from below.

The kernel keeps them in a red-black tree whose nodes know the largest range below them. Here they lie in a
sorted list cut into chunks, each of which knows its largest range: the same answers, and a search that
skips whole chunks as the kernel's skips subtrees.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

#: Ranges of a chunk at most.
CHUNK = 256


class FreeSpace:
    """Ranges that don't touch each other, ascending. Bytes, ends exclusive.

    Parameters
    ----------
    start, end : int
        The one range that is free at first.

    Attributes
    ----------
    chunks : list of list of [start, end]
    largest : list of int
        Size of the largest range of each chunk.
    """

    __slots__ = ("chunks", "largest")

    def __init__(self, start: int, end: int) -> None:
        self.chunks: list[list[list[int]]] = [[[start, end]]]
        self.largest: list[int] = [end - start]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for chunk in self.chunks:
            yield from ((start, end) for start, end in chunk)

    def _chunk_of(self, address: int) -> int:
        """Return the number of the last chunk that begins at or below an address, 0 where none does."""
        return max(bisect_right(self.chunks, address, key=lambda chunk: chunk[0][0]) - 1, 0)

    def _measure(self, number: int) -> None:
        """Bring a chunk's largest range up to date, and split or drop the chunk where its length asks for it."""
        chunk = self.chunks[number]
        if not chunk:
            if len(self.chunks) > 1:
                del self.chunks[number], self.largest[number]
            else:
                self.chunks, self.largest = [], []
            return
        if len(chunk) > CHUNK:
            half = len(chunk) // 2
            self.chunks[number : number + 1] = [chunk[:half], chunk[half:]]
            self.largest[number : number + 1] = [
                max(e - s for s, e in part) for part in self.chunks[number : number + 2]
            ]
        else:
            self.largest[number] = max(end - start for start, end in chunk)

    def find(self, size: int, align: int, vstart: int, vend: int, length: int) -> int:
        """Return the lowest start for `size` bytes within bounds, -1 where no range fits.

        Parameters
        ----------
        size, align : int
            Bytes.
        vstart, vend : int
            Bounds of the area.
        length : int
            Bytes that a range must hold to be looked at: `size`, and what alignment may cost.
        """
        for number in range(self._chunk_of(vstart) if self.chunks else 0, len(self.chunks)):
            if self.largest[number] < length:
                continue
            for start, end in self.chunks[number]:
                if start >= vend:
                    return -1
                if end - start >= length:
                    address = -(-max(start, vstart) // align) * align
                    if address + size <= min(end, vend):
                        return address
        return -1

    def take(self, start: int, end: int) -> tuple[int, int]:
        """Cut an area out of the range that holds it, and return that (classify_va_fit_type, va_clip)."""
        number = self._chunk_of(start)
        chunk = self.chunks[number]
        at = bisect_right(chunk, start, key=lambda entry: entry[0]) - 1
        low, high = chunk[at]
        if not low <= start < end <= high:
            raise ValueError(f"{start:#x}-{end:#x} is not free")
        rest = [[low, start]] if low < start else []
        if end < high:
            rest.append([end, high])
        chunk[at : at + 1] = rest
        self._measure(number)
        return low, high

    def claim(self, start: int, end: int) -> None:
        """Cut out all that is free of a range, be it in pieces."""
        for low, high in list(self):
            if low < end and start < high:
                self.take(max(low, start), min(high, end))

    def give(self, start: int, end: int) -> tuple[int | None, bool]:
        """Make a range free, joined with its neighbours (merge_or_add_vmap_area).

        Returns
        -------
        tuple of (int or None, bool)
            Start of the neighbour below that it was joined with, and whether there was one above.
        """
        if not self.chunks:
            self.chunks, self.largest = [[[start, end]]], [end - start]
            return None, False
        number = self._chunk_of(start)
        chunk = self.chunks[number]
        at = bisect_right(chunk, start, key=lambda entry: entry[0])
        after = chunk[at] if at < len(chunk) else self.chunks[number + 1][0] if number + 1 < len(self.chunks) else None
        before = chunk[at - 1] if at else None
        if (before and before[1] > start) or (after and after[0] < end):
            raise ValueError(f"{start:#x}-{end:#x} is free already")
        joined = before[0] if before and before[1] == start else None
        if before and joined is not None:
            before[1] = end
        else:
            before = [start, end]
            chunk.insert(at, before)
            at += 1
        above = after is not None and after[0] == end
        if after and above:
            before[1] = after[1]
            if at < len(chunk):
                del chunk[at]
            else:
                del self.chunks[number + 1][0]
                self._measure(number + 1)
        self._measure(number)
        return joined, above

    def save(self) -> tuple[tuple[int, int], ...]:
        """Return all ranges."""
        return tuple(self)

    def load(self, saved: tuple[tuple[int, int], ...]) -> None:
        """Go back to what `save` returned."""
        ranges = [[start, end] for start, end in saved]
        self.chunks = [ranges[at : at + CHUNK] for at in range(0, len(ranges), CHUNK)]
        self.largest = [max(end - start for start, end in chunk) for chunk in self.chunks]
