"""The numbers of a machine, put into the formulas of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kmemwidgets.records import Snapshot, ZoneInfo

from .catalogue import CATALOGUE, Field, Term, unknown_field

_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Figure:
    """A field of this machine.

    Attributes
    ----------
    field : Field
        What is known of it.
    value : int
        As printed; kB, or pages where the field counts pages.
    worked : str
        The formula with this machine's numbers; empty where they are not known.
    result : int or None
        What that gives; None where it can't be worked out.
    """

    field: Field
    value: int
    worked: str = ""
    result: int | None = None

    @property
    def verdict(self) -> str:
        """Tell in words whether the formula gives the printed value."""
        if self.result is None:
            return ""
        if self.result == self.value:
            return "as printed"
        return f"printed: {number(self.value)} {self.field.unit}; the files are not of one instant"


def number(value: int) -> str:
    """Write a number in groups of three, with a real minus sign."""
    return ("" if value >= 0 else _MINUS) + f"{abs(value):,}"


def figures(snapshot: Snapshot) -> tuple[Figure, ...]:
    """Return every field that the machine prints, in its order, with its formula worked out."""
    if snapshot.meminfo is None:
        return ()
    return tuple(_figure(CATALOGUE.get(name) or unknown_field(name), value, snapshot)
                 for name, value in snapshot.meminfo.values.items())  # fmt: skip


def _figure(field: Field, value: int, snapshot: Snapshot) -> Figure:
    if field.terms:
        worked, result = _sum(field.terms, snapshot)
    elif field.by.startswith("thp:"):
        worked, result = _thp(field.by[4:], snapshot)
    elif field.by:
        worked, result = _BY[field.by](snapshot)
    else:
        worked, result = "", None
    return Figure(field, value, worked, result)


def _lookup(name: str, snapshot: Snapshot) -> int | None:
    """Find a figure: a sum over zones, a counter of vmstat, a sum of a zone counter, a field of meminfo."""
    if name.startswith("zones."):
        values = [getattr(zone, name[6:]) for zone in snapshot.zones]
        return sum(values) if values and None not in values else None
    if snapshot.meminfo is not None and name in snapshot.meminfo.values:
        return snapshot.meminfo[name]
    return snapshot.vmstat.get(name) if snapshot.vmstat is not None else None


def _sum(terms: tuple[Term, ...], snapshot: Snapshot) -> tuple[str, int | None]:
    per_page = snapshot.page_size // 1024
    total = 0
    parts: list[str] = []
    for term in terms:
        value = _lookup(term.name, snapshot)
        if value is None:
            return "", None
        total += term.sign * value * (per_page if term.unit == "pages" else 1)
        shown = f"{number(value)} pages × {per_page} kB" if term.unit == "pages" else f"{number(value)} kB"
        name = term.name.replace("zones.", "sum of ")
        parts.append(f"{_MINUS + ' ' if term.sign < 0 else '+ ' if parts else ''}{name} {shown}")
    # The kernel prints no negative figure: Cached is cut off at 0.
    return f"{' '.join(parts)} = {number(max(total, 0))} kB", max(total, 0)


def _thp(counter: str, snapshot: Snapshot) -> tuple[str, int | None]:
    """Huge pages are counted by vmstat in units of the PMD huge page."""
    count = _lookup(counter, snapshot)
    size = _pmd_kb(snapshot)
    if count is None or size is None:
        return "", None
    return f"{counter} {number(count)} × {number(size)} kB = {number(count * size)} kB", count * size


def _pmd_kb(snapshot: Snapshot) -> int | None:
    """Return the size of a PMD huge page; None where nothing tells it."""
    if snapshot.arch != "x86_32":
        # One page table page of 8-byte entries maps it: page_size / 8 pages (include/linux/huge_mm.h).
        return (snapshot.page_size // 8) * snapshot.page_size // 1024
    # 2 MiB with PAE and 4 MiB without, and i386 has no other size for hugetlb either.
    if snapshot.pageblock_order is not None:
        return (snapshot.page_size << snapshot.pageblock_order) // 1024
    return None if snapshot.meminfo is None else snapshot.meminfo.get("Hugepagesize")


def _high(zones: tuple[ZoneInfo, ...], what: str, per_page: int) -> tuple[str, int | None]:
    values = [getattr(zone, what) for zone in zones if zone.name == "HighMem"]
    if not values or None in values:
        return "", None
    total = sum(values)
    return f"HighMem {what} {number(total)} pages × {per_page} kB = {number(total * per_page)} kB", total * per_page


def _high_total(snapshot: Snapshot) -> tuple[str, int | None]:
    return _high(snapshot.zones, "managed", snapshot.page_size // 1024)


def _high_free(snapshot: Snapshot) -> tuple[str, int | None]:
    return _high(snapshot.zones, "free", snapshot.page_size // 1024)


def _hugetlb(snapshot: Snapshot) -> tuple[str, int | None]:
    """Only the default size has counts in meminfo: exact where no other pool is used."""
    pages, size = _lookup("HugePages_Total", snapshot), _lookup("Hugepagesize", snapshot)
    if pages is None or size is None:
        return "", None
    return f"{number(pages)} pages × {number(size)} kB = {number(pages * size)} kB, other sizes apart", pages * size


def _commit_limit(snapshot: Snapshot) -> tuple[str, int | None]:
    total, swap = _lookup("MemTotal", snapshot), _lookup("SwapTotal", snapshot)
    if total is None or swap is None:
        return "", None
    huge = _lookup("Hugetlb", snapshot) or 0
    per_page = snapshot.page_size // 1024
    limit = ((total - huge) // per_page * 50 // 100 + swap // per_page) * per_page
    return (
        f"({number(total)} {_MINUS} {number(huge)}) × 50 / 100 + {number(swap)} = {number(limit)} kB, in whole pages",
        limit,
    )


def _mem_available(snapshot: Snapshot) -> tuple[str, int | None]:
    """Follow si_mem_available: in pages, with the low marks of all zones."""
    per_page = snapshot.page_size // 1024
    free, managed = _lookup("MemFree", snapshot), _lookup("zones.managed", snapshot)
    low = _lookup("zones.low", snapshot)
    caches = [_lookup(name, snapshot) for name in ("Active(file)", "Inactive(file)", "KReclaimable")]
    if free is None or managed is None or low is None or None in caches:
        return "", None
    active, inactive, kernel = (value // per_page for value in caches if value is not None)
    reserve = 0
    for zone in snapshot.zones:
        if zone.high is None or zone.managed is None:
            return "", None
        reserve += min(max(zone.protection or (0,)) + zone.high, zone.managed)
    cache = active + inactive
    total = free // per_page - reserve
    total += cache - min(cache // 2, low) + kernel - min(kernel // 2, low)
    total = max(total, 0)
    worked = (
        f"free {number(free // per_page)} {_MINUS} reserves {number(reserve)} "
        f"+ (file {number(cache)} {_MINUS} {number(min(cache // 2, low))}) "
        f"+ (KReclaimable {number(kernel)} {_MINUS} {number(min(kernel // 2, low))}) "
        f"= {number(total)} pages × {per_page} kB = {number(total * per_page)} kB"
    )
    return worked, total * per_page


_BY: Mapping[str, Callable[[Snapshot], tuple[str, int | None]]] = {
    "mem_available": _mem_available,
    "high_total": _high_total,
    "high_free": _high_free,
    "commit_limit": _commit_limit,
    "hugetlb": _hugetlb,
}
