"""Who took each frame in a trace, and with which event: what a map shows as owner and age."""

from __future__ import annotations

from collections.abc import Sequence

from kmemwidgets.records import KPF, FrameTable, TraceEvent
from kmemwidgets.sim.ages import STEPS, step_label

#: Tasks that have a code of their own.
MOST_TASKS = 200

#: What is no task's; the palette of ages has their numbers below zero, as they are no ages.
_OTHERS = ("free", "before the trace", "reserved at boot", "no memory here")
FREE, BEFORE, RESERVED, HOLE = range(4)
_FIRST = len(_OTHERS)


LABELS_OF_AGE = (*_OTHERS, *(step_label(step, "event") for step in range(STEPS)))
AGES = (*range(-_FIRST, 0), 0, *(1 << step for step in range(STEPS - 1)))


class Takers:
    """The frames of a machine by the task that took them, at any moment of a trace.

    Parameters
    ----------
    before : FrameTable
        Flags of all frames before the first event.
    events : sequence of TraceEvent
    journal : sequence of (int, int, int, bool)
        Of each event that takes or frees frames of the table: its index, first entry, entries, whether it takes.
    """

    def __init__(
        self, before: FrameTable, events: Sequence[TraceEvent], journal: Sequence[tuple[int, int, int, bool]]
    ) -> None:
        self._start = before.start_pfn
        self._journal = journal
        self._base = bytes(before.codes).translate(_codes_of(before.palette))
        names: dict[str, int] = {}
        for index, _, _, takes in journal:
            if takes and len(names) < MOST_TASKS:
                names.setdefault(events[index].comm or "unknown", _FIRST + len(names))
        self._more = _FIRST + len(names)
        self._codes_of_events = {
            index: names.get(events[index].comm or "unknown", self._more) for index, _, _, takes in journal if takes
        }
        self.labels = (*_OTHERS, *names, "other tasks")
        self._applied = 0
        self._codes = bytearray(self._base)
        #: First entry of each block taken in the trace: its number of entries, and the event.
        self._blocks: dict[int, tuple[int, int]] = {}

    def owners(self, done: int) -> FrameTable:
        """Return every frame's owner when so many entries of the journal are over."""
        self._apply(done)
        return FrameTable(self._start, bytes(self._codes), tuple(range(len(self.labels))), "owner", self.labels)

    def ages(self, done: int, now: int) -> FrameTable:
        """Return every frame's age when so many entries of the journal, and `now` events, are over."""
        self._apply(done)
        ages = bytearray(
            self._codes.translate(bytes(min(code, BEFORE) if code >= _FIRST else code for code in range(256)))
        )
        for first, (count, index) in self._blocks.items():
            code = _FIRST + min((now - index - 1).bit_length(), STEPS - 1)
            ages[first : first + count] = bytes((code,)) * count
        return FrameTable(self._start, bytes(ages), AGES, "age", LABELS_OF_AGE)

    def taken_by(self, entry: int, done: int) -> int | None:
        """Return the index of the event that took the block of an entry of the table; None if none did."""
        self._apply(done)
        head = self._head(entry)
        return None if head is None else self._blocks[head][1]

    def owner(self, entry: int, done: int) -> str:
        """Return the owner of an entry of the table."""
        self._apply(done)
        return self.labels[self._codes[entry]]

    def _apply(self, done: int) -> None:
        """Bring the tables to a moment: on from where they are, or from the beginning."""
        if done < self._applied:
            self._codes[:] = self._base
            self._blocks.clear()
            self._applied = 0
        codes, blocks = self._codes, self._blocks
        for index, first, count, takes in self._journal[self._applied : done]:
            if takes:
                blocks[first] = (count, index)
                codes[first : first + count] = bytes((self._codes_of_events[index],)) * count
                continue
            if blocks.pop(first, (0, 0))[0] != count:
                self._split(first, count)
            codes[first : first + count] = bytes(count)
        self._applied = done

    def _split(self, first: int, count: int) -> None:
        """Let a free take a part of a larger block: what stays are single frames."""
        head = self._head(first)
        if head is None:
            return
        size, index = self._blocks.pop(head)
        for entry in range(head, head + size):
            if not first <= entry < first + count:
                self._blocks[entry] = (1, index)

    def _head(self, entry: int) -> int | None:
        """Return the first entry of the taken block that holds an entry; blocks begin at multiples of their size."""
        pfn = self._start + entry
        for order in range(21):
            head = (pfn & -(1 << order)) - self._start
            if head in self._blocks and entry < head + self._blocks[head][0]:
                return head
        return None


def _codes_of(palette: Sequence[int]) -> bytes:
    """Translate a table of flags: frames in use have been so since before the trace."""
    table = bytearray(256)
    for code, word in enumerate(palette):
        kinds = ((HOLE, KPF["NOPAGE"]), (FREE, KPF["BUDDY"]), (RESERVED, KPF["RESERVED"]))
        table[code] = next((kind for kind, bit in kinds if word & bit), BEFORE)
    return bytes(table)
