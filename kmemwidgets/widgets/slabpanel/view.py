"""What SlabPanel draws, from a source that can show its slabs, or from a recording's totals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from kmemwidgets.records import SlabCacheInfo, SlabInfo, SlabObject, SlabPlaces
from kmemwidgets.records.slabs import FREE, IN_USE, UNKNOWN
from kmemwidgets.sim.slub_debug import POISON_END, POISON_FREE, POISON_INUSE, RED_ACTIVE, RED_INACTIVE

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
        ("flags", ", ".join(map(flag_name, cache.flags)) or None),
        ("shared by", ", ".join(cache.aliases) or None),
        *((name, counted(row) or None) for name, row in (cache.stats or {}).items()),
    ]
    return [
        [name, count(value) if isinstance(value, int) else str(value)] for name, value in pairs if value is not None
    ]


def counted(row: tuple[int, ...]) -> str:
    """Write a counter of CONFIG_SLUB_STATS as its file does, empty where nothing was counted."""
    each = " ".join(f"C{cpu}={number}" for cpu, number in enumerate(row) if number)
    return f"{sum(row)} {each}" if each else ""


def flag_name(flag: str) -> str:
    """Return the kernel's name of a cache's flag (include/linux/slab.h)."""
    if flag.startswith("SLAB_"):
        return flag
    return {
        "sanity_checks": "SLAB_CONSISTENCY_CHECKS",
        "destroy_by_rcu": "SLAB_TYPESAFE_BY_RCU",
    }.get(flag, f"SLAB_{flag.upper()}")


def geometry(cache: SlabCacheInfo, page_size: int) -> dict[str, int] | None:
    """Return how a slab of a cache is cut up, in bytes; None where it isn't known."""
    if cache.slab_size is None or cache.order is None or cache.objs_per_slab is None:
        return None
    return {
        "objects": cache.objs_per_slab,
        "size": cache.slab_size,
        "pages": 1 << cache.order,
        "left": (page_size << cache.order) - cache.objs_per_slab * cache.slab_size,
    }


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


def damaged(opened: SlabObject, cache: SlabCacheInfo) -> list[int]:
    """Return the bytes of an object that SLUB's checks would find changed (mm/slub.c, check_object)."""
    flags = set(map(flag_name, cache.flags))
    used, found = opened.state == IN_USE, []
    for name, start, end in opened.parts:
        expected = b""
        if name.endswith("red zone"):
            expected = bytes([RED_ACTIVE if used else RED_INACTIVE]) * (end - start)
        elif name == "padding" and "SLAB_POISON" in flags:
            expected = bytes([POISON_INUSE]) * (end - start)
        elif name == "object" and not used and _poisoned(cache, flags):
            expected = bytes([POISON_FREE]) * (end - start - 1) + bytes([POISON_END])
        found += [start + at for at, byte in enumerate(expected) if opened.data[start + at] != byte]
    return found


def _poisoned(cache: SlabCacheInfo, flags: set[str]) -> bool:
    """Return whether free objects are poisoned: not those that a constructor filled, or that readers may still see."""
    return "SLAB_POISON" in flags and cache.ctor is None and "SLAB_TYPESAFE_BY_RCU" not in flags


def object_row(opened: SlabObject, cache: SlabCacheInfo) -> dict[str, Any]:
    """Return an object and its bytes for the front end."""
    return {
        "address": hex(opened.address),
        "start": hex(opened.start),
        "cache": opened.cache,
        "data": opened.data.hex(),
        "parts": [list(part) for part in opened.parts],
        "state": opened.state,
        "damaged": damaged(opened, cache),
        "follows": None if opened.follows is None else hex(opened.follows),
    }


def recorded_slabs(cache: SlabCacheInfo, cpus: int = 1) -> list[dict[str, Any]] | None:
    """Return where a recorded cache's slabs are, and what is known of the objects in them.

    Parameters
    ----------
    cache : SlabCacheInfo
    cpus : int
        How many cpus may have a slab.

    Returns
    -------
    list of dict or None
        ``place``, ``many`` slabs, ``state`` of each object (`OBJECT_STATES`), and objects ``used`` in all of them,
        None where nobody counted. /proc/slabinfo alone only tells how many slabs there are.
    """
    if cache.places is None:
        return None if cache.slabs is None else [_group("all", cache.slabs)]
    found = cache.places
    own = _cpus_own(found, cpus)
    if own is None:
        groups = [_group("cpu_partial", found.cpu_partial_slabs)]
        rest = _group("cpu or full", found.slabs - found.partial - found.cpu_partial_slabs)
    else:
        groups = [_group("cpu", own), _group("cpu_partial", found.cpu_partial_slabs)]
        # On no list and no cpu's: such a slab has no object to give.
        rest = _group("full", found.slabs - found.partial - found.cpu_partial_slabs - own, IN_USE)
    in_partial = _group("partial", found.partial, UNKNOWN if found.objects_partial else FREE)
    groups += [in_partial | {"used": found.objects_partial}, rest]
    return [group for group in groups if group["many"] > 0]


def _cpus_own(places: SlabPlaces, cpus: int) -> int | None:
    """Return how many cpus have a slab of their own; None where the files leave it open.

    A cpu without one hides its partial list from ``cpu_slabs``: the difference of the two files is then too small.
    That can be only if there are cpus enough, one without a slab and with at least one slab on its list.
    """
    if not places.cpu_slabs or not places.cpu_partial_slabs:
        return places.cpu_slabs
    least = places.cpu_slabs - places.cpu_partial_slabs
    return least if least + 2 > cpus else None


def _group(place: str, many: int, state: int = UNKNOWN) -> dict[str, Any]:
    return {"place": place, "many": many, "state": state, "used": None}
