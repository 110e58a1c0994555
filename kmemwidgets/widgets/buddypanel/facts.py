"""What the panel shows of a zone: its lists by order and migrate type, its cpus' lists, and how broken up it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from kmemwidgets.records import MIGRATETYPES, FreeArea, Source, ZoneInfo
from kmemwidgets.sim.fragmentation import WOULD_SUCCEED, fragmentation_index, unusable_free_index
from kmemwidgets.widgets._words import count, size
from kmemwidgets.widgets.plots import HUES, Plot, Series

#: Blocks of a list that are drawn; the rest is a number.
DRAWN = 24

#: Index of a cpu's first list of the huge order.
_HUGE = 12
#: Before there were migrate types a cpu had two lists.
_HOT_COLD = ("hot", "cold")

#: Migrate type -> colours on light and on dark paper.
TYPES: Mapping[str, tuple[str, str]] = {
    "Unmovable": ("#d55e00", "#f07f2e"),
    "Movable": ("#0072b2", "#3f9fe6"),
    "Reclaimable": ("#00875f", "#32bd92"),
    "HighAtomic": ("#b5408c", "#e68cc4"),
    "CMA": ("#6a4fc0", "#a993f5"),
    "Isolate": ("#7b8794", "#98a3af"),
}


@runtime_checkable
class ListSource(Protocol):
    """A source that can show its buddy lists (a simulated machine)."""

    def free_lists(self, nid: int, zone: str, most: int = 64) -> Mapping[tuple[int, str], Sequence[int]]:
        """Return (order, migrate type) to the first `most` pfns, head first."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How free memory was at one moment.

    Attributes
    ----------
    moment : int
        Number of commands, or of states seen.
    nr_free : tuple of int
        Free blocks by order.
    """

    moment: int
    nr_free: tuple[int, ...]


def zone_data(source: Source, zone: ZoneInfo, huge_order: int = 9) -> dict[str, Any]:
    """Return a zone's rows, highest order first, and its cpus' lists."""
    areas = zone.free_area or ()
    heads = _heads(source, zone)
    return {
        "nid": zone.nid,
        "zone": zone.name,
        "free": zone.free,
        "positions": heads is not None,
        "rows": [_row(area, heads) for area in reversed(areas)],
        "pcp": [
            {
                "cpu": pcp.cpu, "count": pcp.count, "high": pcp.high, "batch": pcp.batch,
                "lists": None
                if pcp.lists is None
                else [_pcp_list(pcp.lists, i, huge_order) for i, pfns in enumerate(pcp.lists) if pfns],
            }
            for pcp in zone.pagesets
        ],
    }  # fmt: skip


def _heads(source: Source, zone: ZoneInfo) -> Mapping[tuple[int, str], Sequence[int]] | None:
    if isinstance(source, ListSource):
        return source.free_lists(zone.nid, zone.name, DRAWN) if zone.present else {}
    areas = zone.free_area or ()
    if not any(area.lists is not None for area in areas):
        return None
    return {
        (area.order, name): pfns[:DRAWN]
        for area in areas
        if area.lists is not None
        for name, pfns in area.lists.items()
    }


def _row(area: FreeArea, heads: Mapping[tuple[int, str], Sequence[int]] | None) -> dict[str, Any]:
    types = dict(area.by_type) if area.by_type is not None else {}
    if not types and heads is not None:
        types = {name: len(pfns) for (order, name), pfns in heads.items() if order == area.order}
    lists = [
        [name, types[name], list((heads or {}).get((area.order, name), ()))] for name in MIGRATETYPES if types.get(name)
    ]
    return {"order": area.order, "blocks": area.nr_free, "lists": lists, "says": row_says(area)}


def row_says(area: FreeArea) -> str:
    """Say an order's blocks in one line."""
    blocks = f"order {area.order}: {count(area.nr_free)} block{'' if area.nr_free == 1 else 's'}"
    types = [f"{name} {count(number)}" for name, number in (area.by_type or {}).items() if number]
    return f"{blocks} of {count(1 << area.order)} page{'s' if area.order else ''}" + (
        f" ({', '.join(types)})" if types else ""
    )


def _pcp_list(lists: Sequence[Sequence[int]], index: int, huge_order: int) -> dict[str, Any]:
    """Name a cpu's list: 3 * order + migrate type up to order 3, then the huge order's two (include/linux/mmzone.h)."""
    pfns = lists[index]
    order, kind = (index // 3, MIGRATETYPES[index % 3]) if index < _HUGE else (huge_order, MIGRATETYPES[index > _HUGE])
    name = f"order {order} {kind}" if index < _HUGE else f"huge {'Movable' if index > _HUGE else 'not movable'}"
    if len(lists) == len(_HOT_COLD):
        name = _HOT_COLD[index]
    return {"name": name, "type": kind, "order": order, "count": len(pfns), "pfns": list(pfns[:DRAWN])}


def by_order(nr_free: Sequence[int], where: str) -> Plot:
    """Plot the free areas of one moment, and the indexes, over order."""
    orders = tuple(range(len(nr_free)))
    pages = [blocks << order for order, blocks in enumerate(nr_free)]
    broken = [fragmentation_index(nr_free, order) for order in orders]
    return Plot(
        title=f"Free areas, unusable free space and fragmentation index of {where}, by order",
        x=orders,
        series=(
            Series(
                "free area: share of free memory in blocks of this order",
                tuple(number / (sum(pages) or 1) for number in pages),
                HUES[7],
                "bars",
            ),
            Series("unusable index", tuple(unusable_free_index(nr_free, o) / 1000 for o in orders), HUES[0]),
            Series("fragmentation index, where the request would fail", _where_it_fails(broken), HUES[1], "points"),
        ),
        x_label="order",
        y_label="share, index",
    )


def over_time(samples: Sequence[Sample], order: int, where: str, unit: str = "commands") -> Plot:
    """Plot the free memory, what a request of an order could use of it, and the indexes, over the moments seen."""
    pages = [[blocks << o for o, blocks in enumerate(each.nr_free)] for each in samples]
    free = [sum(each) for each in pages]
    most = max(free, default=0) or 1
    broken = [fragmentation_index(each.nr_free, order) for each in samples]
    unusable = tuple(unusable_free_index(each.nr_free, order) / 1000 for each in samples)
    large = f"free in blocks of order {order} and up"
    return Plot(
        title=f"Free memory and indexes of {where} for order {order}, over time",
        x=tuple(each.moment for each in samples),
        series=(
            Series(f"free pages, of {count(most)}", tuple(number / most for number in free), HUES[2]),
            Series(large, tuple(sum(each[order:]) / most for each in pages), HUES[5]),
            Series("unusable index", unusable, HUES[0]),
            Series("fragmentation index, where the request would fail", _where_it_fails(broken), HUES[1], "points"),
        ),
        x_label=unit,
        y_label="share, index",
        ordinal=False,
    )


def _where_it_fails(broken: Sequence[int]) -> tuple[float | None, ...]:
    return tuple(None if index == WOULD_SUCCEED else index / 1000 for index in broken)


def zone_line(zone: ZoneInfo, page_size: int) -> str:
    """Say a zone's free memory in one line."""
    pages = sum(area.nr_free << area.order for area in zone.free_area or ())
    return f"node {zone.nid} {zone.name}: {count(pages)} pages in free blocks, {size(pages * page_size)}"
