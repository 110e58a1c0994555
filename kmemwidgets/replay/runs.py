"""Lay refills, drains and steals beside the recorded ones, run by run."""

from __future__ import annotations

from typing import Any

from kmemwidgets.sim.events import EXTFRAG, PCPU_DRAIN, ZONE_LOCKED
from kmemwidgets.tracefs import read_time

from .cpu import Cpu, Run
from .result import Miss, PageResult, Tally

#: With so many misses at most, what is simulated is what was recorded.
FEW = 3


class Runs:
    """What the simulation did, and what was recorded, compared as soon as a run ends.

    Attributes
    ----------
    result : PageResult
    """

    def __init__(self) -> None:
        self.result = PageResult()
        #: What the simulation told since the last look.
        self._told: list[tuple[Any, ...]] = []
        self._row = 0
        #: The stamp of the row, as printed.
        self._time = "0"

    def _all_explained(self) -> bool:
        """Tell whether the state can be trusted: hardly any allocation was missed."""
        return self.result.allocs.of - self.result.allocs.exact <= FEW

    def _hear(self, state: Cpu) -> None:
        for event in self._told:
            kind = event[0]
            if kind == ZONE_LOCKED:
                state.refilled.append(event[2:6])
            elif kind == PCPU_DRAIN:
                state.drained.append(event[2:5])
            elif kind == EXTFRAG:
                state.stolen.append(event[2:])
        self._told.clear()

    def _compare(self, state: Cpu, cpu: int) -> None:
        """Compare the runs that ended."""
        if self._told:
            self._hear(state)
        if state.refill or state.refilled:
            if len(state.refill) > len(state.refilled) > 0:
                self._begin_doubled(state, cpu)
            self._compare_run("refill", self.result.refills, state.refill, state.refilled, cpu)
        if state.drain or state.drained:
            self._compare_run("drain", self.result.drains, state.drain, state.drained, cpu)
        if state.steal or state.stolen:
            self._compare_steals(state, cpu)

    def _begin_doubled(self, state: Cpu, cpu: int) -> None:
        """Learn from a refill that is longer than the simulated one; only an allocator knows whether it may be."""

    def _compare_run(self, what: str, tally: Tally, recorded: Run, predicted: Run, cpu: int) -> None:
        if what == "drain" or (recorded and recorded[0][3]) or any(values[3] for values in recorded):
            # A whole recorded run counts as one; what is compared are frames and orders.
            if recorded:
                equal = recorded == predicted or [run[:2] for run in recorded] == [run[:2] for run in predicted]
                tally.count(equal)
            if not recorded or not equal:
                self._miss(what, _run(predicted), _run(recorded), cpu)
        elif predicted and any(values[3] for values in predicted):
            self._miss(what, _run(predicted), _run(recorded), cpu)
        recorded.clear()
        predicted.clear()

    def _compare_steals(self, state: Cpu, cpu: int) -> None:
        for index, values in enumerate(state.steal):
            # The kernel prints one field more, which follows from the orders.
            fields = (*values[:6], values[7]) if len(values) > 7 else values
            mine = state.stolen[index] if index < len(state.stolen) else ()
            equal = tuple(fields) == tuple(mine)
            self.result.steals.count(equal)
            if not equal:
                self._miss("steal", str(mine), str(fields), cpu)
        state.steal.clear()
        state.stolen.clear()

    def _miss(self, what: str, predicted: str, recorded: str, cpu: int, cause: str = "") -> None:
        cause = cause or self._usual_cause()
        self.result.miss(Miss(self._row, read_time(self._time), cpu, what, predicted, recorded, cause))

    def _usual_cause(self) -> str:
        """Say what a miss comes from at this point of the trace if nothing better is known."""
        return ""


def _run(run: Run) -> str:
    """Shorten a run of frames."""
    frames = " ".join(f"{values[0]:#x}/{values[1]}" for values in run[:6])
    return f"{len(run)}: {frames}{' ...' if len(run) > 6 else ''}" if run else "none"
