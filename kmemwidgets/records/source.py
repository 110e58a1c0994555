"""What a widget is given: something that can show itself and tell what changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from .frames import FrameInfo, FrameTable
from .snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to a source since a sequence number.

    Attributes
    ----------
    seq : int
        The source's number now; ask for the next changes with it.
    ranges : tuple of (int, int), or None
        Frame ranges that changed: first pfn, number of frames; ascending, apart from each
        other. None: ask for everything again (the source no longer knows).
    other : frozenset of str
        What else changed: "zones", "meminfo", "slabs", "vmalloc", "events".
    """

    seq: int
    ranges: tuple[tuple[int, int], ...] | None
    other: frozenset[str] = field(default_factory=frozenset)


@runtime_checkable
class Source(Protocol):
    """The narrow waist between producers (captures, machines) and consumers (widgets, explain, diff)."""

    @property
    def verbs(self) -> Mapping[str, Callable[..., Any]]:
        """What can be done to it, by name; empty for a recording."""

    def snapshot(self) -> Snapshot:
        """Return the whole state now."""

    def changes(self, since: int) -> Changes:
        """Return what changed after sequence number `since`."""

    def frame(self, pfn: int) -> FrameInfo:
        """Return all that is known of one frame."""

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after each change (it must be quick); return a function that stops that."""


@runtime_checkable
class FrameSource(Protocol):
    """What a Source also is where its frames change: it shows them without copying them.

    A widget follows four million frames change by change, so it can't afford a
    snapshot for each.
    """

    def frame_table(self, kind: str = "flags") -> FrameTable | None:
        """Return the frames as they are now. None: not known.

        Codes in a memoryview are live: they go on to show the frames as of the last call of
        this or of `changes`, for as long as the source lives. The palette of a kind stays the same, or grows at its
        end. A source may also tell its kinds without working them out, as ``frame_kinds()``.
        """
