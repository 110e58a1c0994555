"""memmap= and mem= of x86's command line: the user's say over the firmware's map (arch/x86/kernel/e820.c)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .cmdline import memparse

#: Bytes: start, end (exclusive).
Range = tuple[int, int]

_SIZE = r"(?:0[xX][0-9a-fA-F]+|\d+)[kKmMgGtTpPeE]?"
#: size, what the range becomes ("@" RAM, "#" ACPI, "$" reserved, "!" persistent memory), start.
_ENTRY = re.compile(rf"({_SIZE})(?:([@#$!])({_SIZE}))?")
#: "%": size, start, the type before and the type after as numbers of the map (1 is RAM).
_RETYPE = re.compile(rf"({_SIZE})%({_SIZE})(?:-(\d+|0x[0-9a-f]+))?(?:\+(\d+|0x[0-9a-f]+))?")
_RAM = 1


def user_map(ranges: Sequence[Range], words: Sequence[tuple[str, str]]) -> list[Range]:
    """Apply the options in the order of the command line (parse_memopt, parse_memmap_one).

    Parameters
    ----------
    ranges : sequence of (int, int)
        RAM as the firmware says.
    words : sequence of (str, str)
        Name ("mem" or "memmap") and value.

    Returns
    -------
    list of (int, int)
        RAM. What a user takes away stays away even where another option names it as RAM, as the type with the larger
        number wins where entries overlap (e820__update_table).
    """
    ram = list(ranges)
    taken: list[Range] = []
    for name, value in words:
        if name == "mem":
            if found := re.match(_SIZE, value):
                ram = _below(ram, memparse(found[0]))
            continue
        for entry in value.split(","):
            ram = _apply(ram, taken, entry)
    for low, high in taken:
        ram = without(ram, low, high)
    return ram


def _apply(ram: list[Range], taken: list[Range], entry: str) -> list[Range]:
    """Carry out one entry of memmap=; what the kernel doesn't understand it passes over."""
    if entry == "exactmap":
        taken.clear()
        return []
    if found := _RETYPE.fullmatch(entry):
        start = memparse(found[2])
        end = start + memparse(found[1])
        before, after = int(found[3] or "0", 0), int(found[4] or "0", 0)
        if after == _RAM:
            return [*ram, (start, end)]
        if after and not before:
            taken.append((start, end))
        return without(ram, start, end) if before in (0, _RAM) else ram
    found = _ENTRY.fullmatch(entry)
    if not found:
        return ram
    size = memparse(found[1])
    if not found[2]:
        return _below(ram, size) if size else ram
    start = memparse(found[3])
    if found[2] == "@":
        return [*ram, (start, start + size)]
    taken.append((start, start + size))
    return ram


def without(ranges: Sequence[Range], low: int, high: int) -> list[Range]:
    """Return what is left of ranges without [low, high)."""
    pieces = [piece for start, end in ranges for piece in ((start, min(end, low)), (max(start, high), end))]
    return [(start, end) for start, end in pieces if start < end]


def _below(ranges: Sequence[Range], limit: int) -> list[Range]:
    return [(start, min(end, limit)) for start, end in ranges if start < limit] if limit else list(ranges)
