"""Exercises of "Zones"."""

from __future__ import annotations

from kmemwidgets.learn.checks import ONE_TOO_FEW, Exercise, Slip
from kmemwidgets.records import ZoneInfo
from kmemwidgets.sim.rules import mmzone
from kmemwidgets.sim.rules.table import pick

from .recordings import recorded

_MIN, _MANAGED, _SCALE = 1000, 2_000_000, 10
_FREE = 450


def _dma() -> ZoneInfo:
    return recorded("amd64-512m").zone(0, "DMA")


def _zone_name() -> str:
    zone = recorded("i386-pae-2g").zone_of(0x37000)
    assert zone is not None
    return zone.name


def _high() -> int:
    rules = pick(mmzone.ZoneRules, mmzone.TABLE, (6, 1, 192))
    return rules.marks(_MIN, _MANAGED, False, _SCALE)[2]


def _serves() -> bool:
    zone = _dma()
    assert zone.min is not None
    assert zone.protection is not None
    return zone.min + zone.protection[1] < _FREE


EXERCISES = (
    Exercise(
        "zones.zone",
        _zone_name,
        "HighMem begins at frame 0x36ffe, two frames before 0x37000.",
        "Look at the table of bounds above: which zone of i386-pae-2g has 0x37000 between its first and last frame?",
        (
            Slip(lambda _: "Normal", "896 MiB would be frame 0x38000, but on this kernel Normal ends earlier."),
            Slip(lambda _: "DMA32", "A 32-bit x86 kernel has no DMA32."),
        ),
    ),
    Exercise(
        "zones.first",
        lambda: 0x1000000 // 4096,
        "16 MiB / 4 KiB: frame {right}, in hexadecimal 0x1000.",
        "The next byte is 0x1000000. Which frame begins there?",
        (
            ONE_TOO_FEW,
            Slip(lambda _: 0x1000000, "That is the address. Which frame begins at it?"),
            Slip(lambda _: 0xFFFFFF, "That is the last address below it. The question asks for a frame."),
            Slip(lambda _: 1000, "In hexadecimal: 0x1000, with the 0x."),
        ),
    ),
    Exercise(
        "zones.high",
        _high,
        "The step is max(1000/4, 2000000 * 10/10000) = 2000, and high is two steps above min: {right}.",
        "Work out the step d first: the larger one of a quarter of min, and managed * 10 / 10000.",
        (
            Slip(lambda _: _MIN * 6 // 4, "That takes a quarter of min as the step. The other one is larger."),
            Slip(lambda right: right - 2000, "That is low. High is one more step above it."),
            Slip(lambda _: 4000, "That is two steps. They begin at min, not at 0."),
            Slip(lambda _: _MIN + 2 * 200_000, "The factor counts in ten-thousandths, not in percent."),
        ),
    ),
    Exercise(
        "zones.serves",
        _serves,
        "min and the protection against DMA32 together are more than 450.",
        "The zone needs more free frames than min + protection[index of the zone that the request names].",
        (Slip(lambda right: not right, "Is 450 more than min alone, or more than min and protection together?"),),
    ),
    Exercise(
        "zones.reserved",
        lambda: (_dma().present or 0) - (_dma().managed or 0),
        "present - managed = {right} frames: since 5.13, x86 keeps the whole first MiB (arch/x86/realmode/init.c).",
        "Compare two of the figures of /proc/zoneinfo.",
        (
            Slip(
                lambda _: (_dma().spanned or 0) - (_dma().managed or 0),
                "From present, not from spanned: holes do not exist.",
            ),
            Slip(lambda _: (_dma().spanned or 0) - (_dma().present or 0), "Those are holes. They don't exist."),
            Slip(lambda right: right * 4, "That is in kB. The question asks for frames."),
        ),
    ),
)
