"""What becomes of a frame later in a trace: asked only after a miss, to tell why it was one."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from typing import Any


class Future:
    """Allocations and frees of every frame, by the number of their row, and when a batch took it along.

    Parameters
    ----------
    rows : iterable of Row
        The trace, from its beginning.
    """

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._events: defaultdict[int, list[int]] = defaultdict(list)
        self._batched: defaultdict[int, list[int]] = defaultdict(list)
        for number, (name, _, _, _, _, _, values) in enumerate(rows, 1):
            if name in ("mm_page_alloc", "mm_page_free") and values[0] is not None:
                # Two numbers in one: the row, and in its last bit whether this is a free.
                self._events[values[0]].append(number << 1 | (name == "mm_page_free"))
            elif name == "mm_page_free_batched":
                self._batched[values[0]].append(number)

    def next_is_alloc(self, pfn: int, row: int) -> bool:
        """Tell whether the next that happens to a frame from a row on is that it is allocated."""
        events = self._events.get(pfn, [])
        at = bisect_left(events, row << 1)
        return at < len(events) and not events[at] & 1

    def is_batched(self, pfn: int, row: int) -> bool:
        """Tell whether a frame that was freed before a row goes to the lists in a batch behind it."""
        rows, events = self._batched.get(pfn, []), self._events.get(pfn, [])
        at, freed_again = bisect_left(rows, row), bisect_left(events, row << 1)
        return at < len(rows) and (freed_again == len(events) or rows[at] < events[freed_again] >> 1)
