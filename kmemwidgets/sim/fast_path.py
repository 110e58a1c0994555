"""The fast path of a request that was seen before: a page from, or to, a list of this cpu.

Most requests find the zone above its mark and the list not empty, and most frees leave the lists below
their limit. What such a request does was worked out when it was first seen; here it is looked up. Everything
else takes the whole way, which also notes what is looked up next time. The notes are no state: they can be dropped at
any moment, and are whenever a mark, a boost or the size of a list changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .events import ALLOC, FREE, PCP_PUT, PCP_TAKE, WATERMARK
from .gfp import GFP_KERNEL
from .memmap import MemMap
from .page import Page

#: (gfp, order, node, cpu)
Key = tuple[Any, int, "int | None", int]
#: By node, cpu, order and GFP flags: list, PerCpuPages, pages of the block, its code in the frame table, the request,
#: what events tell. Requests that go to the buddy lists have an empty list, no PerCpuPages, and at the end their zone,
#: migrate type and GFP flags.
Plans = dict["int | None", dict[int, dict[int, dict[Any, tuple[Any, ...]]]]]
#: By cpu and order, then at the place of `MemMap.places`: list, PerCpuPages, pages of the block, what `streak` grows by
#: and must stay below, the two codes that a block in use may have, its code on the list, what events tell, order and
#: cpu as the log has them. For the buddy lists the first is None, and migrate type and zone stand for code and events.
FreePlans = dict[int, dict[int, list["tuple[Any, ...] | None"]]]


def freed_page(entry: int) -> tuple[int, int, int]:
    """Return page, order and cpu of a free in the log: a Page is a single one on cpu 0."""
    return (entry, 0, 0) if entry.__class__ is Page else (entry >> 20, entry >> 12 & 0xFF, entry & 0xFFF)


class FastPath:
    """The verbs alloc_pages and free_pages, as quick as they get.

    A plan holds as long as the zone stays above the request's mark and has a largest block: who lowers the zone's
    free pages drops the plans when that ends (`ZoneLists.account`, `FreeAreas.turn`), so that nobody has to look here.

    Attributes
    ----------
    _plans, _free_plans : dict
        What was worked out for allocations and frees.
    _log : callable
        Takes down every request: an allocation's four arguments, of a free one number (`freed_page`). A log of new
        tuples would cost more than all the rest, in garbage collection.
    _record : callable or None
        Takes several events at once, one after the other in one tuple, where someone listens (`EventLog.emit`).
    """

    _plans: Plans
    _free_plans: FreePlans
    _log: Callable[[Any], None]
    _record: Callable[[tuple[Any, ...]], None] | None

    def _look_at(self, memmap: MemMap) -> None:
        """Begin with no plans, nobody listening, and a log that is thrown away."""
        self._plans = {}
        self._free_plans = {}
        self._state = memmap.state
        self._places = memmap.places
        self._shift = memmap.pageblock_order
        self._log = deque(maxlen=0).append
        self._record = None

    def _share(self, other: FastPath, log: Callable[[Any], None]) -> None:
        """Use another's plans and tables, with a log of its own."""
        self._plans = other._plans
        self._free_plans = other._free_plans
        self._state = other._state
        self._places = other._places
        self._shift = other._shift
        self._log = log
        self._record = other._record

    def alloc_pages(self, gfp: Any = GFP_KERNEL, order: int = 0, node: int | None = None, cpu: int = 0) -> Any:
        """Allocate 2^order pages; see the class for what it returns."""
        try:
            pages, pcp, size, code, request, told = self._plans[node][cpu][order][gfp]
        except (KeyError, TypeError):
            return self._alloc_slowly((gfp, order, node, cpu))
        if not pages:
            if pcp is None:
                live, mt, bits = told
                pfn = live.free_area.rmqueue_smallest(order, mt)
                if pfn >= 0:
                    live.account(cpu, -size)
                    self._state[pfn] = code
                    self._log(request)
                    if self._record is not None:
                        self._record((ALLOC, cpu, pfn, order, mt, bits))
                    return Page(pfn)
            return self._alloc_slowly(request)
        page = pages.pop()
        pcp.count -= size
        if pcp.streak:
            pcp.streak >>= 1
        self._state[page] = code
        self._log(request)
        if told is not None:
            self._tell_taken(request, page, pcp.count, told)
        return page

    def free_pages(self, page: int, order: int = 0, cpu: int = 0) -> None:
        """Free a block of 2^order pages.

        Raises
        ------
        KernelBug
            If no block of that order in use begins there; nothing changes then.
        """
        try:
            plan = self._free_plans[cpu][order][self._places[page >> self._shift]]
            code = self._state[page]
        except (KeyError, IndexError, TypeError):
            self._free_slowly(page, order, cpu)
            return
        if plan is not None and page.__class__ is Page:
            pages, pcp, size, grows, most, in_use, in_use_lru, listed, told, tag = plan
            if pages is None:
                if code == in_use or code == in_use_lru:  # noqa: SIM109
                    if self._record is not None:
                        self._record((FREE, cpu, page, order))
                    told.account(cpu, size)
                    told.free_area.free_one_page(page, order, listed)
                    self._log(page << 20 | tag if tag else page)
                    return
                self._free_slowly(page, order, cpu)
                return
            streak = pcp.streak
            count = pcp.count + size
            if count < pcp.limit and streak < most and (code == in_use or code == in_use_lru):  # noqa: SIM109
                pages.append(page)
                pcp.count = count
                pcp.streak = streak + grows
                pcp.freed_high_order = order
                self._state[page] = listed
                self._log(page << 20 | tag if tag else page)
                if told is not None:
                    self._tell_put(page, order, cpu, count, pcp.high, told)
                return
        self._free_slowly(page, order, cpu)

    def _alloc_slowly(self, key: Key) -> Any:
        raise NotImplementedError

    def _free_slowly(self, page: int, order: int, cpu: int) -> None:
        raise NotImplementedError

    def _tell_taken(self, request: Key, page: int, count: int, told: tuple[Any, ...]) -> None:
        """Tell what an allocation on the fast path decided."""
        _, order, _, cpu = request
        bits, mt, live, nid, zone, mark, reserve, index = told
        assert self._record is not None
        self._record((
            WATERMARK, cpu, nid, zone, order, mark, live.nr_free_pages, (1 << order) - 1, mark, reserve, True,
            PCP_TAKE, cpu, nid, zone, index, page, count,
            ALLOC, cpu, page, order, mt, bits,
        ))  # fmt: skip

    def _tell_put(self, page: int, order: int, cpu: int, count: int, high: int, told: tuple[Any, ...]) -> None:
        """Tell what a free on the fast path decided."""
        nid, zone, index = told
        assert self._record is not None
        self._record((FREE, cpu, page, order, PCP_PUT, cpu, nid, zone, index, page, count, high))
