"""Exercises of "vmalloc and which interface to use"."""

from __future__ import annotations

from kmemwidgets.learn.checks import IN_BYTES, Exercise, Slip
from kmemwidgets.sim.machine import Machine
from kmemwidgets.sim.rules.table import pick
from kmemwidgets.sim.rules.vmalloc import TABLE, VmallocRules

from .recordings import recorded


def _size() -> int:
    machine = Machine.boot(memory="64M")
    machine.vmalloc(10000)
    areas = machine.snapshot().vmalloc
    assert areas
    return areas[0].size


def _third() -> int:
    machine = Machine.boot(memory="64M")
    starts = [machine.vmalloc(pages * 4096) or 0 for pages in (3, 1, 2)]
    return (starts[2] - starts[0]) // 4096


def _stacks() -> int:
    areas = recorded("amd64-2g-numa2").vmalloc or ()
    return sum(area.size // 4096 - 1 for area in areas if area.caller.startswith("kernel_clone"))


EXERCISES = (
    Exercise(
        "vmalloc.size",
        _size,
        "10000 bytes are 3 pages, and the guard page is the fourth: {right}.",
        "Whole pages, and one more.",
        (
            Slip(lambda _: 10000, "An area has whole pages."),
            Slip(lambda _: 12288, "Those are the pages that are used. The line counts the guard page too."),
            Slip(lambda _: 4, "That is in pages. The question asks for bytes."),
        ),
    ),
    Exercise(
        "vmalloc.third",
        _third,
        "3 + 1 pages, then 1 + 1: the third begins at page {right}.",
        "Each area has a guard page behind it.",
        (
            Slip(lambda _: 4, "And the guard pages?"),
            IN_BYTES,
        ),
    ),
    Exercise(
        "vmalloc.lazy",
        lambda: pick(VmallocRules, TABLE, (6, 1, 192)).lazy_max_pages(2, 4096),
        "fls(2) = 2 times 32 MiB: {right} pages of 4 KiB.",
        "32 MiB for each doubling of the CPUs: with 1 CPU once, with 2 or 3 twice.",
        (
            Slip(lambda right: right // 2, "That is with one CPU."),
            Slip(lambda right: right * 4096, "That is in bytes. The question asks for pages."),
        ),
    ),
    Exercise(
        "vmalloc.which",
        lambda: "kmalloc",
        "A card reads physical addresses, so the memory must be contiguous in RAM.",
        "What does the card see: virtual or physical addresses?",
        (
            Slip(lambda _: "vmalloc", "Its frames may lie anywhere, and the card doesn't use the CPU's page tables."),
            Slip(lambda _: "kvmalloc", "It may fall back on vmalloc, and then the card writes into the wrong frames."),
        ),
    ),
    Exercise(
        "vmalloc.stacks",
        _stacks,
        "Each stack has 4 pages: {right} in all.",
        "Search for kernel_clone in the panel: how many areas, of how many pages each, without the guard page?",
        (
            Slip(lambda right: right // 4, "That is the number of stacks. How many pages do they have?"),
            Slip(lambda right: right // 4 * 5, "That counts the guard pages."),
        ),
    ),
)
