"""kswapd, as far as the page allocator needs it (mm/vmscan.c): woken, it takes boosts back and wakes kcompactd.

What it would reclaim comes through `Shrink`: there are no lists of pages to reclaim yet, so that it finds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from . import alloc_flags as af
from .events import KSWAPD_WAKE, OTHER
from .gfp import __GFP_DIRECT_RECLAIM
from .page_alloc import PageAllocator
from .rules.vmscan import KswapdRules
from .zone_lists import ZoneLists

#: Reclaim begins by looking at every 4096th part of the lists, and at twice as much each round in vain.
DEF_PRIORITY = 12

_MAY_WAIT = __GFP_DIRECT_RECLAIM


@dataclass(frozen=True, slots=True)
class Round:
    """One round of reclaim over a node (struct scan_control).

    Attributes
    ----------
    nid, highest_zoneidx : int
    order : int
        Of the blocks asked for.
    priority : int
        How much is looked at: 2^-priority of the lists.
    boosted : bool
        It is only for the boost: nothing is written or swapped out for that.
    """

    nid: int
    highest_zoneidx: int
    order: int
    priority: int
    boosted: bool


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What a round gave."""

    nr_reclaimed: int = 0
    nr_scanned: int = 0


Shrink = Callable[[Round], Shrunk]


def nothing_to_shrink(_round: Round) -> Shrunk:
    """Stand for reclaim where no page is on a list that it could go by (shrink_node)."""
    return Shrunk()


@dataclass(slots=True)
class NodeReclaim:
    """What a node's kswapd was woken for (struct pglist_data: kswapd_*).

    Attributes
    ----------
    order : int
    highest_zoneidx : int or None
        Up to which zone; None: nobody asked since it last looked.
    failures : int
        Runs in a row that reclaimed nothing.
    woken : bool
        It was woken and has not run since.
    """

    order: int = 0
    highest_zoneidx: int | None = None
    failures: int = 0
    woken: bool = False


class Kswapd:
    """The kswapd of every node.

    Parameters
    ----------
    allocator : PageAllocator
    rules : KswapdRules
    wakeup_kcompactd, reset_isolation_suitable : callable
        What it asks of compaction: (node, order, highest zone index), and (node).
    shrink : callable
        Reclaims once from a node.
    cpu_of : sequence of int
        By node: the cpu that its thread runs on.

    Attributes
    ----------
    nodes : dict of int to NodeReclaim
        By node with memory.
    at_work : int or None
        The node whose kswapd runs now.
    """

    def __init__(
        self,
        allocator: PageAllocator,
        rules: KswapdRules,
        *,
        wakeup_kcompactd: Callable[[int, int, int], object],
        reset_isolation_suitable: Callable[[int], None],
        shrink: Shrink = nothing_to_shrink,
        cpu_of: tuple[int, ...] = (0,),
    ) -> None:
        self.allocator = allocator
        self.rules = rules
        self.wakeup_kcompactd = wakeup_kcompactd
        self.reset_isolation_suitable = reset_isolation_suitable
        self.shrink = shrink
        self.cpu_of = cpu_of
        self.nodes = self._fresh()
        self.at_work: int | None = None

    def _fresh(self) -> dict[int, NodeReclaim]:
        return {nid: NodeReclaim() for nid in sorted({live.zone.nid for live in self.allocator.zones})}

    def _zones(self, nid: int, highest_zoneidx: int) -> list[ZoneLists]:
        zones = self.allocator.zones
        return [live for live in zones if live.zone.nid == nid and live.zone.index <= highest_zoneidx]

    # Waking

    def wakeup(self, nid: int, highest_zoneidx: int, order: int, gfp: int, cpu: int) -> bool:
        """Ask a node's kswapd for memory; tell whether that wakes it (wakeup_kswapd)."""
        node = self.nodes[nid]
        node.highest_zoneidx = max(node.highest_zoneidx or 0, highest_zoneidx)
        node.order = max(node.order, order)
        if node.woken:
            self._tell_asleep(nid, cpu, "it is awake")
            return False
        hopeless = self.is_hopeless(nid)
        if hopeless or not self._needed(nid, order, highest_zoneidx):
            tried = f"{node.failures} runs in a row found nothing to free"
            self._tell_asleep(nid, cpu, tried if hopeless else "enough is free")
            if self.rules.wakes_kcompactd and not gfp & _MAY_WAIT:
                # There may be enough memory, only in pieces.
                self.wakeup_kcompactd(nid, order, highest_zoneidx)
            return False
        node.woken = True
        if self.allocator.observed_events:
            self.allocator.observed_events((KSWAPD_WAKE, cpu, nid, highest_zoneidx, order, gfp))
        return True

    def is_hopeless(self, nid: int) -> bool:
        """Tell whether it has given a node up, until direct reclaim makes progress there."""
        return 0 < self.rules.hopeless_after <= self.nodes[nid].failures

    def _needed(self, nid: int, order: int, highest_zoneidx: int) -> bool:
        if self.rules.sleeps_on == "nothing":
            return True
        if self.rules.sleeps_on == "low":
            zones = self._zones(nid, highest_zoneidx)
            return not all(
                live.watermark_ok(order, live.mark(af.WMARK_LOW), 0, 0, live.nr_free_pages) for live in zones
            )
        boosted = any(live.zone.watermark_boost for live in self._zones(nid, highest_zoneidx))
        return boosted or not self.balanced(nid, order, highest_zoneidx)

    def balanced(self, nid: int, order: int, highest_zoneidx: int) -> bool:
        """Tell whether any zone of a node is above its high mark (pgdat_balanced)."""
        zones = self._zones(nid, highest_zoneidx)
        return not zones or any(
            live.watermark_ok(order, live.mark(af.WMARK_HIGH), highest_zoneidx, 0, self._free(live)) for live in zones
        )

    def _free(self, live: ZoneLists) -> int:
        """Count free pages, exactly if the counter may have drifted past a mark (zone_watermark_ok_safe)."""
        zone = live.zone
        drift = len(self.allocator.cpu_node) * zone.stat_threshold
        near = drift > zone.wmark_low - zone.wmark_min and live.nr_free_pages < zone.wmark_high + drift
        return live.free_pages_now() if near else live.nr_free_pages

    # Working

    def run(self, nid: int) -> None:
        """Let a node's kswapd do what it was woken for, and sleep again (kswapd); nothing if it sleeps."""
        node = self.nodes[nid]
        if not node.woken:
            return
        node.woken = False
        self.at_work = nid
        # Asked for nothing new, it goes on up to the zone of before.
        highest = len(self.allocator.zone_names) - 1
        while True:
            if node.highest_zoneidx is not None:
                highest = node.highest_zoneidx
            order = node.order
            node.order, node.highest_zoneidx = 0, None
            self._tell(nid, "mm_vmscan_kswapd_wake", {"nid": nid, "zid": highest, "order": order})
            reached = self._balance_pgdat(nid, order, highest)
            # Tried for small blocks only, it is the thread of compaction that makes large ones of them.
            if reached == order:
                order = reached = node.order
            # Until 4.12 it never gave up, and went round until a process was killed; nobody can be killed here.
            in_vain = bool(node.failures) and not self.rules.hopeless_after
            if in_vain or self.is_hopeless(nid) or self.balanced(nid, reached, highest):
                break
        self._sleep(nid, order, highest)
        self.at_work = None

    def _sleep(self, nid: int, order: int, highest: int) -> None:
        """Let compaction begin anew, and hand it what was asked for (kswapd_try_to_sleep)."""
        if self.rules.wakes_kcompactd:
            self.reset_isolation_suitable(nid)
            self.wakeup_kcompactd(nid, order, highest)
        self._tell(nid, "mm_vmscan_kswapd_sleep", {"nid": nid})

    def _balance_pgdat(self, nid: int, order: int, highest: int) -> int:
        """Reclaim until a zone is above its high mark, then take the boost back; return the order kept in mind.

        Source: mm/vmscan.c balance_pgdat.
        """
        zones = self._zones(nid, highest)
        boosts = [live.zone.watermark_boost for live in zones]
        reached = self._reclaim(nid, order, highest, sum(boosts))
        if any(boosts) and self.rules.takes_boost_back:
            for live, boost in zip(zones, boosts, strict=True):
                live.zone.watermark_boost -= min(live.zone.watermark_boost, boost)
                if boost and self.allocator.decisions:
                    now = {"nid": nid, "zone": live.zone.name, "boost": live.zone.watermark_boost}
                    self.allocator.decisions((OTHER, self.cpu_of[nid], "sim", "take_boost_back", now))
            self.allocator.marks_changed()
            self.wakeup_kcompactd(nid, self.allocator.shift, highest)
        return reached

    def _reclaim(self, nid: int, order: int, highest: int, left: int) -> int:
        """Reclaim round by round, `left` pages for the boost or else until the node is balanced."""
        node = self.nodes[nid]
        boosted = bool(left)
        reclaimed, priority = 0, DEF_PRIORITY
        while priority >= 1:
            if left and not self.balanced(nid, order, highest):
                # Memory itself is short: that comes first.
                left, priority = 0, DEF_PRIORITY
            if not left and self.balanced(nid, order, highest):
                return order
            got = self.shrink(Round(nid, highest, order, priority, bool(left)))
            reclaimed += got.nr_reclaimed
            # Twice the block, and it is compaction's turn.
            if order and reclaimed >= 2 << order:
                order = 0
            enough = got.nr_scanned >= sum(max(live.mark(af.WMARK_HIGH), 32) for live in self._zones(nid, highest))
            if left and not got.nr_reclaimed:
                break
            stays = enough or (left and priority == DEF_PRIORITY - 2)
            left -= min(left, got.nr_reclaimed)
            if not stays or not got.nr_reclaimed:
                priority -= 1
        if reclaimed:
            node.failures = 0
        elif not boosted or self.rules.counts_boosted_failure:
            node.failures += 1
        return order

    # Telling and keeping

    def _tell_asleep(self, nid: int, cpu: int, why: str) -> None:
        if self.allocator.decisions:
            self.allocator.decisions((OTHER, cpu, "sim", "kswapd_not_woken", {"nid": nid, "why": why}))

    def _tell(self, nid: int, name: str, fields: dict[str, Any]) -> None:
        emit = self.allocator.observed_events
        if emit:
            emit((OTHER, self.cpu_of[nid], "vmscan", name, fields))

    def save(self) -> dict[int, NodeReclaim]:
        """Copy what the threads were woken for."""
        return {nid: replace(node) for nid, node in self.nodes.items()}

    def load(self, saved: dict[int, NodeReclaim] | None) -> None:
        """Bring that back; None is the state of boot."""
        self.nodes = self._fresh() if saved is None else {nid: replace(node) for nid, node in saved.items()}
