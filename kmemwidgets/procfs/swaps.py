"""/proc/swaps: swap areas in use (mm/swapfile.c, swap_show)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kmemwidgets.records import SwapArea

from ._lines import bad, checked, fill, lines_of, shown, template

LIMIT = 1 << 20

HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"
# Linux before 5.9 has one tab between Size and Used.
_HEAD = re.compile(r"Filename\s+Type\s+Size\s+Used\s+Priority")
_ROW = re.compile(r"(\S{1,4096}(?: \(deleted\))?)\s+(partition|file)\s+([0-9]{1,20})\s+([0-9]{1,20})\s+(-?[0-9]{1,10})")


@dataclass(frozen=True, slots=True)
class Swaps:
    """All areas in the file's order; none where no swap is in use."""

    areas: tuple[SwapArea, ...]
    head: str = HEAD
    layout: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def parse(text: str, where: str = "proc/swaps") -> Swaps:
    """Read the areas; `BadInput` where more is used than there is."""
    rows = lines_of(text, where, LIMIT)
    if not _HEAD.fullmatch(rows[0]):
        raise bad(where, 1, f"expected the heading 'Filename Type Size Used Priority', not {shown(rows[0])}")
    areas: list[SwapArea] = []
    layout: list[str] = []
    for number, line in enumerate(rows[1:], 2):
        found = _ROW.fullmatch(line)
        if not found:
            raise bad(where, number, f"expected 'FILE partition|file SIZE USED PRIORITY', not {shown(line)}")
        area = SwapArea(found[1], found[2], int(found[3]), int(found[4]), int(found[5]))
        if area.used > area.size:
            raise bad(where, number, f"Used {area.used} is more than Size {area.size}; one of the two is wrong")
        areas.append(area)
        layout.append(template(line, [found.span(group) for group in range(1, 6)]))
    return checked(Swaps(tuple(areas), rows[0], tuple(layout)), text, where, format)


def format(record: Swaps) -> str:  # noqa: A001 - every format has parse() and format()
    """Write the file as the kernel does since 5.9."""
    rows = [(area.path, area.type, area.size, area.used, area.priority) for area in record.areas]
    layout = record.layout or [_kernel_row(area) for area in record.areas]
    return record.head + "\n" + "".join(fill(layout, rows, "swaps"))


def _kernel_row(area: SwapArea) -> str:
    type_width = max(40 - len(area.path), 1) + len(area.type)
    tabs = ["\t" if value < 10_000_000 else "" for value in (area.size, area.used)]
    file_tab = "" if area.type == "partition" else "\t"
    return f"%1s%{type_width}s{file_tab}\t%1s\t{tabs[0]}%1s\t{tabs[1]}%1s"
