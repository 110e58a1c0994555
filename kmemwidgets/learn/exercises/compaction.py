"""Exercises of "Compaction"."""

from __future__ import annotations

from kmemwidgets.learn.checks import Exercise, Slip
from kmemwidgets.sim.fragmentation import EXTFRAG_THRESHOLD, fragmentation_score_wmarks

_FREE, _ORDER = 600, 9
_INDEX = 120
_PROACTIVENESS, _SCORE = 60, 51


EXERCISES = (
    Exercise(
        "compaction.blocks",
        lambda: _FREE >> _ORDER,
        "600 free pages are one block of 512 and a rest: {right}.",
        "A block of order 9 has 512 pages. How many of those are in 600 free pages?",
        (
            Slip(lambda _: 2, "All 1200 pages would make two. But 600 of them stay in use."),
            Slip(lambda _: 0, "That is before compaction."),
        ),
    ),
    Exercise(
        "compaction.free",
        lambda: _FREE,
        "Compaction moves pages, it frees none: {right} as before.",
        "Does compaction free pages?",
        (
            Slip(lambda _: 512, "The rest of them is still free, only not in a block of order 9."),
            Slip(lambda _: 2 * _FREE, "Those are all pages. The movable ones are still in use."),
        ),
    ),
    Exercise(
        "compaction.scanner",
        lambda: "free",
        "The free scanner begins at the top, and the migrate scanner at the bottom.",
        "Where do the pages go to: to the top or to the bottom?",
        (Slip(lambda _: "migrate", "That one begins at the bottom: it collects what is to be moved up."),),
    ),
    Exercise(
        "compaction.index",
        lambda: _INDEX > EXTFRAG_THRESHOLD,
        "120 is near 0: it fails for want of memory, and compaction would not help. Reclaim would.",
        "Towards 0 means want of memory, towards 1000 means fragmentation. Which is it?",
        (Slip(lambda right: not right, "120 is below the threshold of 500: towards want of memory."),),
    ),
    Exercise(
        "compaction.score",
        lambda: fragmentation_score_wmarks(_PROACTIVENESS)[1] < _SCORE,
        "It stops at 100 - 60 = 40 and starts above 50: 51 is enough.",
        "Where does it stop: at 100 less the proactiveness. And it starts above 10 more. Is 51 above that?",
        (Slip(lambda right: not right, "100 - 60 is 40, and 10 more is 50."),),
    ),
)
