"""The bytes of slabs, and the links between free objects in them (mm/slub.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .slab_cache import KmemCache, Slab

if TYPE_CHECKING:
    from .slub import Slub


def link_bytes(slub: Slub, cache: KmemCache, at: int, target: int) -> bytes:
    """Write a link to the next free object as it is stored (freelist_ptr)."""
    word = slub.tunables.word
    if cache.secret:
        place = at + cache.layout.offset
        if slub.rules.swab_pointer:
            place = int.from_bytes(place.to_bytes(word, "little"), "big")
        target ^= cache.secret ^ place
    return (target & (1 << 8 * word) - 1).to_bytes(word, "little")


def stored_link(slub: Slub, slab: Slab, address: int) -> int:
    """Read the link in a free object back from its bytes."""
    word = slub.tunables.word
    at = address - slab.base + slab.cache.layout.offset
    raw = int.from_bytes(bytes_of(slub, slab)[at : at + word], "little")
    plain = int.from_bytes(link_bytes(slub, slab.cache, address, 0), "little")
    return raw ^ plain if slab.cache.secret else raw


def chain_of(slab: Slab) -> list[int]:
    """Return the list that a slab's free objects are linked in: the cpu's, if it is a cpu's slab."""
    if slab.cpu >= 0 and slab.cache.cpus[slab.cpu].slab is slab:
        return slab.cache.cpus[slab.cpu].freelist
    return slab.freelist


def bytes_of(slub: Slub, slab: Slab) -> bytearray:
    """Return a slab's bytes; for one that nobody looked into so far, what must be in it."""
    if slab.data is None:
        data = bytearray(slub.tunables.page_size << slab.order)
        for chain in {id(chain): chain for chain in (slab.freelist, chain_of(slab))}.values():
            for below, address in zip([0, *chain], chain, strict=False):
                at = address - slab.base + slab.cache.layout.offset
                data[at : at + slub.tunables.word] = link_bytes(slub, slab.cache, address, below)
        return data
    return slab.data


def watch(slub: Slub, slab: Slab) -> bytearray:
    """Keep a slab's bytes from now on; its cache's requests then go the slow way."""
    if slab.data is None:
        slab.data = bytes_of(slub, slab)
        slab.cache.plain = False
    return slab.data


def slab_at(slub: Slub, address: int) -> Slab:
    """Return the slab that an address lies in.

    Raises
    ------
    KernelBug
        Where it lies in none: the access faults.
    """
    slab = slub.slabs.get(address >> slub.page_shift)
    if slab is None:
        raise slub.fault(address)
    return slab


def write(slub: Slub, address: int, data: bytes) -> None:
    """Write through a pointer, as code that is right or wrong would. Nothing is checked, as in the kernel."""
    slab = slab_at(slub, address)
    at = address - slab.base
    if at + len(data) > slub.tunables.page_size << slab.order:
        raise ValueError(f"{len(data)} bytes at {address:#x} reach beyond the slab at {slab.base:#x}")
    watch(slub, slab)[at : at + len(data)] = data


def read(slub: Slub, address: int, length: int) -> bytes:
    """Read through a pointer."""
    slab = slab_at(slub, address)
    at = address - slab.base
    return bytes(bytes_of(slub, slab)[at : at + length])
