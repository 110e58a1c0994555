"""What is looked at: one place that linked widgets share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import traitlets

from ._turn import InTurn

if TYPE_CHECKING:
    from ._base import KmemWidget

#: What a place may say, in the order it is written.
WORDS = ("node", "zone", "start", "count", "cache", "address", "event")


class Focus(InTurn):
    """A node, zone, frame range, cache, address or event; what is not known is None.

    Linked widgets refer to the same Focus, in the browser too, so they follow each
    other without a kernel. Set it with `at`.

    Examples
    --------
    >>> focus = Focus()
    >>> focus.at(node=0, zone="DMA32", start=0x1000)
    >>> focus.frames
    range(4096, 4097)
    """

    place = traitlets.Dict(help="the place as JSON; an address is text, as it may not fit a JavaScript number").tag(
        sync=True
    )

    def at(self, *, origin: str = "", **words: Any) -> None:
        """Look somewhere else; what is not given is not known there.

        Parameters
        ----------
        node : int
        zone : str
        start, count : int
            First frame, and how many (1).
        cache : str
        address : int
        event : int
        origin : str
            model_id of the widget in which it was chosen.
        """
        unknown = sorted(set(words) - set(WORDS))
        if unknown:
            raise TypeError(f"a focus has no {', '.join(unknown)}; it has {', '.join(WORDS)}")
        place = {word: words[word] for word in WORDS if words.get(word) is not None}
        if "start" in place:
            place.setdefault("count", 1)
        if "address" in place:
            place["address"] = hex(place["address"])
        self.place = {**place, "origin": origin} if origin else place

    def clear(self) -> None:
        """Look at nothing in particular."""
        self.place = {}

    @property
    def node(self) -> int | None:
        """Node number."""
        node: int | None = self.place.get("node")
        return node

    @property
    def zone(self) -> str | None:
        """Name of the zone."""
        zone: str | None = self.place.get("zone")
        return zone

    @property
    def frames(self) -> range | None:
        """Page frame numbers."""
        start = self.place.get("start")
        return None if start is None else range(int(start), int(start) + int(self.place.get("count") or 1))

    @property
    def frame(self) -> int | None:
        """First of `frames`."""
        frames = self.frames
        return None if frames is None else frames.start

    @property
    def cache(self) -> str | None:
        """Name of the slab cache."""
        cache: str | None = self.place.get("cache")
        return cache

    @property
    def address(self) -> int | None:
        """Virtual address."""
        address = self.place.get("address")
        return None if address is None else int(address, 16)

    @property
    def event(self) -> int | None:
        """Number of the event."""
        event: int | None = self.place.get("event")
        return event

    def __repr__(self) -> str:
        """Write the place, never an object's address."""
        place: Mapping[str, Any] = self.place
        return f"Focus({', '.join(f'{word}={place[word]!r}' for word in WORDS if word in place)})"


def link(*widgets: KmemWidget) -> Focus:
    """Let widgets share one Focus: what is chosen in one is shown in all.

    Parameters
    ----------
    *widgets : KmemWidget
        Two or more; the first one's focus is kept.

    Returns
    -------
    Focus
        The one that they share now.
    """
    if len(widgets) < 2:
        raise TypeError("link() takes two widgets or more")
    focus: Focus = widgets[0].focus
    for widget in widgets[1:]:
        widget.focus = focus
    return focus
