"""Exercises of "High memory on x86-32"."""

from __future__ import annotations

from kmemwidgets.learn.checks import Exercise, Slip
from kmemwidgets.records import MachineSpec
from kmemwidgets.sim.highmem import Highmem, splits

from .recordings import recorded

MIB = 1 << 20


def _beyond() -> int:
    lowmem = {split.name: split.lowmem for split in splits(MachineSpec(arch="x86_32", kernel=(2, 4, 22)))}
    return 1024 - lowmem["3G/1G"] // MIB


def _frames() -> int:
    present = recorded("i386-pae-2g").zone(0, "HighMem").present
    assert present is not None
    return present


def _count() -> int:
    high = Highmem(MachineSpec(arch="x86_32", pae=True))
    for _ in range(3):
        high.kmap(high.max_low_pfn)
    high.kunmap(high.max_low_pfn)
    return max(high.pkmap_count)


def _before_the_flush() -> int:
    high = Highmem(MachineSpec(arch="x86_32", pae=True))
    pfn = high.max_low_pfn
    while not high.flushes:
        high.kmap(pfn)
        high.kunmap(pfn)
        pfn += 1
    return pfn - high.max_low_pfn - 1


EXERCISES = (
    Exercise(
        "highmem.beyond",
        _beyond,
        "1024 MiB of RAM, of which 896 have an address: {right} MiB don't.",
        "How much is low memory on 2.4, with the usual split?",
        (
            Slip(lambda right: 1024 - right, "That is low memory. The question is what lies beyond it."),
            Slip(lambda _: 0, "1 GiB of addresses isn't all for the direct map: vmalloc, kmap and fixmap need some."),
        ),
    ),
    Exercise(
        "highmem.frames",
        _frames,
        "HighTotal says {right} times 4 kB, and so does the zone's present.",
        "Divide HighTotal by the size of a page, or ask the snapshot for the zone.",
        (
            Slip(lambda right: right * 4, "That is in kB. A frame has 4 of them."),
            Slip(lambda _: 225278, "That is the first of them."),
        ),
    ),
    Exercise(
        "highmem.count",
        _count,
        "Two users are left, and a slot that is mapped counts one more: {right}.",
        "How many users are left? And what does a slot count that nobody uses, but which is still mapped?",
        (
            Slip(lambda right: right - 1, "That many users are left. But 1 already means: mapped, and nobody uses it."),
            Slip(lambda right: right + 1, "That was before kunmap."),
        ),
    ),
    Exercise(
        "highmem.flush",
        _before_the_flush,
        "The search begins behind slot 0, so {right} slots come before the wrap.",
        "How many slots does kmap have with PAE, and at which one does the search begin?",
        (
            Slip(lambda right: right + 1, "Slot 0 comes last: when the search reaches it, it has wrapped."),
            Slip(lambda right: 2 * right + 1, "That is without PAE, where a page table has twice the entries."),
        ),
    ),
    Exercise(
        "highmem.which",
        lambda: "kmap_local",
        "It is for a moment, and it never sleeps.",
        "An interrupt can't sleep, and it needs the page only until it is done.",
        (
            Slip(lambda _: "kmap", "It sleeps where all slots are in use, and an interrupt can't."),
            Slip(lambda _: "vmalloc", "It may sleep, and takes pages of its own instead of mapping this one."),
        ),
    ),
)
