"""Exercises of "Migrate types and fragmentation"."""

from __future__ import annotations

from kmemwidgets.learn.checks import Exercise, Slip
from kmemwidgets.records import MIGRATETYPES
from kmemwidgets.sim import Machine
from kmemwidgets.sim.fragmentation import fragmentation_index, unusable_free_index
from kmemwidgets.sim.gfp import gfp_migratetype, parse_gfp

_MASKS = ("GFP_HIGHUSER_MOVABLE", "GFP_KERNEL", "GFP_KERNEL|__GFP_RECLAIMABLE")
_FREE = (100,)
_PAGEBLOCK_ORDER = 9


def _types() -> tuple[str, ...]:
    return tuple(MIGRATETYPES[gfp_migratetype(parse_gfp(mask))] for mask in _MASKS)


def _taken() -> int:
    """Let a fresh machine, whose free blocks are all Movable, take one: it is as large as there is one."""
    machine = Machine.boot(memory="64M", cpus=1, kernel="6.1")
    areas = machine.snapshot().zone(0, "DMA32").free_area
    assert areas is not None
    largest = max(area.order for area in areas if area.nr_free)
    before = areas[largest].nr_free
    machine.alloc_pages("GFP_KERNEL")
    areas = machine.snapshot().zone(0, "DMA32").free_area
    assert areas is not None
    return 9 if areas[largest].nr_free == before - 1 else 2


EXERCISES = (
    Exercise(
        "migratetypes.types",
        _types,
        "The two bits __GFP_MOVABLE and __GFP_RECLAIMABLE decide; without them a page is Unmovable.",
        "Look for the words MOVABLE and RECLAIMABLE in the masks.",
        (
            Slip(lambda right: (right[1], right[0], right[2]), "The first two are exchanged."),
            Slip(lambda right: (right[0], "Movable", right[2]), "GFP_KERNEL names neither of the two bits."),
            Slip(lambda right: (right[0], right[1], "Unmovable"), "The last one names __GFP_RECLAIMABLE."),
        ),
    ),
    Exercise(
        "migratetypes.unusable",
        lambda: unusable_free_index(_FREE, 3),
        "No free page lies in a block of order 3 or more: all of them, {right} of 1000, are of no use.",
        "Which part of the free pages lies in blocks that are too small? Times 1000.",
        (
            Slip(lambda _: 0, "0 would mean that a request can use all of them."),
            Slip(lambda _: 100, "That is how many pages there are. The index goes from 0 to 1000."),
            Slip(lambda _: 1, "The index goes from 0 to 1000."),
        ),
    ),
    Exercise(
        "migratetypes.index",
        lambda: fragmentation_index(_FREE, 3),
        "1000 - (1000 + 12500) / 100 = {right}: it would fail because of fragmentation.",
        "100 pages / 8, times 1000, is 12500. Go on with the formula.",
        (
            Slip(lambda _: 875, "The 1000 inside the brackets is missing."),
            Slip(lambda _: 135, "That is what is taken off 1000."),
            Slip(lambda _: -1000, "That would mean that it does not fail."),
        ),
    ),
    Exercise(
        "migratetypes.fallback",
        _taken,
        "The largest, so that the next Unmovable pages will be beside this one.",
        "Which one keeps the other blocks from being spoilt?",
        (
            Slip(lambda _: 2, "The smallest would do. But then the next request spoils another block."),
            Slip(lambda _: 5, "It does not look for the best fit."),
        ),
    ),
    Exercise(
        "migratetypes.blocks",
        lambda: 1 << (10 - _PAGEBLOCK_ORDER),
        "1024 pages, and a page block has 512: {right}.",
        "A page block has order 9.",
        (
            Slip(lambda _: 1, "A page block is not the largest block: it has order 9."),
            Slip(lambda _: 512, "Those are pages."),
        ),
    ),
)
