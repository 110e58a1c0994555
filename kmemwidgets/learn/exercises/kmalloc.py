"""Exercises of "kmalloc"."""

from __future__ import annotations

from functools import cache

from kmemwidgets.learn.checks import IN_BYTES, Exercise, Slip
from kmemwidgets.records import MachineSpec
from kmemwidgets.sim.rules.kmalloc import TABLE, KmallocRules
from kmemwidgets.sim.rules.table import pick
from kmemwidgets.sim.slab_common import kmalloc_caches, kmalloc_kind, kmalloc_kinds, kmalloc_size, kmalloc_sizes

_X86 = MachineSpec(arch="x86_64", kernel=(6, 1, 192))
_DRIVER = 20 * 1024 + 1


@cache
def _sizes(arch: str) -> tuple[int, ...]:
    return kmalloc_sizes(pick(KmallocRules, TABLE, (6, 1, 192)), arch)


def _taken(size: int, arch: str = "x86_64") -> int:
    return kmalloc_size(size, _sizes(arch))


def _worst() -> int:
    return max(range(8, 8193), key=lambda size: (_taken(size) - size) / _taken(size))


def _name() -> str:
    rules = pick(KmallocRules, TABLE, _X86.kernel)
    kind = kmalloc_kind(kmalloc_kinds(rules, _X86), ("__GFP_ACCOUNT",))
    return next(each.name for each in kmalloc_caches(rules, _X86) if (each.kind, each.size) == (kind, _taken(1000)))


EXERCISES = (
    Exercise(
        "kmalloc.seventy",
        lambda: _taken(70),
        "96 is the smallest class that holds 70 bytes.",
        "Type 70 into the panel above.",
        (
            Slip(lambda _: 128, "There is a class between 64 and 128."),
            Slip(lambda _: 70, "That is what was asked for. How many bytes does it take?"),
            Slip(lambda _: 64, "That is too small for 70 bytes."),
        ),
    ),
    Exercise(
        "kmalloc.arm",
        lambda: _taken(70, "arm64"),
        "Before 6.5 arm64 begins at {right} bytes.",
        "Which is the smallest class of that machine?",
        (Slip(lambda _: 96, "So it is on x86-64. Which classes does the arm64 machine have?"),),
    ),
    Exercise(
        "kmalloc.pages",
        lambda: _taken(_DRIVER) // 4096,
        "20 KiB and a byte are 6 pages at least, and the next power of two is {right}.",
        "How many pages hold it, and which power of two is next?",
        (
            Slip(lambda _: 6, "So many would hold it. But blocks come in powers of two."),
            Slip(lambda _: 5, "Five pages are 20 KiB; there is one byte more."),
            Slip(lambda pages: pages.bit_length() - 1, "That is the order. The question asks for pages."),
            IN_BYTES,
        ),
    ),
    Exercise(
        "kmalloc.worst",
        _worst,
        "{right} bytes take 8192: nearly a half is wasted.",
        "The saw is highest just behind a class, where the next one is twice as large. Which place is nearest a half?",
        (
            Slip(lambda _: 257, "255 of 512 bytes are a little less than a half. Is there a larger share?"),
            Slip(lambda _: 129, "129 bytes take 192, since there is a class in between."),
            Slip(lambda _: 256, "That fills its class."),
        ),
    ),
    Exercise(
        "kmalloc.name",
        _name,
        "1000 bytes take 1 KiB, and what is charged to a control group has caches of its own.",
        "Choose GFP_KERNEL_ACCOUNT in the panel.",
        (
            Slip(lambda _: "kmalloc-1k", "That one serves requests that nobody is charged for."),
            Slip(lambda _: "kmalloc-cg-1024", "Nearly: how does the kernel write 1024 in the names of caches?"),
        ),
    ),
)
