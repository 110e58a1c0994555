"""How a 32-bit kernel reaches high memory just now, as somebody who looks at it sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LocalMapping:
    """A mapping for a moment (kmap_local; kmap_atomic before 5.11).

    Attributes
    ----------
    owner : int
        The task it belongs to, or the cpu where mappings are the cpu's.
    slot : int
        Its place on the owner's stack.
    pfn : int
    address : int
    """

    owner: int
    slot: int
    pfn: int
    address: int


@dataclass(frozen=True, slots=True)
class HighmemInfo:
    """The three ways to a page without an address of its own, and what goes them.

    Attributes
    ----------
    page_offset : int
        Where the direct map begins.
    max_low_pfn : int
        First frame without a place in it.
    lowmem : tuple of (str, int)
        Name of each split of the 4 GiB, and the bytes of low memory that it leaves.
    pkmap_base : int
        Address of kmap's first slot.
    pkmap_count : tuple of int
        Of each slot: 0 free; 1 free, but perhaps still in a TLB; n used n - 1 times.
    pkmap_pfn : tuple of int
        The frame in each slot, -1 for none.
    last : int
        Slot that was given last (last_pkmap_nr).
    flushes : int
        How often unused slots were taken back and the TLBs flushed.
    local_slots : int
        Most mappings for a moment that one owner may have.
    of_task : bool
        Whether these belong to the task; else to the cpu.
    local : tuple of LocalMapping
    areas : tuple of (int, tuple of int)
        Start of each area of vmalloc that has pages, and the frames it maps, one after the other.
    """

    page_offset: int
    max_low_pfn: int
    lowmem: tuple[tuple[str, int], ...]
    pkmap_base: int
    pkmap_count: tuple[int, ...]
    pkmap_pfn: tuple[int, ...]
    last: int
    flushes: int
    local_slots: int
    of_task: bool
    local: tuple[LocalMapping, ...]
    areas: tuple[tuple[int, tuple[int, ...]], ...]
