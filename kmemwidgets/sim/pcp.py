"""The per-CPU page lists (struct per_cpu_pages): the fast path in front of the buddy lists.

A list is a Python list whose *end* is the kernel's head: a request pops it, a free
appends to it, a refill and a drain work at its front.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .events import PCP_PUT, PCP_REFILL, PCPU_DRAIN
from .migratetype import MOVABLE, PCPTYPES
from .page import Page

if TYPE_CHECKING:
    from .zone_lists import ZoneLists

#: CONFIG_PCP_BATCH_SCALE_MAX: how often an amount may double.
SCALE_MAX = 5
#: First of the two lists for huge pages: the other types, then movable.
HUGE_LIST = 12
COSTLY_ORDER = 3


class PerCpuPages:
    """A cpu's page lists of one zone.

    Attributes
    ----------
    cpu : int
    lists : list of list of int
        First pfns, tail first, head last.
    count : int
        Pages on all lists.
    batch, high, high_min, high_max : int
        Amounts in pages; `high` moves between the two others where it is tuned.
    streak : int
        What every allocation halves: how often drains have doubled (free_factor, 5.14 to 6.6), or the pages freed
        lately (free_count, 6.7 and up).
    alloc_factor : int
        6.7 and up: how often refills have doubled.
    freed_high_order : int
        Order of the last free if it was 1 to 3 (PCPF_PREV_FREE_HIGH_ORDER), else 0.
    limit : int
        A free that leaves `count` below it only appends; 0: every free has to look.
    free_high_batch : bool
        The cpu's cache is large enough that such frees may first fill a batch (PCPF_FREE_HIGH_BATCH).
    """

    __slots__ = (
        "alloc_factor", "batch", "count", "cpu", "free_high_batch", "freed_high_order", "high", "high_max", "high_min",
        "limit", "lists", "streak",
    )  # fmt: skip

    def __init__(self, cpu: int, lists: int) -> None:
        self.cpu = cpu
        self.lists: list[list[int]] = [[] for _ in range(lists)]
        self.count = 0
        # The boot pageset: every free goes straight on.
        self.batch = 1
        self.high = 0
        self.high_min = 0
        self.high_max = 0
        self.streak = 0
        self.alloc_factor = 0
        self.freed_high_order: int = 0
        self.free_high_batch = True
        self.limit = 0

    def resize(self, batch: int, high: int, high_max: int) -> None:
        """Set the amounts (pageset_update); a tuned `high` keeps its value within the new bounds when used."""
        self.batch = max(batch, 1)
        self.high_min = high
        self.high_max = high_max
        if high == high_max or not self.high:
            self.high = high
        self.limit = 0

    def save(self) -> tuple[Any, ...]:
        """Copy the lists and amounts."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name not in ("lists", "limit")}
        return plain, tuple(tuple(pages) for pages in self.lists)

    def load(self, saved: tuple[Any, ...]) -> None:
        """Bring lists and amounts back to what `save` copied, in place."""
        for name, value in saved[0].items():
            setattr(self, name, value)
        self.limit = 0
        for pages, kept in zip(self.lists, saved[1], strict=True):
            pages[:] = kept


def list_index(order: int, mt: int) -> int:
    """Return the number of the list for an order and type (order_to_pindex)."""
    return order * PCPTYPES + mt if order <= COSTLY_ORDER else HUGE_LIST + (mt == MOVABLE)


def list_order(index: int, huge_order: int) -> int:
    """Return the order of the blocks on a list (pindex_to_order)."""
    return index // PCPTYPES if index < HUGE_LIST else huge_order


# Draining


def drain(live: ZoneLists, pcp: PerCpuPages, count: int, index: int) -> None:
    """Give at least `count` pages back to the buddy lists, from the tails, list `index` first (free_pcppages_bulk)."""
    area = live.free_area
    state = area.state
    types = area.types
    shift = area.memmap.pageblock_order
    by_block = live.rules.pcp.drains_by_block_type
    trace = area.trace
    cpu = pcp.cpu
    count = min(count, pcp.count)
    lists = pcp.lists
    index -= 1
    while count > 0:
        index += 1
        if index >= len(lists):
            index = 0
        pages = lists[index]
        if not pages:
            continue
        order = list_order(index, area.pcp_huge)
        number = min(len(pages), -(-count >> order))
        freed = pages[:number]
        del pages[:number]
        count -= number << order
        pcp.count -= number << order
        for pfn in freed:
            mt = types[pfn >> shift] if by_block else state[pfn] & 15
            live.free_one(pfn, order, mt, cpu)
            if trace:
                trace((PCPU_DRAIN, cpu, pfn, order, mt))


def drain_in_turn(live: ZoneLists, pcp: PerCpuPages, count: int) -> None:
    """Give `count` pages back, one from the first list, two from the next that is not empty and so on (5.6)."""
    area = live.free_area
    lists = pcp.lists
    count = min(count, pcp.count)
    index = turn = 0
    freed = []
    while count:
        while True:
            turn += 1
            index = (index + 1) % len(lists)
            if lists[index]:
                break
        if turn == len(lists):
            turn = count
        pages = lists[index]
        number = min(count, turn, len(pages))
        freed += pages[:number]
        del pages[:number]
        count -= number
        turn -= number
        pcp.count -= number
    for pfn in freed:
        mt = area.state[pfn] & 15
        live.free_one(pfn, 0, mt, pcp.cpu)
        if area.trace:
            area.trace((PCPU_DRAIN, pcp.cpu, pfn, 0, mt))


def drain_all(live: ZoneLists, pcp: PerCpuPages) -> None:
    """Give everything back (drain_pages_zone)."""
    if live.rules.pcp.scheme == "hot_cold":
        for pages in pcp.lists:
            _drain_list(live, pcp, pages, len(pages))
        return
    while pcp.count:
        if live.rules.pcp.scheme == "fixed":
            drain_in_turn(live, pcp, pcp.count)
        else:
            drain(live, pcp, pcp.batch << SCALE_MAX if live.rules.pcp.scheme == "tuned" else pcp.count, 0)


def drain_remote(live: ZoneLists, pcp: PerCpuPages) -> None:
    """Give one batch back: the lists of another node's zone have not been used for a while (drain_zone_pages)."""
    drain(live, pcp, pcp.batch, 0)


def decay_high(live: ZoneLists, pcp: PerCpuPages) -> bool:
    """Lower a tuned `high` an eighth, and give on what is above it; tell whether more is to do (decay_pcp_high).

    The timer that folds the counters does it on every cpu, 6.7 and up.
    """
    more = False
    if pcp.high > pcp.high_min:
        pcp.high = max(pcp.count - (pcp.batch << SCALE_MAX), pcp.high - (pcp.high >> 3), pcp.high_min)
        more = pcp.high > pcp.high_min
    surplus = pcp.count - pcp.high
    while surplus > 0:
        drain(live, pcp, min(surplus, pcp.batch), 0)
        surplus -= pcp.batch
        more = True
    pcp.limit = 0
    return more


def lower_high(live: ZoneLists, pcp: PerCpuPages, pfn: int) -> bool:
    """Lower a tuned `high` to the pages there are, and drain as the free of a frame does then; False if it may not go.

    For a replay: the kernel's `decay_high` has no event, and shows only in a drain that comes early.
    """
    index = next((index for index, pages in enumerate(pcp.lists) if pages and pages[-1] == pfn), -1)
    if index < 0 or not pcp.high_min <= pcp.count < pcp.high:
        return False
    pcp.high = pcp.count
    pcp.limit = 0
    drain(live, pcp, min(max(pcp.streak, pcp.batch), pcp.high - pcp.batch), index)
    return True


def may_empty(pcp: PerCpuPages, pfn: int, order: int) -> bool:
    """Tell whether lists are full enough for the free of a block, which has just been put on them, to empty them."""
    listed = any(pages and pages[-1] == pfn for pages in pcp.lists)
    return listed and 0 < order <= COSTLY_ORDER and (not pcp.free_high_batch or pcp.count >= pcp.batch)


def empty_for_high_orders(live: ZoneLists, pcp: PerCpuPages, pfn: int, order: int) -> None:
    """Drain as the free of a block of order 1 to 3 does where enough was freed lately (`may_empty`).

    For a replay: how much was freed before a trace, and whether the last was such a block, has no event either.
    """
    index = next(index for index, pages in enumerate(pcp.lists) if pages and pages[-1] == pfn)
    # At least so much; the free itself counts after the look.
    pcp.streak = max(pcp.streak, streak_bound(live, pcp, order)[1] + (1 << order))
    tuned_high(live, pcp, True)
    pcp.limit = 0
    drain(live, pcp, min(pcp.count, pcp.batch << SCALE_MAX), index)


# Freeing to a list


def _append(live: ZoneLists, pcp: PerCpuPages, pfn: int, order: int, mt: int) -> int:
    index = list_index(order, mt)
    pcp.lists[index].append(pfn)
    pcp.count += 1 << order
    if live.free_area.decide:
        _tell_put(live, pcp, index, pfn, pcp.high)
    return index


def _tell_put(live: ZoneLists, pcp: PerCpuPages, index: int, pfn: int, high: int) -> None:
    """Tell whoever listens that a block went to a list, and how many pages the lists may hold now."""
    assert live.free_area.decide
    live.free_area.decide((PCP_PUT, pcp.cpu, live.zone.nid, live.zone.name, index, pfn, pcp.count, high))


def put_fixed(live: ZoneLists, pcp: PerCpuPages, pfn: int, order: int, mt: int) -> None:
    """5.6: drain a batch when the lists are full."""
    _append(live, pcp, pfn, order, mt)
    if pcp.count >= pcp.high:
        drain_in_turn(live, pcp, pcp.batch)


def put_hot(live: ZoneLists, pcp: PerCpuPages, pfn: int, _order: int, _mt: int) -> None:
    """2.6.11: make room first, then put the page at the head of the hot list."""
    hot = pcp.lists[0]
    if len(hot) >= pcp.high:
        _drain_list(live, pcp, hot, pcp.batch)
    _append(live, pcp, pfn, 0, 0)


def _drain_list(live: ZoneLists, pcp: PerCpuPages, pages: list[int], count: int) -> None:
    freed = pages[:count]
    del pages[:count]
    pcp.count -= len(freed)
    for pfn in freed:
        live.free_one(pfn, 0, 0, pcp.cpu)


def put_free_factor(live: ZoneLists, pcp: PerCpuPages, pfn: int, order: int, mt: int) -> None:
    """5.14 to 6.6: drains double; a second free of a larger block empties the lists (free_unref_page_commit)."""
    index = order * 3 + mt if order <= 3 else HUGE_LIST + (mt == MOVABLE)
    pcp.lists[index].append(pfn)
    pcp.count += 1 << order
    pcp.freed_high_order = order if order <= COSTLY_ORDER else 0
    factor = pcp.streak
    high = pcp.high
    if factor and 0 < order <= 3:
        high = 0
        number = pcp.count
        if live.free_area.decide:
            _tell_put(live, pcp, index, pfn, high)
    else:
        if live.reclaim_active:
            high = min(4 * pcp.batch, high)
        else:
            pcp.limit = high
        if live.free_area.decide:
            _tell_put(live, pcp, index, pfn, high)
        if pcp.count < high:
            return
        batch = pcp.batch
        if high < batch:
            number = 1
        else:
            number = batch << factor
            if number < high - batch and factor < SCALE_MAX:
                pcp.streak = factor + 1
            number = min(max(number, batch), high - batch)
    drain(live, pcp, number, index)


def streak_bound(live: ZoneLists, pcp: PerCpuPages, order: int) -> tuple[int, int]:
    """Return what a free adds to `streak`, and what that must be below for the free to need no look.

    5.14 to 6.6: any doubled drain makes a free of order 1 to 3 empty the lists. 6.7 and up: enough frees in a row do,
    and the count of frees is bounded.
    """
    if live.rules.pcp.scheme == "free_factor":
        return 0, 1 if order else 1 << 30
    share = live.rules.pcp.free_high_share
    bound = pcp.batch + (pcp.high_min // share if share else 0) if order else pcp.batch << SCALE_MAX
    return 1 << order, bound


def put_tuned(live: ZoneLists, pcp: PerCpuPages, pfn: int, order: int, mt: int) -> None:
    """6.7 and up: drains and `high` follow the number of frees since the last allocations."""
    if pcp.alloc_factor:
        pcp.alloc_factor >>= 1
    index = order * 3 + mt if order <= 3 else HUGE_LIST + (mt == MOVABLE)
    pcp.lists[index].append(pfn)
    count = pcp.count = pcp.count + (1 << order)
    batch = pcp.batch
    free_high = False
    if 0 < order <= 3:
        share = live.rules.pcp.free_high_share
        free_high = (
            pcp.freed_high_order > 0
            and pcp.streak >= batch + (pcp.high_min // share if share else 0)
            and (not pcp.free_high_batch or count >= batch)
        )
        pcp.freed_high_order = order
    else:
        pcp.freed_high_order = 0
    if pcp.streak < batch << SCALE_MAX:
        pcp.streak += 1 << order
    high = tuned_high(live, pcp, free_high)
    pcp.limit = 0 if live.reclaim_active or live.below_high or pcp.alloc_factor else pcp.high
    if live.free_area.decide:
        _tell_put(live, pcp, index, pfn, high)
    if count < high:
        return
    if free_high:
        number = min(count, batch << SCALE_MAX)
    elif high < batch:
        number = 1
    else:
        number = min(max(pcp.streak, batch), high - batch)
    drain(live, pcp, number, index)
    if live.below_high:
        # As a request that may use the movable zone sees it: the highest zone that is reserved for.
        highest = max(len(live.zone.lowmem_reserve) - 1, 0)
        live.below_high = not live.watermark_ok(0, live.mark(2), highest, 0)


def tuned_high(live: ZoneLists, pcp: PerCpuPages, free_high: bool) -> int:
    """Return the count at which to drain, and move `high` after what happens (nr_pcp_high)."""
    low, most = pcp.high_min, pcp.high_max
    high = pcp.high
    if high < low:
        high = pcp.high = low
    elif high > most:
        high = pcp.high = most
    if not high:
        return 0
    batch = pcp.batch
    if free_high:
        pcp.high = max(high - (batch << SCALE_MAX), low)
        return 0
    if live.reclaim_active:
        pcp.high = max(high - max(pcp.streak, batch), low)
        return min(batch << 2, pcp.high)
    if low == most:
        return high
    if live.below_high:
        pcp.high = max(high - max(pcp.streak, batch), low)
        return max(pcp.count, low)
    if pcp.count >= high and pcp.high < pcp.streak + batch:
        pcp.high = max(min(pcp.streak + batch, most), low)
    return high


# Allocating from a list


def refill_batch(_live: ZoneLists, pcp: PerCpuPages, order: int) -> int:
    """5.6 to 6.6: a batch, fewer of larger blocks."""
    return max(pcp.batch >> order, 2) if pcp.batch > 1 else pcp.batch


def refill_tuned(live: ZoneLists, pcp: PerCpuPages, order: int) -> int:
    """6.7 and up: refills double while nothing is freed (nr_pcp_alloc)."""
    low, most = pcp.high_min, pcp.high_max
    high = pcp.high = max(min(pcp.high, most), low)
    base = pcp.batch
    if high < base:
        return 1
    batch = base if order else base << pcp.alloc_factor
    if low != most and not live.below_high:
        high = pcp.high = min(high + batch, most)
    if not order:
        limit = max(high - pcp.count - base, base)
        if batch <= limit and pcp.alloc_factor < SCALE_MAX:
            pcp.alloc_factor += 1
            # Every free halves it again, so that every free has to look.
            pcp.limit = 0
        batch = min(batch, limit)
    return max(batch >> order, 2) if batch > 1 else batch


def refill(live: ZoneLists, pcp: PerCpuPages, order: int, mt: int, flags: int) -> bool:
    """Fill the empty list for an order and type from the buddy lists; tell whether anything came."""
    scheme = live.rules.pcp.scheme
    asked = refill_tuned(live, pcp, order) if scheme == "tuned" else refill_batch(live, pcp, order)
    taken = live.rmqueue_bulk(order, asked, mt, flags, pcp.cpu)
    pcp.count += len(taken) << order
    index = list_index(order, mt)
    pcp.lists[index][:0] = map(Page, reversed(taken))
    decide = live.free_area.decide
    if decide:
        decide((PCP_REFILL, pcp.cpu, live.zone.nid, live.zone.name, index, asked, len(taken)))
    return bool(taken)


def take(live: ZoneLists, pcp: PerCpuPages, order: int, mt: int, flags: int) -> int:
    """Take the head of the list for an order and type, refilling it if empty (rmqueue_pcplist); -1 if there is none."""
    if live.rules.pcp.scheme == "hot_cold":
        return _take_hot(live, pcp, flags)
    pcp.streak >>= 1
    pages = pcp.lists[list_index(order, mt)]
    if not pages and not refill(live, pcp, order, mt, flags):
        return -1
    pcp.count -= 1 << order
    return pages.pop()


def _take_hot(live: ZoneLists, pcp: PerCpuPages, flags: int) -> int:
    """2.6.11: refill the hot list at its low mark, two batches, then take its head."""
    hot = pcp.lists[0]
    if len(hot) <= 2 * pcp.batch:
        taken = live.rmqueue_bulk(0, pcp.batch, 0, flags, pcp.cpu)
        pcp.count += len(taken)
        hot[:0] = map(Page, reversed(taken))
    if not hot:
        return -1
    pcp.count -= 1
    return hot.pop()


Put = Callable[["ZoneLists", PerCpuPages, int, int, int], None]

PUT: Mapping[str, Put] = MappingProxyType(
    {"hot_cold": put_hot, "fixed": put_fixed, "free_factor": put_free_factor, "tuned": put_tuned}
)
