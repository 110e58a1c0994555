"""One byte a frame: the state of millions of page frames as one bytes object."""

from __future__ import annotations

from dataclasses import dataclass

#: Bits of a word of /proc/kpageflags, by number (include/uapi/linux/kernel-page-flags.h).
KPF_NAMES: tuple[str, ...] = (
    "LOCKED", "ERROR", "REFERENCED", "UPTODATE", "DIRTY", "LRU", "ACTIVE", "SLAB",
    "WRITEBACK", "RECLAIM", "BUDDY", "MMAP", "ANON", "SWAPCACHE", "SWAPBACKED", "COMPOUND_HEAD",
    "COMPOUND_TAIL", "HUGE", "UNEVICTABLE", "HWPOISON", "NOPAGE", "KSM", "THP", "OFFLINE",
    "ZERO_PAGE", "IDLE", "PGTABLE", "", "", "", "", "",
    "RESERVED", "MLOCKED", "OWNER_2", "PRIVATE", "PRIVATE_2", "OWNER_PRIVATE", "ARCH", "UNCACHED",
    "SOFTDIRTY", "ARCH_2", "ARCH_3",
)  # fmt: skip

KPF = {name: 1 << bit for bit, name in enumerate(KPF_NAMES) if name}


@dataclass(frozen=True, slots=True)
class FrameTable:
    """A value for every frame of a range, coded in one byte.

    Attributes
    ----------
    start_pfn : int
        Page frame number of the first entry.
    codes : bytes
        One byte a frame; an index into `palette`. `bytes`, `bytearray`, `mmap` or memoryview of bytes.
    palette : tuple of int
        What a code means. For `kind` "flags": a word in the bits of /proc/kpageflags;
        for "order", "migratetype", "owner", "age": that number.
    kind : str
        What the palette's numbers are.
    labels : tuple of str
        A name for each palette entry, where the number doesn't say it all; else empty.
    """

    start_pfn: int
    codes: bytes | bytearray | memoryview
    palette: tuple[int, ...]
    kind: str = "flags"
    labels: tuple[str, ...] = ()

    @property
    def end_pfn(self) -> int:
        """First pfn behind the table."""
        return self.start_pfn + len(self.codes)

    def __getitem__(self, pfn: int) -> int:
        """Return the palette's value for a frame; IndexError outside the table."""
        if not self.start_pfn <= pfn < self.end_pfn:
            raise IndexError(f"pfn {pfn:#x} is outside {self.start_pfn:#x}-{self.end_pfn:#x}")
        return self.palette[self.codes[pfn - self.start_pfn]]


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """All that a source knows of one frame. Unknown is None.

    Attributes
    ----------
    pfn : int
    nid : int or None
    zone : str or None
    flags : int or None
        In the bits of /proc/kpageflags.
    mapcount : int or None
        /proc/kpagecount.
    order : int or None
        Order of the free block or allocation that the frame belongs to.
    head : int or None
        First pfn of that block.
    migratetype : str or None
        Type of the free list, or of the page block.
    owner : str or None
        Who took it: a call site, a cache, a task.
    age : int or None
        Number of the event or command that took it.
    """

    pfn: int
    nid: int | None = None
    zone: str | None = None
    flags: int | None = None
    mapcount: int | None = None
    order: int | None = None
    head: int | None = None
    migratetype: str | None = None
    owner: str | None = None
    age: int | None = None
    state: str | None = None


def flag_names(word: int) -> tuple[str, ...]:
    """Name the bits of a kpageflags word, lowest first."""
    return tuple(name for bit, name in enumerate(KPF_NAMES) if name and word >> bit & 1)
