"""Exercises of "GFP flags, watermarks and the allocation path"."""

from __future__ import annotations

from kmemwidgets.learn.checks import ONE_TOO_FEW, Exercise, Slip
from kmemwidgets.learn.claims import find_claim
from kmemwidgets.sim.gfp import gfp_zone, parse_gfp
from kmemwidgets.sim.rules.watermark import MIN_RESERVE, NON_BLOCK

_MODE = 0xA20
_DIRECT_RECLAIM = 0x400
_MIN = 1000

#: Of the question: name, free, low, protection against requests for Normal; from the highest zone down.
_ZONES = (("Normal", 900, 1000, 0), ("DMA32", 5000, 800, 3000), ("DMA", 3000, 30, 3900))


def _atomic() -> int:
    lowered: int = find_claim("watermark.lowered", "6.1").value(_MIN, MIN_RESERVE | NON_BLOCK)
    return lowered + 1


def _passes(free: int, mark: int, protection: int, order: int = 0) -> bool:
    return free - ((1 << order) - 1) > mark + protection


EXERCISES = (
    Exercise(
        "gfp.sleep",
        lambda: bool(_MODE & _DIRECT_RECLAIM),
        "0xa20 is GFP_ATOMIC on that kernel: without __GFP_DIRECT_RECLAIM (0x400) a request may not sleep.",
        'explain_gfp("0xa20") takes it apart. Which bit allows to sleep?',
        (Slip(lambda right: not right, "Look for __GFP_DIRECT_RECLAIM, 0x400. Is it in 0xa20?"),),
    ),
    Exercise(
        "gfp.atomic",
        _atomic,
        "1000 - 500 - 125 = 375, and free has to be more than that: {right}.",
        "Half of it comes off, and then a quarter of the rest. Must it be reached, or exceeded?",
        (
            ONE_TOO_FEW,
            Slip(lambda _: 501, "That is with __GFP_HIGH alone. This request cannot wait either."),
            Slip(lambda _: 500, "That is with __GFP_HIGH alone. This request cannot wait either."),
            Slip(lambda _: 251, "The quarter comes off the rest, not off the whole: 1000 - 500 - 125."),
            Slip(lambda _: 1001, "That holds for GFP_KERNEL."),
        ),
    ),
    Exercise(
        "gfp.order",
        lambda: _passes(1500, 1200, 0, order=9),
        "1500 - 511 = 989 is not more than 1200, free block or not.",
        "What is left of the free pages when 2^9 - 1 of them are taken off?",
        (Slip(lambda right: not right, "1500 alone is enough. But the request is for 512 pages: how many are left?"),),
    ),
    Exercise(
        "gfp.zone",
        lambda: next(name for name, free, low, protection in _ZONES if _passes(free, low, protection)),
        "Normal is below its low mark. DMA32: 5000 > 800 + 3000. DMA is not even asked.",
        "From the top: for each zone compare free with low + protection. The first that passes serves it.",
        (
            Slip(lambda _: "Normal", "900 is not more than its low mark of 1000."),
            Slip(lambda _: "DMA", "3000 is not more than 30 + 3900, and an earlier zone passes."),
        ),
    ),
    Exercise(
        "gfp.highest",
        lambda: gfp_zone(parse_gfp("GFP_KERNEL|__GFP_DMA32")),
        "DMA32: no zone above it is good enough, but DMA below it would do too.",
        "What does explain_gfp say about the highest zone?",
        (
            Slip(lambda _: "Normal", "That would be without __GFP_DMA32."),
            Slip(lambda _: "DMA", "That is good enough, but it is not the highest."),
        ),
    ),
)
