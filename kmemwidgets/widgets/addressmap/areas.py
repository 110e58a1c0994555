"""From a snapshot's layout to what the map draws: ascending areas without gaps, each of a kind."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from kmemwidgets.records import BadInput, Region, Snapshot

#: (pattern in the area's name, kind, word of the glossary). The first that fits counts.
KINDS: tuple[tuple[str, str, str], ...] = (
    (r"non.?canonical", "hole", "non-canonical"),
    (r"hole|guard|unused|gap|reserved for|between", "hole", ""),
    (r"kasan", "kasan", "kasan"),
    (r"user", "user", "user space"),
    (r"vmemmap|memmap|mem_map", "vmemmap", "vmemmap"),
    (r"vmalloc|ioremap", "vmalloc", "vmalloc"),
    (r"module", "modules", "modules"),
    (r"direct|linear|lowmem|page_offset", "direct", "direct map"),
    (r"pkmap|kmap", "pkmap", "pkmap"),
    (r"fixmap", "fixmap", "fixmap"),
    (r"text|kernel image|kernel code|\.init|\.data", "text", "kernel text"),
)

#: The words of the glossary that the map explains.
WORDS = tuple(dict.fromkeys(term for _, _, term in KINDS if term))


@dataclass(frozen=True, slots=True)
class Area:
    """A named piece of an address space; `end` exclusive, `physical` as a Region's."""

    start: int
    end: int
    name: str
    kind: str
    term: str = ""
    says: str = ""
    physical: int | None = None


def kind_of(name: str) -> tuple[str, str]:
    """Return an area's kind and its word in the glossary."""
    for pattern, kind, term in KINDS:
        if re.search(pattern, name, re.IGNORECASE):
            return kind, term
    return "other", ""


def areas(regions: Iterable[Region], bits: int) -> tuple[Area, ...]:
    """Return the whole space in ascending order, what no region covers as holes.

    Parameters
    ----------
    regions : iterable of Region
        The layout; where two overlap, the one that begins later is shown whole
        (an area inside another), and the other around it.
    bits : int
        Width of an address: 32 or 64.

    Raises
    ------
    BadInput
        Where a region is empty or lies outside the space.
    """
    whole = 1 << bits
    cuts = {0, whole}
    ordered = sorted(regions, key=lambda region: (region.start, -region.end))
    for region in ordered:
        if not 0 <= region.start < region.end <= whole:
            raise BadInput(f"area {region.name!r} {region.start:#x}-{region.end:#x} is empty or outside {bits} bits")
        cuts |= {region.start, region.end}
    edges = sorted(cuts)
    found: list[Area] = []
    for start, end in itertools.pairwise(edges):
        inner = [region for region in ordered if region.start <= start and end <= region.end]
        # Sorted by start, longest first: the last one is the innermost.
        name = inner[-1].name if inner else "hole"
        if found and found[-1].name == name and found[-1].end == start and (inner or found[-1].kind == "hole"):
            found[-1] = replace(found[-1], end=end)
            continue
        found.append(
            Area(start, end, name, *kind_of(name), says=inner[-1].says if inner else "", physical=_behind(inner, start))
        )
    return tuple(found)


def _behind(inner: list[Region], start: int) -> int | None:
    """Return what lies behind the start of a piece; of struct pages only whole areas tell."""
    if not inner or inner[-1].physical is None:
        return None
    skipped = start - inner[-1].start
    return inner[-1].physical + skipped if not skipped or kind_of(inner[-1].name)[0] != "vmemmap" else None


def layout_of(snapshot: Snapshot) -> tuple[Area, ...]:
    """Return a snapshot's virtual address space as areas.

    Raises
    ------
    BadInput
        Where the snapshot doesn't know its layout.
    """
    if not snapshot.layout:
        raise BadInput(
            f"{snapshot.name} doesn't show its address layout",
            todo="give AddressMap a Machine, or a capture that holds /proc/kcore's ranges",
        )
    return areas((region for region in snapshot.layout if region.space == "virtual"), bits_of(snapshot))


def bits_of(snapshot: Snapshot) -> int:
    """Return how wide an address is: 32 bits on x86-32 and arm, else 64."""
    return 32 if snapshot.arch in ("x86_32", "arm") else 64
