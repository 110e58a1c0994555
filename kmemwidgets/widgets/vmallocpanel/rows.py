"""vmalloc's areas as the panel shows them: areas and the holes between them, in order of address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from kmemwidgets.records import VmallocArea

#: The first of these that an area has is its kind.
KINDS = ("unpurged", "ioremap", "vmap", "vm_map_ram", "user", "vmalloc")


@dataclass(frozen=True, slots=True)
class Place:
    """An area, or a hole: addresses in bytes, `end` exclusive.

    Attributes
    ----------
    kind : str
        One of `KINDS`, "other", or "hole".
    area : VmallocArea or None
        None for a hole.
    """

    start: int
    end: int
    kind: str
    area: VmallocArea | None = None


def kind_of(area: VmallocArea) -> str:
    """Return what an area is for."""
    if any(flag.startswith("unpurged") for flag in area.flags):
        return "unpurged"
    return next((kind for kind in KINDS if kind in area.flags), "other")


def places(areas: Iterable[VmallocArea]) -> tuple[Place, ...]:
    """Return areas and the holes between them, ascending.

    Where the addresses are hashed (a reader without the right to see them), nothing is
    known of holes, and the areas come in the file's order.
    """
    known = list(areas)
    if any(area.end - area.start != area.size for area in known):
        return tuple(Place(area.start, area.start + area.size, kind_of(area), area) for area in known)
    found: list[Place] = []
    for area in sorted(known, key=lambda area: area.start):
        if found and found[-1].end < area.start:
            found.append(Place(found[-1].end, area.start, "hole"))
        found.append(Place(area.start, area.end, kind_of(area), area))
    return tuple(found)


def by_caller(areas: Iterable[VmallocArea]) -> list[tuple[str, int, int]]:
    """Return caller, number of areas and bytes, the largest first."""
    number: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for area in areas:
        name = area.caller.split("+")[0] or ("(freed, not purged)" if kind_of(area) == "unpurged" else "-")
        number[name] += 1
        size[name] += area.size
    return sorted(((name, number[name], size[name]) for name in size), key=lambda row: (-row[2], row[0]))
