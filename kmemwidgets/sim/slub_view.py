"""Slabs and objects of the SLUB model as records, for those who look at them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from kmemwidgets.records import SlabInfo, SlabObject
from kmemwidgets.records.slabs import FREE, IN_USE, NEXT, SHEAF

from .slab_cache import PLACES, KmemCache, Slab
from .slub import Slub
from .slub_bytes import bytes_of, chain_of, slab_at


def slabs_of(slub: Slub, name: str, most: int = 200) -> tuple[SlabInfo, ...]:
    """Return the slabs of a cache: the cpus' first, then the nodes' partial lists, then full ones.

    Parameters
    ----------
    slub : Slub
    name : str
        A cache's name, or an alias.
    most : int
        Not more than so many; `SlabCacheInfo.slabs` says how many there are.

    Raises
    ------
    KeyError
        Where there is no such cache.
    """
    cache = slub.find_cache(name)
    resting = frozenset(_in_sheaves(cache))
    return tuple(_slab_info(slab, resting) for slab in islice(_in_order(slub, cache), most))


def slab_object(slub: Slub, address: int) -> SlabObject:
    """Return the object that an address lies in, with its bytes.

    Raises
    ------
    KernelBug
        Where no slab lies there.
    ValueError
        Where the address lies behind a slab's last object.
    """
    slab = slab_at(slub, address)
    layout = slab.cache.layout
    number = (address - slab.base) // layout.size
    if number >= slab.objects:
        raise ValueError(f"{address:#x} lies behind the last object of the slab at {slab.base:#x}")
    start = number * layout.size
    owned = slab.base + start + layout.red_left_pad
    data = bytes(bytes_of(slub, slab)[start : start + layout.size])
    return SlabObject(
        cache=slab.cache.name,
        address=owned,
        start=slab.base + start,
        data=data,
        parts=_parts(slub, slab.cache),
        state=_state(slab, owned, frozenset(_in_sheaves(slab.cache))),
        follows=_follower(slab, owned),
    )


def _in_order(slub: Slub, cache: KmemCache) -> Iterator[Slab]:
    for c in cache.cpus:
        if c.slab is not None:
            yield c.slab
        yield from reversed(c.partial)
    for node in cache.nodes.values():
        yield from node.partial.values()
    # Nobody lists full slabs, in the kernel neither; the table of all slabs has each once a page.
    shift = slub.page_shift
    for page, slab in slub.slabs.items():
        if slab.cache is cache and slab.place == 0 and slab.base >> shift == page:
            yield slab


def _in_sheaves(cache: KmemCache) -> Iterator[int]:
    for c in cache.cpus:
        yield from c.sheaf
        yield from c.spare or ()
        yield from c.rcu_free or ()
    for node in cache.nodes.values():
        for sheaf in node.full_sheaves:
            yield from sheaf


def _slab_info(slab: Slab, resting: frozenset[int]) -> SlabInfo:
    chain = chain_of(slab)
    free = {*chain, *slab.freelist}
    following = chain[-1] if chain else slab.freelist[-1] if slab.freelist else 0
    addresses = slab.object_addresses()
    return SlabInfo(
        cache=slab.cache.name,
        address=slab.base,
        pfn=slab.pfn,
        order=slab.order,
        nid=slab.nid,
        place=PLACES[slab.place],
        cpu=slab.cpu if slab.cpu >= 0 else None,
        objects=bytes(
            NEXT if at == following else FREE if at in free else SHEAF if at in resting else IN_USE for at in addresses
        ),
        first=addresses[0],
        size=slab.cache.layout.size,
    )


def _state(slab: Slab, address: int, resting: frozenset[int]) -> int:
    return _slab_info(slab, resting).objects[slab.index_of(address)]


def _follower(slab: Slab, address: int) -> int | None:
    """Return the free object behind one on its list, 0 behind the last; None of an object on neither list."""
    for stack in (chain_of(slab), slab.freelist):
        if address in stack:
            below = list(stack)[: list(stack).index(address)]
            return below[-1] if below else 0
    return None


def _parts(slub: Slub, cache: KmemCache) -> tuple[tuple[str, int, int], ...]:
    """Name the bytes from one object to the next (mm/slub.c, calculate_sizes)."""
    layout = cache.layout
    word = slub.tunables.word
    left = layout.red_left_pad
    marks = [
        ("left red zone", 0, left),
        ("object", left, left + layout.object_size),
        ("right red zone" if "red_zone" in cache.flags else "padding", left + layout.object_size, left + layout.inuse),
    ]
    end = left + layout.inuse
    if layout.offset >= layout.inuse:
        marks.append(("free pointer", left + layout.offset, left + layout.offset + word))
        end = left + layout.offset + word
    if layout.track is not None:
        track = left + layout.track
        tail = left + layout.request_size if layout.request_size is not None else layout.size
        marks.append(("tracks", track, min(tail, layout.size)))
        end = min(tail, layout.size)
    if layout.request_size is not None:
        marks.append(
            ("size asked for", left + layout.request_size, left + layout.request_size + slub.rules.request_size_field)
        )
        end = left + layout.request_size + slub.rules.request_size_field
    marks.append(("padding", end, layout.size))
    if layout.offset < layout.inuse:
        marks.append(("free pointer, while it is free", left + layout.offset, left + layout.offset + word))
    return tuple(mark for mark in marks if mark[1] < mark[2])
