"""How many pages a cpu's lists can have been freed lately, where the time before a trace is not known.

From 6.7 on every free adds its pages to free_count, up to a bound, and every allocation halves it
(mm/page_alloc.c free_unref_page_commit, rmqueue_pcplist). What it was when a trace began is shown nowhere; but the most
that it can have been then leaves at every later moment a most that it can be.
"""

from __future__ import annotations

from collections.abc import Iterable

from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.pcp import COSTLY_ORDER, SCALE_MAX, PerCpuPages, streak_bound
from kmemwidgets.sim.zone_lists import ZoneLists
from kmemwidgets.tracefs import Row


def may_have_emptied(allocator: PageAllocator, live: ZoneLists, pcp: PerCpuPages, rows: Iterable[Row]) -> bool:
    """Tell whether the last free of a block of order 1 to 3 may have emptied the lists, whatever came before the trace.

    Parameters
    ----------
    allocator : PageAllocator
    live : ZoneLists
    pcp : PerCpuPages
        The zone's lists of the cpu that freed.
    rows : iterable of Row
        The trace up to that free.

    Returns
    -------
    bool
        Whether the free before it was such a block, too, or came before the trace; and whether enough pages can have
        been freed lately by then.
    """
    bound = pcp.batch << SCALE_MAX
    # Whichever free reached the bound may have gone beyond it by its own pages.
    most = lately = bound + (1 << max(allocator.huge_order, COSTLY_ORDER)) - 1
    before = last = 1
    for name, _, _, cpu, _, _, values in rows:
        if cpu != pcp.cpu or name not in ("mm_page_alloc", "mm_page_free") or values[0] is None:
            continue
        if not allocator.pcp_allowed(values[1]) or allocator.zone_of(values[0]) is not live:
            continue
        if name == "mm_page_alloc":
            most >>= 1
            continue
        before, last, lately = last, values[1], most
        if most < bound:
            most += 1 << last
    return 0 < before <= COSTLY_ORDER and lately >= streak_bound(live, pcp, last)[1]
