"""From what a widget is given to the Source that it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from kmemwidgets.records import BadInput, Changes, FrameInfo, FrameSource, FrameTable, Snapshot, Source

#: Kinds of tables of frames.
FRAME_KINDS = ("flags", "order", "migratetype", "owner", "age")


class StaticSource:
    """A source that never changes: a recording, or the text of a file."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    @property
    def verbs(self) -> Mapping[str, Callable[..., Any]]:
        """Nothing can be done to a recording."""
        return MappingProxyType({})

    def snapshot(self) -> Snapshot:
        """Return the one snapshot there is."""
        return self._snapshot

    def changes(self, since: int) -> Changes:  # noqa: ARG002
        """Return no changes."""
        return Changes(seq=0, ranges=())

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002
        """Never call: nothing changes."""
        return lambda: None

    def frame(self, pfn: int) -> FrameInfo:
        """Return what the snapshot's tables say of a frame; IndexError outside them."""
        return describe_frame(self._snapshot, pfn)


def describe_frame(snapshot: Snapshot, pfn: int) -> FrameInfo:
    """Return what a snapshot says of one frame.

    Raises
    ------
    IndexError
        Where no table has it.
    """
    zone = snapshot.zone_of(pfn)
    if snapshot.frames is None and zone is None:
        raise IndexError(f"no frame {pfn:#x} in {snapshot.name}")
    values: dict[str, Any] = {}
    for kind, table in snapshot.frame_tables.items():
        if table.start_pfn <= pfn < table.end_pfn:
            code = table.codes[pfn - table.start_pfn]
            named = table.labels and kind in ("migratetype", "owner")
            values[kind] = table.labels[code] if named else table.palette[code]
    return FrameInfo(
        pfn=pfn,
        nid=None if zone is None else zone.nid,
        zone=None if zone is None else zone.name,
        flags=None if snapshot.frames is None else snapshot.frames[pfn],
        order=order if (order := values.get("order", -1)) >= 0 else None,
        migratetype=values.get("migratetype"),
        owner=values.get("owner"),
        age=values.get("age"),
    )


def frame_table(source: Source, kind: str = "flags") -> FrameTable | None:
    """Return a source's per-frame table of a kind, live where the source can, else from its snapshot."""
    if isinstance(source, FrameSource):
        return source.frame_table(kind)
    snapshot = source.snapshot()
    return snapshot.frames if kind == "flags" else snapshot.frame_tables.get(kind)


def frame_kinds(source: Source) -> tuple[str, ...]:
    """Return the kinds of `frame_table` that a source has, without working them out where it can tell."""
    kinds = getattr(source, "frame_kinds", None)
    if callable(kinds):
        return tuple(kinds())
    return tuple(kind for kind in FRAME_KINDS if frame_table(source, kind) is not None)


def as_source(given: object, *, takes: Sequence[str] = (), widget: str = "this widget") -> Source:
    """Turn a widget's first argument into a Source.

    Parameters
    ----------
    given : Machine, Capture, Snapshot, Source or str
        A str is the text of a /proc file.
    takes : sequence of str
        The /proc files whose text this widget understands.
    widget : str
        Its name, for the error.
    """
    if isinstance(given, Snapshot):
        return StaticSource(given)
    if isinstance(given, str):
        return StaticSource(_from_text(given, takes, widget))
    if isinstance(given, Source):
        return given
    if callable(getattr(given, "snapshot", None)):
        snapshot = given.snapshot()  # type: ignore[attr-defined]
        if isinstance(snapshot, Snapshot):
            return StaticSource(snapshot)
    texts = f" or the text of /proc/{' or /proc/'.join(takes)}" if takes else ""
    raise TypeError(f"{widget} takes a Machine, a Capture, a Snapshot{texts}, not {type(given).__name__}")


def _from_text(text: str, takes: Sequence[str], widget: str) -> Snapshot:
    if not takes:
        raise BadInput(f"{widget} can't show the text of a file", todo="give it a Machine, a Capture or a Snapshot")
    # Only here: a widget that is given no text needs no parser.
    from kmemwidgets.capture import from_text

    snapshot = from_text(text)
    (file,) = snapshot.files
    if file not in takes:
        raise BadInput(
            f"{widget} can't show /proc/{file}", todo=f"it takes the text of /proc/{' or /proc/'.join(takes)}"
        )
    return snapshot
