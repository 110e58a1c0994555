"""The moments of a source: how many there are, what each one is, and where it took place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Protocol

from kmemwidgets.records import BadInput, Source
from kmemwidgets.sim.gfp import format_gfp
from kmemwidgets.tracefs import format_event

from .trace import TraceSource

#: Kinds that have a colour of their own; the others share one.
MOST_KINDS = 7


class Moments(Protocol):
    """What a Timeline plays."""

    @property
    def now(self) -> int:
        """How many moments are over."""

    def __len__(self) -> int:
        """How many there are."""

    def kind(self, index: int) -> str:
        """Return what kind of thing happened."""

    def text(self, index: int) -> str:
        """Say it in a line."""

    def place(self, index: int) -> dict[str, Any]:
        """Return the words of a Focus that say where it took place."""

    def goto(self, number: int) -> None:
        """Bring the source to where it was after `number` moments."""


class RunMoments:
    """The commands of a simulated machine."""

    def __init__(self, machine: Any) -> None:
        self._machine = machine

    @property
    def now(self) -> int:
        """How many commands are in force."""
        return int(self._machine.now)

    def __len__(self) -> int:
        return len(self._machine.history.commands)

    def kind(self, index: int) -> str:
        """Return the verb."""
        return str(self._machine.history.commands[index][0])

    def text(self, index: int) -> str:
        """Write the command as a call."""
        name, arguments = self._machine.history.commands[index]
        shown = ["" if value is None else str(value) for value in arguments]
        if name == "alloc_pages":
            gfp, order, node, cpu = arguments[:4]
            shown = [format_gfp(gfp, self._machine.spec().kernel), f"order={order}", f"cpu={cpu}"]
            shown += [] if node is None else [f"node={node}"]
        elif name == "free_pages":
            shown = [f"{arguments[0]:#x}", f"order={arguments[1]}"]
        return f"{name}({', '.join(shown)})"

    def place(self, index: int) -> dict[str, Any]:
        """Return the frames that a free names; those that a request got are not in the log."""
        name, arguments = self._machine.history.commands[index]
        if name == "free_pages":
            return {"start": int(arguments[0]), "count": 1 << int(arguments[1])}
        return {}

    def goto(self, number: int) -> None:
        """Bring the machine to where it was after `number` commands."""
        self._machine.goto(number)


class TraceMoments:
    """The events of a trace."""

    def __init__(self, source: TraceSource) -> None:
        self._source = source

    @property
    def now(self) -> int:
        """How many events are over."""
        return self._source.now

    def __len__(self) -> int:
        return len(self._source.events)

    def kind(self, index: int) -> str:
        """Return the event's name."""
        return self._source.events[index].name

    def text(self, index: int) -> str:
        """Write the event as a trace does, without leading blanks."""
        return format_event(self._source.events[index]).strip()

    def place(self, index: int) -> dict[str, Any]:
        """Return the frames that the event names."""
        fields = self._source.events[index].fields
        pfn, order = fields.get("pfn"), fields.get("order", fields.get("fallback_order", 0))
        if not isinstance(pfn, int) or not isinstance(order, int) or pfn < 0 or not 0 <= order < 64:
            return {}
        zone = self._source.zone_of(pfn)
        where = {} if zone is None else {"node": zone.nid, "zone": zone.name}
        return {**where, "start": int(pfn), "count": 1 << order}

    def goto(self, number: int) -> None:
        """Bring the frames to where they were after `number` events."""
        self._source.goto(number)


def moments_of(source: Source) -> Moments:
    """Return the moments of a source that can be brought to them.

    Raises
    ------
    BadInput
        Where it can't.
    """
    if isinstance(source, TraceSource):
        return TraceMoments(source)
    if "goto" in source.verbs and hasattr(source, "history"):
        return RunMoments(source)
    raise BadInput("this source has one moment only", todo="give a Machine, or a Capture with trace= one of its traces")


class Kinds:
    """The kinds of all moments as a byte each, kept up while a run grows."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        self._codes = bytearray()
        self.names: list[str] = []

    def update(self) -> None:
        """Look at moments that are new; a run that was cut and went another way is looked at anew."""
        length = len(self._moments)
        if length < len(self._codes) or (self._codes and self._differs(len(self._codes) - 1)):
            self._codes.clear()
        for index in range(len(self._codes), length):
            self._codes.append(self._code(self._moments.kind(index)))

    def _differs(self, index: int) -> bool:
        return self._codes[index] != self._code(self._moments.kind(index))

    def _code(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return min(self.names.index(name), 255)

    def bins(self, bins: int) -> list[tuple[str, list[int]]]:
        """Count kinds in equal pieces of the whole, the commonest kinds first, the rest as "others"."""
        length = len(self._codes)
        bins = max(1, min(bins, length))
        edges = [length * i // bins for i in range(bins + 1)]
        totals = sorted(((self._codes.count(code), -code) for code in range(len(self.names))), reverse=True)
        common = [-code for count, code in totals[:MOST_KINDS] if count]
        rows = [(self.names[code], list(self._counts(code, edges))) for code in common]
        others = [-code for count, code in totals[MOST_KINDS:] if count]
        if others:
            columns = zip(*(list(self._counts(code, edges)) for code in others), strict=True)
            rows.append(("others", [sum(column) for column in columns]))
        return rows

    def _counts(self, code: int, edges: list[int]) -> Iterator[int]:
        return (self._codes.count(code, a, b) for a, b in pairwise(edges))
