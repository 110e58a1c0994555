"""How long ago each block in use was taken, in commands: kept only from when somebody asks for it.

A journal says which command took which frame. It is written as commands are carried out for the first time, and
what was done before somebody asked is carried out once more for it. A moment's table is the journal up to there.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

from kmemwidgets.records import FrameTable

from .frames import FREE, HOLE, KEPT, LRU, PER_CPU, USED, Frames
from .memmap import IN_USE, RESERVED, make_table
from .page_alloc import PageAllocator

#: Steps: the last command, the one before, 2 to 3 ago, 4 to 7 ...
STEPS = 24
#: Codes before the steps; the palette has their numbers below zero, as they are no ages.
_OTHERS = ("free", "on a per-CPU list", "reserved at boot", "no memory here", "before the first command")
_FIRST = len(_OTHERS)
_OLDEST = 4


def step_label(step: int, unit: str = "command") -> str:
    """Name a step: how many commands, or whatever is counted, ago."""
    if step == 0:
        return f"the last {unit}"
    low, high = 1 << step - 1, (1 << step) - 1
    return f"1 {unit} ago" if low == high else f"{low:,} to {high:,} {unit}s ago"


LABELS = (*_OTHERS, *map(step_label, range(STEPS)))
PALETTE = (*range(-_FIRST, 0), 0, *(1 << step for step in range(STEPS - 1)))


def _codes() -> bytes:
    table = bytearray(256)
    for code, age in ((FREE, 0), (PER_CPU, 1), (KEPT, 2), (HOLE, 3), (USED, _OLDEST), (LRU, _OLDEST)):
        table[code] = age
    return bytes(table)


_TRANSLATE = _codes()


class Ages:
    """Which command took each block.

    Parameters
    ----------
    page_alloc : PageAllocator

    Attributes
    ----------
    command : int
        Number of the command under way, counted from 1; 0 while commands are carried out that the journal has.
    """

    def __init__(self, page_alloc: PageAllocator) -> None:
        self._page_alloc = page_alloc
        self.command = 0
        # Of each entry: the command, the first frame of the block, and where it came from plus one if it was moved.
        self._numbers = array("Q")
        self._pfns = array("Q")
        self._sources = array("Q")
        # By frame: number of the command that took the block that begins there, as of the first entries.
        self._taken = make_table(4 * len(page_alloc.state)).cast("I")
        self._applied = 0

    def begin(self, number: int) -> None:
        """Note that command `number` is carried out now; what came after the one before it is forgotten.

        0: commands are carried out again that the journal has.
        """
        self.command = number
        if not number:
            return
        kept = bisect_left(self._numbers, number)
        if kept < len(self._numbers):
            for journal in (self._numbers, self._pfns, self._sources):
                del journal[kept:]
            if self._applied > kept:
                self._clear()

    def taken(self, pfn: int, _order: int) -> None:
        """Note that a request took a block."""
        if self.command:
            self._add(pfn, 0)

    def moved(self, source: int, target: int, _order: int) -> None:
        """Note that a block's contents went elsewhere; its age goes with it."""
        if self.command:
            self._add(target, source + 1)

    def _add(self, pfn: int, source: int) -> None:
        self._numbers.append(self.command)
        self._pfns.append(pfn)
        self._sources.append(source)

    def taken_by(self, pfn: int, now: int) -> int:
        """Return the number of the command that took the block in use that begins at a frame; 0: none, it was boot."""
        self._apply(now)
        return self._taken[pfn]

    def table(self, frames: Frames, now: int) -> FrameTable:
        """Return every frame's age at moment `now`, at which the machine is."""
        self._apply(now)
        state, taken = self._page_alloc.state, self._taken
        ages = frames.translated(_TRANSLATE)
        for pfn in set(self._pfns[: self._applied]):
            code = state[pfn]
            if code < IN_USE or code >= RESERVED or ages[pfn] != _OLDEST:
                continue
            size = 1 << (code & 15)
            ages[pfn : pfn + size] = bytes((_FIRST + min((now - taken[pfn]).bit_length(), STEPS - 1),)) * size
        return FrameTable(0, ages, PALETTE, "age", LABELS)

    def _apply(self, now: int) -> None:
        """Bring the table to moment `now`: on from where it is, or from the beginning."""
        wanted = bisect_right(self._numbers, now)
        if wanted < self._applied:
            self._clear()
        taken, numbers, pfns, sources = self._taken, self._numbers, self._pfns, self._sources
        for at in range(self._applied, wanted):
            source = sources[at]
            taken[pfns[at]] = taken[source - 1] if source else numbers[at]
        self._applied = wanted

    def _clear(self) -> None:
        for pfn in self._pfns[: self._applied]:
            self._taken[pfn] = 0
        self._applied = 0
