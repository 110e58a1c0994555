"""Exercises of "Pages and their flags"."""

from __future__ import annotations

from kmemwidgets.learn.checks import Exercise, Slip
from kmemwidgets.learn.flag_words import explain_flags
from kmemwidgets.records import KPF, flag_names

from .recordings import recorded

_WORD = 0x8080
_PFN = 0x1C000


def _frames_with(*wanted: str, without: str = "") -> int:
    table = recorded("amd64-512m").frames
    assert table is not None
    return sum(
        bytes(table.codes).count(code)
        for code, flags in enumerate(table.palette)
        if set(wanted) <= set(flag_names(flags)) and without not in flag_names(flags)
    )


EXERCISES = (
    Exercise(
        "pages.decode",
        lambda: frozenset(flag_names(_WORD)),
        "0x8080 is 0x8000 + 0x80: bits 15 and 7. It is the first frame of a slab that has several.",
        "Write it in binary: which bits are set? explain_flags(0x8080) tells their names.",
        (
            Slip(lambda _: frozenset({"SLAB"}), "That is bit 7. There is one more."),
            Slip(lambda _: frozenset({"COMPOUND_HEAD"}), "That is bit 15. There is one more."),
            Slip(lambda _: frozenset({"SLAB", "COMPOUND_TAIL"}), "COMPOUND_TAIL is bit 16, 0x10000. Count once more."),
        ),
    ),
    Exercise(
        "pages.slab",
        lambda: _frames_with("SLAB"),
        "{right} frames: those of one frame, and heads and tails of the larger ones.",
        "Add up words[flags] for all flags where 'SLAB' is in flag_names(flags).",
        (
            Slip(lambda _: words_alone("SLAB"), "Those are the slabs of one frame. Larger ones have a head and tails."),
            Slip(lambda _: _frames_with("SLAB", "COMPOUND_HEAD"), "Those are the heads of the larger ones only."),
            Slip(
                lambda _: _frames_with("SLAB", without="COMPOUND_TAIL"),
                "You counted slabs. Count their frames: with the tails.",
            ),
        ),
    ),
    Exercise(
        "pages.counts",
        lambda: (2 - 1, 2 + 1),
        "Mapped twice is 1, as it starts at -1. Three hold on to it: two page tables and the page cache.",
        "_mapcount starts at -1. _refcount counts all who hold on to the page.",
        (
            Slip(lambda _: (2, 3), "_mapcount starts at -1, so two mappings make it ..."),
            Slip(lambda _: (1, 2), "Each page table holds on to it, and the page cache does too."),
            Slip(lambda _: (2, 2), "Neither: one starts at -1, and the other counts the page cache as well."),
            Slip(lambda _: (3, 1), "The other way round: _mapcount first."),
        ),
    ),
    Exercise(
        "pages.offset",
        lambda: _PFN * 8,
        "0x1c000 * 8 = {right}: the file is an array, indexed by pfn.",
        "The words stand one after the other, from frame 0.",
        (
            Slip(lambda _: _PFN * 64, "64 bytes has the struct page. A word of /proc/kpageflags has 8."),
            Slip(lambda _: _PFN * 4096, "That is the frame's own address. In the file each frame takes 8 bytes."),
            Slip(lambda _: _PFN, "Each frame takes 8 bytes, not one."),
        ),
    ),
    Exercise(
        "pages.bit5",
        lambda: explain_flags(0x20, kind="page", kernel="6.18").names[0],
        "Bit 5 is {right} in 6.18. In 5.6 it was active.",
        'explain_flags(0x20, kind="page", kernel="6.18") tells.',
        (
            Slip(lambda _: "active", "That was bit 5 in 5.6."),
            Slip(lambda _: flag_names(0x20)[0] + "?", "That is the bit's name in /proc/kpageflags."),
            Slip(lambda _: "dirty", "That is bit 4: the lowest bit has the number 0."),
        ),
    ),
)


def words_alone(name: str) -> int:
    """Count the frames that have one flag and no other."""
    table = recorded("amd64-512m").frames
    assert table is not None
    word = KPF[name]
    return sum(bytes(table.codes).count(code) for code, flags in enumerate(table.palette) if flags == word)
