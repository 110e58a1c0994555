"""Exercises of "The kernel's address space on x86-64"."""

from __future__ import annotations

from functools import cache

from kmemwidgets.learn.checks import ONE_TOO_MANY, Exercise, Slip
from kmemwidgets.records import MachineSpec, MemoryRange, Region
from kmemwidgets.sim.rules.layout import virtual_layout

_ADDRESS = 0xFFFF888000FFF000
_TEXT = 0xFFFFFFFF81000000
_QUESTION = 0x0000900000000000
_STRUCT_PAGE = 64


@cache
def _layout() -> dict[str, Region]:
    spec = MachineSpec(kernel=(6, 1, 192), memory=(MemoryRange(0, 8 << 30),))
    return {region.name: region for region in virtual_layout(spec, [(0, 8 << 30)])}


def _canonical(address: int, bits: int = 48) -> bool:
    return address >> (bits - 1) in (0, (1 << (65 - bits)) - 1)


def _pfn() -> int:
    return (_ADDRESS - _layout()["direct map"].start) // 4096


def _area() -> str:
    return next(name for name, region in _layout().items() if region.start <= _TEXT < region.end)


EXERCISES = (
    Exercise(
        "layout_x86_64.canonical",
        lambda: _canonical(_QUESTION),
        "Bit 47 is set, but the bits above it are not.",
        "Write bits 47 to 63: are all of them equal?",
        (Slip(lambda right: not right, "Look at bit 47: 0x0000_8000_0000_0000. Do the bits above repeat it?"),),
    ),
    Exercise(
        "layout_x86_64.pfn",
        _pfn,
        "0xffff888000fff000 - 0xffff888000000000 = 0xfff000, and that is frame 0xfff.",
        "Subtract the start of the direct map, then divide by 4096.",
        (
            Slip(lambda right: right * 4096, "That is the physical address. Which frame begins there?"),
            ONE_TOO_MANY,
        ),
    ),
    Exercise(
        "layout_x86_64.page",
        lambda: _layout()["vmemmap"].start + _STRUCT_PAGE * 0x100,
        "0xffffea0000000000 + 64 * 0x100 = 0xffffea0000004000.",
        "vmemmap is an array of 64-byte records. Where does number 0x100 begin?",
        (
            Slip(lambda _: _layout()["vmemmap"].start + 0x100, "That is 0x100 bytes in, not 0x100 records."),
            Slip(lambda _: _STRUCT_PAGE * 0x100, "That is the distance from the start. And the start itself?"),
            Slip(
                lambda _: _layout()["direct map"].start + 0x100 * 4096, "That is the frame itself, in the direct map."
            ),
        ),
    ),
    Exercise(
        "layout_x86_64.room",
        lambda: (_layout()["vmemmap"].end - _layout()["vmemmap"].start) // _STRUCT_PAGE * 4096 >> 40,
        "2^40 / 64 records, of 4 KiB each: {right} TiB, just what the direct map has room for.",
        "How many records of 64 bytes fit, and how much RAM do so many frames have?",
        (
            Slip(lambda _: 1, "So large is the array. Each record in it stands for a whole frame."),
            Slip(lambda _: 16, "That would be so with 256 bytes a frame."),
        ),
    ),
    Exercise(
        "layout_x86_64.area",
        _area,
        "The image is mapped from 0xffffffff80000000 on, and by default begins 16 MiB in.",
        "Type the address into the search field of a map.",
        (
            Slip(lambda _: "modules", "Modules begin behind the text."),
            Slip(
                lambda _: "direct map",
                "The direct map lies much lower. The image is mapped there too, at another address.",
            ),
        ),
    ),
)
