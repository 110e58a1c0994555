"""Exercises of "Boot: from firmware map to buddy"."""

from __future__ import annotations

from kmemwidgets.learn.checks import Exercise, Slip
from kmemwidgets.sim.memblock import Memblock
from kmemwidgets.sim.rules.start_kernel import TABLE, StartKernelRules
from kmemwidgets.sim.rules.table import pick

_SERIES = {"5.6": (5, 6, 4), "6.1": (6, 1, 192), "6.12": (6, 12, 117), "6.18": (6, 18, 35)}
_FIRST, _LAST = 3, 30


def _top() -> int:
    memblock = Memblock()
    memblock.add(0, 0x100000)
    memblock.reserve(0x9F000, 0x61000)
    place = memblock.alloc(0x2000, 0x1000)
    assert place is not None
    return place


def _orders() -> tuple[int, ...]:
    """Cut as memblock's hand-over does (mm/memblock.c, __free_pages_memory)."""
    start, end, orders = _FIRST, _LAST + 1, []
    while start < end:
        order = (start & -start).bit_length() - 1
        while start + (1 << order) > end:
            order -= 1
        orders.append(order)
        start += 1 << order
    return tuple(orders)


def _step() -> str:
    return next(
        name
        for name, version in _SERIES.items()
        if any(step.endswith("memblock_free_all") for step in pick(StartKernelRules, TABLE, version).steps)
    )


EXERCISES = (
    Exercise(
        "boot.memmap",
        lambda: (4 << 30) // 4096 * 64 >> 20,
        "A struct page of 64 bytes for each of 1,048,576 frames: {right} MiB, or 1.6 %.",
        "How many frames are 4 GiB, and how many bytes does each one's struct page have?",
        (
            Slip(lambda _: 1 << 20, "That is the number of frames."),
            Slip(lambda _: 64 << 20, "That is in bytes. The question asks for MiB."),
            Slip(lambda _: 32, "That is the map of 2 GiB."),
        ),
    ),
    Exercise(
        "boot.top",
        _top,
        "memblock searches from the top down: the highest gap that is large enough ends at 0x9f000.",
        "Where is the highest gap, and where do 0x2000 bytes at its end begin?",
        (
            Slip(lambda _: 0, "memblock searches from the top, not from the bottom."),
            Slip(lambda _: 0x1000, "memblock searches from the top, not from the bottom."),
            Slip(lambda _: 0x9F000, "There the reserved range begins. The request must end there."),
            Slip(lambda _: 0xFE000, "That is inside the reserved range."),
        ),
    ),
    Exercise(
        "boot.orders",
        _orders,
        "3, 4 to 7, 8 to 15, 16 to 23, 24 to 27, 28 and 29, 30: each block begins at a multiple of its size.",
        "A block of order n begins at a multiple of 2^n. How large can the one at frame 3 be?",
        (
            Slip(lambda right: tuple(reversed(right)), "From the lowest block up."),
            Slip(lambda right: tuple(1 << order for order in right), "Those are pages. The order is the power of two."),
            Slip(lambda _: (4, 3, 2), "28 frames are 16 + 8 + 4, but a block of order 4 can't begin at frame 3."),
        ),
    ),
    Exercise(
        "boot.step",
        _step,
        "Up to 6.12 each architecture's mem_init called it.",
        "Print the steps of each version: which names memblock_free_all?",
    ),
)
