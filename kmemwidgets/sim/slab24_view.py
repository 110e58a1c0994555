"""Slabs and objects of the older SLAB as records, for those who look at them."""

from __future__ import annotations

from itertools import islice

from kmemwidgets.records import SlabInfo, SlabObject
from kmemwidgets.records.slabs import ARRAY, FREE, IN_USE, NEXT

from .errors import KernelBug
from .slab24 import Slab24
from .slab24_cache import OldSlab, SlabCache24


def slabs_of(slab24: Slab24, name: str, most: int = 200) -> tuple[SlabInfo, ...]:
    """Return the slabs of a cache: partial, free and full ones, each in the order of its list.

    Parameters
    ----------
    slab24 : Slab24
    name : str
    most : int
        Not more than so many.

    Raises
    ------
    KeyError
        Where there is no such cache.
    """
    cache = slab24.find_cache(name)
    resting = frozenset(cache.in_arrays())
    following = _following(cache)
    listed = ((place, slab) for place, slabs in cache.lists() for slab in slabs.values())
    return tuple(
        SlabInfo(
            cache=cache.name,
            address=slab.base,
            pfn=slab.pfn,
            order=cache.geometry.order,
            nid=_node_of(slab24, slab.pfn),
            place=place,
            cpu=None,
            objects=_states(slab, resting, following),
            first=slab.first,
            size=cache.geometry.size,
        )
        for place, slab in islice(listed, most)
    )


def slab_object(slab24: Slab24, address: int) -> SlabObject:
    """Return the object that an address lies in, with its bytes.

    Raises
    ------
    KernelBug
        Where no slab lies there.
    ValueError
        Where no object does: colour, descriptor, or what is left over.
    """
    slab = slab24.pages.get(address // slab24.machine.page_size)
    if slab is None:
        raise KernelBug(f"Unable to handle kernel paging request at virtual address {address:08x}")
    cache = slab.cache
    size = cache.geometry.size
    number = (address - slab.first) // size
    if not 0 <= number < cache.geometry.num:
        raise ValueError(f"{address:#x} is in no object of the slab at {slab.base:#x}")
    start = slab.address_of(number)
    at = start - slab.base
    guard = cache.guard
    return SlabObject(
        cache=cache.name,
        address=start + guard.head,
        start=start,
        data=bytes(size) if slab.data is None else bytes(slab.data[at : at + size]),
        parts=_parts(slab24, cache),
        state=_states(slab, frozenset(cache.in_arrays()), _following(cache))[number],
    )


def _parts(slab24: Slab24, cache: SlabCache24) -> tuple[tuple[str, int, int], ...]:
    """Name the bytes from one object to the next, those that CONFIG_DEBUG_SLAB adds too."""
    guard, size, word = cache.guard, cache.geometry.size, slab24.machine.word
    end = guard.head + min(cache.object_size, size)
    user = size - word if guard.user else size
    zone = user - word if guard.red_zone else user
    marks = (
        ("left red zone", 0, guard.head), ("object", guard.head, end), ("padding", end, zone),
        ("right red zone", zone, user), ("last user", user, size),
    )  # fmt: skip
    return tuple(mark for mark in marks if mark[1] < mark[2])


def _node_of(slab24: Slab24, pfn: int) -> int:
    zone_of = getattr(slab24.page_alloc, "zone_of", None)
    return int(zone_of(pfn).zone.nid) if zone_of is not None else 0


def _following(cache: SlabCache24) -> int:
    """Return the object that cpu 0 would get next, 0 where a slab would be cut for it."""
    array = cache.arrays[0] if cache.arrays else None
    if array is not None and array.objects:
        return array.objects[-1]
    for slabs in (cache.partial, cache.free):
        for slab in slabs.values():
            return slab.address_of(slab.free[-1])
    return 0


def _states(slab: OldSlab, resting: frozenset[int], following: int) -> bytes:
    free = set(slab.free)
    numbers = range(slab.cache.geometry.num)
    return bytes(
        NEXT if (address := slab.address_of(number)) == following
        else FREE if number in free else ARRAY if address in resting else IN_USE
        for number in numbers
    )  # fmt: skip
