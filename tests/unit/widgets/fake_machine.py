"""A source whose frames change, for tests: no simulator, just a bytearray and its history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kmemwidgets.records import KPF, Changes, FrameInfo, FrameTable, Snapshot, ZoneInfo

PALETTE = (KPF["BUDDY"], KPF["SLAB"], KPF["RESERVED"], KPF["NOPAGE"], KPF["LRU"] | KPF["ANON"], KPF["PGTABLE"])


class FakeMachine:
    """`put(pfn, code, count)` changes frames; `undo` takes the last one back."""

    def __init__(self, frames: int = 4096, start: int = 0, *, codes: bytes = b"", name: str = "fake") -> None:
        self.start = start
        self.codes = bytearray(codes or bytes(frames))
        self.name = name
        self.history: list[tuple[int, bytes]] = []
        self.readers: list[Callable[[], None]] = []
        self.snapshots = 0

    @property
    def verbs(self) -> Mapping[str, Callable[..., Any]]:
        return {"undo": self.undo}

    def put(self, pfn: int, code: int, count: int = 1) -> None:
        at = pfn - self.start
        self.history.append((pfn, bytes(self.codes[at : at + count])))
        self.codes[at : at + count] = bytes([code]) * count
        for reader in self.readers:
            reader()

    def undo(self) -> None:
        pfn, before = self.history[-1]
        at = pfn - self.start
        self.history.append((pfn, bytes(self.codes[at : at + len(before)])))
        self.codes[at : at + len(before)] = before
        for reader in self.readers:
            reader()

    def frame_table(self, kind: str = "flags") -> FrameTable | None:
        return FrameTable(self.start, memoryview(self.codes), PALETTE) if kind == "flags" else None

    def snapshot(self) -> Snapshot:
        self.snapshots += 1
        zone = ZoneInfo(nid=0, name="Normal", spanned=len(self.codes), present=1, start_pfn=self.start)
        return Snapshot(
            name=self.name, arch="x86_64", kernel=(6, 1, 192), zones=(zone,),
            frames=FrameTable(self.start, bytes(self.codes), PALETTE),
        )  # fmt: skip

    def changes(self, since: int) -> Changes:
        frames: set[int] = set()
        for pfn, before in self.history[since:]:
            frames.update(range(pfn, pfn + len(before)))
        ranges: list[tuple[int, int]] = []
        for pfn in sorted(frames):
            if ranges and sum(ranges[-1]) == pfn:
                ranges[-1] = (ranges[-1][0], ranges[-1][1] + 1)
            else:
                ranges.append((pfn, 1))
        return Changes(seq=len(self.history), ranges=tuple(ranges))

    def frame(self, pfn: int) -> FrameInfo:
        return FrameInfo(pfn=pfn, flags=PALETTE[self.codes[pfn - self.start]])

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.readers.append(callback)
        return lambda: self.readers.remove(callback)
