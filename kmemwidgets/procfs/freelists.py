"""Recorded free lists: the buddy system's and the per-cpu lists, block by block, and each page block's type.

No kernel prints them; a recording tool reads them from the kernel's memory. One line a list, head first::

    zone NODE NAME start_pfn FIRST spanned PAGES
    free NODE NAME ORDER MIGRATETYPE COUNT: PFN ...
    nr_free NODE NAME ORDER COUNT
    pcp NODE NAME cpu CPU count PAGES high PAGES batch PAGES
    pcplist NODE NAME cpu CPU list INDEX: PFN ...
    pageblock FIRST_PFN DIGITS

Migrate types are the kernel's numbers (enum migratetype, include/linux/mmzone.h), which index
``records.MIGRATETYPES``. A per-cpu list's index is ``3 * order + migratetype`` for orders 0 to 3, then 12 for the
huge order's not movable pages and 13 for its movable ones (order_to_pindex, mm/page_alloc.c, since 5.13).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from kmemwidgets.records import MIGRATETYPES, BadInput

from ._lines import bad, lines_of, shown

#: 1 TiB of single free pages would need more; a recording of a machine at work needs less than one.
LIMIT = 1 << 28

#: No kernel has larger blocks: 10 is usual, arm64 with 64 KiB pages has 13 (ARCH_FORCE_MAX_ORDER).
MAX_ORDER = 20
#: Lists of a cpu and zone since 5.13 (NR_PCP_LISTS).
NR_PCP_LISTS = 14

_ZONE = re.compile(
    r"zone ([0-9]{1,4}) (\w{1,16}) start_pfn ([0-9]{1,16}) spanned ([0-9]{1,16})(?: managed ([0-9]{1,16}))?(?: .*)?"
)
_FREE = re.compile(r"free ([0-9]{1,4}) (\w{1,16}) ([0-9]{1,2}) ([0-9]{1,2}) +([0-9]{1,16}):((?: [0-9]{1,16})*) ?")
_NR_FREE = re.compile(r"nr_free ([0-9]{1,4}) (\w{1,16}) ([0-9]{1,2}) ([0-9]{1,16})")
_PCP = re.compile(
    r"pcp ([0-9]{1,4}) (\w{1,16}) cpu ([0-9]{1,5}) count ([0-9]{1,16}) high ([0-9]{1,16}) batch ([0-9]{1,16})(?: .*)?"
)
_PCPLIST = re.compile(r"pcplist ([0-9]{1,4}) (\w{1,16}) cpu ([0-9]{1,5}) list ([0-9]{1,2}):((?: [0-9]{1,16})*) ?")
_PAGEBLOCK = re.compile(r"pageblock ([0-9]{1,16}) ([0-9]*)")
_BLOCK_SIZE = re.compile(r"per pageblock of ([0-9]{1,8}) pages")

ZoneKey = tuple[int, str]


@dataclass(frozen=True, slots=True)
class PcpList:
    """A cpu's lists in one zone: pages, and first pfns by list index, head first."""

    count: int
    high: int
    batch: int
    lists: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class ZoneLists:
    """One zone's lists.

    Attributes
    ----------
    nid, name
        The zone.
    start_pfn, spanned : int
    managed : int or None
        Where the recording says it.
    free : mapping of (int, str) to tuple of int
        (order, migrate type) to first pfns, head first; empty lists are left out.
    nr_free : mapping of int to int
        Order to blocks, as the zone itself counts them.
    pcp : mapping of int to PcpList
        By cpu.
    pageblock_types : bytes or None
        One migrate type a page block, from the one that holds `start_pfn`.
    """

    nid: int
    name: str
    start_pfn: int
    spanned: int
    free: Mapping[tuple[int, str], tuple[int, ...]] = field(default_factory=dict)
    nr_free: Mapping[int, int] = field(default_factory=dict)
    pcp: Mapping[int, PcpList] = field(default_factory=dict)
    pageblock_types: bytes | None = None
    managed: int | None = None


@dataclass(frozen=True, slots=True)
class FreeLists:
    """All zones' lists, in the file's order, and the pages of a page block where that is known."""

    zones: tuple[ZoneLists, ...]
    pageblock_nr_pages: int | None = None


class _Zone:
    """A zone while its lines are read."""

    def __init__(self, found: re.Match[str]) -> None:
        self.nid, self.name = int(found[1]), found[2]
        self.start_pfn, self.spanned = int(found[3]), int(found[4])
        self.managed = int(found[5]) if found[5] else None
        self.free: dict[tuple[int, str], tuple[int, ...]] = {}
        self.nr_free: dict[int, int] = {}
        self.counts: dict[int, tuple[int, int, int]] = {}
        self.lists: dict[int, dict[int, tuple[int, ...]]] = {}

    def pcp(self) -> dict[int, PcpList]:
        result = {}
        for cpu, (count, high, batch) in self.counts.items():
            known = self.lists.get(cpu, {})
            length = max([NR_PCP_LISTS, *(index + 1 for index in known)])
            result[cpu] = PcpList(count, high, batch, tuple(known.get(index, ()) for index in range(length)))
        return result


def parse(text: str, where: str = "freelists") -> FreeLists:
    """Read recorded free lists.

    Raises
    ------
    BadInput
        For a line of no known kind, a list of a zone that wasn't named before, a list longer or shorter than its
        count, or a cut.
    """
    zones: dict[ZoneKey, _Zone] = {}
    rows: list[tuple[int, bytes]] = []
    block_size: int | None = None
    for number, line in enumerate(lines_of(text, where, LIMIT), 1):
        kind = line.partition(" ")[0]
        if kind == "zone" and (found := _ZONE.fullmatch(line)):
            zone = _Zone(found)
            if (zone.nid, zone.name) in zones:
                raise bad(where, number, f"zone {zone.name} of node {zone.nid} stands here a second time")
            zones[zone.nid, zone.name] = zone
        elif kind == "pageblock" and (found := _PAGEBLOCK.fullmatch(line)):
            rows.append((int(found[1]), _types(found[2], where, number)))
        elif kind in _READERS:
            pattern, read = _READERS[kind]
            found = pattern.fullmatch(line)
            if not found:
                raise bad(where, number, f"expected a line such as '{kind} NODE ZONE ...', not {shown(line)}")
            key = (int(found[1]), found[2])
            if key not in zones:
                raise bad(where, number, f"no zone line before this one names zone {key[1]} of node {key[0]}")
            read(zones[key], found, where, number)
        elif line.startswith("#"):
            if size := _BLOCK_SIZE.search(line):
                block_size = int(size[1])
        elif line:
            raise bad(
                where, number, f"expected a zone, free, nr_free, pcp, pcplist or pageblock line, not {shown(line)}"
            )
    if not zones:
        raise BadInput("no zone line", where=where, todo="expected recorded free lists")
    _check_orders(list(zones.values()), where, text.count("\n"))
    block_size = block_size or _block_size(rows)
    return FreeLists(
        tuple(
            ZoneLists(
                zone.nid,
                zone.name,
                zone.start_pfn,
                zone.spanned,
                zone.free,
                zone.nr_free,
                zone.pcp(),
                _blocks_of(zone, rows, block_size) if rows and block_size else None,
                zone.managed,
            )
            for zone in zones.values()
        ),
        block_size,
    )


def _check_orders(zones: list[_Zone], where: str, number: int) -> None:
    """Refuse a recording that ends before a zone's last order; all zones have the same."""
    orders = max((zone.nr_free.keys() for zone in zones), key=len)
    for zone in zones:
        if zone.nr_free.keys() != orders:
            raise bad(
                where,
                number,
                f"nr_free of zone {zone.name}, node {zone.nid}, stands for {len(zone.nr_free)} orders, "
                f"but there are {len(orders)}",
                "copy the whole file",
            )


def _migratetype(index: int, where: str, number: int) -> str:
    if index >= len(MIGRATETYPES):
        raise bad(where, number, f"migrate type {index}; expected 0 to {len(MIGRATETYPES) - 1}")
    return MIGRATETYPES[index]


def _types(digits: str, where: str, number: int) -> bytes:
    types = bytes(map(int, digits))
    if types:
        _migratetype(max(types), where, number)
    return types


def _order(found: re.Match[str], where: str, number: int) -> int:
    order = int(found[3])
    if order > MAX_ORDER:
        raise bad(where, number, f"a block of order {order}; expected 0 to {MAX_ORDER}")
    return order


def _read_free(zone: _Zone, found: re.Match[str], where: str, number: int) -> None:
    pfns = tuple(map(int, found[6].split()))
    if len(pfns) != int(found[5]):
        raise bad(where, number, f"the list says {found[5]} blocks, but {len(pfns)} follow", "copy the whole file")
    zone.free[_order(found, where, number), _migratetype(int(found[4]), where, number)] = pfns


def _read_nr_free(zone: _Zone, found: re.Match[str], where: str, number: int) -> None:
    order, count = _order(found, where, number), int(found[4])
    listed = sum(len(pfns) for (of_order, _), pfns in zone.free.items() if of_order == order)
    if listed != count:
        raise bad(
            where,
            number,
            f"nr_free says {count} blocks of order {order} in zone {zone.name}, but the lists above hold {listed}",
        )
    zone.nr_free[order] = count


def _read_pcp(zone: _Zone, found: re.Match[str], _where: str, _number: int) -> None:
    zone.counts[int(found[3])] = (int(found[4]), int(found[5]), int(found[6]))


def _read_pcplist(zone: _Zone, found: re.Match[str], where: str, number: int) -> None:
    cpu = int(found[3])
    if cpu not in zone.counts:
        raise bad(where, number, f"no pcp line of cpu {cpu} in zone {zone.name} stands before this one")
    zone.lists.setdefault(cpu, {})[int(found[4])] = tuple(map(int, found[5].split()))


_READERS = {
    "free": (_FREE, _read_free),
    "nr_free": (_NR_FREE, _read_nr_free),
    "pcp": (_PCP, _read_pcp),
    "pcplist": (_PCPLIST, _read_pcplist),
}


def _block_size(rows: list[tuple[int, bytes]]) -> int | None:
    """Return a block's pages where the recording doesn't say it: FLATMEM keeps a row for each zone.

    The next row begins where this one ends or, where the next zone begins inside a block, with this one's last block.
    """
    for (first, types), (after, _) in pairwise(rows):
        for blocks in (len(types), len(types) - 1):
            size, rest = divmod(after - first, blocks) if blocks > 0 else (0, 0)
            if size > 0 and not rest and size & (size - 1) == 0:
                return size
    return None


def _blocks_of(zone: _Zone, rows: list[tuple[int, bytes]], size: int) -> bytes | None:
    """Types of a zone's blocks: from the row that begins with the zone (FLATMEM), else from the sections' rows."""
    first = zone.start_pfn // size
    count = -(-(zone.start_pfn + zone.spanned) // size) - first if zone.spanned else 0
    own = [types for start, types in rows if start == first * size]
    known: dict[int, int] = {}
    for start, types in rows:
        known.update(zip(range(start // size, start // size + len(types)), types, strict=True))
    if own:
        known.update(zip(range(first, first + len(own[0])), own[0], strict=True))
    if count > len(known):
        return None
    # A hole between sections has no types; the kernel reads it as unmovable (0).
    return bytes(known.get(block, 0) for block in range(first, first + count))
