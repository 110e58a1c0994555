"""/proc/buddyinfo: free blocks by node, zone and order (mm/vmstat.c, frag_show_print)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ._lines import bad, checked, fill, lines_of, number_spans, shown, template

LIMIT = 1 << 20

_ROW = re.compile(r"Node ([0-9]{1,4}), zone +(\w{1,16})((?: +[0-9]{1,20}){1,32}) *")


@dataclass(frozen=True, slots=True)
class BuddyZone:
    """A zone's row: free blocks by order, 0 first."""

    nid: int
    name: str
    nr_free: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BuddyInfo:
    """All rows in the file's order."""

    zones: tuple[BuddyZone, ...]
    layout: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def parse(text: str, where: str = "proc/buddyinfo") -> BuddyInfo:
    """Read the rows; all have the same number of orders."""
    zones: list[BuddyZone] = []
    layout: list[str] = []
    for number, line in enumerate(lines_of(text, where, LIMIT), 1):
        found = _ROW.fullmatch(line)
        if not found:
            raise bad(where, number, f"expected 'Node N, zone NAME COUNT...', not {shown(line)}")
        zone = BuddyZone(int(found[1]), found[2], tuple(map(int, found[3].split())))
        for before, known in enumerate(zones, 1):
            if (known.nid, known.name) == (zone.nid, zone.name):
                raise bad(where, number, f"zone {zone.name} of node {zone.nid} stands in line {before} too")
        if zones and len(zone.nr_free) != len(zones[0].nr_free):
            raise bad(where, number, f"{len(zone.nr_free)} orders here, but {len(zones[0].nr_free)} in line 1")
        zones.append(zone)
        layout.append(template(line, [found.span(1), found.span(2), *number_spans(line, found.start(3))]))
    return checked(BuddyInfo(tuple(zones), tuple(layout)), text, where, format)


def format(record: BuddyInfo) -> str:  # noqa: A001 - every format has parse() and format()
    """Write the rows as the kernel does: the zone's name in 8 columns, each count in 6."""
    rows = [(zone.nid, zone.name, *zone.nr_free) for zone in record.zones]
    layout = record.layout or ["Node %s, zone %8s " + "%6s " * len(zone.nr_free) for zone in record.zones]
    return "".join(fill(layout, rows, "buddyinfo"))
