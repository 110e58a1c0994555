"""/proc/pagetypeinfo: free blocks, and page blocks, by migrate type; all of it anew for each node (mm/vmstat.c)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kmemwidgets.records import MIGRATETYPES

from ._lines import NUMBER, bad, checked, fill, lines_of, number_spans, shown, template

LIMIT = 1 << 22

#: "Reserve" is what HighAtomic was called before 4.4.
KNOWN = frozenset({*MIGRATETYPES, "Reserve"})

_ORDER = re.compile(r"Page block order: +([0-9]{1,2})")
_PAGES = re.compile(r"Pages per block: +([0-9]{1,8})")
_FREE_HEAD = re.compile(r"Free pages count per migrate type at order ((?: +[0-9]{1,2}){1,32}) *")
_FREE = re.compile(r"Node +([0-9]{1,4}), zone +(\w{1,16}), type +(\w{1,16}) ((?: *>?[0-9]{1,20}){1,32}) *")
_BLOCKS_HEAD = re.compile(r"Number of (mixed )?blocks (?:type )?((?: *\w{1,16}){1,16}) *")
_BLOCKS = re.compile(rf"Node ([0-9]{{1,4}}), zone +(\w{{1,16}})((?: +{NUMBER}){{1,16}}) *")

ZoneKey = tuple[int, str]


@dataclass(frozen=True, slots=True)
class PageTypeInfo:
    """The whole file.

    Attributes
    ----------
    pageblock_order, pageblock_nr_pages : int
    free : mapping of (nid, zone, migrate type) to tuple of int
        Free blocks by order. The kernel stops counting at 100000 and prints ">100000"; then the number is -100000.
    blocks : mapping of (nid, zone) to mapping of str to int
        Page blocks by migrate type.
    mixed : mapping likewise
        Page blocks that hold pages of another type, where the kernel tracks owners.
    """

    pageblock_order: int
    pageblock_nr_pages: int
    free: Mapping[tuple[int, str, str], tuple[int, ...]]
    blocks: Mapping[ZoneKey, Mapping[str, int]]
    mixed: Mapping[ZoneKey, Mapping[str, int]] = field(default_factory=dict)
    layout: tuple[str, ...] = ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """Migrate types that no kernel up to 6.18 has."""
        names = dict.fromkeys(kind for _, _, kind in self.free)
        return tuple(name for name in names if name not in KNOWN)


class _Reader:
    """The file while it is read: each section's rows follow its head."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.order: int | None = None
        self.pages: int | None = None
        self.orders = 0
        self.types: list[str] = []
        self.free: dict[tuple[int, str, str], tuple[int, ...]] = {}
        self.tables: dict[str, dict[ZoneKey, dict[str, int]]] = {"blocks": {}, "mixed": {}}
        self.section = ""
        self.layout: list[str] = []

    def read(self, number: int, line: str) -> None:
        spans: list[tuple[int, int]] = []
        if not line:
            pass
        elif self.section in ("", "blocks", "mixed") and (found := _ORDER.fullmatch(line)):
            spans = [found.span(1)]
            if self.order not in (None, int(found[1])):
                raise bad(self.where, number, f"page block order {found[1]}, but {self.order} in line 1")
            self.order = int(found[1])
            self.section = "order"
        elif self.section == "order" and self.order is not None and (found := _PAGES.fullmatch(line)):
            self.pages = int(found[1])
            self.section = "pages"
            spans = [found.span(1)]
            if self.pages != 1 << self.order:
                raise bad(self.where, number, f"{self.pages} pages per block, but line 1 says order {self.order}")
        elif self.section == "pages" and (found := _FREE_HEAD.fullmatch(line)):
            self.orders = len(found[1].split())
            self.section = "free"
        elif self.section in ("free", "blocks", "mixed") and (found := _BLOCKS_HEAD.fullmatch(line)):
            self.section = "mixed" if found[1] else "blocks"
            self.types = found[2].split()
        elif self.section == "free" and (found := _FREE.fullmatch(line)):
            spans = self._free(number, found)
        elif self.section in self.tables and (found := _BLOCKS.fullmatch(line)):
            spans = self._blocks(number, found)
        else:
            raise bad(self.where, number, f"expected a line of /proc/pagetypeinfo, not {shown(line)}")
        self.layout.append(template(line, spans))

    def _free(self, number: int, found: re.Match[str]) -> list[tuple[int, int]]:
        key = (int(found[1]), found[2], found[3])
        words = list(re.finditer(r">?[0-9]+", found[4]))
        counts = tuple(-int(word[0][1:]) if word[0].startswith(">") else int(word[0]) for word in words)
        if key in self.free:
            raise bad(self.where, number, f"type {key[2]} of zone {key[1]}, node {key[0]}, stands here a second time")
        if len(counts) != self.orders:
            raise bad(self.where, number, f"{len(counts)} orders here, but {self.orders} in the heading")
        self.free[key] = counts
        start = found.start(4)
        return [found.span(1), found.span(2), found.span(3), *((start + w.start(), start + w.end()) for w in words)]

    def _blocks(self, number: int, found: re.Match[str]) -> list[tuple[int, int]]:
        key = (int(found[1]), found[2])
        counts = list(map(int, found[3].split()))
        table = self.tables[self.section]
        if key in table:
            raise bad(self.where, number, f"zone {key[1]} of node {key[0]} stands here a second time")
        if len(counts) != len(self.types):
            raise bad(self.where, number, f"{len(counts)} types here, but {len(self.types)} in the heading")
        table[key] = dict(zip(self.types, counts, strict=True))
        return [found.span(1), found.span(2), *number_spans(found.string, found.start(3))]


def parse(text: str, where: str = "proc/pagetypeinfo") -> PageTypeInfo:
    """Read the file; both tables are required."""
    reader = _Reader(where)
    rows = lines_of(text, where, LIMIT)
    for number, line in enumerate(rows, 1):
        reader.read(number, line)
    if reader.order is None or reader.pages is None or not reader.free or not reader.tables["blocks"]:
        raise bad(where, len(rows), "the file ends before the table of blocks by type", "copy the whole file")
    for nid, zone, _ in reader.free:
        if (nid, zone) not in reader.tables["blocks"]:
            raise bad(where, len(rows), f"the file ends without the blocks of zone {zone}, node {nid}", "copy it all")
    if reader.section not in reader.tables:
        raise bad(where, len(rows), "the file ends before the tables of the next node", "copy the whole file")
    record = PageTypeInfo(
        reader.order,
        reader.pages,
        reader.free,
        reader.tables["blocks"],
        reader.tables["mixed"],
        tuple(reader.layout),
    )
    return checked(record, text, where, format)


def format(record: PageTypeInfo) -> str:  # noqa: A001 - every format has parse() and format()
    """Write the file."""
    layout = record.layout or list(_kernel_layout(record))
    return "".join(fill(layout, _rows(record, layout), "pagetypeinfo"))


def _rows(record: PageTypeInfo, layout: list[str] | tuple[str, ...]) -> Iterator[tuple[object, ...]]:
    """Yield each line's values. Lines without a slot have none."""
    free = iter(record.free.items())
    tables = {"blocks": iter(record.blocks.items()), "mixed": iter(record.mixed.items())}
    section = "blocks"
    for pattern in layout:
        if pattern.startswith("Page block order"):
            yield (record.pageblock_order,)
        elif pattern.startswith("Pages per block"):
            yield (record.pageblock_nr_pages,)
        elif pattern.startswith("Number of"):
            section = "mixed" if pattern.startswith("Number of mixed") else "blocks"
            yield ()
        elif ", type" in pattern:
            (nid, zone, kind), counts = next(free)
            yield (nid, zone, kind, *(f">{-count}" if count < 0 else count for count in counts))
        elif pattern.startswith("Node"):
            (nid, zone), blocks = next(tables[section])
            yield (nid, zone, *blocks.values())
        else:
            yield ()


def _kernel_layout(record: PageTypeInfo) -> Iterator[str]:
    orders = len(next(iter(record.free.values()), ()))
    for nid in dict.fromkeys(nid for nid, _ in record.blocks):
        yield "Page block order: %s"
        yield "Pages per block:  %s"
        yield ""
        yield f"{'Free pages count per migrate type at order':<43} " + "".join(f"{n:>6} " for n in range(orders))
        yield from ("Node %4s, zone %8s, type %12s " + "%6s " * orders for key in record.free if key[0] == nid)
        for head, table in (("Number of blocks type ", record.blocks), ("Number of mixed blocks ", record.mixed)):
            rows = [types for key, types in table.items() if key[0] == nid]
            if rows:
                yield ""
                yield f"{head:<23}" + "".join(f"{name:>12} " for name in rows[0])
                yield from ("Node %s, zone %8s " + "%12s " * len(types) for types in rows)
