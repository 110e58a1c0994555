"""What HighmemPanel shows, from a machine that can be asked or from a recording's zones and layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from kmemwidgets.records import HighmemInfo, Snapshot

PAGE = 4096
#: Kinds of the kernel's areas; the first word of an area's name says which.
KINDS = {"direct": "direct", "vmalloc": "vmalloc", "pkmap": "pkmap", "fixmap": "fixmap"}


@runtime_checkable
class HighmemSource(Protocol):
    """A source that can tell how high memory is reached (a simulated machine)."""

    def highmem(self) -> HighmemInfo | None:
        """Return the state just now; None where every page has an address of its own."""


@dataclass(frozen=True, slots=True)
class Ram:
    """Physical memory: first frame without an address, the frame behind the last; where the direct map begins."""

    first_high: int
    end: int
    page_offset: int


@dataclass(frozen=True, slots=True)
class Window:
    """An area of the kernel's addresses, bytes, `end` exclusive."""

    name: str
    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Way:
    """An address that a frame has just now.

    Attributes
    ----------
    kind : str
        "direct", "pkmap", "fixmap" or "vmalloc".
    address : int
    users : int
        How often kmap gave it and kunmap didn't take it back; 1 on the other ways.
    """

    kind: str
    address: int
    users: int = 1

    def __str__(self) -> str:
        name = {"direct": "direct map", "pkmap": "kmap", "fixmap": "for a moment", "vmalloc": "vmalloc"}[self.kind]
        users = f" ({self.users} users)" if self.kind == "pkmap" else ""
        return f"{name} {self.address:#x}{users}"


def ram_of(snapshot: Snapshot, info: HighmemInfo | None) -> Ram | None:
    """Return where low memory ends; None where there is no high memory, or nobody knows."""
    high = [zone for zone in snapshot.zones if zone.name == "HighMem" and zone.present and zone.start_pfn is not None]
    if not high or high[0].start_pfn is None:
        return None
    end = max(zone.start_pfn + (zone.spanned or 0) for zone in high if zone.start_pfn is not None)
    if info is not None:
        return Ram(info.max_low_pfn, end, info.page_offset)
    direct = [window.start for window in windows_of(snapshot) if window.kind == "direct"]
    return Ram(high[0].start_pfn, end, direct[0] if direct else 0xC0000000)


def windows_of(snapshot: Snapshot) -> tuple[Window, ...]:
    """Return the areas of the kernel's addresses, ascending."""
    found = []
    for region in snapshot.layout or ():
        # The memory map is a part of the direct map.
        if region.space != "virtual" or region.name.startswith("user") or region.name == "mem_map":
            continue
        kind = KINDS.get(region.name.split()[0], "other")
        found.append(Window(region.name, kind, region.start, region.end))
    return tuple(sorted(found, key=lambda window: window.start))


def ways_to(pfn: int, ram: Ram, info: HighmemInfo | None) -> tuple[Way, ...]:
    """Return the addresses of a frame just now."""
    if pfn < ram.first_high:
        return (Way("direct", ram.page_offset + pfn * PAGE),)
    if info is None:
        return ()
    found = [
        Way("pkmap", info.pkmap_base + slot * PAGE, info.pkmap_count[slot] - 1)
        for slot, held in enumerate(info.pkmap_pfn)
        if held == pfn
    ]
    found += [Way("fixmap", each.address) for each in info.local if each.pfn == pfn and each.state != "out"]
    found += [
        Way("vmalloc", start + number * PAGE)
        for start, pfns in info.areas
        for number, held in enumerate(pfns)
        if held == pfn
    ]
    return tuple(found)
