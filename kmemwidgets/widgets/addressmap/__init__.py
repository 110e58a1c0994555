"""AddressMap: the virtual address space of one machine or two, from all of it down to a page."""

from __future__ import annotations

from typing import Any, ClassVar

import traitlets

from kmemwidgets.arch import ARCHES
from kmemwidgets.records import Snapshot, Source, format_version
from kmemwidgets.sim.oops import template

from .._assemble import assemble, styles
from .._base import HELP, Gesture, KmemWidget
from .._words import size
from ..glossary import GLOSSARY
from ..source import as_source
from ..strings import text
from .areas import WORDS, Area, bits_of, layout_of
from .picture import picture

GESTURES = (
    Gesture("higher", "Choose the next area above", "click an area", ("ArrowUp",), "select"),
    Gesture("lower", "Choose the next area below", "click an area", ("ArrowDown",), "select"),
    Gesture("open", "Zoom to the chosen area", "double-click an area", ("Enter",), "zoom_to"),
    Gesture("back", "Go back to the window before", "button ↶", ("Escape", "Backspace"), ""),
    Gesture("whole", "Show the whole space", "button ⌂", ("Home",), "zoom_out"),
    Gesture("closer", "Zoom in", "wheel, button +", ("+", "="), "zoom"),
    Gesture("farther", "Zoom out", "wheel, button −", ("-",), "zoom"),
    Gesture("pan_up", "Move up by half a window", "drag, or click the whole space", ("PageUp",), "zoom"),
    Gesture("pan_down", "Move down by half a window", "drag, or click the whole space", ("PageDown",), "zoom"),
    Gesture("find", "Find an address or an area", "click the search field", ("/",), "zoom_to"),
    Gesture("translate", "Translate an address", "type into a field below the map", ("t",), ""),
    HELP,
)


class AddressMap(KmemWidget):
    """The kernel's and the users' virtual addresses at true scale.

    Parameters
    ----------
    source : Machine, Capture or Snapshot
        Whose layout to show.
    beside : Machine, Capture or Snapshot, optional
        A second one, shown next to it in the same window of addresses.
    on_select, width, height, theme
        See `KmemWidget`.

    Attributes
    ----------
    window : tuple of str
        What is on screen: first address and size in bytes, as hexadecimal text (a 64-bit
        address doesn't fit a JavaScript number). Empty: the whole space.

    Examples
    --------
    >>> from kmemwidgets import AddressMap, Machine
    >>> AddressMap(Machine.boot(arch="arm64"), beside=Machine.boot(arch="x86_64"))  # doctest: +SKIP
    """

    NAME: ClassVar[str] = "addressmap"
    TITLE: ClassVar[str] = text("addressmap.title")
    GESTURES: ClassVar[tuple[Gesture, ...]] = GESTURES
    TERMS: ClassVar[tuple[str, ...]] = WORDS
    _esm = assemble(__file__)
    _css = styles(__file__)

    window = traitlets.List(traitlets.Unicode(), help="first address and size on screen, hexadecimal").tag(sync=True)

    def __init__(self, source: object, /, *, beside: object | None = None, **options: Any) -> None:
        self._sources: list[Source] = [as_source(source, widget=type(self).__name__)]
        if beside is not None:
            self._sources.append(as_source(beside, widget=type(self).__name__))
        self._spaces = [(each.snapshot(), layout_of(each.snapshot())) for each in self._sources]
        super().__init__(self._sources[0], **options)

    def data(self) -> dict[str, Any]:
        """Return the areas of each space."""
        first = self._spaces[0][0]
        return {
            "subtitle": f"{first.name}: {title(first)}"
            if len(self._spaces) == 1
            else " beside ".join(snapshot.name for snapshot, _ in self._spaces),
            "bits": max(bits_of(snapshot) for snapshot, _ in self._spaces),
            "page_size": first.page_size,
            "spaces": [_space(snapshot, found) for snapshot, found in self._spaces],
        }

    def area(self, what: int | str) -> Area:
        """Return the first space's area that holds an address, or whose name begins with or contains a word.

        Raises
        ------
        KeyError
            Where there is none.
        """
        for area in self._spaces[0][1]:
            if isinstance(what, int) and area.start <= what < area.end:
                return area
        if isinstance(what, str):
            wanted = what.lower()
            for test in (str.startswith, str.__contains__):
                for area in self._spaces[0][1]:
                    if test(area.name.lower(), wanted):
                        return area
        raise KeyError(f"no area {what!r}" if isinstance(what, str) else f"no area holds {what:#x}")

    def zoom_to(self, what: int | str) -> Area:
        """Show the area that holds an address or has a name, choose it, and return it."""
        area = self.area(what)
        air = (area.end - area.start) // 12
        start = max(0, area.start - air)
        self.zoom(start, min(1 << self._bits, area.end + air) - start)
        self.select(address=what if isinstance(what, int) else area.start)
        return area

    def zoom(self, start: int, count: int) -> None:
        """Show `count` bytes from address `start`."""
        whole = 1 << self._bits
        if not (0 <= start < whole and 0 < count <= whole - start):
            raise ValueError(f"{start:#x} + {count:#x} is not inside {self._bits} bits")
        self.window = [hex(start), hex(count)]

    def zoom_out(self) -> None:
        """Show the whole space."""
        self.window = ["0x0", hex(1 << self._bits)]

    def summary(self) -> str:
        """Name the machine and its areas, from high to low."""
        lines = []
        for snapshot, found in self._spaces:
            digits = bits_of(snapshot) // 4
            lines.append(f"AddressMap of {snapshot.name} ({title(snapshot)})")
            lines += [
                f"  {area.start:0{digits}x}-{area.end - 1:0{digits}x} {size(area.end - area.start):>9}  {area.name}"
                for area in reversed(found)
            ]
        return "\n".join(lines)

    def picture(self) -> str:
        """Return the areas of the first space as a list with bars."""
        snapshot, found = self._spaces[0]
        return picture(f"{snapshot.name}: {title(snapshot)}", found, bits_of(snapshot) // 4)

    @property
    def _bits(self) -> int:
        return max(bits_of(snapshot) for snapshot, _ in self._spaces)


def title(snapshot: Snapshot) -> str:
    """Say whose space it is: architecture and kernel."""
    return f"{snapshot.arch}, Linux {format_version(snapshot.kernel)}"


def _space(snapshot: Snapshot, found: tuple[Area, ...]) -> dict[str, Any]:
    bits = bits_of(snapshot)
    return {
        "name": snapshot.name,
        "title": title(snapshot),
        "regions": [
            {
                "start": hex(area.start),
                "end": hex(area.end),
                "name": area.name,
                "group": area.kind,
                "term": area.term,
                "says": area.says or (GLOSSARY[area.term].meaning if area.term else ""),
                "answer": _answer(snapshot, found, area),
            }
            for area in found
        ],
        # Addresses that lead straight to memory, and where struct pages lie.
        "maps": [
            {"start": hex(area.start), "end": hex(area.end), "to": hex(area.physical), "image": area.kind == "text"}
            for area in found
            if area.kind in ("direct", "text") and area.physical is not None
        ],
        "memmaps": [
            {
                "start": hex(area.start),
                "end": hex(area.end),
                "pfn": hex(area.physical // snapshot.page_size),
                "size": hex(ARCHES[snapshot.arch].page_bytes),
            }
            for area in found
            if area.kind == "vmemmap" and area.physical is not None and (bits == 64 or area.name == "mem_map")
        ],
    }


def _answer(snapshot: Snapshot, found: tuple[Area, ...], area: Area) -> str:
    """Return what the kernel says when it reads an address of an area that is none; empty for others."""
    if area.kind != "hole":
        return ""
    user = max((each.end for each in found if each.kind == "user"), default=0)
    va_bits = 32 if bits_of(snapshot) == 32 else 57 if user > 1 << 52 else max(48, user.bit_length())
    if snapshot.arch == "arm64":
        va_bits = max((1 << 64) - min(each.start for each in found if each.kind == "direct"), 1 << 36).bit_length() - 1
    return template(snapshot.kernel, snapshot.arch, va_bits, (area.start + area.end) // 2)
