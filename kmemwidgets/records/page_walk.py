"""The way from an address through the page tables to a frame, as somebody who looks at it sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WalkStep:
    """One table on the way.

    Attributes
    ----------
    level : str
        "pgd", "p4d", "pud", "pmd" or "pte".
    table : int or None
        Frame that the table lies in; None for those that boot made, whose frames nobody here knows.
    index : int
        Number of the entry.
    entry : int or None
        What the entry says: 0 for nothing. None where it leads to a table that boot made.
    kind : str
        "none", "table" or "leaf".
    span : int
        Bytes that an entry of this level maps.
    """

    level: str
    table: int | None
    index: int
    entry: int | None
    kind: str
    span: int


@dataclass(frozen=True, slots=True)
class PageWalk:
    """All of it.

    Attributes
    ----------
    address : int
    steps : tuple of WalkStep
        Highest level first; the last one is a leaf, or the entry that says nothing.
    physical : int or None
        The physical address that it ends at; None where nothing is mapped.
    """

    address: int
    steps: tuple[WalkStep, ...]
    physical: int | None
