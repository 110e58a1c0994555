"""A recorded trace at any of its moments: the simulated allocator as it was then, and why it chose as it did.

As a machine's history does, it keeps checkpoints and runs forward again from the nearest one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from kmemwidgets.capture import Capture
from kmemwidgets.records import TraceEvent
from kmemwidgets.sim.events import EventLog
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.why import sentences
from kmemwidgets.tracefs import LOST, Row, scan

from .future import BATCH_ROWS
from .pages import PageReplay
from .trace import not_replayable, prepare, search_start

#: Rows from one checkpoint to the next, at least; and how many checkpoints there are at most.
SPACING, MOST_CHECKPOINTS = 2048, 48

ALLOC, FREE = "mm_page_alloc", "mm_page_free"
#: Decisions that the kernel tells before the request that they were made for.
TOLD_BEFORE = ("mm_page_alloc_zone_locked", "mm_page_alloc_extfrag")
DRAIN = "mm_page_pcpu_drain"
FREED_AT_ONCE = "the pages wait in a batch: they reach the free lists later"


class TracePlayer:
    """A replay that can be brought to where it was after any number of rows.

    Parameters
    ----------
    replay : PageReplay
        At the state before the trace.
    rows : sequence of Row
        The trace.

    Attributes
    ----------
    row : int
        How many rows are over.
    """

    def __init__(self, replay: PageReplay, rows: Sequence[Row]) -> None:
        self.replay = replay
        self.rows = rows
        self.row = 0
        self._spacing = max(SPACING, len(rows) // MOST_CHECKPOINTS)
        self._ended = False
        allocator = replay.allocator
        # A recording's frames were not written by the allocator, which keeps what it touched.
        allocator.memmap.touch(0, max(1, allocator.memmap.max_pfn))
        replay.begin(rows)
        self._kept = {0: replay.save()}

    @property
    def allocator(self) -> PageAllocator:
        """The simulated allocator as it is now."""
        return self.replay.allocator

    def goto(self, row: int) -> None:
        """Bring the allocator to where it was after so many rows.

        Raises
        ------
        ValueError
            For a row that is not in the trace.
        """
        if not 0 <= row <= len(self.rows):
            raise ValueError(f"no row {row}; there are 0 to {len(self.rows)}")
        start = max(at for at in self._kept if at <= row)
        if self._ended or not start <= self.row <= row:
            self._load(start)
        while self.row < row:
            stop = min(row, (self.row // self._spacing + 1) * self._spacing)
            self.replay.go_on(stop - self.row)
            self.row = stop
            if stop % self._spacing == 0 and stop not in self._kept:
                self._kept[stop] = self.replay.save()
        if row == len(self.rows):
            self.replay.end()
            self._ended = True

    def why(self, row: int) -> tuple[str, ...]:
        """Tell in sentences what the allocator decided in the request of a row, counted from 1, and what was recorded.

        A decision that the kernel told, such as a page that goes to a per-CPU list, is told with the request that
        it was made for.
        """
        now = self.row
        name = self.rows[row - 1][0]
        try:
            if name == ALLOC:
                return self._why_alloc(row)
            if name == FREE:
                return self._why_free(row)
            if name in TOLD_BEFORE or name == DRAIN:
                return self._why_decision(row, name)
        finally:
            self.goto(now)
        return ()

    # Inside

    def _why_alloc(self, row: int) -> tuple[str, ...]:
        cpu, pfn = self.rows[row - 1][3], self.rows[row - 1][6][0]
        if pfn is None:
            return ("the recorded request failed: it is not replayed",)
        told = self._listen(row - 1, lambda: self.replay.go_on(1))
        first = next((at for at, event in enumerate(told) if event.name == "request"), 0)
        last = next((at for at, event in enumerate(told) if event.name == ALLOC), len(told) - 1)
        answer = told[first : last + 1]
        mine = next((event.fields["pfn"] for event in answer if event.name == ALLOC), None)
        verdict = (
            f"the recorded kernel gave cpu {cpu} the same frame"
            if mine == pfn
            else f"the recorded kernel gave cpu {cpu} pfn {pfn:#x} instead, and the replay goes on from there"
        )
        return (*self._words(answer), verdict)

    def _why_free(self, row: int) -> tuple[str, ...]:
        pfn = self.rows[row - 1][6][0]

        log = EventLog()

        def until_freed() -> None:
            # The kernel tells of all frees of a batch first, and carries them out one after the other.
            heard = 0
            for _ in range(min(BATCH_ROWS, len(self.rows) - row + 1)):
                self.replay.go_on(1)
                if any(event.name == FREE and event.fields["pfn"] == pfn for event in log.since(heard)):
                    return
                heard = len(log)
            self.replay.end()

        told = self._listen(row - 1, until_freed, log)
        first = next((at for at, event in enumerate(told) if event.name == FREE and event.fields["pfn"] == pfn), None)
        if first is None:
            return (FREED_AT_ONCE,)
        rest = told[first + 1 :]
        end = next((at for at, event in enumerate(rest) if event.name in (FREE, "request")), len(rest))
        return tuple(self._words([told[first], *rest[:end]]))

    def _why_decision(self, row: int, name: str) -> tuple[str, ...]:
        cpu = self.rows[row - 1][3]
        wanted = ALLOC if name in TOLD_BEFORE else FREE
        near = range(row, min(row + BATCH_ROWS, len(self.rows))) if name in TOLD_BEFORE else range(row - 2, -1, -1)
        for at in near:
            if self.rows[at][3] == cpu and self.rows[at][0] == wanted:
                told = self._why_alloc(at + 1) if wanted == ALLOC else self._why_free(at + 1)
                frame = self.rows[at][6][0]
                what = "allocation" if wanted == ALLOC else "free"
                return (f"decided for the {what} of pfn {frame:#x} on cpu {cpu}:" if frame else "", *told)
        return ()

    def _listen(self, row: int, run: Callable[[], None], log: EventLog | None = None) -> list[TraceEvent]:
        """Go to a row, and return all that is told while `run` goes on from there."""
        log = EventLog() if log is None else log
        self.goto(row)
        self._ended = True  # whatever comes next begins at a checkpoint
        self.replay.overhear(log.emit)
        try:
            run()
        finally:
            self.replay.overhear(None)
        return list(log.since(0))

    def _words(self, events: Sequence[TraceEvent]) -> list[str]:
        return sentences(events, self.replay.version, self.allocator.zone_names)

    def _load(self, row: int) -> None:
        self.replay.load(self._kept[row])
        self.replay.begin(self.rows, row)
        self.row = row
        self._ended = False


class RowsOfEvents:
    """Which rows of a replay the events of a trace are; both are counted from 1.

    Parameters
    ----------
    events : sequence of TraceEvent
    rows : sequence of Row
        The events among them that are replayed, and where events were lost, which is no event.

    Raises
    ------
    ValueError
        Where the rows are not those of the events.
    """

    def __init__(self, events: Sequence[TraceEvent], rows: Sequence[Row]) -> None:
        self._rows = [number for number, row in enumerate(rows, 1) if row[0] != LOST]
        names = {row[0] for row in rows}
        self._events = [number for number, event in enumerate(events, 1) if event.name in names]
        if len(self._rows) != len(self._events):
            raise ValueError(f"{len(self._rows)} rows are not {len(self._events)} events")

    def over(self, number: int) -> int:
        """Return how many rows are over when so many events are."""
        done = bisect_right(self._events, number)
        return self._rows[done - 1] if done else 0

    def row(self, number: int) -> int | None:
        """Return the row that event `number` is; None if it is none."""
        at = bisect_left(self._events, number)
        return self._rows[at] if at < len(self._events) and self._events[at] == number else None


def open_player(capture: Capture, trace: str) -> TracePlayer | str:
    """Return the player of a recording's trace; else why its pages can't be replayed."""
    raw = capture.bytes(f"{trace}/trace")
    why_not = not_replayable(capture, trace, raw)
    if why_not:
        return why_not
    _, factors, held = search_start(capture, trace, raw)
    replay, names = prepare(capture, trace, raw, factors=factors, held=held)
    player = TracePlayer(replay, list(scan(raw, names, where=f"{capture.name}/{trace}")))
    # Once through it, so that every moment is near a checkpoint.
    player.goto(len(player.rows))
    player.goto(0)
    return player
