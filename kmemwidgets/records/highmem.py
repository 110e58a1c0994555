"""How a 32-bit kernel reaches high memory just now, as somebody who looks at it sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LocalMapping:
    """A mapping for a moment (kmap_local, kmap_atomic).

    Attributes
    ----------
    owner : int
        The task it belongs to, or the cpu where mappings are the cpu's.
    slot : int
        Its number among the cpu's slots.
    pfn : int
    address : int
    name : str
        The kind of user that the slot is for (2.4, 2.6.11), such as "KM_USER0".
    cpu : int
        Whose slot it is.
    state : str
        "used"; "left": given up, but the slot still maps the page (2.4, 2.6.11); "out": taken out of the page table
        while another task runs.
    """

    owner: int
    slot: int
    pfn: int
    address: int
    name: str = ""
    cpu: int = 0
    state: str = "used"


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
    km_types : tuple of str
        The kinds of users that have slots of their own; empty where slots are a stack.
    cpu_slots : int
        Slots for mappings for a moment that each cpu has.
    local_flushes : int
        Pages that a cpu flushed from its own TLB for them.
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
    km_types: tuple[str, ...] = ()
    cpu_slots: int = 0
    local_flushes: int = 0
