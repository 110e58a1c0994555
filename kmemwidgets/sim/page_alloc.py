"""The page allocator: zonelist walk, per-CPU lists, buddy lists, and what is refused (mm/page_alloc.c)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import alloc_flags as af
from . import slowpath
from .bad_page import bad_free
from .events import ALLOC, FREE, OTHER, PCP_TAKE, REQUEST, ZONE_SKIPPED
from .fast_path import FastPath, Key

# Names that begin with two underscores are mangled inside a class.
from .gfp import __GFP_KSWAPD_RECLAIM as KSWAPD_RECLAIM
from .gfp import __GFP_THISNODE as THISNODE
from .gfp import gfp_migratetype, gfp_zone
from .highatomic import reserve_highatomic
from .memmap import IN_USE, IN_USE_LRU, NO_ZONE, ON_PCP, ORDER_MASK, RESERVED, UNKNOWN_LRU, MemMap
from .migratetype import ISOLATE, MOVABLE, PCPTYPES, UNMOVABLE
from .mmzone import Zone
from .numa_stat import NumaStat
from .page import Page
from .page_bugs import PageBugs
from .pcp import COSTLY_ORDER, PUT, PerCpuPages, drain_all, list_index, take
from .plans import Record, plan_alloc, plan_free
from .rules.allocator import AllocatorRules
from .show_mem import ShownAs
from .shuffle import Shuffle
from .warn_alloc import FailureReports
from .zone_lists import ZoneLists

Emit = Callable[[tuple[Any, ...]], None]


class PageAllocator(FastPath):
    """All zones' lists, and the way of a request through them.

    Parameters
    ----------
    zones : sequence of Zone
        Populated zones, by node and then by zone index.
    memmap : MemMap
    rules : AllocatorRules
    cpu_node : sequence of int
        Node of each cpu.
    zone_names : sequence of str, optional
        All zone types that this kernel has, in index order, empty ones too.
    node_order : sequence of sequences of int, optional
        For each node the nodes of its zonelist, itself first; by number if not given.
    huge_order : int
        Order of huge pages if the kernel has lists for them, else -1.
    cma : bool
        CONFIG_CMA.
    grouping : bool
        Page blocks are grouped by mobility.
    per_cpu_lists : bool
        False: every request goes to the buddy lists.
    shuffle : Shuffle, optional
        Puts the largest blocks into random order; nothing is left to chance if not given.

    Attributes
    ----------
    zones : list of ZoneLists
        ``zones[i].free_area`` are the buddy lists alone.
    reclaim : Reclaim or None
        What the slow path calls; None: nothing can be reclaimed.
    reports : FailureReports
        What was said of requests that failed.
    shown : ShownAs
        What the configuration has to do with that.
    node_page_state : callable
        Returns the figures, in pages, that others count: slabs.
    numa : NumaStat
        How well requests were served.
    record : callable or None
        Takes several events at once, one after the other in one tuple, where someone listens (`EventLog.emit`).
    unnoted : bool
        No request may take the fast path.
    before_request : callable or None
        Lets the kernel threads run that were woken, before a request is served.
    policy : callable or None
        Takes GFP flags, order and cpu of a request that names no node, and serves it (`follow_policy`).
    bulk_policy : callable or None
        The same for a bulk: GFP flags, number of pages and cpu.
    """

    def __init__(
        self,
        zones: Sequence[Zone],
        memmap: MemMap,
        rules: AllocatorRules,
        *,
        cpu_node: Sequence[int] = (0,),
        zone_names: Sequence[str] = (),
        node_order: Sequence[Sequence[int]] = (),
        huge_order: int = 9,
        cma: bool = False,
        grouping: bool = True,
        per_cpu_lists: bool = True,
        shuffle: Shuffle | None = None,
    ) -> None:
        self.memmap = memmap
        memmap.bugs = PageBugs(rules.bugs, rules.version, zones=tuple((zone.nid, zone.index) for zone in zones))
        self.rules = rules
        self.cpu_node = tuple(cpu_node)
        self.zones = [ZoneLists(zone, memmap, rules, len(self.cpu_node)) for zone in zones]
        self.zone_names = tuple(zone_names) or _names_of(zones)
        self.cma = cma
        self.grouping = grouping and rules.buddy.migrate_types
        self.per_cpu_lists = per_cpu_lists and rules.pcp.lists > 0
        self.reclaim: slowpath.Reclaim | None = None
        self.reports = FailureReports(self)
        self.shown = ShownAs()
        self.node_page_state: Callable[[], Mapping[str, int]] = dict
        self.shuffle = shuffle
        self.largest_order = rules.buddy.nr_orders - 1
        # Only kernels with 14 lists keep huge pages on them.
        self.huge_order = huge_order if rules.pcp.lists > PCPTYPES and self.per_cpu_lists else -1
        self.state = memmap.state
        self.shift = memmap.pageblock_order
        self._put = PUT.get(rules.pcp.scheme, PUT["fixed"])
        nodes = sorted({zone.nid for zone in zones})
        self._several_nodes = len(nodes) > 1
        self.node_order = [tuple(order) for order in node_order] or [
            (nid, *(other for other in nodes if other != nid)) for nid in range(max(nodes, default=0) + 1)
        ]
        self.populated = {(live.zone.nid, live.zone.index) for live in self.zones if live.zone.present}
        self._walks: dict[tuple[int, int, bool], list[ZoneLists]] = {}
        self._requests: dict[int, tuple[int, int, int]] = {}
        self._look_at(memmap)
        self.numa = NumaStat(self)
        self._log = self.numa.log
        self.before_request: Callable[[], None] | None = None
        self.policy: Callable[[int, int, int], int] | None = None
        self.bulk_policy: Callable[[int, int, int], list[int]] | None = None
        self.observed_events: Emit | None = None
        self.decisions: Emit | None = None
        #: Told of every block that a request takes: pfn and order (`follow_blocks`).
        self.on_taken: Callable[[int, int], None] | None = None
        #: What `listen` was last given, and whether every request takes the whole way even so.
        self.listeners: tuple[Any, Any, Any] = (None, None, None)
        self._always = self.unnoted = False
        self.record: Record | None = None
        self._starts: list[int] = []
        self._owners: list[ZoneLists] = []
        for live in self.zones:
            live.free_area.pcp_huge = self.huge_order
            live.free_area.plans = self.plans
            live.free_area.shuffle = shuffle
            live.free_area.pcp_largest = rules.pcp.largest_order if self.per_cpu_lists else -1
            if not rules.watermark.boosts:
                live.zone.boost_factor = 0
            self._own(live, live.zone.start_pfn, live.zone.end_pfn)
        self._init_pageblocks()

    def _init_pageblocks(self) -> None:
        """Make every page block movable, and note its zone (memmap_init)."""
        mt = MOVABLE if self.grouping else UNMOVABLE
        ends = {live.zone.end_pfn - 1 >> self.shift for live in self.zones if live.zone.end_pfn & (1 << self.shift) - 1}
        for number, live in enumerate(self.zones):
            first = live.zone.start_pfn >> self.shift
            last = (live.zone.end_pfn - 1 >> self.shift) + 1
            zone_id = number
            if first in ends:
                live.free_area.own_types()
                zone_id = NO_ZONE
            live.free_area.types[first:last] = bytes((mt,)) * (last - first)
            self.memmap.zone_ids[first:last] = bytes((zone_id,)) * (last - first)

    # Which zone

    def _own(self, live: ZoneLists, start: int, end: int) -> None:
        if end > start:
            at = bisect_right(self._starts, start)
            self._starts.insert(at, start)
            self._owners.insert(at, live)

    def zone_of(self, pfn: int) -> ZoneLists:
        """Return the zone that a frame belongs to.

        Raises
        ------
        KernelBug
            If there is no such frame.
        """
        at = bisect_right(self._starts, pfn) - 1
        if at >= 0 and pfn < self._owners[at].zone.end_pfn:
            return self._owners[at]
        raise bad_free(self.memmap, pfn if pfn < 0 else self.memmap.max_pfn + abs(pfn), 0)

    def zone_index(self, name: str) -> int:
        """Return the index of the zone type that a request's GFP flags lead to in this configuration."""
        names = self.zone_names
        if name in names:
            return names.index(name)
        if name == "Movable" and "HighMem" in names:
            return names.index("HighMem")
        return names.index("Normal") if "Normal" in names else len(names) - 1

    def _owner(self, pfn: int) -> ZoneLists:
        """Return the zone of a frame that is known to be there."""
        number = self.memmap.zone_ids[pfn >> self.shift]
        return self.zones[number] if number != NO_ZONE else self._owners[bisect_right(self._starts, pfn) - 1]

    def walk(self, nid: int, highest_zoneidx: int, this_node: bool = False) -> list[ZoneLists]:
        """Return the zones of a zonelist up to an index, in the order in which they are tried."""
        key = (nid, highest_zoneidx, this_node)
        found = self._walks.get(key)
        if found is None:
            order = self.node_order[nid] if nid < len(self.node_order) else self.node_order[0]
            found = self._walks[key] = [
                live
                for node in (order[:1] if this_node else order)
                for live in reversed(self.zones)
                if live.zone.nid == node and live.zone.index <= highest_zoneidx and live.zone.present
            ]
        return found

    def read_gfp(self, gfp: int) -> tuple[int, int, int]:
        """Return migrate type, highest zone index and the fast path's alloc_flags of GFP flags."""
        known = self._requests.get(gfp)
        if known is None:
            mt = gfp_migratetype(gfp) if self.grouping else UNMOVABLE
            flags = af.WMARK_LOW
            if self.cma and mt == MOVABLE:
                flags |= af.CMA
            if gfp & KSWAPD_RECLAIM:
                flags |= af.KSWAPD
            known = self._requests[gfp] = mt, self.zone_index(gfp_zone(gfp)), flags
        return known

    def zones_for(self, gfp: int, nid: int) -> list[ZoneLists]:
        """Return the zones that a request walks, from a node on."""
        return self.walk(nid, self.read_gfp(gfp)[1], bool(gfp & THISNODE))

    def follow_policy(
        self,
        policy: Callable[[int, int, int], int] | None,
        bulk: Callable[[int, int, int], list[int]] | None = None,
    ) -> None:
        """Let a memory policy serve the requests that name no node, or nobody again."""
        self.policy = policy
        self.bulk_policy = bulk
        self.marks_changed()

    # Listening

    def listen(
        self,
        trace: Emit | None = None,
        decide: Emit | None = None,
        record: Callable[[tuple[tuple[Any, ...], ...]], None] | None = None,
    ) -> None:
        """Tell events and decisions to someone, or to nobody again.

        Parameters
        ----------
        trace : callable, optional
            Takes events that the kernel has tracepoints for.
        decide : callable, optional
            Takes decisions (system ``sim``).
        record : callable, optional
            Takes several events and decisions at once; with it requests may go the fast path.
        """
        self.listeners = (trace, decide, record)
        self.observed_events = trace
        self.decisions = decide
        for live in self.zones:
            live.free_area.trace = trace
            live.free_area.decide = decide
        self.record = record
        self._heed()

    def follow_blocks(self, on_taken: Callable[[int, int], None] | None) -> None:
        """Tell of every block that a request takes (pfn, order), or of none again."""
        self.on_taken = on_taken
        self._heed()

    def _heed(self) -> None:
        """Note whether someone has to be told of each request by itself: then nothing is noted for the fast path."""
        self.unnoted = self._always or self.on_taken is not None or (self.observed and self.record is None)
        self.marks_changed()

    def use_per_cpu_lists(self, use: bool) -> None:
        """Let requests go past the per-CPU lists, straight to the buddy lists, or let them use the lists again."""
        self.drain_all_pages()
        self.per_cpu_lists = use and self.rules.pcp.lists > 0
        for live in self.zones:
            live.free_area.pcp_largest = self.rules.pcp.largest_order if self.per_cpu_lists else -1
        self.marks_changed()

    def take_the_whole_way(self, always: bool) -> None:
        """Let no request take the fast path, because someone wants to hear of each."""
        self._always = always
        self._heed()

    @property
    def observed(self) -> bool:
        """Whether anybody listens to events or decisions."""
        return bool(self.observed_events or self.decisions)

    def marks_changed(self) -> None:
        """Forget what was computed from watermarks, reserves, boosts or list sizes."""
        self.plans.clear()
        self.free_plans.clear()
        for live in self.zones:
            live.look_at_every_free()

    # Boot

    def free_boot_range(self, zone: int, start_pfn: int, end_pfn: int) -> int:
        """Hand frames that were never used over to a zone, as memblock does; return their number."""
        live = self.zones[zone]
        live.free_area.free_boot_range(start_pfn, end_pfn)
        live.nr_free_pages += end_pfn - start_pfn
        return end_pfn - start_pfn

    def shuffle_free_memory(self) -> None:
        """Put every zone's largest blocks into random order, where pages are shuffled (page_alloc_init_late)."""
        if self.shuffle:
            for live in self.zones:
                self.shuffle.shuffle_zone(live.free_area)

    def reserve_range(self, start_pfn: int, end_pfn: int) -> None:
        """Mark frames as reserved: boot took them, and they can't be freed."""
        if end_pfn > start_pfn:
            self.memmap.touch(start_pfn, end_pfn)
            self.state[start_pfn:end_pfn] = bytes((RESERVED,)) * (end_pfn - start_pfn)

    def free_reserved(self, start_pfn: int, end_pfn: int) -> int:
        """Give frames back that boot had taken, page by page (free_reserved_area); return their number."""
        for pfn in range(start_pfn, end_pfn):
            live = self.zone_of(pfn)
            self.memmap.touch(pfn, pfn + 1)
            self.state[pfn] = IN_USE
            live.zone.managed += 1
            self.free_pages(pfn, 0)
        return end_pfn - start_pfn

    def setup_per_cpu_pageset(self) -> None:
        """Give every cpu's lists the sizes that the zones have now."""
        for live in self.zones:
            zone = live.zone
            for pcp in live.pcps:
                pcp.resize(zone.pcp_batch, zone.pcp_high, max(zone.pcp_high_max, zone.pcp_high))
        self.marks_changed()

    # Allocating

    def _alloc_slowly(self, key: Key) -> int:
        """Allocate the whole way: walk the zonelist, then the slow path; return the first pfn, -1 if it failed."""
        gfp, order, nid, cpu = key
        if self.policy is not None and nid is None and 0 <= cpu < len(self.cpu_node):
            return self.policy(gfp, order, cpu)
        return self.alloc_pages_nodemask(gfp, order, nid, cpu)

    def _alloc_from_empty(self, request: Key) -> int:
        """Refill the list that a plan names, and take its head: as long as there is a plan the zone is above its mark.

        The whole way would end there as well; it is taken where somebody has to be told of the steps.
        """
        gfp, order, nid, cpu = request
        if self.unnoted or self.observed or self.before_request is not None or not self.pcp_allowed(order):
            return self._alloc_slowly(request)
        mt, highest, flags = self.read_gfp(gfp)
        live = self.walk(self.cpu_node[cpu] if nid is None else nid, highest, bool(gfp & THISNODE))[0]
        if not live.free_area.heads[live.free_area.top_movable]:
            # Nobody knows whether there is a block for it.
            return self._alloc_slowly(request)
        boost = live.zone.watermark_boost
        live.free_area.cpu = cpu
        pfn = self.rmqueue(live, order, mt, flags | self.nofragment(live), cpu)
        if live.zone.watermark_boost != boost:
            self.marks_changed()
        if pfn < 0:
            return self._alloc_slowly(request)
        self.state[pfn] = (IN_USE_LRU if mt == MOVABLE else IN_USE) | order
        self.numa.count(live, live, cpu)
        return pfn

    def alloc_pages_nodemask(
        self, gfp: int, order: int, nid: int | None, cpu: int, nodemask: frozenset[int] | None = None
    ) -> int:
        """Allocate 2^order pages, from certain nodes only if a memory policy says so.

        Parameters
        ----------
        gfp : int
        order : int
        nid : int or None
            Preferred node; the cpu's if None.
        cpu : int
        nodemask : frozenset of int, optional
            Nodes that a memory policy allows.

        Returns
        -------
        int
            First pfn; -1 if the request failed.

        Raises
        ------
        ValueError
            For a negative order, GFP flags that contradict each other, or a cpu or node that is not there.
        """
        if order < 0 or not 0 <= cpu < len(self.cpu_node):
            raise ValueError(f"order {order} or cpu {cpu} is not there")
        node = self.cpu_node[cpu] if nid is None else nid
        mt, highest, flags = self.read_gfp(gfp)
        if self.before_request is not None:
            self.before_request()
        if self.decisions:
            self.decisions((REQUEST, cpu, order, gfp, mt, highest, node))
        if order > self.largest_order:
            self.reports.too_large(gfp, order, cpu, nodemask)
            return self._told(-1, order, mt, gfp, cpu)
        zones = self.walk(node, highest, bool(gfp & THISNODE))
        if nodemask is not None:
            zones = [live for live in zones if live.zone.nid in nodemask]
        if not zones:
            self.reports.failed(gfp, order, cpu, nodemask)
            return self._told(-1, order, mt, gfp, cpu)
        pfn = self.get_page_from_freelist(zones, order, mt, highest, flags | self.nofragment(zones[0]), cpu)
        if pfn < 0:
            pfn = slowpath.SlowPath(self, zones, gfp, order, mt, highest, node, cpu).run()
            if pfn < 0:
                self.reports.failed(gfp, order, cpu, nodemask)
        elif nodemask is None and self.policy is None and self.before_request is None:
            plan_alloc(self, zones[0], gfp, order, nid, cpu, mt, highest)
        if pfn >= 0:
            self.numa.count(self._owner(pfn), zones[0], cpu)
        return self._told(pfn, order, mt, gfp, cpu)

    def _told(self, pfn: int, order: int, mt: int, gfp: int, cpu: int) -> int:
        if self.observed_events:
            self.observed_events((ALLOC, cpu, pfn, order, mt, gfp))
        if self.on_taken and pfn >= 0:
            self.on_taken(pfn, order)
        return pfn

    def pcp_allowed(self, order: int) -> bool:
        """Tell whether the per-CPU lists hold blocks of an order (pcp_allowed_order)."""
        return self.per_cpu_lists and (order <= self.rules.pcp.largest_order or order == self.huge_order)

    def nofragment(self, preferred: ZoneLists) -> int:
        """Return ALLOC_NOFRAGMENT where DMA32 should be used before page blocks of Normal are mixed."""
        zone = preferred.zone
        if not self.rules.watermark.avoids_mixing or zone.name != "Normal" or "DMA32" not in self.zone_names:
            return 0
        return 0 if self._several_nodes and (zone.nid, zone.index - 1) not in self.populated else af.NOFRAGMENT

    def get_page_from_freelist(
        self, zones: Sequence[ZoneLists], order: int, mt: int, highest: int, flags: int, cpu: int
    ) -> int:
        """Walk the zones; the first above its mark that yields a block gives it; -1 if none does."""
        boost_before = [live.zone.watermark_boost for live in self.zones]
        pfn = self._walk_zones(zones, order, mt, highest, flags, cpu)
        if pfn < 0 and flags & af.NOFRAGMENT:
            pfn = self._walk_zones(zones, order, mt, highest, flags & ~af.NOFRAGMENT, cpu)
        if boost_before != [live.zone.watermark_boost for live in self.zones]:
            self._boosted(boost_before, cpu)
        return pfn

    def _boosted(self, boost_before: Sequence[int], cpu: int) -> None:
        """Note that zones were boosted, and tell which."""
        self.marks_changed()
        for live, before in zip(self.zones, boost_before, strict=True):
            zone = live.zone
            if zone.watermark_boost != before and self.decisions:
                boost = {"nid": zone.nid, "zone": zone.name, "boost": zone.watermark_boost}
                self.decisions((OTHER, cpu, "sim", "boost_watermark", boost))

    def _walk_zones(self, zones: Sequence[ZoneLists], order: int, mt: int, highest: int, flags: int, cpu: int) -> int:
        high_first = self.rules.watermark.tries_high_first
        home = zones[0].zone.nid
        for live in zones:
            if flags & af.NOFRAGMENT and live.zone.nid != home:
                # Locality is worth more than unmixed page blocks.
                return -1
            live.free_area.cpu = cpu
            passed = False
            if high_first and not live.below_high:
                passed = live.watermark_fast(order, live.mark(af.WMARK_HIGH), highest, flags)
                if not passed:
                    live.below_high = True
            passed = passed or live.watermark_fast(order, live.mark(flags), highest, flags)
            if not passed and not flags & af.NO_WATERMARKS:
                self._skip(live, "watermark", cpu)
                continue
            pfn = self.rmqueue(live, order, mt, flags, cpu)
            if pfn < 0:
                self._skip(live, "no block", cpu)
                continue
            self.state[pfn] = (IN_USE_LRU if mt == MOVABLE else IN_USE) | order
            if flags & af.HIGHATOMIC:
                reserve_highatomic(self, live, pfn, order, cpu)
            return pfn
        return -1

    def _skip(self, live: ZoneLists, why: str, cpu: int) -> None:
        if self.decisions:
            self.decisions((ZONE_SKIPPED, cpu, live.zone.nid, live.zone.name, why))

    def rmqueue(self, live: ZoneLists, order: int, mt: int, flags: int, cpu: int) -> int:
        """Take a block from a zone: the cpu's list first, then the buddy lists; -1 if there is none."""
        pfn = -1
        if self.pcp_allowed(order) and (not self.cma or flags & af.CMA or mt != MOVABLE):
            pcp = live.pcps[cpu]
            pfn = take(live, pcp, order, mt, flags)
            if pfn >= 0 and self.decisions:
                index = list_index(order, mt)
                self.decisions((PCP_TAKE, cpu, live.zone.nid, live.zone.name, index, pfn, pcp.count))
        if pfn < 0:
            pfn = live.rmqueue_buddy(order, mt, flags, cpu)
        area = live.free_area
        if flags & af.KSWAPD and area.boosted:
            area.boosted = False
            if self.reclaim:
                self.reclaim.wake_kswapd(live.zone.nid, live.zone.index, 0, 0, cpu)
        return pfn

    # Freeing

    def _free_slowly(self, pfn: int, order: int, cpu: int) -> None:
        """Free a block the whole way, checks included (__free_pages)."""
        if not (0 <= pfn < self.memmap.max_pfn and 0 <= order <= self.largest_order):
            raise bad_free(self.memmap, pfn, order)
        if not 0 <= cpu < len(self.cpu_node):
            raise ValueError(f"cpu {cpu} is not there")
        state = self.state
        code = state[pfn]
        if code & ORDER_MASK != IN_USE | order:
            if code < UNKNOWN_LRU:
                raise bad_free(self.memmap, pfn, order)
            state[pfn : pfn + (1 << order)] = bytes(1 << order)
        live = self._owner(pfn)
        if self.observed:
            self.tell_free(pfn, order, cpu)
        mt = live.free_area.types[pfn >> self.shift]
        if not self.pcp_allowed(order):
            if order <= self.shift and mt < PCPTYPES:
                plan_free(self, live, pfn, order, mt, cpu)
            live.free_block(pfn, order, cpu)
            return
        state[pfn] = ON_PCP | mt
        if mt >= PCPTYPES:
            if mt == ISOLATE:
                state[pfn] = 0
                live.free_one(pfn, order, mt, cpu)
                return
            mt = MOVABLE
        elif order <= COSTLY_ORDER:
            plan_free(self, live, pfn, order, mt, cpu)
        self._put(live, live.pcps[cpu], Page(pfn), order, mt)

    def _free_to_full(self, page: int, order: int, cpu: int, plan: Any) -> None:
        """Free where there is a plan: its block has been looked at, and only the list's amounts are left to see."""
        _, pcp, kept, _, _, _, listed, _ = plan
        if order != kept or type(page) is not Page or self.observed:
            self._free_slowly(page, order, cpu)
            return
        self.state[page] = listed
        self._put(self.zones[(self._places[page >> self.shift] >> 3) - 1], pcp, page, order, listed & 15)

    def tell_free(self, pfn: int, order: int, cpu: int) -> None:
        """Tell whoever listens that a block is freed."""
        if self.observed_events:
            self.observed_events((FREE, cpu, pfn, order))

    # Lists that empty by themselves

    def drain_local_pages(self, cpu: int, zone: int | None = None) -> None:
        """Empty a cpu's lists (drain_pages)."""
        for live in self.zones if zone is None else [self.zones[zone]]:
            drain_all(live, live.pcps[cpu])

    def drain_all_pages(self) -> None:
        """Empty all cpus' lists (drain_all_pages)."""
        for cpu in range(len(self.cpu_node)):
            self.drain_local_pages(cpu)

    # Saving

    def save(self) -> tuple[Any, ...]:
        """Copy all state: tables, lists, counters."""
        chance = self.shuffle.save() if self.shuffle else None
        zones = tuple(live.save() for live in self.zones)
        return self.memmap.save(), zones, self.reports.save(), chance, self.numa.save()

    checkpoint = save

    def load(self, saved: tuple[Any, ...]) -> None:
        """Bring all state back to what `save` copied."""
        self.memmap.load(saved[0])
        for live, kept in zip(self.zones, saved[1], strict=True):
            live.load(kept)
        self.reports.load(saved[2])
        if self.shuffle:
            self.shuffle.load(saved[3])
        self.numa.load(saved[4])
        self.marks_changed()

    restore = load

    def pcp(self, zone: int, cpu: int) -> PerCpuPages:
        """Return a cpu's lists of a zone."""
        return self.zones[zone].pcps[cpu]


def _names_of(zones: Sequence[Zone]) -> tuple[str, ...]:
    """Name the zone types by index, as far as the zones show them."""
    names: dict[int, str] = {zone.index: zone.name for zone in zones}
    return tuple(names.get(index, "") for index in range(max(names, default=-1) + 1))
