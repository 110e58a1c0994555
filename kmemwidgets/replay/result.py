"""What a replay found, trace by trace."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Tally:
    """How many of a number of recorded things were predicted."""

    exact: int = 0
    of: int = 0

    def count(self, equal: bool) -> None:
        """Count one more."""
        self.of += 1
        self.exact += equal

    def as_dict(self, name: str = "exact") -> dict[str, int]:
        """Return it for JSON."""
        return {name: self.exact, "of": self.of}


@dataclass(slots=True)
class Miss:
    """A prediction that was not what the kernel did, and why, where that is known."""

    row: int
    time_ns: int
    cpu: int
    what: str
    predicted: str
    recorded: str
    cause: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "event": self.row,
            "time": f"{self.time_ns // 10**9}.{self.time_ns % 10**9 // 1000:06}",
            "cpu": self.cpu,
            "what": self.what,
            "predicted": self.predicted,
            "recorded": self.recorded,
            "cause": self.cause or None,
        }


@dataclass(slots=True)
class PageResult:
    """What the replay of a trace's page events found.

    Attributes
    ----------
    events : int
        Page events read.
    allocs, refills, drains, steals : Tally
    inferred : int
        Misses explained by frames that the kernel took without an event.
    doubtful : int
        Row of the batch after which an interrupt freed the first frame that was missed, if nothing told
        whether the lists were still locked; -1 if there is none.
    free_lists, pcp_lists, pageblocks : Tally or None
        Final state; None where none was recorded.
    misses : list of Miss
        The first ones.
    notes : list of str
        What the reader should know: lost events, what was not replayed, unequal lists.
    """

    events: int = 0
    allocs: Tally = field(default_factory=Tally)
    refills: Tally = field(default_factory=Tally)
    drains: Tally = field(default_factory=Tally)
    steals: Tally = field(default_factory=Tally)
    inferred: int = 0
    wrong_zone: int = 0
    triggers: int = 0
    doubtful: int = -1
    free_lists: Tally | None = None
    pcp_lists: Tally | None = None
    pageblocks: Tally | None = None
    misses: list[Miss] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def miss(self, miss: Miss) -> None:
        """Keep a miss to be shown, if it is one of the first."""
        if len(self.misses) < 10:
            self.misses.append(miss)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON, as far as the page allocator goes."""
        allocs: dict[str, Any] = {
            "exact": self.allocs.exact,
            "inferred": self.inferred,
            "of": self.allocs.of,
            "first_misses": [miss.as_dict() for miss in self.misses],
        }
        answer: dict[str, Any] = {
            "events": self.events,
            "allocs": allocs,
            "refills": self.refills.as_dict(),
            "drains": self.drains.as_dict(),
            "steals": self.steals.as_dict(),
        }
        for name in ("free_lists", "pcp_lists", "pageblocks"):
            tally: Tally | None = getattr(self, name)
            answer[name] = tally.as_dict("equal") if tally else None
        return answer
