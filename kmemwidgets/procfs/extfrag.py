"""/sys/kernel/debug/extfrag/extfrag_index and unusable_index (mm/vmstat.c, extfrag_show, unusable_show)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ._lines import bad, lines_of, shown

LIMIT = 1 << 20

_VALUE = r"-?\d{1,3}\.-?\d{1,3}"
_ROW = re.compile(rf"Node (\d{{1,4}}), zone +(\w{{1,16}})((?: +{_VALUE}){{1,32}}) *")


@dataclass(frozen=True, slots=True)
class IndexZone:
    """A zone's row: the index in thousandths, by order."""

    nid: int
    name: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FragmentationIndex:
    """All rows in the file's order. Zones without pages have no row."""

    zones: tuple[IndexZone, ...]


def parse(text: str, where: str = "extfrag_index") -> FragmentationIndex:
    """Read the rows of either file."""
    zones: list[IndexZone] = []
    for number, line in enumerate(lines_of(text, where, LIMIT), 1):
        found = _ROW.fullmatch(line.rstrip("\n"))
        if not found:
            raise bad(where, number, f"expected 'Node N, zone NAME INDEX...', not {shown(line)}")
        zones.append(IndexZone(int(found[1]), found[2], tuple(map(_thousandths, found[3].split()))))
    return FragmentationIndex(tuple(zones))


def _thousandths(text: str) -> int:
    # C prints quotient and rest, each with its sign: -1.000, 0.-500
    whole, _, rest = text.partition(".")
    return int(whole) * 1000 + int(rest)


def format(record: FragmentationIndex) -> str:  # noqa: A001 - every format has parse() and format()
    """Write the rows as the kernel does: the zone's name in 8 columns, a blank behind each index."""
    return "".join(
        f"Node {zone.nid}, zone {zone.name:>8} " + "".join(f"{_printed(value)} " for value in zone.values) + "\n"
        for zone in record.zones
    )


def _printed(value: int) -> str:
    sign = -1 if value < 0 else 1
    whole, rest = divmod(abs(value), 1000)
    return f"{sign * whole}.{sign * rest:03d}"
