"""What the diagram shows of a snapshot: nodes, zones, pages, and the allocator's arithmetic in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kmemwidgets.records import FrameTable, NodeInfo, Snapshot, ZoneInfo, format_list, format_version
from kmemwidgets.widgets._words import count, share, size
from kmemwidgets.widgets.framemap.kinds import FLAG_KINDS, Kind, kinds_of

#: Zones from low to high (include/linux/mmzone.h: enum zone_type).
ZONE_ORDER = ("DMA", "DMA32", "Normal", "HighMem", "Movable", "Device")

#: A request, and the highest zone that it may use (include/linux/gfp.h: gfp_zone).
REQUESTS = (
    ("GFP_DMA", "DMA"),
    ("GFP_DMA32", "DMA32"),
    ("GFP_KERNEL", "Normal"),
    ("GFP_HIGHUSER", "HighMem"),
    ("GFP_HIGHUSER_MOVABLE", "Movable"),
)

#: Pieces that a zone's frames are counted in: what a wide screen can show.
PIECES = 240
#: Frames looked at to guess which kind is the commonest.
_SAMPLE = 4096


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a request may take a page from a zone, and why.

    Attributes
    ----------
    gfp : str
        The request.
    verdict : str
        ``"yes"``, ``"reserve"`` (only the slow path, below the low mark), ``"no"`` or ``"never"``.
    says : str
        The arithmetic in words.
    """

    gfp: str
    verdict: str
    says: str


def zone_names(zones: Sequence[ZoneInfo]) -> tuple[str, ...]:
    """Name the zones that this kernel has, by index; as many as the protection arrays have entries, where known."""
    seen = {zone.name for zone in zones}
    names = [name for name in ZONE_ORDER if name in seen]
    want = max((len(zone.protection or ()) for zone in zones), default=0)
    # Kernels before 4.12 don't print empty zones: Movable is always there, Device where the array is longer still.
    for name in ("Movable", "Device"):
        if len(names) < want and name not in names:
            names.append(name)
    return tuple(names)


def answers(zone: ZoneInfo, names: Sequence[str]) -> tuple[Answer, ...]:
    """Test a zone for every kind of request, as __zone_watermark_ok does for order 0.

    The fast path wants free > low + protection[highest zone of the request]; the slow path asks for min instead.
    """
    found = []
    for gfp, highest in REQUESTS:
        if highest not in names and highest in ("DMA", "DMA32", "HighMem"):
            continue
        found.append(_answer(zone, names, gfp, highest))
    return tuple(found)


def _answer(zone: ZoneInfo, names: Sequence[str], gfp: str, highest: str) -> Answer:
    if zone.name not in names or highest not in names or names.index(zone.name) > names.index(highest):
        return Answer(gfp, "never", f"it may use zones up to {highest}, and {zone.name} lies above")
    if not zone.present:
        return Answer(gfp, "no", "the zone is empty, so no zonelist has it")
    if zone.free is None or zone.low is None or zone.min is None:
        return Answer(gfp, "unknown", "the watermarks are not known")
    index = names.index(highest)
    kept = zone.protection[index] if zone.protection and index < len(zone.protection) else 0
    boost = zone.boost or 0
    low, least = zone.low + boost + kept, zone.min + boost + kept
    why = (
        f"low {count(zone.low)}"
        + (f" + boost {count(boost)}" if boost else "")
        + f" + protection[{highest}] {count(kept)}"
    )
    if zone.free > low:
        return Answer(gfp, "yes", f"free {count(zone.free)} > {why} = {count(low)}, so it may take a page here")
    if zone.free > least:
        return Answer(
            gfp, "reserve",
            f"free {count(zone.free)} is not above {why} = {count(low)}, but above min {count(zone.min)} + "
            f"{count(boost + kept)} = {count(least)}: kswapd is woken, and the slow path may take a page here",
        )  # fmt: skip
    return Answer(
        gfp, "no",
        f"free {count(zone.free)} is not above min {count(zone.min)} + {count(boost + kept)} = {count(least)}, "
        "so the next zone is tried",
    )  # fmt: skip


def uses(table: FrameTable, start: int, spanned: int) -> dict[str, list[int]] | None:
    """Count a zone's frames by kind in up to `PIECES` pieces of equal size; None where the table doesn't cover it."""
    if table.kind != "flags" or start < table.start_pfn or start + spanned > table.end_pfn or not spanned:
        return None
    kinds, kind_of = kinds_of(table)
    codes = bytes(memoryview(table.codes)[start - table.start_pfn : start - table.start_pfn + spanned])
    codes = codes.translate(kind_of.ljust(256, b"\0"))
    pieces = min(PIECES, spanned)
    edges = [spanned * piece // pieces for piece in range(pieces + 1)]
    # Counting what is everywhere is slow, and the rest tells it as well.
    commonest = max(range(len(kinds)), key=codes[:: max(1, spanned // _SAMPLE)].count)
    found = {
        code: [codes.count(code, edges[i], edges[i + 1]) for i in range(pieces)]
        for code in range(len(kinds))
        if code != commonest and code in codes
    }
    found[commonest] = [edges[i + 1] - edges[i] - sum(counts[i] for counts in found.values()) for i in range(pieces)]
    return {kinds[code].name: found[code] for code in sorted(found)}


def nodes_of(snapshot: Snapshot) -> tuple[NodeInfo, ...]:
    """Return the nodes, made up from the zones where the source (a pasted file) names none."""
    if snapshot.nodes:
        return snapshot.nodes
    return tuple(NodeInfo(nid) for nid in sorted({zone.nid for zone in snapshot.zones}))


def pages_in(zone: ZoneInfo) -> int | None:
    """Return what a zone's free pages and marks are shares of: its managed pages, which Linux prints since 3.10."""
    return zone.present if zone.managed is None else zone.managed


def zone_says(zone: ZoneInfo, page_size: int) -> str:
    """Say a zone in one line."""
    where = f"node {zone.nid} {zone.name}"
    if zone.present == 0:
        return f"{where}: empty"
    pages = pages_in(zone)
    if pages is None or zone.free is None:
        blocks = sum((area.nr_free << area.order) for area in zone.free_area or ())
        return f"{where}: {count(blocks)} pages in free blocks" if zone.free_area else f"{where}: nothing more is known"
    kind = "present" if zone.managed is None else "managed"
    marks = " / ".join(count(mark or 0) for mark in (zone.min, zone.low, zone.high))
    return (
        f"{where}: {size(pages * page_size)} {kind}, {size(zone.free * page_size)} free ({share(zone.free, pages)}), "
        f"watermarks {marks} pages"
    )


def summary_lines(snapshot: Snapshot) -> list[str]:
    """Say the whole diagram in lines."""
    lines = []
    for node in nodes_of(snapshot):
        lines.append(_node_line(node, snapshot))
        lines += [f"  {zone_says(zone, snapshot.page_size)}" for zone in snapshot.zones if zone.nid == node.nid]
    return lines


def _node_line(node: NodeInfo, snapshot: Snapshot) -> str:
    parts = [f"node {node.nid}:"]
    if node.cpus:
        parts.append(f"cpus {format_list(node.cpus)},")
    known = [pages for zone in snapshot.zones if zone.nid == node.nid and (pages := pages_in(zone)) is not None]
    parts.append(size(sum(known) * snapshot.page_size) if known else "size unknown")
    if len(node.distance) > 1:
        parts.append(f"at distances {', '.join(map(str, node.distance))}")
    if node.fallback and len(node.fallback) > 1:
        parts[-1] += ";"
        parts.append(f"falling back to {', '.join(map(str, node.fallback[1:]))}")
    return " ".join(parts)


def diagram(snapshot: Snapshot) -> dict[str, Any]:
    """Return all that the front end draws."""
    names = zone_names(snapshot.zones)
    return {
        "name": snapshot.name,
        "kernel": format_version(snapshot.kernel) if snapshot.kernel else "",
        "page_size": snapshot.page_size,
        "nodes": [
            {
                "nid": node.nid,
                "cpus": format_list(node.cpus),
                "distance": list(node.distance),
                "fallback": list(node.fallback or ()),
                "says": _node_line(node, snapshot),
                "zones": [_zone(zone, names, snapshot) for zone in snapshot.zones if zone.nid == node.nid],
            }
            for node in nodes_of(snapshot)
        ],
        "kinds": [[kind.name, kind.label, kind.light, kind.dark] for kind in _kinds(snapshot)],
        "notes": list(snapshot.notes),
    }


def _kinds(snapshot: Snapshot) -> Sequence[Kind]:
    """Return the kinds of frames that `uses` counts: a simulated machine has names of its own for some."""
    table = snapshot.frames
    return FLAG_KINDS if table is None or table.kind != "flags" else kinds_of(table)[0]


def _zone(zone: ZoneInfo, names: Sequence[str], snapshot: Snapshot) -> dict[str, Any]:
    known = zone.start_pfn is not None and bool(zone.spanned)
    table = snapshot.frames
    return {
        "name": zone.name,
        "empty": zone.present == 0,
        "says": zone_says(zone, snapshot.page_size),
        "pages": pages_in(zone),
        **{
            key: getattr(zone, key)
            for key in (
                "start_pfn",
                "spanned",
                "present",
                "managed",
                "free",
                "boost",
                "min",
                "low",
                "high",
                "promo",
                "cma",
            )
        },
        "protection": [
            [names[i] if i < len(names) else str(i), pages] for i, pages in enumerate(zone.protection or ())
        ],
        "answers": [[each.gfp, each.verdict, each.says] for each in answers(zone, names)],
        "pcp": [[pcp.cpu, pcp.count, pcp.high, pcp.batch] for pcp in zone.pagesets],
        "free_area": None
        if zone.free_area is None
        else [[area.order, area.nr_free, dict(area.by_type) if area.by_type else None] for area in zone.free_area],
        "uses": uses(table, zone.start_pfn or 0, zone.spanned or 0) if known and table is not None else None,
    }
