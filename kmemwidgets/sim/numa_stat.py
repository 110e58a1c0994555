"""How well requests were served, by zone: numa_hit, numa_miss and the rest (mm/page_alloc.c, zone_statistics).

A request of the fast path is served by the first zone of its zonelist, always. So nothing is counted there: what the
path takes down anyway is counted when somebody wants to know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .page_alloc import PageAllocator
    from .zone_lists import ZoneLists

#: In the order of /proc/zoneinfo and of a node's numastat, which calls them by longer names.
NUMA_HIT, NUMA_MISS, NUMA_FOREIGN, NUMA_INTERLEAVE, NUMA_LOCAL, NUMA_OTHER = range(6)
#: /proc/zoneinfo and /proc/vmstat.
ZONE_NAMES = ("numa_hit", "numa_miss", "numa_foreign", "numa_interleave", "numa_local", "numa_other")
#: /sys/devices/system/node/nodeN/numastat.
NODE_NAMES = ("numa_hit", "numa_miss", "numa_foreign", "interleave_hit", "local_node", "other_node")


#: What the fast path took down is counted at the latest when it is so much.
MOST_LOGGED = 1 << 16


class NumaStat:
    """The counters of all zones of an allocator.

    Parameters
    ----------
    allocator : PageAllocator

    Attributes
    ----------
    log : list
        What the allocator's fast path took down since the last look (`fast_path.FastPath._log`).
    """

    __slots__ = ("_allocator", "_counts", "log")

    def __init__(self, allocator: PageAllocator) -> None:
        self._allocator = allocator
        self._counts = [[0] * len(ZONE_NAMES) for _ in allocator.zones]
        self.log: list[Any] = []

    def count(self, live: ZoneLists, preferred: ZoneLists, cpu: int, number: int = 1) -> None:
        """Count requests, of whatever order, that a zone served instead of, or as, the preferred one."""
        if len(self.log) > MOST_LOGGED:
            self._look()
        zones = self._allocator.zones
        mine = self._counts[zones.index(live)]
        if live.zone.nid == preferred.zone.nid:
            mine[NUMA_HIT] += number
        else:
            mine[NUMA_MISS] += number
            self._counts[zones.index(preferred)][NUMA_FOREIGN] += number
        mine[NUMA_LOCAL if live.zone.nid == self._allocator.cpu_node[cpu] else NUMA_OTHER] += number

    def count_interleave(self, live: ZoneLists) -> None:
        """Count a page that came from the node whose turn it was (mm/mempolicy.c alloc_page_interleave)."""
        self._counts[self._allocator.zones.index(live)][NUMA_INTERLEAVE] += 1

    def add_requests(self, requests: Counter[Any]) -> None:
        """Count requests of the fast path: (GFP flags, order, node, cpu) to how many."""
        allocator = self._allocator
        for (gfp, _, nid, cpu), number in requests.items():
            node = allocator.cpu_node[cpu] if nid is None else nid
            first = allocator.zones_for(gfp, node)[0]
            self.count(first, first, cpu, number)

    def _look(self) -> None:
        entries = self.log[:]
        self.log.clear()
        self.add_requests(fast_requests(entries))

    def of_zone(self, number: int) -> dict[str, int]:
        """Return a zone's counters, as /proc/zoneinfo names them."""
        self._look()
        return dict(zip(ZONE_NAMES, self._counts[number], strict=True))

    def of_node(self, nid: int) -> dict[str, int]:
        """Return a node's counters, as its numastat names them."""
        self._look()
        zones = [
            counts for live, counts in zip(self._allocator.zones, self._counts, strict=True) if live.zone.nid == nid
        ]
        return {name: sum(counts[at] for counts in zones) for at, name in enumerate(NODE_NAMES)}

    def save(self) -> tuple[tuple[int, ...], ...]:
        """Copy the counters."""
        self._look()
        return tuple(tuple(counts) for counts in self._counts)

    def load(self, saved: tuple[tuple[int, ...], ...]) -> None:
        """Bring the counters back to what `save` copied."""
        self.log.clear()
        for counts, kept in zip(self._counts, saved, strict=True):
            counts[:] = kept


def fast_requests(entries: Iterable[Any]) -> Counter[Any]:
    """Count the allocations, by request, among what a fast path took down."""
    return Counter(entry for entry in entries if entry.__class__ is tuple and len(entry) == 4)
