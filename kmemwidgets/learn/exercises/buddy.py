"""Exercises of "The buddy system"."""

from __future__ import annotations

from kmemwidgets.learn.checks import Exercise, Slip
from kmemwidgets.learn.claims import find_claim

from .recordings import recorded

_BLOCK, _ORDER = 0x2000, 9
_FREE = frozenset({(0x108, 2), (0x100, 3), (0x110, 4)})


def merged(pfn: int, order: int) -> tuple[int, int]:
    """Merge a block with its free buddies, as far as it goes."""
    while (pfn ^ (1 << order), order) in _FREE:
        pfn &= pfn ^ (1 << order)
        order += 1
    return pfn, order


def split(kernel: str) -> tuple[int, frozenset[int]]:
    """Return the frame that is handed out, and the first frames of what goes on the lists."""
    pfn, listed = _BLOCK, set()
    for order in reversed(range(_ORDER)):
        upper = pfn + (1 << order)
        if find_claim("page_alloc.keeps_upper_half", kernel).value:
            listed.add(pfn)
            pfn = upper
        else:
            listed.add(upper)
    return pfn, frozenset(listed)


def _row() -> int:
    areas = recorded("amd64-512m").zone(0, "DMA").free_area
    assert areas is not None
    return sum(area.nr_free << area.order for area in areas)


EXERCISES = (
    Exercise(
        "buddy.buddy",
        lambda: 0x1020 ^ (1 << 5),
        "2^5 is 0x20, and 0x1020 XOR 0x20 is 0x1000.",
        "Flip the bit with the value 2^5, which is 0x20.",
        (
            Slip(lambda _: 0x1040, "That is the neighbour on the other side. Flip the bit 0x20: it is set."),
            Slip(lambda _: 0x1025, "The order is 5, but the bit has the value 2^5."),
            Slip(lambda _: 0x1020, "A block is not its own buddy."),
        ),
    ),
    Exercise(
        "buddy.merge",
        lambda: merged(0x10C, 2),
        "0x10c and 0x108 make 0x108 of order 3; with 0x100 that makes 0x100 of order 4; and with 0x110 order 5.",
        "Find the buddy, merge, and ask the same question of the result: three times.",
        (
            Slip(lambda _: (0x108, 3), "That is one merge. Is the buddy of the result free too?"),
            Slip(lambda _: (0x100, 4), "Those are two merges. The block at 0x110 has order 4: whose buddy is it?"),
            Slip(lambda _: (0x10C, 5), "The order is right. The block begins where the lower one of the buddies does."),
            Slip(lambda _: (0x110, 5), "The order is right. The block begins where the lower one of the buddies does."),
        ),
    ),
    Exercise(
        "buddy.split",
        lambda: split("6.1")[1],
        "The upper halves: 0x2100 of order 8, 0x2080 of order 7, and so on down to 0x2001 of order 0.",
        "Halve 512 frames again and again; the upper half stays on the list each time. There are nine of them.",
        (
            Slip(lambda _: split("2.4")[1], "Those are the lower halves, as in Linux 2.4."),
            Slip(lambda right: right | {_BLOCK}, "The first one is handed out, it is on no list."),
            Slip(
                lambda right: frozenset(pfn - _BLOCK for pfn in right),
                "Those are their places inside the block. Add 0x2000.",
            ),
        ),
    ),
    Exercise(
        "buddy.old",
        lambda: split("2.4")[0],
        "2.4 goes on with the upper half each time and ends at the last frame, 0x21ff.",
        "It goes on with the upper half, nine times.",
        (
            Slip(lambda _: _BLOCK, "So does 6.1. In 2.4 the lower halves go on the lists."),
            Slip(lambda right: right + 1, "That is the first frame behind the block."),
            Slip(lambda _: _BLOCK + 256, "That is the first step: the upper half of order 8. It goes on from there."),
        ),
    ),
    Exercise(
        "buddy.row",
        _row,
        "32 + 64 + 128 + 512 + 3 * 1024 = {right}: the recorded machine's zone DMA.",
        "The first number counts blocks of order 0; the number at place n counts for 2^n pages each.",
        (
            Slip(lambda _: 7, "That is how many blocks there are. How many pages has each?"),
            Slip(lambda right: right * 4, "That is in kB."),
            Slip(lambda right: right * 2, "The first column is order 0, one page a block."),
        ),
    ),
)
