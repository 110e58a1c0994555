"""What a cpu's first refill of a zone tells of the time before the trace.

From 6.7 on refills double while nothing is freed (nr_pcp_alloc). How often they had done so when the trace began
is shown nowhere: it is taken as never, until the first refill tells otherwise.
"""

from __future__ import annotations

from kmemwidgets.sim.page import Page
from kmemwidgets.sim.pcp import SCALE_MAX, PerCpuPages
from kmemwidgets.sim.zone_lists import ZoneLists

from .cpu import Run


def doubled_before(pcp: PerCpuPages, recorded: Run, predicted: Run) -> int:
    """Return how often refills had doubled: the recorded run is the predicted one, so many times doubled; else 0."""
    if [values[:2] for values in recorded[: len(predicted)]] != [values[:2] for values in predicted]:
        return 0
    if len(predicted) != pcp.batch or any(values[1] for values in recorded):
        return 0
    times = len(recorded) // pcp.batch
    factor = times.bit_length() - 1
    return factor if len(recorded) == pcp.batch << factor and factor <= SCALE_MAX else 0


def refill_on(live: ZoneLists, pcp: PerCpuPages, factor: int, predicted: Run) -> None:
    """Go on with a refill that has just ended as if it had begun with a doubled amount."""
    last, _, mt, _ = predicted[-1]
    index = next((index for index, pages in enumerate(pcp.lists) if last in pages), -1)
    if index < 0:
        return
    more = (pcp.batch << factor) - len(predicted)
    taken = live.rmqueue_bulk(0, more, mt, 0, pcp.cpu)
    pcp.lists[index][:0] = map(Page, reversed(taken))
    pcp.count += len(taken)
    pcp.high = min(pcp.high + more, pcp.high_max)
    pcp.alloc_factor = min(factor + 1, SCALE_MAX)
    pcp.limit = 0
