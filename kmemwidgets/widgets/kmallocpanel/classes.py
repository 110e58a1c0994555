"""kmalloc's classes of one machine, as the panel shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kmemwidgets.records import MachineSpec, Snapshot
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.kmalloc import TABLE as KMALLOC_TABLE
from kmemwidgets.sim.rules.kmalloc import KmallocRules
from kmemwidgets.sim.rules.slab import TABLE as SLAB_TABLE
from kmemwidgets.sim.rules.slab import SlabRules
from kmemwidgets.sim.rules.slub import TABLE as SLUB_TABLE
from kmemwidgets.sim.rules.slub import SlubRules, has_slub
from kmemwidgets.sim.slab24_debug import guard_of
from kmemwidgets.sim.slab24_init import general_sizes, old_tunables
from kmemwidgets.sim.slab24_layout import slab_geometry
from kmemwidgets.sim.slab_common import kmalloc_caches, kmalloc_kind, kmalloc_kinds, kmalloc_size, kmalloc_sizes
from kmemwidgets.sim.slub_layout import cache_geometry, calculate_sizes
from kmemwidgets.sim.slub_options import parse_options, tunables

#: What a caller may ask for, and the flags that decide the kind of cache.
REQUESTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("GFP_KERNEL", ()),
    ("GFP_KERNEL_ACCOUNT", ("__GFP_ACCOUNT",)),
    ("GFP_KERNEL | __GFP_RECLAIMABLE", ("__GFP_RECLAIMABLE",)),
    ("GFP_KERNEL | GFP_DMA", ("__GFP_DMA",)),
)


@dataclass(frozen=True, slots=True)
class SizeClass:
    """One size that kmalloc has caches for. Bytes; `order` as a power of two of pages."""

    size: int
    order: int
    objects: int


@dataclass(frozen=True, slots=True)
class Kmalloc:
    """What kmalloc of a machine does with a size.

    Attributes
    ----------
    classes : tuple of SizeClass
        Ascending.
    names : mapping of (kind, size) to str
        The cache of each kind and size.
    kinds : tuple of str
    page_size, largest : int
        Bytes; `largest` is KMALLOC_MAX_SIZE.
    zero : int
        What no bytes at all get: nothing, or before 2.6.22 the smallest object.
    """

    classes: tuple[SizeClass, ...]
    names: Mapping[tuple[str, int], str]
    kinds: tuple[str, ...]
    page_size: int
    largest: int
    zero: int = 0

    def gets(self, size: int) -> int | None:
        """Return the bytes that a request of `size` takes; 0 for nothing; None where kmalloc refuses."""
        if size > self.largest:
            return None
        if not size:
            return self.zero
        return kmalloc_size(size, [each.size for each in self.classes], self.page_size)

    @property
    def bound(self) -> str:
        """What the largest size is called."""
        return "the largest cache" if self.zero else "KMALLOC_MAX_SIZE"

    def kinds_said(self) -> str:
        """Name the kinds of caches; random copies are counted, callers with caches of their own come last."""
        copies = sum(kind.startswith("rnd-") for kind in self.kinds)
        own = sorted({kind for kind, _size in self.names} - set(self.kinds))
        words = [kind for kind in self.kinds if not kind.startswith("rnd-")]
        words += [f"{copies} random copies"] if copies else []
        words += [f"of their own {' and '.join(own)}"] if own else []
        return ", ".join(words)

    def cache(self, size: int, flags: Iterable[str] = ()) -> str | None:
        """Return the cache that serves a request, None for pages, for nothing and for too much."""
        taken = self.gets(size)
        return self.names.get((kmalloc_kind(self.kinds, flags), taken)) if taken else None

    def wasted(self, sizes: Mapping[int, int]) -> tuple[int, int]:
        """Return bytes asked for and bytes taken by requests: size -> how many."""
        asked = taken = 0
        for size, times in sizes.items():
            asked += size * times
            taken += (self.gets(size) or 0) * times
        return asked, taken


def describe(given: object, snapshot: Snapshot) -> MachineSpec:
    """Return the description of what a widget was given; of a snapshot only what it says itself."""
    spec = getattr(given, "spec", None)
    made: Any = spec() if callable(spec) else spec
    if isinstance(made, MachineSpec):
        return made
    return MachineSpec(
        arch=snapshot.arch, kernel=snapshot.kernel, cpus=snapshot.cpus or 1, page_size=snapshot.page_size
    )


def kmalloc_of(spec: MachineSpec) -> Kmalloc:
    """Work out kmalloc's classes (mm/slab_common.c, create_kmalloc_caches; mm/slub.c, calculate_order)."""
    if not has_slub(spec.kernel):
        return _old_kmalloc(spec)
    rules = pick(KmallocRules, KMALLOC_TABLE, spec.kernel)
    slub = pick(SlubRules, SLUB_TABLE, spec.kernel)
    machine = tunables(slub, spec)
    options = parse_options(slub, spec)
    names = {(cache.kind, cache.size): cache.name for cache in kmalloc_caches(rules, spec)}
    classes = []
    for size in kmalloc_sizes(rules, spec.arch, spec.page_size):
        debug = options.debug_flags(names["normal", size])
        align = max(rules.align(size), machine.word)
        layout = calculate_sizes(slub, size, align, debug, kmalloc=True, word=machine.word)
        geometry = cache_geometry(slub, layout, debug, machine)
        classes.append(SizeClass(size, geometry.order, geometry.objs_per_slab))
    return Kmalloc(
        classes=tuple(classes),
        names=names,
        kinds=kmalloc_kinds(rules, spec),
        page_size=spec.page_size,
        largest=spec.page_size << machine.highest_order,
    )


def _old_kmalloc(spec: MachineSpec) -> Kmalloc:
    """Work out the classes of SLAB: two caches a size, and nothing above the largest (mm/slab.c, cache_sizes)."""
    rules = pick(SlabRules, SLAB_TABLE, spec.kernel)
    machine = old_tunables(spec)
    debug = spec.option("CONFIG_DEBUG_SLAB") == "y"
    classes = []
    for size in general_sizes(rules, machine):
        flags = frozenset({"hwcache_align"})
        guard = guard_of(rules, size, 0, flags, ctor=False, word=machine.word) if debug else None
        geometry = slab_geometry(rules, size, 0, flags, machine=machine, guard=guard)
        classes.append(SizeClass(size, geometry.order, geometry.num))
    names = {("normal", each.size): f"size-{each.size}" for each in classes}
    names |= {("dma", each.size): f"size-{each.size}(DMA)" for each in classes}
    return Kmalloc(
        classes=tuple(classes),
        names=names,
        kinds=("normal", "dma"),
        page_size=spec.page_size,
        largest=classes[-1].size,
        zero=classes[0].size,
    )
