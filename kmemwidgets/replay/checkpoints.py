"""A replay's state, kept and brought back; and somebody who listens to what it decides."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from kmemwidgets.sim.page_alloc import PageAllocator

from .runs import Runs

#: What a replay has of the trace itself: who brings it back gives it the trace anew.
_OF_THE_TRACE = frozenset({"_rows", "_ahead", "_next", "_future", "_ends", "_told", "allocator"})


class Checkpoints(Runs):
    """What makes a replay one that can go back.

    Attributes
    ----------
    allocator : PageAllocator
    """

    allocator: PageAllocator

    def save(self) -> tuple[Any, ...]:
        """Copy all state: the allocator's, and what is under way between two rows."""
        mine = {name: value for name, value in vars(self).items() if name not in _OF_THE_TRACE}
        return self.allocator.save(), deepcopy(mine, self._shared()), tuple(self._told)

    def load(self, saved: tuple[Any, ...]) -> None:
        """Bring all state back to what `save` copied; `begin` gives the trace from there on."""
        state, mine, told = saved
        self.allocator.load(state)
        vars(self).update(deepcopy(mine, self._shared()))
        # Whom the slow path calls was copied as well.
        self.allocator.reclaim = vars(self)["kswapd"]
        self._told[:] = told

    def overhear(self, emit: Callable[[tuple[Any, ...]], None] | None) -> None:
        """Let somebody hear events and decisions beside the replay, or nobody again."""
        told = self._told.append

        def both(event: tuple[Any, ...]) -> None:
            told(event)
            if emit is not None:
                emit(event)

        self.allocator.listen(emit, emit)
        for live in self.allocator.zones:
            live.free_area.trace = told if emit is None else both

    def _shared(self) -> dict[int, Any]:
        """Return what a copy refers to instead of copying it: the allocator and its parts, which keep their state."""
        allocator = self.allocator
        parts = [allocator, allocator.memmap, allocator.rules, *allocator.zones]
        parts += [part for live in allocator.zones for part in (live.zone, live.free_area, *live.pcps)]
        return {id(part): part for part in parts}
