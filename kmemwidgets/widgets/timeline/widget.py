"""The widget: what it sends, what it says, what Python can do with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import traitlets

from kmemwidgets.records import BadInput, Snapshot, TraceEvent
from kmemwidgets.widgets._assemble import assemble, styles
from kmemwidgets.widgets._base import HELP, Gesture, KmemWidget
from kmemwidgets.widgets._picture import svg, tag, words
from kmemwidgets.widgets._words import count
from kmemwidgets.widgets.focus import Focus
from kmemwidgets.widgets.plots import HUES
from kmemwidgets.widgets.source import as_source

from .moments import Kinds, Moments, moments_of
from .trace import TraceSource

#: Moments a second that can be chosen.
SPEEDS = (1, 4, 16, 64, 256, 1024, 4096)
#: Pieces of the picture of all moments, and lines shown around the present one.
_BINS, _LINES = 240, 8
_PAGE = 100


class Timeline(KmemWidget):
    """Plays, steps and scrubs through a simulated run or a recorded trace, forward and back.

    Parameters
    ----------
    source : Machine, Capture, Snapshot or str
        A machine plays its own commands. With `trace`: the state before it; a str is the text of a trace.
    trace : str, or sequence of TraceEvent, optional
        Name of a trace of the Capture ("t_fork"), or the events themselves.
    position : int, optional
        How many moments are over at first.
    on_select, width, height, theme
        As with every widget.

    Attributes
    ----------
    source : Source
        Give it to other widgets: they show the moment that this one stands at.

    Examples
    --------
    >>> from kmemwidgets import Capture, FrameMap, Timeline, link
    >>> line = Timeline(Capture.bundled("amd64-512m"), trace="t_quiet")             # doctest: +SKIP
    >>> link(line, FrameMap(line.source))                                           # doctest: +SKIP
    """

    _esm = assemble(__file__)
    _css = styles(__file__, "chart.css")

    NAME = "timeline"
    TITLE = "Timeline"
    GESTURES: ClassVar[tuple[Gesture, ...]] = (
        Gesture("play", "Play, or pause", "click ▶", (" ", "p"), "toggle_play"),
        Gesture("next", "One moment forward", "click ›", ("ArrowRight", "l"), "step"),
        Gesture("previous", "One moment back", "click ‹", ("ArrowLeft", "h"), "step"),
        Gesture("forward", "A hundred moments forward", "drag the scrubber", ("PageDown",), "step"),
        Gesture("back", "A hundred moments back", "drag the scrubber", ("PageUp",), "step"),
        Gesture("first", "To the beginning", "click |‹", ("Home",), "go_to"),
        Gesture("last", "To the end", "click ›|", ("End",), "go_to"),
        Gesture("faster", "Play faster", "choose the speed", ("+", "="), "faster"),
        Gesture("slower", "Play slower", "choose the speed", ("-",), "slower"),
        Gesture("alike", "To the next moment of the same kind", "click a kind in the legend", ("n",), "next_alike"),
        Gesture("why", "Why here? What this command decided", "click Why here?", ("w",), "why", "why"),
        HELP,
    )

    position = traitlets.Int(0, help="how many moments are over").tag(sync=True)
    playing = traitlets.Bool(False, help="whether a page plays it").tag(sync=True)
    speed = traitlets.Enum(SPEEDS, default_value=16, help="moments a second").tag(sync=True)

    said = traitlets.Unicode("", help="what the command at this moment decided, in words").tag(sync=True)

    def __init__(
        self,
        source: object,
        /,
        *,
        trace: object = None,
        position: int | None = None,
        on_select: Callable[[Focus], object] | None = None,
        width: int | None = None,
        height: int | None = None,
        theme: str | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__(
            _with_trace(source, trace), on_select=on_select, width=width, height=height, theme=theme, **unknown
        )
        self._moments: Moments = moments_of(self._source)
        self._kinds = Kinds(self._moments)
        self.position = self._moments.now
        if position is not None:
            self.go_to(position)

    # What is shown --------------------------------------------------------------------

    @property
    def length(self) -> int:
        """How many moments there are."""
        return len(self._moments)

    def data(self) -> dict[str, Any]:
        """Return the picture of all moments, and the lines around the present one."""
        self._kinds.update()
        rows = self._kinds.bins(_BINS)
        return {
            "name": self.snapshot.name,
            "length": len(self._moments),
            "kinds": [[name, HUES[i % len(HUES)], counts] for i, (name, counts) in enumerate(rows)],
            "speeds": list(SPEEDS),
            **self._here(),
        }

    def send_changes(self) -> None:
        """Follow the source: it may have been changed by others."""
        if self.position != self._moments.now:
            self.position = self._moments.now
        else:
            super().send_changes()

    def line(self, number: int) -> str:
        """Say moment `number`, counted from 1."""
        return self._moments.text(number - 1)

    def summary(self) -> str:
        """Say where it stands, and what happened last."""
        head = f"Timeline of {self.snapshot.name}: {count(self.position)} of {count(len(self._moments))}"
        return f"{head}\n  {self.line(self.position)}" if self.position else head

    def picture(self) -> str:
        """Draw all moments by kind, and where it stands."""
        self._kinds.update()
        rows = self._kinds.bins(_BINS)
        width, height = 720, 90
        parts = [words(self.summary().splitlines()[0], 8, 18)]
        most = max((sum(column) for column in zip(*(counts for _, counts in rows), strict=True)), default=0) or 1
        foot: list[float] = [height - 4.0] * max((len(counts) for _, counts in rows), default=0)
        for i, (_, counts) in enumerate(rows):
            wide = (width - 16) / len(counts)
            for at, number in enumerate(counts):
                high = 58 * number / most
                foot[at] -= high
                if number:
                    parts.append(
                        tag("rect", x=8 + at * wide, y=foot[at], width=wide, height=high, fill=HUES[i % len(HUES)])
                    )
        x = 8 + (width - 16) * self.position / max(1, len(self._moments))
        parts.append(tag("line", x1=x, x2=x, y1=24, y2=height - 2, stroke="#16191d", stroke_width=1.5))
        return svg(width, height, *parts)

    # What can be done -----------------------------------------------------------------

    def go_to(self, number: int) -> None:
        """Bring the source, and all linked widgets, to where they were after `number` moments."""
        if not 0 <= number <= len(self._moments):
            raise ValueError(f"no moment {number}; there are 0 to {len(self._moments)}")
        self.position = number

    def step(self, moments: int = 1) -> None:
        """Go forward, or back; stops at the ends."""
        self.position = min(max(self.position + moments, 0), len(self._moments))

    def next_alike(self, kind: str | None = None) -> None:
        """Go to the next moment of a kind, that of what happened last if not given; stays where there is none."""
        here = self.position
        if kind is None and here:
            kind = self._moments.kind(here - 1)
        for index in range(here, len(self._moments)):
            if kind is None or self._moments.kind(index) == kind:
                self.position = index + 1
                return

    def why(self) -> tuple[str, ...]:
        """Tell what the command at this moment decided, in sentences; nothing at the beginning."""
        told: tuple[str, ...] = tuple(self._verb("why", number=self.position)) if self.position else ()
        self.said = "\n".join(told)
        return told

    def play(self) -> None:
        """Let a page that shows it play it."""
        self.playing = True

    def pause(self) -> None:
        """Stop playing."""
        self.playing = False

    def toggle_play(self) -> None:
        """Play, or pause."""
        self.playing = not self.playing

    def faster(self) -> None:
        """Play faster."""
        self._speed(1)

    def slower(self) -> None:
        """Play slower."""
        self._speed(-1)

    # Inside ---------------------------------------------------------------------------

    def _speed(self, step: int) -> None:
        self.speed = SPEEDS[min(max(SPEEDS.index(self.speed) + step, 0), len(SPEEDS) - 1)]

    def _here(self) -> dict[str, Any]:
        """Return the lines around the present moment, each with its number."""
        length, now = len(self._moments), self._moments.now
        first = min(max(now - _LINES, 0), max(length - 2 * _LINES, 0))
        return {
            "now": now,
            "lines": [
                [index + 1, self._moments.kind(index), self._moments.text(index)]
                for index in range(first, min(first + 2 * _LINES, length))
            ],
        }

    @traitlets.observe("position")
    def _moved(self, change: Mapping[str, Any]) -> None:
        if not hasattr(self, "_moments"):
            return
        number = min(max(int(change["new"]), 0), len(self._moments))
        if number != change["new"]:
            self.position = number
            return
        self.said = ""
        if number != self._moments.now:
            self._moments.goto(number)
        if self.watched:
            self._wire.delta(self._here())
        place = self._moments.place(number - 1) if number else {}
        self.select(event=number, **place)

    def _chosen(self, change: Mapping[str, Any]) -> None:
        """Follow a linked widget that looks at another event."""
        super()._chosen(change)
        place = change["new"]
        event = place.get("event")
        if place.get("origin") != self.model_id and isinstance(event, int) and hasattr(self, "_moments"):
            self.position = min(max(event, 0), len(self._moments))


def _with_trace(source: object, trace: object) -> object:
    """Return what Timeline plays: the source itself, or the trace from the state before it."""
    if isinstance(source, str):
        # Only here: a run needs no reader of traces.
        from kmemwidgets.tracefs import parse

        return TraceSource(Snapshot(name="trace", arch="", kernel=()), parse(source).events)
    if trace is None:
        return source
    if isinstance(trace, str):
        return _recorded(source, trace)
    events = tuple(trace) if hasattr(trace, "__iter__") else ()
    if not events or not all(isinstance(event, TraceEvent) for event in events):
        raise BadInput("a trace is the name of one, or events", todo='trace="t_fork", or tracefs.parse(text).events')
    return TraceSource(as_source(source, widget="Timeline").snapshot(), events)


def _recorded(source: Any, name: str) -> TraceSource:
    from kmemwidgets.capture import Capture
    from kmemwidgets.tracefs import parse

    if not isinstance(source, Capture):
        raise BadInput("only a Capture has traces", todo="give the events themselves")
    if name not in source.traces():
        raise BadInput(f"{source.name} has no trace {name!r}", todo=f"it has {', '.join(source.traces()) or 'none'}")
    before = f"{name}/before"
    snapshot = source.snapshot(before) if before in source.moments() else source.snapshot()
    events = parse(source.text(f"{name}/trace"), where=f"{name}/trace").events
    there = source.has(f"{name}/freelists.before") and any(event.name == "mm_page_alloc" for event in events)
    return TraceSource(snapshot, events, partial(_replay, source, name, events) if there else None)


def _replay(source: Any, name: str, events: Sequence[TraceEvent]) -> tuple[Any, Any]:
    """Return a trace's player, and which of its rows the events are."""
    # Only here: most timelines are never asked for more than frames.
    from kmemwidgets.replay.player import RowsOfEvents, open_player

    player = open_player(source, name)
    if isinstance(player, str):
        raise BadInput(player, where=f"{source.name}/{name}")
    return player, RowsOfEvents(events, player.rows)
