"""What no event shows: whether lists were locked, and how often drains, or refills, had doubled before the trace.

An interrupt that comes right after a batch's last event finds the lists still locked, or no longer; where preemption
is not counted, only the frames that are handed out later tell.

5.14 to 6.6 double drains (free_factor). Every allocation from a cpu's lists halves that, so that zero is right for
lists in use. Those of another node's zone may be freed to for long without an allocation. 6.7 and up double refills
(alloc_factor), and every free halves that. The value is sought by what makes the rest of the trace agree, and told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kmemwidgets.sim.pcp import SCALE_MAX

from .result import PageResult

#: A zone by its place in the allocator's list, and a cpu.
Place = tuple[int, int]
#: Replays from the start with these values, where they are not zero.
Replay = Callable[[Mapping[Place, int]], PageResult]
#: So many lists may begin with a value other than zero.
MOST = 4


def search_factors(
    replay: Replay, first: PageResult, places: Sequence[Place], what: str = "drain"
) -> tuple[PageResult, dict[Place, int]]:
    """Seek the values that explain drains or refills, one list after the other.

    Parameters
    ----------
    replay : callable
    first : PageResult
        What a replay from zeroes found.
    places : sequence of (int, int)
        Lists that may begin with another value.
    what : str
        ``"drain"`` or ``"refill"``: which of them the value doubles.

    Returns
    -------
    tuple
        The best result, and the values that it began with; `first` and none if no value is better.
    """
    best, known = first, dict[Place, int]()
    while len(known) < MOST and (missed := _first_missed(best, what)) is not None:
        tries = [
            (place, factor, replay({**known, place: factor}))
            for place in places
            if place[1] == missed and place not in known
            for factor in range(1, SCALE_MAX + 1)
        ]
        if not tries:
            break
        place, factor, found = max(tries, key=lambda entry: _agreement(entry[2]))
        if _agreement(found) <= _agreement(best):
            break
        best = found
        known[place] = factor
    return best, known


def search_locked(
    replay: Callable[[frozenset[int]], PageResult], first: PageResult
) -> tuple[PageResult, frozenset[int]]:
    """Seek the batches after which an interrupt found the lists still locked.

    Parameters
    ----------
    replay : callable
        Replays with the lists locked after the batches whose last events are in these rows.
    first : PageResult
        What a replay without any found.

    Returns
    -------
    tuple
        The best result, and the rows that it took.
    """
    best, held = first, frozenset[int]()
    while len(held) < MOST and best.doubtful >= 0:
        tried = held | {best.doubtful}
        found = replay(tried)
        if _agreement(found) <= _agreement(best):
            break
        best, held = found, tried
    return best, held


def _first_missed(result: PageResult, what: str) -> int | None:
    """Return the cpu of the first drain or refill that was not predicted, where that is the first miss of all."""
    if not result.misses or result.misses[0].what != what:
        return None
    return result.misses[0].cpu


def _agreement(result: PageResult) -> int:
    """Count what agrees."""
    return sum(tally.exact for tally in (result.allocs, result.refills, result.drains, result.steals))
