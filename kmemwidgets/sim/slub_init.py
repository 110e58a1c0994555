"""The slab allocator of a machine that boots: its first caches, kmalloc's, and a state that can be kept."""

from __future__ import annotations

from typing import Any

from kmemwidgets.records import MachineSpec

from .events import EventLog
from .kmalloc import Kmalloc
from .rules import pick
from .rules.kmalloc import TABLE as KMALLOC_TABLE
from .rules.kmalloc import KmallocRules
from .rules.slub import TABLE, SlubRules, is_tiny
from .slab_cache import CPU_PARTIAL, CPU_SLAB, NODE_PARTIAL, KmemCache, Slab
from .slab_create import kmem_cache_init, slab_up
from .slub import Slub
from .slub_options import parse_options, tunables
from .slub_pages import Pages
from .slub_sheaves import Sheaf
from .slub_structs import struct_sizes
from .vmalloc import Vmalloc


def slab_allocator(
    spec: MachineSpec,
    page_alloc: Pages,
    *,
    page_offset: int,
    vmalloc: Vmalloc | None = None,
    nodes: tuple[int, ...] = (0,),
    seed: int = 0,
    log: EventLog | None = None,
) -> Slub:
    """Boot SLUB and kmalloc (mm/slub.c, kmem_cache_init).

    Parameters
    ----------
    spec : MachineSpec
    page_alloc : Pages
    page_offset : int
        Address of the frame with pfn 0 in the direct map.
    vmalloc : Vmalloc or None
        For kvmalloc.
    nodes : tuple of int
        Nodes with memory.
    seed : int
        The machine's.
    log : EventLog or None
    """
    rules = pick(SlubRules, TABLE, spec.kernel)
    # CONFIG_SLUB_TINY leaves out what makes objects hard to foresee, and statistics.
    tiny = is_tiny(spec)
    kmalloc = pick(KmallocRules, KMALLOC_TABLE, spec.kernel)
    slub = Slub(
        page_alloc,
        rules,
        tunables=tunables(rules, spec),
        options=parse_options(rules, spec),
        cpu_node=(*spec.cpu_node, *[nodes[0]] * spec.cpus)[: spec.cpus],
        nodes=nodes,
        page_offset=page_offset,
        hardened=spec.option("CONFIG_SLAB_FREELIST_HARDENED") != "n" and not tiny,
        shuffled=spec.option("CONFIG_SLAB_FREELIST_RANDOM") != "n" and not tiny,
        min_align=kmalloc.min_size(spec.arch),
        seed=seed,
        log=log,
        counts=spec.option("CONFIG_SLUB_STATS") == "y" and not tiny,
    )
    slub.version, slub.arch, slub.va_bits = spec.kernel, spec.arch, spec.va_bits
    kmem_cache_init(slub, *struct_sizes(spec))
    slub.general = Kmalloc(slub, kmalloc, spec, vmalloc, seed)
    slab_up(slub)
    return slub


def save(slub: Slub) -> tuple[Any, ...]:
    """Return the state as plain tuples, with slabs named by their first pfn."""
    numbers = {id(cache): number for number, cache in enumerate(slub.slab_caches)}
    slabs = {slab.pfn: slab for slab in slub.slabs.values()}
    kept = tuple(
        (
            pfn, numbers[id(s.cache)], s.order, s.nid, s.inuse, tuple(s.freelist), s.frozen, s.place, s.cpu,
            s.free_when_put, None if s.data is None else bytes(s.data),
        )
        for pfn, s in slabs.items()
    )  # fmt: skip
    caches = tuple(
        (
            cache, cache.plain, cache.refcount, tuple(cache.aliases), cache.object_size, cache.random_seq,
            tuple(
                (c.slab.pfn if c.slab else None, tuple(c.freelist), tuple(s.pfn for s in c.partial), tuple(c.sheaf),
                 None if c.spare is None else tuple(c.spare), None if c.rcu_free is None else tuple(c.rcu_free))
                for c in cache.cpus
            ),
            tuple(
                (tuple(node.partial), tuple(node.full), tuple(map(tuple, node.full_sheaves)), node.empty_sheaves)
                for node in cache.nodes.values()
            ),
            None if cache.stats is None else tuple((name, tuple(row)) for name, row in cache.stats.items()),
        )
        for cache in slub.slab_caches
    )  # fmt: skip
    rest = (slub.random.state, tuple(slub.dmesg), slub.tainted, slub.requests, tuple(slub.tracks.items()))
    lent = tuple((number, each.cache, tuple(each.objects), each.capacity) for number, each in slub.prefilled.items())
    waiting = tuple((cache, tuple(objects), cpu, full) for cache, objects, cpu, full in slub.rcu_waiting)
    return (kept, caches, rest, (waiting, lent), slub.general.save() if slub.general else ())


def load(slub: Slub, saved: tuple[Any, ...]) -> None:
    """Go back to what `save` returned, of the same allocator."""
    kept, caches, rest, (waiting, lent), general = saved
    slub.rcu_waiting = [(cache, list(objects), cpu, full) for cache, objects, cpu, full in waiting]
    slub.prefilled = {number: Sheaf(cache, list(objects), capacity) for number, cache, objects, capacity in lent}
    slub.slab_caches = [entry[0] for entry in caches]
    slub.slabs = {}
    for cache in slub.slab_caches:
        for node in cache.nodes.values():
            node.nr_slabs = node.total_objects = 0
    slabs: dict[int, Slab] = {}
    for pfn, number, order, nid, inuse, freelist, frozen, place, cpu, free_when_put, data in kept:
        slab = slub.add_slab(slub.slab_caches[number], pfn, order, nid)
        slab.inuse, slab.freelist, slab.frozen = inuse, list(freelist), frozen
        slab.place, slab.cpu, slab.free_when_put = place, cpu, free_when_put
        slab.data = None if data is None else bytearray(data)
        slabs[pfn] = slab
    for entry in caches:
        _load_cache(entry, slabs)
    slub.random.state, dmesg, slub.tainted, slub.requests, tracks = rest
    slub.dmesg = list(dmesg)
    slub.tracks = dict(tracks)
    if slub.general:
        slub.general.load(general)


def _load_cache(entry: tuple[Any, ...], slabs: dict[int, Slab]) -> None:
    cache, plain, refcount, aliases, object_size, random_seq, cpus, nodes, stats = entry
    cache.stats = None if stats is None else {name: list(row) for name, row in stats}
    cache.plain, cache.refcount, cache.aliases = plain, refcount, list(aliases)
    cache.object_size, cache.random_seq = object_size, random_seq
    for c, (pfn, freelist, partial, sheaf, spare, rcu_free) in zip(cache.cpus, cpus, strict=True):
        c.slab = None if pfn is None else slabs[pfn]
        c.freelist, c.partial = list(freelist), [slabs[each] for each in partial]
        c.sheaf, c.spare = list(sheaf), None if spare is None else list(spare)
        c.rcu_free = None if rcu_free is None else list(rcu_free)
    for node, (partial, full, full_sheaves, empty_sheaves) in zip(cache.nodes.values(), nodes, strict=True):
        node.partial.clear()
        node.partial.update((pfn, slabs[pfn]) for pfn in partial)
        node.full.clear()
        node.full.update((pfn, slabs[pfn]) for pfn in full)
        node.full_sheaves, node.empty_sheaves = [list(each) for each in full_sheaves], empty_sheaves


def check(slub: Slub) -> list[str]:
    """Compare lists with counters and each other; returns what disagrees, nothing where all is well."""
    wrong: list[str] = []
    for cache in slub.slab_caches:
        wrong += _check_cache(slub, cache)
    return wrong


def _check_cache(slub: Slub, cache: KmemCache) -> list[str]:
    wrong: list[str] = []
    slabs = {slab.pfn: slab for slab in slub.slabs.values() if slab.cache is cache}
    if len(slabs) != cache.num_slabs() or sum(slab.objects for slab in slabs.values()) != cache.num_objects():
        wrong.append(f"{cache.name}: {len(slabs)} slabs, counted {cache.num_slabs()}")
    free = [address for slab in slabs.values() for address in slab.freelist]
    for cpu, c in enumerate(cache.cpus):
        free += [*c.freelist, *c.sheaf, *(c.spare or ()), *(c.rcu_free or ())]
        if c.slab is not None and (c.slab.place, c.slab.cpu) != (CPU_SLAB, cpu):
            wrong.append(f"{cache.name}: cpu {cpu}'s slab is elsewhere")
        wrong += [f"{cache.name}: a slab put aside is elsewhere" for slab in c.partial if slab.place != CPU_PARTIAL]
    for node in cache.nodes.values():
        free += [address for sheaf in node.full_sheaves for address in sheaf]
        wrong += [
            f"{cache.name}: slab {pfn:#x} of a node's list is elsewhere"
            for pfn, slab in node.partial.items()
            if slab.place != NODE_PARTIAL or slab.inuse != slab.objects - len(slab.freelist) or not slab.freelist
        ]
    if len(set(free)) != len(free):
        wrong.append(f"{cache.name}: an object is free twice")
    wrong += [
        f"{cache.name}: {address:#x} is no object"
        for address in free
        if slub.slabs[address >> slub.page_shift].index_of(address) < 0
    ]
    return wrong
