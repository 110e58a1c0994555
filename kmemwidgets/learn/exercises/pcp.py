"""Exercises of "Per-CPU lists and the fast path"."""

from __future__ import annotations

from kmemwidgets.learn.checks import Exercise, Slip
from kmemwidgets.learn.claims import find_claim
from kmemwidgets.sim import Machine

from .recordings import recorded

_MANAGED, _LOW, _CPUS, _BATCH = 262_144, 10_000, 4, 63


def _batch() -> int:
    thousandth = min(_MANAGED >> 10, 256)
    quarter = max(thousandth // 4, 1)
    return (1 << ((quarter + quarter // 2).bit_length() - 1)) - 1


def _largest_order() -> int:
    largest: int = find_claim("pcp.largest_order", "6.1").value
    return largest


def _after_two_frees() -> str:
    machine = Machine.boot(memory="64M", cpus=1, kernel="6.1")
    a, b = (machine.alloc_pages("GFP_KERNEL") for _ in "AB")
    assert a is not None
    assert b is not None
    machine.free_pages(a)
    machine.free_pages(b)
    return "A" if machine.alloc_pages("GFP_KERNEL") == a else "B"


def _count() -> int:
    (pcp,) = recorded("amd64-512m").zone(0, "DMA32").pagesets
    return pcp.count


EXERCISES = (
    Exercise(
        "pcp.batch",
        _batch,
        "256 / 4 = 64; 64 * 1.5 = 96, rounded down to a power of two 64; less one: {right}.",
        "managed/1024 is 256. Go on step by step.",
        (
            Slip(lambda _: 64, "One less: the number is to share no factor with the cache's size."),
            Slip(lambda _: 95, "Round 96 down to a power of two first, then take off one."),
            Slip(lambda _: 255, "A quarter of it first."),
            Slip(lambda _: 127, "Round 96 down to a power of two, not up."),
        ),
    ),
    Exercise(
        "pcp.high",
        lambda: max(_LOW // _CPUS, 4 * _BATCH),
        "10,000 / 4 = {right}, and that is more than 4 * 63.",
        "The low watermark is divided among the processors of the node.",
        (
            Slip(lambda _: 4 * _BATCH, "That is the least that it may be."),
            Slip(lambda _: _LOW, "That is for all processors together."),
            Slip(lambda _: 6 * _BATCH, "6 * batch was the rule until 5.13."),
        ),
    ),
    Exercise(
        "pcp.lifo",
        _after_two_frees,
        "Last in, first out: {right} was freed last.",
        "Freeing puts to the head of the list, and allocating takes from the head.",
        (
            Slip(
                lambda right: "A" if right == "B" else "B",
                "That one was freed first, so the other lies in front of it.",
            ),
        ),
    ),
    Exercise(
        "pcp.order",
        lambda: "buddy lists" if _largest_order() < 5 else "per-CPU list",
        "The lists hold orders 0 to 3 (and huge pages). 100 single pages are no 32 pages in a row.",
        "Which orders do the lists of 6.1 hold?",
        (
            Slip(
                lambda _: "per-CPU list",
                "There are enough pages, but are they in a row? Which orders do the lists hold?",
            ),
        ),
    ),
    Exercise(
        "pcp.count",
        _count,
        "count counts pages: {right}. Blocks of order 1 are two, of order 2 four, of order 3 eight.",
        "It is one of the fields of pcp. Or add up: blocks * 2^order.",
        (
            Slip(lambda _: _blocks(), "Those are the blocks. A block of order n has 2^n pages."),
            Slip(lambda right: right * 4, "That is in kB."),
        ),
    ),
)


def _blocks() -> int:
    (pcp,) = recorded("amd64-512m").zone(0, "DMA32").pagesets
    assert pcp.lists is not None
    return sum(len(pages) for pages in pcp.lists)
