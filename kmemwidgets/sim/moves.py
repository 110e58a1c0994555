"""Where pages went: every move of a machine's compaction, so that whoever holds a page can follow it.

Kept beside the state, as the commands are: going back in time forgets nothing, a new command replaces what was undone.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

from .history import History


class MoveLog:
    """The moves of one machine, in the order in which they happened.

    Parameters
    ----------
    history : History
        Of the machine: what moves belongs to the command under way.

    Attributes
    ----------
    stopped : bool
        Commands are carried out again, whose moves are here.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        history.on_cut = self._cut
        self.stopped = False
        # Of each move: the number of its command, from where, to where.
        self._numbers = array("Q")
        self._sources = array("Q")
        self._targets = array("Q")
        # Moves by the frame that they left, of the first `_indexed`.
        self._leaving: dict[int, list[int]] = {}
        self._indexed = 0
        # The undone moves were forgotten before the command under way had replaced theirs.
        self._replaced = False

    def moved(self, source: int, target: int) -> None:
        """Note that the block at a frame went to another one."""
        if self.stopped:
            return
        if self._history.is_behind and not self._replaced:
            self._forget(self._history.now)
            self._replaced = True
        self._numbers.append(self._history.now + 1)
        self._sources.append(source)
        self._targets.append(target)

    def _cut(self, now: int) -> None:
        if not self._replaced:
            self._forget(now)
        self._replaced = False

    def _forget(self, now: int) -> None:
        kept = bisect_right(self._numbers, now)
        for journal in (self._numbers, self._sources, self._targets):
            del journal[kept:]
        if self._indexed > kept:
            self._leaving.clear()
            self._indexed = 0

    def follow(self, pfn: int, since: int, now: int) -> int:
        """Return where the block is at moment `now` that began at a frame at moment `since`."""
        for at in range(self._indexed, len(self._sources)):
            self._leaving.setdefault(self._sources[at], []).append(at)
        self._indexed = len(self._sources)
        at, end = bisect_right(self._numbers, since), bisect_right(self._numbers, now)
        while True:
            leaving = self._leaving.get(pfn, ())
            next_one = bisect_left(leaving, at)
            if next_one == len(leaving) or leaving[next_one] >= end:
                return pfn
            at = leaving[next_one]
            pfn = self._targets[at]
            at += 1
