"""What comes later in a trace: asked after a miss, to tell why it was one, and where an interrupt parts a batch."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from operator import length_hint
from typing import Any

#: A batch, and what interrupts it, has fewer events than this.
BATCH_ROWS = 2048
#: So many rows are read at a time.
BLOCK = 512

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


class _Block:
    """Some rows in a row, gone through once.

    Attributes
    ----------
    rest : iterator of Row
        Those that are not over.
    """

    __slots__ = ("_places", "_rows", "rest")

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows
        self.rest = iter(rows)
        self._places: dict[int, list[int]] | None = None

    @property
    def over(self) -> int:
        """How many of the rows are over."""
        return len(self._rows) - length_hint(self.rest)

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the rows that are not over."""
        return self._rows[self.over :]

    def next_of(self, pfn: int) -> str | None:
        """Return the name of the next page event of a frame, None if there is none in this block."""
        if self._places is None:
            # Asked for one frame, it is asked for others soon.
            self._places = {}
            for at, row in enumerate(self._rows):
                if row[0].startswith("mm_page_") and row[6]:
                    self._places.setdefault(row[6][0], []).append(at)
        places = self._places.get(pfn, ())
        over = self.over
        return next((self._rows[at][0] for at in places if at >= over), None)


class LookAhead:
    """Rows one after the other, with a look at those that come next.

    Parameters
    ----------
    rows : iterable of Row
    """

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._source = iter(rows)
        self._now = _Block([])
        self._ready: deque[_Block] = deque()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return chain.from_iterable(self._rests())

    def _rests(self) -> Iterator[Iterator[tuple[Any, ...]]]:
        while self._ready or self._read():
            self._now = self._ready.popleft()
            yield self._now.rest

    def _read(self) -> bool:
        """Read one more block, if there is one."""
        rows = list(islice(self._source, BLOCK))
        if rows:
            self._ready.append(_Block(rows))
        return bool(rows)

    def _blocks(self) -> Iterator[_Block]:
        """Give what is left of the block under way, and the blocks with the next `BATCH_ROWS` rows."""
        yield self._now
        for number in range(BATCH_ROWS // BLOCK):
            if number == len(self._ready) and not self._read():
                return
            yield self._ready[number]

    def is_batched(self, pfn: int) -> bool:
        """Tell whether the next that happens to a frame that was freed is that a batch takes it to the lists."""
        found = (name for block in self._blocks() if (name := block.next_of(pfn)) is not None)
        return next(found, "") == "mm_page_free_batched"

    def next_rows(self) -> Iterator[tuple[Any, ...]]:
        """Give the next `BATCH_ROWS` rows."""
        return chain.from_iterable(block.rows() for block in self._blocks())

    def drained(self, cpu: int) -> int:
        """Return how many pages a cpu's lists give back from here on before anything else happens on that cpu."""
        pages = 0
        for name, _, _, on, _, _, values in self.next_rows():
            if on == cpu and name != "mm_page_pcpu_drain":
                break
            pages += 1 << values[1] if on == cpu else 0
        return pages

    def collapsed(self) -> list[int]:
        """Return the frames that khugepaged frees next, before it allocates again: it has copied them."""
        freed: list[int] = []
        for row in self.next_rows():
            if row[1] == KHUGEPAGED and row[0] == "mm_page_alloc":
                break
            if row[1] == KHUGEPAGED and row[0] == "mm_page_free":
                freed.append(row[6][0])
        return freed
