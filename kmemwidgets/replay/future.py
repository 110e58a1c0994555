"""What comes later in a trace: asked after a miss, to tell why it was one, and where an interrupt parts a batch."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

#: A batch, and what interrupts it, has fewer events than this.
BATCH_ROWS = 2048

#: The task that copies single pages into huge ones.
KHUGEPAGED = "khugepaged"


class Future:
    """Allocations and frees of every frame, by the number of their row.

    Parameters
    ----------
    rows : iterable of Row
        The trace, from its beginning.
    """

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._events: defaultdict[int, list[int]] = defaultdict(list)
        for number, (name, _, _, _, _, _, values) in enumerate(rows, 1):
            if name in ("mm_page_alloc", "mm_page_free") and values[0] is not None:
                # Two numbers in one: the row, and in its last bit whether this is a free.
                self._events[values[0]].append(number << 1 | (name == "mm_page_free"))

    def next_is_alloc(self, pfn: int, row: int) -> bool:
        """Tell whether the next that happens to a frame from a row on is that it is allocated."""
        events = self._events.get(pfn, [])
        at = bisect_left(events, row << 1)
        return at < len(events) and not events[at] & 1


class LookAhead:
    """Rows one after the other, with a look at those that come next.

    Parameters
    ----------
    rows : iterable of Row
    """

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._source = iter(rows)
        self._seen: deque[tuple[Any, ...]] = deque()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        seen = self._seen
        for row in self._source:
            yield row
            while seen:
                yield seen.popleft()

    def is_batched(self, pfn: int) -> bool:
        """Tell whether the next that happens to a frame that was freed is that a batch takes it to the lists."""
        for row in self._next_rows():
            if row[6] and row[6][0] == pfn and row[0].startswith("mm_page_"):
                return bool(row[0] == "mm_page_free_batched")
        return False

    def _next_rows(self) -> Iterator[tuple[Any, ...]]:
        yield from tuple(self._seen)
        for row in islice(self._source, BATCH_ROWS):
            self._seen.append(row)
            yield row

    def collapsed(self) -> list[int]:
        """Return the frames that khugepaged frees next, before it allocates again: it has copied them."""
        freed: list[int] = []
        for row in self._next_rows():
            if row[1] == KHUGEPAGED and row[0] == "mm_page_alloc":
                break
            if row[1] == KHUGEPAGED and row[0] == "mm_page_free":
                freed.append(row[6][0])
        return freed
