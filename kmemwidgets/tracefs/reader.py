"""Read trace text into records, and tell all that could not be read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from kmemwidgets.records import BadInput, TraceEvent

from .head import MAX_LINE, Head, is_notice, read_head, read_lost, read_text, read_time, split_lines
from .layouts import EVENTS
from .template import read_pairs

#: So many events are kept in memory at most; `scan` has no such bound.
MAX_EVENTS = 2_000_000
# So many unreadable lines are shown; all are counted.
_SHOWN = 20
_HEADER = re.compile(r"# entries-in-buffer/entries-written: (\d{1,19})/(\d{1,19})\s+#P:(\d{1,5})\s*")


@dataclass(frozen=True, slots=True)
class Lost:
    """A cpu's events were lost before event `seq`; `count` None: nobody knows how many."""

    seq: int
    cpu: int
    count: int | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is no event. `line` counts from 1."""

    line: int
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class TraceFile:
    """What a trace holds, and what of it could not be read.

    Attributes
    ----------
    events : tuple of TraceEvent
        In the order of the text.
    lost : tuple of Lost
    unknown : mapping of str to int
        Events that no layout describes, with how many there were. Their fields are what looks like
        ``name=value``; else all of it is in the field "text".
    unreadable : int
        Lines that are neither an event nor a notice; `shown` has the first of them.
    shown : tuple of Unreadable
    cut : bool
        The last line ended too early. An event cut off is left out.
    overwritten : int
        Events written before the first one here, which the ring buffer no longer had.
    backward : int
        Places where the time stamp goes back (cpus with clocks of their own): see `in_time_order`.
    escaped : bool
        Some bytes were no UTF-8; they stand as backslash, x and two digits.
    cpus : int or None
        As the header tells.
    pointer_digits : int
        With how many digits this machine prints a pointer.
    """

    events: tuple[TraceEvent, ...]
    lost: tuple[Lost, ...] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)
    unreadable: int = 0
    shown: tuple[Unreadable, ...] = ()
    cut: bool = False
    overwritten: int = 0
    backward: int = 0
    escaped: bool = False
    cpus: int | None = None
    pointer_digits: int = 16

    @property
    def complete(self) -> bool:
        """Whether every event between the first and the last is here."""
        return not (self.lost or self.unreadable or self.cut)


def parse(source: str | bytes | Iterable[str] | Iterable[bytes], *, where: str = "trace") -> TraceFile:
    """Read ``trace``, ``trace-cmd report`` or ``perf script`` text.

    Parameters
    ----------
    source : str, bytes, or lines of either
    where : str
        How to call it in errors.

    Returns
    -------
    TraceFile

    Raises
    ------
    BadInput
        Where no line of the text is an event though it has other lines, or there are more than `MAX_EVENTS`.

    Examples
    --------
    >>> line = "    work-26  [000] d..3.    13.947687: mm_page_free: page=ffffea0000234c80 pfn=0x8d32 order=0"
    >>> parse(line).events[0].fields["pfn"]
    36146
    """
    text, escaped = read_text(source, where)
    return _Reader(*split_lines(text), escaped, where).read()


class _Reader:
    """One run over the lines of a trace."""

    def __init__(self, lines: list[str], ended: bool, escaped: bool, where: str) -> None:
        self.lines = lines
        self.ended = ended
        self.escaped = escaped
        self.where = where
        self.events: list[TraceEvent] = []
        self.lost: list[Lost] = []
        self.unknown: Counter[str] = Counter()
        self.unreadable = 0
        self.shown: list[Unreadable] = []
        self.header: tuple[int, int, int] | None = None
        self.pointer_digits = 0

    def read(self) -> TraceFile:
        cut = False
        for number, line in enumerate(self.lines, 1):
            head = read_head(line)
            last = number == len(self.lines) and not self.ended
            if head is not None:
                cut |= not self.event(head, last)
            elif last and not is_notice(line):
                cut = True
            else:
                self.other(number, line)
            if len(self.events) > MAX_EVENTS:
                raise BadInput(
                    f"more than {MAX_EVENTS} events", where=f"{self.where}:{number}", todo="cut the trace into parts"
                )
        if not self.events and (self.unreadable or cut):
            raise BadInput(
                "no event in this text",
                where=f"{self.where}:{self.shown[0].line if self.shown else 1}",
                todo="give the text of tracefs trace, trace-cmd report or perf script",
            )
        kept, written, cpus = self.header or (0, 0, None)
        times = [event.time_ns or 0 for event in self.events]
        return TraceFile(
            events=tuple(self.events),
            lost=tuple(self.lost),
            unknown=dict(self.unknown),
            unreadable=self.unreadable,
            shown=tuple(self.shown),
            cut=cut,
            overwritten=max(0, written - kept),
            backward=sum(b < a for a, b in pairwise(times)),
            escaped=self.escaped,
            cpus=cpus,
            pointer_digits=self.pointer_digits or 16,
        )

    def event(self, head: Head, last: bool) -> bool:
        """Add an event; False where it is the last line and cut off."""
        comm, pid, cpu, flags, time, system, name, text = head
        layout = EVENTS.get(name)
        fields = read_fields(name, text)
        if fields is None:
            if is_cut(name, text, last):
                return False
            self.unknown[name] += 1
            fields = read_pairs(text)
            if fields is None or (not system and not fields):
                fields = {"text": text}
        elif not self.pointer_digits and layout is not None:
            self.pointer_digits = next((d for form in layout.forms if (d := form.pointer_digits(text))), 0)
        if not system:
            system = layout.system if layout else "kprobes" if "probe" in fields else ""
        self.events.append(
            TraceEvent(
                seq=len(self.events), system=system, name=name, fields=fields, cpu=cpu, time_ns=read_time(time),
                pid=pid, comm=comm, flags=flags,
            )
        )  # fmt: skip
        return True

    def other(self, number: int, line: str) -> None:
        """Look at a line that is no event."""
        lost = read_lost(line)
        if lost:
            self.lost.append(Lost(len(self.events), *lost))
            return
        header = _HEADER.fullmatch(line) if line.startswith("# entries") and len(line) < MAX_LINE else None
        if header:
            kept, written, cpus = header.groups()
            self.header = int(kept), int(written), int(cpus)
        elif not is_notice(line):
            self.unreadable += 1
            if len(self.shown) < _SHOWN:
                why = f"longer than {MAX_LINE} characters" if len(line) > MAX_LINE else "not an event"
                self.shown.append(Unreadable(number, line[:200], why))


def read_fields(name: str, text: str) -> dict[str, Any] | None:
    """Return the fields of an event's text; None where no layout and no kprobe reads it."""
    layout = EVENTS.get(name)
    if layout is None:
        return read_pairs(text) if text.startswith("(") else None
    for more in (False, True):
        for form in layout.forms:
            fields = form.read(text, more=more)
            if fields is not None:
                return fields
    return read_fields(name, text.strip()) if text != text.strip() else None


def is_cut(name: str, text: str, last: bool) -> bool:
    """Tell whether an event that could not be read is one that should be known, in a line without an end."""
    return last and (name in EVENTS or text.startswith("("))


def in_time_order(events: Iterable[TraceEvent]) -> tuple[TraceEvent, ...]:
    """Sort by time stamp; what one cpu did stays in its order. `seq` stays too."""
    return tuple(sorted(events, key=lambda event: event.time_ns if event.time_ns is not None else event.seq))
