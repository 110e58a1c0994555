"""What SlabPanel draws, from a source that can show its slabs, or from a recording's totals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from kmemwidgets.records import SlabCacheInfo, SlabInfo, SlabObject

from .._words import count, size

#: Slabs that are drawn one by one; more are only counted.
MOST = 120


@runtime_checkable
class SlabSource(Protocol):
    """A source that knows its slabs one by one (a simulated machine)."""

    def slabs(self, cache: str, most: int = MOST) -> tuple[SlabInfo, ...]:
        """Return a cache's slabs: the cpus' first, then partial ones, then full ones."""

    def slab_object(self, address: int) -> SlabObject:
        """Return the object that lies at an address."""


def memory(cache: SlabCacheInfo, page_size: int) -> int | None:
    """Return the bytes of a cache's slabs, None where the source doesn't know them."""
    if cache.slabs is None or cache.order is None:
        return None
    return cache.slabs * (page_size << cache.order)


def ordered(caches: Iterable[SlabCacheInfo], page_size: int) -> list[SlabCacheInfo]:
    """Return caches with the largest first."""
    return sorted(caches, key=lambda cache: (-(memory(cache, page_size) or 0), cache.name))


def cache_row(cache: SlabCacheInfo, page_size: int) -> dict[str, Any]:
    """Return a cache as a row of the list."""
    taken = memory(cache, page_size)
    return {
        "name": cache.name,
        "aliases": list(cache.aliases),
        "size": cache.object_size or cache.slab_size,
        "memory": "" if taken is None else size(taken),
        "active": cache.active_objs,
        "total": cache.num_objs,
    }


def facts(cache: SlabCacheInfo) -> list[list[str]]:
    """Return a cache's figures: the kernel's name for each, and its value. Unknown ones are left out."""
    pairs: list[tuple[str, object]] = [
        ("object_size", cache.object_size),
        ("slab_size", cache.slab_size),
        ("align", cache.align),
        ("order", cache.order),
        ("objs_per_slab", cache.objs_per_slab),
        ("slabs", cache.slabs),
        ("partial", cache.partial),
        ("min_partial", cache.min_partial),
        ("cpu_partial", cache.cpu_partial),
        ("active_slabs", cache.active_slabs),
        ("limit, batchcount, sharedfactor", ", ".join(map(str, cache.tunables)) if cache.tunables else None),
        ("sharedavail", cache.sharedavail),
        ("usersize", cache.usersize or None),
        ("ctor", cache.ctor),
        ("flags", ", ".join(cache.flags) or None),
        ("shared by", ", ".join(cache.aliases) or None),
    ]
    return [
        [name, count(value) if isinstance(value, int) else str(value)] for name, value in pairs if value is not None
    ]


def slab_row(slab: SlabInfo) -> dict[str, Any]:
    """Return a slab for the front end; addresses as text, which JavaScript's numbers can't hold."""
    return {
        "address": hex(slab.address),
        "pfn": slab.pfn,
        "nid": slab.nid,
        "place": slab.place,
        "cpu": slab.cpu,
        "objects": list(slab.objects),
        "first": hex(slab.first),
        "size": slab.size,
    }


def object_row(opened: SlabObject) -> dict[str, Any]:
    """Return an object and its bytes for the front end."""
    return {
        "address": hex(opened.address),
        "start": hex(opened.start),
        "cache": opened.cache,
        "data": opened.data.hex(),
        "parts": [list(part) for part in opened.parts],
        "state": opened.state,
    }


def recorded_slabs(cache: SlabCacheInfo) -> dict[str, int] | None:
    """Return how many slabs of a recorded cache are full and partial; None where it doesn't say.

    /proc/slabinfo alone tells only how many slabs there are; which objects in them are free,
    no recording tells.
    """
    if cache.slabs is None:
        return None
    if cache.partial is None:
        return {"all": cache.slabs}
    return {"node partial": cache.partial, "full or a cpu's": cache.slabs - cache.partial}
