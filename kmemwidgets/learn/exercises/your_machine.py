"""Exercises of "Your machine, at a glance"."""

from __future__ import annotations

from kmemwidgets.learn.checks import Exercise, Slip
from kmemwidgets.records import Snapshot

from .recordings import recorded

_ADDRESS = 0x1234567


def _machine() -> Snapshot:
    return recorded("amd64-512m")


def _pages(field: str) -> int:
    return sum(getattr(zone, field) or 0 for zone in _machine().zones)


def _mem_total() -> int:
    meminfo = _machine().meminfo
    assert meminfo is not None
    return meminfo["MemTotal"]


EXERCISES = (
    Exercise(
        "your-machine.frames",
        lambda: _mem_total() // 4,
        "MemTotal is in kB and a frame has 4 of them: {right} frames, just what `managed` said.",
        "MemTotal is in kB, and a frame has 4 of them.",
        (
            Slip(lambda right: right * 4, "That is the number of kB."),
            Slip(lambda right: right * 4 * 1024 // 4000, "A kB in /proc/meminfo has 1024 bytes, and a frame 4096."),
            Slip(lambda _: 131072, "That is all that is installed. MemTotal is less."),
            Slip(lambda _: _pages("present"), "Those are all frames that exist. MemTotal counts the managed ones."),
        ),
    ),
    Exercise(
        "your-machine.pfn",
        lambda: _ADDRESS // 4096,
        "0x1234567 / 0x1000 is 0x1234: in hexadecimal the last three digits fall away.",
        "Divide the address by 4096, or drop its last three hexadecimal digits.",
        (
            Slip(lambda right: right + 1, "Do not round up: frame 0 begins at address 0."),
            Slip(lambda _: _ADDRESS % 4096, "That is the place inside the frame, what is left over."),
            Slip(lambda _: _ADDRESS // 1024, "You divided by 1024. A frame has 4096 bytes."),
            Slip(lambda _: 1234, "0x1234, with the 0x: without it Python reads a decimal number."),
        ),
    ),
    Exercise(
        "your-machine.records",
        lambda: (16 << 30) // 4096 * 64 >> 20,
        "16 GiB are 4,194,304 frames, and 64 bytes for each are {right} MiB: one part in 64.",
        "First the number of frames in 16 GiB, then 64 bytes for each, then MiB.",
        (
            Slip(lambda right: right << 20, "That is in bytes. The question asks for MiB."),
            Slip(lambda right: right << 10, "That is in kB. The question asks for MiB."),
        ),
    ),
    Exercise(
        "your-machine.kept",
        lambda: (_pages("present") - _pages("managed")) / _pages("present"),
        "About a tenth of so small a machine. The kernel's image is as large on a machine of 64 GiB.",
        "What is present but not managed, divided by what is present.",
        (
            Slip(lambda right: 1 - right, "That is the share that was handed over. Which share was kept?"),
            Slip(lambda right: right * 100, "That is in percent. The question asks for a number between 0 and 1."),
        ),
    ),
)
