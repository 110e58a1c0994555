"""GFP flags as a trace prints them: few texts, each read once."""

from __future__ import annotations

from kmemwidgets.records import BadInput, Version
from kmemwidgets.sim.gfp import parse_gfp


class GfpFlags(dict[str, int]):
    """GFP flags by their text.

    A word that nobody knows, of a newer kernel or cut off, is left out and told.

    Parameters
    ----------
    version : tuple of int
        The kernel's.
    notes : list of str
        Where to tell it.
    """

    def __init__(self, version: Version, notes: list[str]) -> None:
        super().__init__()
        self.version = version
        self.notes = notes

    def __missing__(self, text: str) -> int:
        bits = 0
        for word in text.split("|"):
            try:
                bits |= parse_gfp(word, self.version)
            except BadInput:
                note = f"unknown GFP flag {word!r} was left out"
                if note not in self.notes:
                    self.notes.append(note)
        self[text] = bits
        return bits
