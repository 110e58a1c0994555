"""/proc/iomem: who owns which physical addresses (kernel/resource.c, r_show)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kmemwidgets.records import Region

from ._lines import bad, checked, lines_of, shown

LIMIT = 1 << 22

_ROW = re.compile(r"( *)([0-9a-f]{1,16})-([0-9a-f]{1,16}) : (.*)")


@dataclass(frozen=True, slots=True)
class IoMem:
    """The rows in the file's order; `width` is the digits of an address, 4 a port or 8 or more."""

    regions: tuple[Region, ...]
    width: int = 8
    unknown: tuple[str, ...] = ()


def parse(text: str, where: str = "proc/iomem") -> IoMem:
    """Read the rows. Children are indented by two blanks and lie inside the row above them.

    An ordinary user reads every address as 0; such a file is read too.
    """
    regions: list[Region] = []
    width = 8
    rows = lines_of(text, where, LIMIT)
    for number, line in enumerate(rows, 1):
        found = _ROW.fullmatch(line)
        if not found or len(found[1]) % 2:
            raise bad(where, number, f"expected 'START-END : NAME', not {shown(line)}")
        if number == 1:
            width = len(found[2])
        depth = len(found[1]) // 2
        if depth > (regions[-1].depth + 1 if regions else 0):
            raise bad(where, number, f"{shown(line.strip())} is indented further than a child of the row above it")
        start, end = int(found[2], 16), int(found[3], 16) + 1
        if end <= start:
            raise bad(where, number, f"the range ends at {found[3]}, before its start {found[2]}")
        regions.append(Region(start, end, found[4], depth))
    return checked(IoMem(tuple(regions), width), text, where, format)


def format(record: IoMem) -> str:  # noqa: A001 - every format has parse() and format()
    """Write the rows as the kernel does."""
    width = record.width
    return "".join(
        f"{'  ' * row.depth}{row.start:0{width}x}-{row.end - 1:0{width}x} : {row.name}\n" for row in record.regions
    )
