"""Objects of a trace: which one SLUB hands out next, told from the requests alone.

The simulated allocator starts without a slab. It learns of one when an object of it is freed, or when a
request got an object that nothing before could tell of; such a slab counts as full until then. From there on
the allocator decides by itself, and each recorded object that was freed earlier in the trace is compared with
its decision. After a miss the recorded object is taken, and the lists are put in order (`arrange`). What a new slab
hands out after its first object is told from the cache's earlier new slabs (`NewSlabs`); its first one nothing tells.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmemwidgets.capture import Capture
from kmemwidgets.procfs import slabinfo
from kmemwidgets.records import MachineSpec, SlabCacheInfo
from kmemwidgets.sim.gfp import GFP_KERNEL
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.kmalloc import TABLE as KMALLOC_TABLE
from kmemwidgets.sim.rules.kmalloc import KmallocRules
from kmemwidgets.sim.rules.slub import TABLE, SlubRules
from kmemwidgets.sim.slab_cache import CPU_SLAB, KmemCache, Slab
from kmemwidgets.sim.slab_common import bucket_of, kmalloc_caches, kmalloc_kind, kmalloc_kinds
from kmemwidgets.sim.slub import Slub
from kmemwidgets.sim.slub_layout import CacheGeometry, ObjectLayout
from kmemwidgets.sim.slub_options import parse_options, tunables
from kmemwidgets.tracefs import SLAB_EVENTS, Row, scan

from . import debugged
from .arrange import hand_out, off_the_lists, use_up
from .new_slabs import NewSlabs
from .parted import Parted

#: Misses that are told one by one.
FIRST_MISSES = 10

_ALLOC = frozenset({"kmem_cache_alloc", "kmem_cache_alloc_node"})
_KMALLOC = frozenset({"kmalloc", "kmalloc_node"})
#: The third latency flag where an event came from an interrupt: hard, soft, or hard within soft.
_INTERRUPT = frozenset("hsH")


@dataclass(frozen=True, slots=True)
class ObjectMiss:
    """An object that was handed out otherwise than predicted; `predicted` 0: from a new slab."""

    event: int
    cache: str
    predicted: int
    recorded: int


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """What became of a trace's slab allocations.

    Attributes
    ----------
    determined : int
        Allocations whose recorded object was freed earlier in the trace.
    exact : int
        Those predicted.
    by_chance : int
        Those of `determined` whose object lies in pages that went back and came again: with which of its objects a
        new slab begins, and what follows until another slab has shown it, chance chooses.
    unattributed : int
        Allocations whose cache the trace doesn't tell.
    first_misses : tuple of ObjectMiss
    by_cache : mapping of str to (int, int)
        Determined and exact of each cache, but for those of `by_chance`.
    incomplete : tuple of str
        Caches that were given objects back which, by the trace, nobody had: not all their requests are in it
        (kmem_cache_alloc_bulk leaves no event).
    """

    determined: int
    exact: int
    unattributed: int
    first_misses: tuple[ObjectMiss, ...]
    by_cache: Mapping[str, tuple[int, int]]
    by_chance: int = 0
    incomplete: tuple[str, ...] = ()

    @property
    def complete(self) -> tuple[int, int]:
        """Determined and exact, chance aside, of the caches whose requests are all in the trace."""
        whole = [counts for name, counts in self.by_cache.items() if name not in self.incomplete]
        return sum(determined for determined, _ in whole), sum(exact for _, exact in whole)

    def as_json(self) -> dict[str, Any]:
        """Return the figures that ``kmem replay --json`` tells."""
        determined, exact = self.complete
        return {
            "determined": self.determined,
            "exact": self.exact,
            "unattributed": self.unattributed,
            "by_chance": self.by_chance,
            "complete": {"determined": determined, "exact": exact},
            "incomplete": list(self.incomplete),
        }


class _NoPages:
    """A page allocator with nothing to give: which pages a slab gets is learnt from the trace."""

    def alloc_pages(self, gfp: int, order: int = 0, nid: int | None = None, cpu: int = 0) -> int:  # noqa: ARG002
        return -1

    def free_pages(self, pfn: int, order: int = 0, cpu: int = 0) -> None:
        """Take pages that the trace tells of as well."""


def direct_map_base(spec: MachineSpec) -> int:
    """Return the address at which the direct map has, or would have, the frame with pfn 0."""
    base = dict(spec.bases).get("page_offset_base")
    if base is not None:
        return base
    if spec.arch == "x86_64":
        return 0xFF11000000000000 if spec.va_bits == 57 else 0xFFFF888000000000
    if spec.arch == "arm64":
        # arch/arm64/mm/init.c, arm64_memblock_init: memory begins at the start of the linear map, to 1 GiB.
        start = min((entry.start for entry in spec.memory), default=0)
        return (1 << 64) - (1 << spec.va_bits) - (start & -(1 << 30))
    return int(spec.option("CONFIG_PAGE_OFFSET") or "0xc0000000", 0)


def call_site_caches(rows: Iterable[Row]) -> dict[str, str]:
    """Find the cache of each call site of kmem_cache_alloc: the one that its objects were freed to."""
    owner: dict[int, str] = {}
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for name, _comm, _pid, _cpu, _time, _flags, values in rows:
        if name in _ALLOC:
            owner[values[1]] = values[0]
        elif name == "kmem_cache_free":
            site = owner.pop(values[1], None)
            if site is not None and values[2] is not None:
                seen[site][values[2]] += 1
    return {site: names.most_common(1)[0][0] for site, names in seen.items()}


class ObjectReplay:
    """Drives a simulated SLUB with a trace's requests.

    Parameters
    ----------
    spec : MachineSpec
    caches : sequence of SlabCacheInfo
        /proc/slabinfo before the trace: names, sizes, and pages of a slab. Counts are not used.
    cpus : int
        Cpus that occur in the trace.
    """

    def __init__(self, spec: MachineSpec, caches: Sequence[SlabCacheInfo], cpus: int) -> None:
        self.spec = spec
        self.rules = pick(SlubRules, TABLE, spec.kernel)
        cpu_node = tuple((*spec.cpu_node, *[0] * cpus)[:cpus])
        nodes = sorted(set(cpu_node) | {0})
        self.slub = Slub(
            _NoPages(), self.rules, tunables=tunables(self.rules, spec), cpu_node=cpu_node, nodes=nodes,
            page_offset=direct_map_base(spec), hardened=False, shuffled=False,
        )  # fmt: skip
        self.options = parse_options(self.rules, spec)
        self.kmalloc = pick(KmallocRules, KMALLOC_TABLE, spec.kernel)
        self.kinds = kmalloc_kinds(self.kmalloc, spec)
        self.described = {cache.name: cache for cache in caches}
        self.by_size: dict[int, list[str]] = defaultdict(list)
        for cache in caches:
            if cache.slab_size is not None:
                self.by_size[cache.slab_size].append(cache.name)
        self.kmalloc_names: dict[tuple[str, int], str] = {}
        for entry in kmalloc_caches(self.kmalloc, spec):
            described = self.described.get(entry.name)
            if described is not None and described.slab_size is not None:
                self.kmalloc_names[entry.kind, described.slab_size] = entry.name
        self.caches: dict[str, KmemCache] = {}
        self.freed: set[int] = set()
        self.owner: dict[int, KmemCache] = {}
        self.counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.unattributed = 0
        #: Determined and exact where chance chose.
        self.chance = [0, 0]
        self.misses: list[ObjectMiss] = []
        self.in_interrupt = False
        self.new_slabs = NewSlabs()
        self.parted = Parted(self.slub)
        self.incomplete: set[str] = set()

    def run(self, rows: Sequence[Row]) -> ObjectResult:
        """Replay a whole trace."""
        sites = call_site_caches(rows)
        for number, (name, _comm, _pid, cpu, _time, flags, values) in enumerate(rows):
            self.in_interrupt = flags[2:3] in _INTERRUPT
            if name in _ALLOC:
                self._alloc(number, self._cache_of_site(sites, values[0], values[3]), values[1], cpu)
            elif name in _KMALLOC:
                cache = self._kmalloc_cache(values[0], values[3], values[4])
                if cache is not None:
                    self._alloc(number, cache, values[1], cpu)
            elif name == "kmem_cache_free":
                self._free(self.cache(values[2]), values[1], cpu)
            elif name == "kfree":
                self._free(None, values[1], cpu)
            elif name == "mm_page_free" and values[0] is not None:
                self._pages_freed(values[0], values[1])
            elif name == "mm_page_alloc" and values[0] is not None and values[1] <= self.slub.tunables.highest_order:
                self.new_slabs.pages_allocated(values[0], values[1])
            if not self.in_interrupt:
                self.parted.over(cpu)
        return self.result()

    def result(self) -> ObjectResult:
        """Return what was counted so far."""
        by_cache = {name: (counts[0], counts[1]) for name, counts in self.counts.items()}
        return ObjectResult(
            sum(determined for determined, _ in by_cache.values()) + self.chance[0],
            sum(exact for _, exact in by_cache.values()) + self.chance[1],
            self.unattributed,
            tuple(self.misses[:FIRST_MISSES]),
            by_cache,
            self.chance[0],
            tuple(sorted(self.incomplete)),
        )

    # --- whose object is it -------------------------------------------------------------------

    def _cache_of_site(self, sites: Mapping[str, str], site: str, bytes_alloc: int) -> KmemCache | None:
        """Return the cache of a kmem_cache_alloc, None where neither its call site nor its size tells."""
        name = sites.get(site)
        if name is None:
            of_size = self.by_size.get(bytes_alloc, [])
            name = of_size[0] if len(of_size) == 1 else None
        cache = self.cache(name) if name is not None else None
        if cache is None:
            self.unattributed += 1
        return cache

    def _kmalloc_cache(self, site: str, bytes_alloc: int, gfp: str) -> KmemCache | None:
        """Return the cache behind a kmalloc; None for one that took pages."""
        own = self.kmalloc_names.get((bucket_of(self.kmalloc, site, gfp), bytes_alloc))
        name = own or self.kmalloc_names.get((kmalloc_kind(self.kinds, gfp.split("|")), bytes_alloc))
        return self.cache(name) if name is not None else None

    def cache(self, name: str | None) -> KmemCache | None:
        """Return the simulated cache of a name; None for one that the recording doesn't describe."""
        made = self.caches.get(name or "")
        described = self.described.get(name or "")
        if made is not None or described is None or not described.slab_size or not described.objs_per_slab:
            return made
        size = described.slab_size
        page_size = self.spec.page_size
        order = described.order or 0
        if order > self.slub.tunables.highest_order:
            return None
        partial = self.rules.cpu_partial(size, page_size)
        geometry = CacheGeometry(
            # Where in its slot the object lies doesn't matter: its address is taken as it comes.
            ObjectLayout(size, size, 0, None, None, 0, size),
            order,
            described.objs_per_slab,
            self.rules.min_partial(size),
            partial,
            self.rules.cpu_partial_slabs(partial, described.objs_per_slab),
        )
        made = KmemCache(
            described.name, size, 8, self.options.debug_flags(described.name), geometry,
            cpus=len(self.slub.cpu_node), nodes=self.slub.node_ids,
        )  # fmt: skip
        self.caches[described.name] = made
        return made

    # --- requests -----------------------------------------------------------------------------

    def _alloc(self, number: int, cache: KmemCache | None, address: int, cpu: int) -> None:
        """Compare an allocation with the simulated one; only its cache and cpu are the request."""
        if cache is None or not address:
            return
        self.parted.touched(cache, cpu)
        if self.in_interrupt:
            self.parted.over(cpu)
        predicted = self.slub.next_object(cache, cpu)
        if address in self.freed:
            chance = self._is_chance(cache, address, cpu, predicted)
            counts = self.chance if chance else self.counts[cache.name]
            counts[0] += 1
            counts[1] += predicted == address
            if predicted != address and not chance:
                self.misses.append(ObjectMiss(number, cache.name, predicted, address))
        if cache.debug:
            slab = self._slab(cache, address)
            self.new_slabs.handed_out(slab, address)
            debugged.take(self.slub, slab, address, self.new_slabs.following(slab, address))
        elif predicted == address:
            # Nobody looks at an object's bytes here, nor is it known where in its slot it lies.
            self.slub.slab_alloc(cache, GFP_KERNEL, cpu)
            self.new_slabs.handed_out(self._slab(cache, address), address)
        elif not self.parted.redo(cache, address, cpu):
            self._take(cache, address, cpu)
        self.owner[address] = cache

    def _is_chance(self, cache: KmemCache, address: int, cpu: int, predicted: int) -> bool:
        """Tell whether nothing but chance led to an object: a slab had to be cut, or its order is not yet known."""
        pfn = (address - self.slub.page_offset >> self.slub.page_shift) & -(1 << cache.geometry.order)
        c = cache.cpus[cpu]
        if predicted and (c.freelist or c.slab is None or c.slab.pfn != pfn):
            return False
        base = self.slub.page_offset + (pfn << self.slub.page_shift)
        return self.new_slabs.is_chance(cache.name, pfn, (address - base) // cache.layout.size)

    def _free(self, cache: KmemCache | None, address: int, cpu: int) -> None:
        owner = self.owner.pop(address, None)
        had_been_freed = address in self.freed
        self.freed.add(address)
        known = self.slub.slabs.get(address >> self.slub.page_shift)
        cache = cache or owner or (known.cache if known else None)
        if cache is None:
            return
        slab = self._slab(cache, address)
        if owner is None and had_been_freed and slab is known:
            self.incomplete.add(cache.name)
        self._taken_unseen(slab, address)
        if cache.debug:
            debugged.give_back(self.slub, slab, address)
        else:
            self.parted.touched(cache, cpu)
            if self.in_interrupt:
                self.parted.about_to_free(slab, address, cpu)
            self.slub.slab_free(cache, slab, [address], cpu)

    def _taken_unseen(self, slab: Slab, address: int) -> None:
        """Take an object that is given back off the list it seems to be on: it went without an event."""
        c = slab.cache.cpus[slab.cpu] if slab.place == CPU_SLAB else None
        for chain in (slab.freelist, c.freelist if c is not None else []):
            if address in chain:
                chain.remove(address)
                slab.inuse += chain is slab.freelist

    def _pages_freed(self, pfn: int, order: int) -> None:
        """Forget slabs whose pages went back."""
        if order > self.slub.tunables.highest_order:
            return
        self.new_slabs.pages_freed(pfn, order)
        first = self.slub.page_offset + (pfn << self.slub.page_shift) >> self.slub.page_shift
        for page in range(first, first + (1 << order)):
            slab = self.slub.slabs.get(page)
            if slab is not None:
                off_the_lists(slab)
                self.slub.forget_slab(slab)

    # --- what the trace teaches ------------------------------------------------------------------

    def _slab(self, cache: KmemCache, address: int) -> Slab:
        """Return the slab of an object; one that was unknown so far counts as full."""
        slab = self.slub.slabs.get(address >> self.slub.page_shift)
        if slab is not None and slab.cache is cache:
            return slab
        if slab is not None:
            # Its pages went from one cache to another without an event that told so.
            off_the_lists(slab)
            self.slub.forget_slab(slab)
        order = cache.geometry.order
        pfn = (address - self.slub.page_offset >> self.slub.page_shift) & -(1 << order)
        for page in range(pfn, pfn + (1 << order)):
            other = self.slub.slabs.get((self.slub.page_offset >> self.slub.page_shift) + page)
            if other is not None:
                off_the_lists(other)
                self.slub.forget_slab(other)
        slab = self.slub.add_slab(cache, pfn, order, self._nid(pfn))
        self.new_slabs.entered(slab)
        return slab

    def _nid(self, pfn: int) -> int:
        start = pfn << self.slub.page_shift
        return next((node.nid for node in self.spec.nodes if node.start <= start < node.end), 0)

    def _take(self, cache: KmemCache, address: int, cpu: int) -> None:
        """Put the simulated cache into the state that handing out this object leaves."""
        slab = self._slab(cache, address)
        if cache.name in self.incomplete:
            use_up(slab, address, cpu)
        else:
            hand_out(self.slub, slab, address, cpu)
        self.new_slabs.handed_out(slab, address)
        c = cache.cpus[cpu]
        if not c.freelist:
            c.freelist = self.new_slabs.following(slab, address)[::-1]


def replay_objects(spec: MachineSpec, rows: Sequence[Row], slabinfo_text: str, where: str = "slabinfo") -> ObjectResult:
    """Replay the slab requests of one trace.

    Parameters
    ----------
    spec : MachineSpec
    rows : sequence of Row
        The trace, as `tracefs.scan` gives it.
    slabinfo_text : str
        /proc/slabinfo from before the trace.
    where : str
        Its path, for errors.
    """
    cpus = max((row[3] for row in rows), default=0) + 1
    return ObjectReplay(spec, slabinfo.parse(slabinfo_text, where).caches, max(cpus, spec.cpus)).run(rows)


def extra_keys(capture: Capture, trace: str, text: str) -> dict[str, Any]:
    """Return "objects" of a trace with slab events, where its caches' sizes were recorded."""
    # The figures of a cache that count here don't change while it lives: any reading of them will do.
    paths = [f"{trace}/slabinfo.before", f"{trace}/slabinfo.after", "snap/slabinfo.after", "proc/slabinfo"]
    path = next((path for path in paths if capture.has(path)), None)
    rows = list(scan(text, (*SLAB_EVENTS, "mm_page_alloc", "mm_page_free"), where=f"{capture.name}/{trace}"))
    if path is None or not any(row[0] in SLAB_EVENTS for row in rows):
        return {}
    return {"objects": replay_objects(capture.spec(), rows, capture.text(path), f"{capture.name}/{path}").as_json()}
