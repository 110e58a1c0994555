"""Exercises of "Replaying a real kernel"."""

from __future__ import annotations

import re
from functools import cache

from kmemwidgets.capture import Capture
from kmemwidgets.learn.checks import Exercise, Slip

_PAGE, _PFN = 0xFFFFEA0000220300, 0x880C


@cache
def _orders() -> tuple[int, ...]:
    trace = Capture.bundled("amd64-512m").text("t_quiet/trace")
    return tuple(int(order) for order in re.findall(r"mm_page_alloc: .*? order=(\d+) ", trace))


EXERCISES = (
    Exercise(
        "replay.requests",
        lambda: frozenset({"mm_page_alloc", "mm_page_free"}),
        "Somebody outside the allocator asks for these two. The others it decides itself.",
        "Which of them does somebody outside the page allocator cause directly?",
        (
            Slip(lambda _: frozenset({"mm_page_alloc"}), "Giving a page back is something that is asked for, too."),
            Slip(
                lambda right: right | {"mm_page_alloc_zone_locked"},
                "zone_locked tells that a block left the buddy lists. When to do that is the allocator's decision.",
            ),
            Slip(
                lambda right: right | {"mm_page_pcpu_drain"},
                "A drain moves pages from the processor's lists to the buddy lists: the allocator's decision.",
            ),
        ),
    ),
    Exercise(
        "replay.orders",
        lambda: sum(3 < order != 9 for order in _orders()),
        "Orders 4 to 8: {right} requests went straight to the buddy lists.",
        "Count the mm_page_alloc lines with order=4 to order=8.",
        (
            Slip(lambda _: sum(order > 3 for order in _orders()), "Order 9 has a list as well: that of huge pages."),
            Slip(lambda _: sum(order < 4 for order in _orders()), "Those are the orders that the lists do hold."),
            Slip(lambda _: sum(order > 0 for order in _orders()), "Since 5.14 the lists hold orders 1 to 3 too."),
        ),
    ),
    Exercise(
        "replay.vmemmap",
        lambda: _PAGE - _PFN * 64,
        "0xffffea0000220300 - 0x880c * 64 = 0xffffea0000000000: vmemmap, of a kernel without KASLR.",
        "The page's address is the beginning + pfn * 64.",
        (
            Slip(lambda _: _PAGE - _PFN, "Each struct page has 64 bytes: take off pfn * 64."),
            Slip(lambda _: _PAGE - _PFN * 4096, "That would be the frames themselves. Their records have 64 bytes."),
            Slip(lambda _: _PAGE + _PFN * 64, "The array begins before this page, so take it off."),
        ),
    ),
)
