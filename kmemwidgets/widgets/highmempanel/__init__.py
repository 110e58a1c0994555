"""HighmemPanel: RAM beyond the direct map of a 32-bit kernel, and the three ways to reach a page of it."""

from __future__ import annotations

from typing import Any, ClassVar

import traitlets

from kmemwidgets.records import BadInput, HighmemInfo, format_version

from .._assemble import assemble, styles
from .._base import HELP, RESET, UNDO, Gesture, KmemWidget
from .._words import count, size
from ..strings import text
from .picture import picture
from .ways import HighmemSource, Ram, Way, ram_of, ways_to, windows_of

GESTURES = (
    Gesture("next", "Pick the next frame", "click the physical memory", ("ArrowRight",), "pick"),
    Gesture("previous", "Pick the frame before", "click the physical memory", ("ArrowLeft",), "pick"),
    Gesture("higher", "Pick a frame far above", "click the physical memory", ("ArrowUp", "PageUp"), "pick"),
    Gesture("lower", "Pick a frame far below", "click the physical memory", ("ArrowDown", "PageDown"), "pick"),
    Gesture("first", "Pick the first high frame", "click the physical memory", ("Home",), "pick"),
    Gesture("last", "Pick the last frame", "click the physical memory", ("End",), "pick"),
    Gesture("type", "Type a frame", "click the field", ("/",), "pick"),
    Gesture("kmap", "kmap the picked frame", "button kmap", ("k",), "kmap", "kmap"),
    Gesture("kunmap", "kunmap the picked frame", "button kunmap", ("K",), "kunmap", "kunmap"),
    Gesture("wrap", "kmap and kunmap the frames above until the slots are flushed", "button until the flush", ("w",),
            "wrap", "kmap"),
    Gesture("map_local", "Map the picked frame for a moment", "button kmap_local", ("l",), "kmap_local", "kmap_local"),
    Gesture("unmap_local", "Give the moment's mapping of the picked frame up", "button kunmap_local", ("L",),
            "kunmap_local", "kunmap_local"),
    Gesture("next_type", "Take the next kind of slot for kmap_atomic (2.4, 2.6.11)", "click its slot", ("t",),
            "next_type"),
    Gesture("allocate", "vmalloc a page, and pick its frame", "button vmalloc", ("v",), "vmalloc", "vmalloc"),
    Gesture("free", "vfree the area that maps the picked frame", "button vfree", ("V",), "vfree", "vfree"),
    UNDO,
    RESET,
    HELP,
)  # fmt: skip


class HighmemPanel(KmemWidget):
    """High memory: which frames have no address, and how the kernel gets at them.

    A simulated machine can be told to go each of the three ways. A recording shows what
    it knows: where low memory ends, and what the kernel's addresses are for.

    Parameters
    ----------
    source : Machine, Capture or Snapshot
        Of a 32-bit x86 machine with more memory than fits the direct map.
    pfn : int, optional
        The frame that is picked; otherwise the first high one.
    on_select, width, height, theme
        See `KmemWidget`.

    Attributes
    ----------
    pfn : int
        The frame that is picked.
    km_type : str
        2.4 and 2.6.11: the kind of user that kmap_atomic is taken for, which chooses the slot; empty elsewhere.
    """

    NAME: ClassVar[str] = "highmempanel"
    TITLE: ClassVar[str] = text("highmempanel.title")
    GESTURES: ClassVar[tuple[Gesture, ...]] = GESTURES
    TERMS: ClassVar[tuple[str, ...]] = ("low memory", "high memory", "pkmap", "fixmap", "vmalloc")
    _esm = assemble(__file__)
    _css = styles(__file__)

    pfn = traitlets.Int(0, min=0, help="the frame that is picked").tag(sync=True)
    km_type = traitlets.Unicode("", help="the kind of slot that kmap_atomic takes").tag(sync=True)

    def __init__(self, source: object, /, *, pfn: int | None = None, **options: Any) -> None:
        super().__init__(source, **options)
        ram = ram_of(self.snapshot, self.info)
        if ram is None:
            raise BadInput(
                f"{self.snapshot.name} has no high memory: each of its pages has an address of its own",
                todo="take a 32-bit x86 machine with more than 896 MiB",
            )
        self._ram = ram
        self._windows = windows_of(self.snapshot)
        self.pfn = self._ram.first_high if pfn is None else self._checked(pfn)
        self.km_type = "KM_USER0" if self._types else ""

    @property
    def _types(self) -> tuple[str, ...]:
        return self.info.km_types if self.info else ()

    @traitlets.validate("km_type")
    def _known_type(self, proposal: Any) -> str:
        asked: str = proposal["value"]
        if asked not in (self._types or ("",)):
            raise ValueError(f"no {asked}; there are {', '.join(self._types) or 'no kinds of slots'}")
        return asked

    @property
    def info(self) -> HighmemInfo | None:
        """How high memory is reached just now; None for a recording, which doesn't say."""
        return self.source.highmem() if isinstance(self.source, HighmemSource) else None

    @property
    def ram(self) -> Ram:
        """Where low memory ends, and where all memory does."""
        return self._ram

    def pick(self, pfn: int) -> tuple[Way, ...]:
        """Pick a frame, and return the ways on which it is reached just now."""
        self.pfn = self._checked(pfn)
        self.select(start=self.pfn)
        return self.ways()

    def ways(self) -> tuple[Way, ...]:
        """Return the addresses that the picked frame has just now."""
        return ways_to(self.pfn, self._ram, self.info)

    def kmap(self) -> int | None:
        """Give the picked frame an address until `kunmap`; None where the caller would sleep for want of a slot."""
        address: int | None = self.source.verbs["kmap"](self.pfn)
        if address is None:
            self.error = text("highmempanel.sleeps")
        return address

    def kunmap(self) -> None:
        """Give the picked frame's address up."""
        self.source.verbs["kunmap"](self.pfn)

    def wrap(self) -> int:
        """Kmap and kunmap the frames above the picked one until the slots wrap; return how many it took."""
        before = self._live().flushes
        pfn = self.pfn
        for taken in range(1, 2 * len(self._live().pkmap_count) + 2):
            pfn = pfn + 1 if pfn + 1 < self._ram.end else self._ram.first_high
            if self.source.verbs["kmap"](pfn) is None:
                self.error = text("highmempanel.sleeps")
                return taken
            self.source.verbs["kunmap"](pfn)
            if self._live().flushes > before:
                return taken
        return taken

    def kmap_local(self) -> int:
        """Map the picked frame for a moment, and return its address (kmap_atomic before 5.11)."""
        if self._local_name == "kmap_local":
            return int(self.source.verbs["kmap_local"](self.pfn))
        return int(self.source.verbs["kmap_atomic"](self.pfn, km_type=self.km_type))

    def kunmap_local(self) -> None:
        """Give the picked frame's mapping for a moment up; only the newest one of a stack may go."""
        mapped = [each for each in self._live().local if each.pfn == self.pfn and each.state == "used"]
        if not mapped:
            raise ValueError(text("highmempanel.notlocal"))
        given = mapped[-1]
        if self._local_name == "kmap_local":
            self.source.verbs["kunmap_local"](given.address)
        else:
            self.source.verbs["kunmap_atomic"](given.address, km_type=given.name)

    def next_type(self) -> str:
        """Take the next kind of slot for kmap_atomic, and return it; nothing where slots are a stack."""
        if self._types:
            self.km_type = self._types[(self._types.index(self.km_type) + 1) % len(self._types)]
        return self.km_type

    def vmalloc(self) -> int | None:
        """Allocate a page in vmalloc's window, pick its frame, and return its address."""
        address: int | None = self.source.verbs["vmalloc"](self.snapshot.page_size)
        if address is not None:
            self.pick(dict(self._live().areas)[address][0])
        return address

    def vfree(self) -> None:
        """Free the area that maps the picked frame."""
        for start, pfns in self._live().areas:
            if self.pfn in pfns:
                self.source.verbs["vfree"](start)
                return
        raise ValueError(text("highmempanel.noarea"))

    def data(self) -> dict[str, Any]:
        """Return both sides and what joins them; addresses as text."""
        info, snapshot = self.info, self.snapshot
        return {
            "subtitle": f"{snapshot.name}: {snapshot.arch}, Linux {format_version(snapshot.kernel)}",
            "page_size": snapshot.page_size,
            "first": self._ram.first_high,
            "end": self._ram.end,
            "offset": hex(self._ram.page_offset),
            "windows": [
                {"name": area.name, "kind": area.kind, "start": hex(area.start), "end": hex(area.end)}
                for area in self._windows
            ],
            "local_name": self._local_name,
            "live": None if info is None else _live_row(info),
        }

    def summary(self) -> str:
        """Say where low memory ends, and what is mapped just now."""
        ram, page, info, shown = self._ram, self.snapshot.page_size, self.info, self.snapshot
        low, high = ram.first_high * page, (ram.end - ram.first_high) * page
        lines = [
            f"HighmemPanel of {shown.name} ({shown.arch}, Linux {format_version(shown.kernel)})",
            f"  low memory:  {size(low):>9}, below pfn {ram.first_high:#x}, mapped at {ram.page_offset:#x}",
            f"  high memory: {size(high):>9}, from there to pfn {ram.end - 1:#x}",
        ]
        if info is None:
            return "\n".join([*lines, "  a recording doesn't tell which high pages are mapped"])
        used = sum(1 for each in info.pkmap_count if each > 1)
        unused = sum(1 for each in info.pkmap_count if each == 1)
        slots = f"{used} of {count(len(info.pkmap_count))} slots in use, {unused} unused but not flushed"
        lines += [
            f"  kmap: {slots}, slot {info.last} given last, flushed {info.flushes} times",
            f"  {self._local_name}: {_local_words(info)}",
            f"  vmalloc: {count(sum(len(pfns) for _, pfns in info.areas))} pages in {len(info.areas)} areas",
        ]
        lines.append(f"  picked: pfn {self.pfn:#x}, " + ("; ".join(map(str, self.ways())) or "no address just now"))
        return "\n".join(lines)

    def picture(self) -> str:
        """Return physical memory beside the kernel's addresses."""
        return picture(self.snapshot.name, self._ram, self._windows, self.info, self.snapshot.page_size)

    @property
    def _local_name(self) -> str:
        info = self.info
        return "kmap_local" if info is None or info.of_task else "kmap_atomic"

    def _live(self) -> HighmemInfo:
        info = self.info
        if info is None:
            raise ValueError("a recording doesn't tell which high pages are mapped")
        return info

    def _checked(self, pfn: int) -> int:
        if not 0 <= pfn < self._ram.end:
            raise ValueError(f"no frame {pfn:#x}; the last is {self._ram.end - 1:#x}")
        return pfn


def _local_words(info: HighmemInfo) -> str:
    """Say how the slots for mappings for a moment are used."""
    used = [each for each in info.local if each.state == "used"]
    names = f" ({', '.join(each.name for each in used)})" if info.km_types and used else ""
    others = [
        f"{sum(1 for each in info.local if each.state == state)} {words}"
        for state, words in (("left", "given up but still mapped"), ("out", "taken out while another task runs"))
        if any(each.state == state for each in info.local)
    ]
    whose = "task" if info.of_task else "cpu"
    words = f"{len(used)} slots in use{names}, a {whose} may have {info.local_slots}"
    return "; ".join([words, *others, f"{info.local_flushes} pages flushed"])


def _live_row(info: HighmemInfo) -> dict[str, Any]:
    return {
        "base": hex(info.pkmap_base),
        "counts": list(info.pkmap_count),
        "pfns": list(info.pkmap_pfn),
        "last": info.last,
        "flushes": info.flushes,
        "local_slots": info.local_slots,
        "of_task": info.of_task,
        "local": [[each.owner, each.slot, each.pfn, hex(each.address), each.cpu, each.state] for each in info.local],
        "types": list(info.km_types),
        "cpu_slots": info.cpu_slots,
        "local_flushes": info.local_flushes,
        "areas": [[hex(start), list(pfns[:64]), len(pfns)] for start, pfns in info.areas],
        "splits": [[name, size(bytes_), bytes_ == _shown_lowmem(info)] for name, bytes_ in info.lowmem],
    }


def _shown_lowmem(info: HighmemInfo) -> int:
    return info.max_low_pfn * 4096
