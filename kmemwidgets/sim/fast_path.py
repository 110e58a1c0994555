"""The fast path of a request that was seen before: a page from, or to, a list of this cpu.

Most requests find the zone above its mark and the list not empty, and most frees leave the lists below
their limit. What such a request does was worked out when it was first seen (plans); here it is looked up. Everything
else takes the whole way, which also notes what is looked up next time. The notes are no state: they can be dropped at
any moment, and are whenever a mark, a boost or the size of a list changes.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from .gfp import GFP_KERNEL
from .memmap import MemMap
from .page import Page
from .plans import FreePlans, Plans

#: (gfp, order, node, cpu)
Key = tuple[Any, int, "int | None", int]


class FastPath:
    """The verbs alloc_pages and free_pages, as quick as they get.

    A plan holds as long as the zone stays above the request's mark and has a largest block: who lowers the zone's
    free pages drops the plans when that ends (`ZoneLists.account`, `FreeAreas.turn`), so that nobody has to look here.

    Attributes
    ----------
    plans, free_plans : dict
        What was worked out for allocations and frees.
    _log : list
        Takes down every request: an allocation's four arguments, of a free one number (`plans.freed_page`). New
        tuples would cost more than all the rest, in garbage collection.
    """

    plans: Plans
    free_plans: FreePlans
    _log: list[Any] | deque[Any]

    def _look_at(self, memmap: MemMap) -> None:
        """Begin with no plans, and a log that is thrown away."""
        self.plans = {}
        self.free_plans = {}
        self._state = memmap.state
        self._places = memmap.places
        self._shift = memmap.pageblock_order
        self._log = deque(maxlen=0)

    def _share(self, other: FastPath, log: list[Any]) -> None:
        """Use another's plans and tables, with a log of its own."""
        self.plans = other.plans
        self.free_plans = other.free_plans
        self._state = other._state
        self._places = other._places
        self._shift = other._shift
        self._log = log

    def alloc_pages(self, gfp: Any = GFP_KERNEL, order: int = 0, node: int | None = None, cpu: int = 0) -> Any:
        """Allocate a block of 2^order page frames.

        Parameters
        ----------
        gfp : int or str
            GFP flags: ``GFP_KERNEL | __GFP_ZERO``, or the kernel's text of them, ``"GFP_KERNEL|__GFP_ZERO"``.
        order : int
            Of the block; 0 is one frame.
        node : int, optional
            Where to begin; else on the cpu's own node, or as its memory policy says.
        cpu : int
            Who asks.

        Returns
        -------
        Page or None
            The first frame of the block, an int: its pfn. None where nothing is left for such a request.

        Raises
        ------
        ValueError
            For flags that contradict each other, and an order, cpu or node that there can't be.
        """
        try:
            pages, pcp, size, code, request = self.plans[node][cpu][order][gfp]
        except (KeyError, TypeError):
            return self._alloc_slowly((gfp, order, node, cpu))
        try:
            page = pages.pop()
        except IndexError:
            return self._alloc_from_empty(request)
        pcp.count -= size
        if pcp.streak:
            pcp.streak >>= 1
        self._state[page] = code
        self._log.append(request)
        return page

    def free_pages(self, page: int, order: int = 0, cpu: int = 0) -> None:
        """Free a block of 2^order page frames.

        Parameters
        ----------
        page : int
            The block's first pfn, as `alloc_pages` returned it; or its address, as `get_free_pages` did.
        order : int
            As it was allocated.
        cpu : int
            Who frees it, and keeps it on its list.

        Raises
        ------
        KernelBug
            If no block of that order in use begins there; nothing changes then.
        """
        try:
            plan = self.free_plans[cpu][self._state[page]][self._places[page >> self._shift]]  # type: ignore[index]
            pages, pcp, kept, size, grows, most, listed, tag = plan  # type: ignore[misc]
        except (KeyError, IndexError, TypeError):
            # No plan, among others for a block that is not in use.
            self._free_slowly(page, order, cpu)
            return
        streak = pcp.streak
        count = pcp.count + size
        if count < pcp.limit and streak < most and order == kept and type(page) is Page:
            pcp.count = count
            pcp.streak = streak + grows
            pcp.freed_high_order = order
            self._state[page] = listed
            pages.append(page)
            self._log.append(page + tag if tag else page)
            return
        self._free_to_full(page, order, cpu, plan)

    def _alloc_slowly(self, key: Key) -> Any:
        raise NotImplementedError

    def _alloc_from_empty(self, request: Key) -> Any:
        """Allocate where there is a plan, but the list that it names is empty."""
        return self._alloc_slowly(request)

    def _free_slowly(self, page: int, order: int, cpu: int) -> None:
        raise NotImplementedError

    def _free_to_full(self, page: int, order: int, cpu: int, _plan: Any) -> None:
        """Free where there is a plan, but the list that it names may have to be drained."""
        self._free_slowly(page, order, cpu)
