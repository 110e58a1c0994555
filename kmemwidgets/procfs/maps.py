"""/proc/PID/maps: a process's areas (fs/proc/task_mmu.c, show_map_vma)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kmemwidgets.records import Vma

from ._lines import bad, checked, fill, lines_of, shown, template

LIMIT = 1 << 26

#: Where paths begin: 25 + 6 * sizeof(void *) columns (seq_setwidth in show_vma_header_prefix).
PATH_COLUMN = 73

_ROW = re.compile(
    r"([0-9a-f]{1,16})-([0-9a-f]{1,16}) ([r-][w-][x-][ps-]) ([0-9a-f]{1,16}) ([0-9a-f]{1,4}:[0-9a-f]{1,6}) "
    r"([0-9]{1,20})(?: *| +(\S.*))"
)


@dataclass(frozen=True, slots=True)
class Maps:
    """All areas in the file's order; none for a kernel thread.

    Attributes
    ----------
    vmas : tuple of Vma
    path_column : int
        Column, from 1, in which paths begin: 73 on 64-bit kernels, 49 on 32-bit ones.
    layout : tuple of str
        A template a line; empty: as the kernel writes it.
    """

    vmas: tuple[Vma, ...]
    path_column: int = PATH_COLUMN
    layout: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def parse(text: str, where: str = "proc/PID/maps") -> Maps:
    """Read the areas; `BadInput` where two overlap or one ends before it starts."""
    vmas: list[Vma] = []
    layout: list[str] = []
    for number, line in enumerate(lines_of(text, where, LIMIT, empty=True), 1):
        vma, pattern = parse_row(line, where, number)
        check_order(vmas, vma, where, number)
        vmas.append(vma)
        layout.append(pattern)
    record = Maps(tuple(vmas), path_column_of(text), tuple(layout))
    return checked(record, text, where, format)


def path_column_of(text: str) -> int:
    """Return the column in which most paths begin; longer rows push theirs to the right."""
    columns = [found.start(7) + 1 for line in text.split("\n") if (found := _ROW.fullmatch(line)) and found[7]]
    return min(columns, default=PATH_COLUMN)


def parse_row(line: str, where: str, number: int) -> tuple[Vma, str]:
    """Read one area's row; return it with its template."""
    found = _ROW.fullmatch(line)
    if not found:
        raise bad(where, number, f"expected 'START-END PERMS OFFSET DEV INODE PATH', not {shown(line)}")
    vma = Vma(
        int(found[1], 16), int(found[2], 16), found[3], int(found[4], 16), found[5], int(found[6]), found[7] or ""
    )
    if vma.end <= vma.start:
        raise bad(where, number, f"the area ends at {found[2]}, before its start {found[1]}")
    head = line if not found[7] else line[: found.start(7)]
    pattern = template(head, [found.span(group) for group in range(1, 7)])
    return vma, pattern + ("%s" if found[7] else "")


def is_row(line: str) -> bool:
    """Whether a line is an area's row (smaps mixes them with fields)."""
    return _ROW.fullmatch(line) is not None


def check_order(vmas: list[Vma], vma: Vma, where: str, number: int) -> None:
    """Refuse an area that begins before the one above it ends."""
    if vmas and vma.start < vmas[-1].end:
        raise bad(where, number, f"the area at {vma.start:x} begins before the one above it ends, at {vmas[-1].end:x}")


def row_values(vma: Vma) -> tuple[object, ...]:
    """Return what a row's slots show."""
    values = (f"{vma.start:08x}", f"{vma.end:08x}", vma.perms, f"{vma.offset:08x}", vma.dev, vma.inode)
    return (*values, vma.path) if vma.path else values


def kernel_row(vma: Vma, path_column: int) -> str:
    """Return the template of a row whose path begins in a column, or one blank behind what is too long for that."""
    written = len("{}-{} {} {} {} {} ".format(*row_values(vma)[:6]))
    return "%s-%s %s %s %s %s " + (" " * max(path_column - 1 - written, 1) + "%s" if vma.path else "")


def format(record: Maps) -> str:  # noqa: A001 - every format has parse() and format()
    """Write the areas."""
    layout = record.layout or [kernel_row(vma, record.path_column) for vma in record.vmas]
    return "".join(fill(layout, map(row_values, record.vmas), "maps"))
