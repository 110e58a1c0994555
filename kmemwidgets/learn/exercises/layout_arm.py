"""Exercises of "The kernel's address space on arm64 and arm"."""

from __future__ import annotations

from kmemwidgets.learn.checks import Exercise, Slip
from kmemwidgets.records import MachineSpec, MemoryRange
from kmemwidgets.sim.rules.layout import address_space

_START = 0x40000000
_MEMORY = [(_START, _START + (1 << 30))]


def _spec(kernel: tuple[int, ...] = (6, 1, 192), va_bits: int = 48) -> MachineSpec:
    return MachineSpec(arch="arm64", kernel=kernel, va_bits=va_bits, memory=(MemoryRange(*_MEMORY[0]),))


def _modules() -> int:
    return address_space(_spec((6, 18, 35)), _MEMORY).area("modules").size >> 20


EXERCISES = (
    Exercise(
        "layout_arm.ttbr",
        lambda: "TTBR1" if 0xFFFF800008000000 >> 55 & 1 else "TTBR0",
        "It begins with ones, so it is the kernel's.",
        "Does the address begin with zeros or with ones?",
        (Slip(lambda _: "TTBR0", "That one is for addresses that begin with zeros."),),
    ),
    Exercise(
        "layout_arm.half",
        lambda: (1 << 39) >> 30,
        "Both halves have 39 bits of their own: 2^39 bytes are {right} GiB.",
        "How many bytes do 39 bits make?",
        (
            Slip(lambda right: right // 2, "On x86-64 the bits are shared between both halves; here they are not."),
            Slip(lambda right: right * 2, "That is both halves together."),
        ),
    ),
    Exercise(
        "layout_arm.va",
        lambda: address_space(_spec(), _MEMORY).va(0x48000000),
        "0x8000000 bytes into RAM, so 0x8000000 bytes into the linear map.",
        "How far into RAM is the physical address?",
        (
            Slip(
                lambda _: 0xFFFF000048000000, "The linear map begins with the first RAM, not with physical address 0."
            ),
            Slip(lambda _: 0x8000000, "That is the distance. And where does the linear map begin?"),
        ),
    ),
    Exercise(
        "layout_arm.modules",
        _modules,
        "2 GiB since 6.5; before, it was 128 MiB.",
        "Look at the areas of 6.18 above: modules end where vmalloc begins.",
        (
            Slip(lambda _: 128, "So it was before 6.5."),
            Slip(lambda _: 2, "That is in GiB. The question asks for MiB."),
        ),
    ),
)
