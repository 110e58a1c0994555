"""Exercises of "/proc/meminfo, field by field"."""

from __future__ import annotations

from kmemwidgets.learn.checks import Exercise, Slip
from kmemwidgets.records import MemInfo

from .recordings import recorded

_FREE, _FILES, _SLAB, _RESERVED, _LOW = 1000, 3000, 200, 100, 60
_SWAP = 1 << 20


def _meminfo() -> MemInfo:
    meminfo = recorded("amd64-512m").meminfo
    assert meminfo is not None
    return meminfo


EXERCISES = (
    Exercise(
        "meminfo.overlap",
        lambda: frozenset({"Mapped", "Cached", "Slab", "SReclaimable"}),
        "Mapped file pages are in Cached, and SReclaimable is a part of Slab. AnonPages and MemFree overlap with none.",
        "There are two pairs: a view with the pages it looks at, and a sum with its part.",
        (
            Slip(lambda _: frozenset({"Mapped", "Cached"}), "That is one pair. The other one is a sum and its part."),
            Slip(lambda _: frozenset({"Slab", "SReclaimable"}), "That is one pair. In the other, one line is a view."),
            Slip(
                lambda _: frozenset({"Mapped", "AnonPages", "Slab", "SReclaimable"}),
                "Mapped counts mapped pages of files. Anonymous pages are no pages of files.",
            ),
            Slip(
                lambda right: right | {"AnonPages"},
                "Anonymous pages are no pages of files, so neither Cached nor Mapped has them.",
            ),
        ),
    ),
    Exercise(
        "meminfo.slab",
        lambda: _meminfo()["Slab"] // 4,
        "Slab in kB, divided by 4: {right} pages.",
        "There is a line for it, in kB.",
        (
            Slip(lambda right: right * 4, "That is in kB. The question asks for pages."),
            Slip(
                lambda _: _meminfo()["SReclaimable"] // 4, "Those are the reclaimable ones. The others are slabs too."
            ),
            Slip(
                lambda _: _meminfo()["SUnreclaim"] // 4, "Those are the unreclaimable ones. The others are slabs too."
            ),
        ),
    ),
    Exercise(
        "meminfo.available",
        lambda: _FREE - _RESERVED + _FILES - min(_FILES // 2, _LOW) + _SLAB - min(_SLAB // 2, _LOW),
        "1000 - 100 + (3000 - 60) + (200 - 60) = {right}: the low marks are the smaller ones both times.",
        "Take the three lines of the formula one after the other; in the last two the low marks are the smaller.",
        (
            Slip(lambda right: right + _RESERVED, "The reserves are missing."),
            Slip(lambda _: _FREE + _FILES + _SLAB, "That is all there is. Reserves, and what must stay, come off."),
            Slip(
                lambda _: _FREE - _RESERVED + _FILES // 2 + _SLAB // 2,
                "Half of it, or the low marks: the smaller of the two comes off.",
            ),
            Slip(lambda right: right + _LOW, "What must stay comes off twice: once from files, once from slab."),
            Slip(lambda _: _FREE - _RESERVED + _FILES - _LOW, "Slab gives something back too."),
        ),
    ),
    Exercise(
        "meminfo.commit",
        lambda: _meminfo()["MemTotal"] // 4 // 2 * 4 + _SWAP,
        "Half of MemTotal in whole pages, and all of the swap: {right} kB.",
        "Half of MemTotal counts, and swap is added.",
        (
            Slip(
                lambda _: _meminfo()["MemTotal"] // 2 + _SWAP,
                "2 kB less: the kernel halves pages and counts whole ones.",
            ),
            Slip(lambda _: (_meminfo()["MemTotal"] + _SWAP) // 2, "Only memory is halved, swap counts whole."),
            Slip(lambda _: _meminfo()["MemTotal"] + _SWAP, "Only half of the memory counts (overcommit_ratio is 50)."),
            Slip(lambda _: _meminfo()["CommitLimit"], "That is without swap. What does swap add?"),
        ),
    ),
    Exercise(
        "meminfo.tmpfs",
        lambda: frozenset({"Cached", "Shmem"}),
        "tmpfs pages are page cache without a disk: Cached and Shmem. For aging they stand on the anon lists.",
        "What did the panel say of Shmem? And on which lists are pages that have no disk behind them?",
        (
            Slip(lambda _: frozenset({"Cached"}), "One more: the line that counts pages of tmpfs alone."),
            Slip(lambda _: frozenset({"Shmem"}), "One more: pages of tmpfs are page cache."),
            Slip(
                lambda _: frozenset({"Cached", "Active(file)"}),
                "Without a disk behind them they stand on the anon lists.",
            ),
            Slip(
                lambda _: frozenset({"Cached", "Shmem", "Active(file)"}),
                "Without a disk behind them they stand on the anon lists.",
            ),
            Slip(
                lambda _: frozenset({"AnonPages"}),
                "AnonPages are mapped memory of programs. A page of a file, even on tmpfs, is none.",
            ),
            Slip(
                lambda _: frozenset({"Shmem", "AnonPages"}),
                "AnonPages are mapped memory of programs. A page of a file, even on tmpfs, is none.",
            ),
        ),
    ),
)
