"""A Snapshot of what one pasted file shows."""

from __future__ import annotations

import textwrap
from dataclasses import replace

from kmemwidgets.procfs import (
    buddyinfo,
    freelists,
    iomem,
    maps,
    meminfo,
    node_meminfo,
    numastat,
    pagetypeinfo,
    slabinfo,
    smaps,
    sniff,
    swaps,
    vmallocinfo,
    vmstat,
    zoneinfo,
)
from kmemwidgets.records import BadInput, NodeInfo, Snapshot

from .moments import joined_zones

NAME = "pasted"


def from_text(text: str, *, name: str = NAME) -> Snapshot:
    """Read one pasted kernel file; all that it doesn't show is None.

    Line ends of other systems, an indentation of the whole, blank lines around it and a missing last line end, as
    pasting leaves them, are put right first.

    Parameters
    ----------
    text : str
        The contents of /proc/meminfo, zoneinfo, buddyinfo, pagetypeinfo, slabinfo, vmallocinfo, vmstat, iomem,
        swaps, PID/maps, PID/smaps, or a node's meminfo or numastat.
    name : str
        How to call it in errors and on screen.

    Returns
    -------
    Snapshot
        Architecture and kernel are unknown: "" and ().

    Raises
    ------
    BadInput
        Where it is none of these, or isn't whole.

    Examples
    --------
    >>> from_text("Node 0, zone   Normal      1      0      2").zones[0].free_area[2].nr_free
    2
    """
    lines = textwrap.dedent(text.replace("\r\n", "\n")).strip("\n") + "\n"
    kind = sniff(lines)
    where = f"{name} {kind}"
    shown = Snapshot(name=name, arch="", kernel=(), files=(kind,))
    return _with(shown, kind, lines, where)


def _with(empty: Snapshot, kind: str, text: str, where: str) -> Snapshot:
    match kind:
        case "meminfo":
            return replace(empty, meminfo=meminfo.parse(text, where).info)
        case "vmstat":
            return replace(empty, vmstat=vmstat.parse(text, where).stat)
        case "slabinfo":
            return replace(empty, slabs=slabinfo.parse(text, where).caches)
        case "vmallocinfo":
            return replace(empty, vmalloc=vmallocinfo.parse(text, where).areas)
        case "iomem":
            return replace(empty, iomem=iomem.parse(text, where).regions)
        case "swaps":
            return replace(empty, swaps=swaps.parse(text, where).areas)
        case "maps":
            return replace(empty, vmas=maps.parse(text, where).vmas)
        case "smaps":
            return replace(empty, vmas=smaps.parse(text, where).vmas)
        case "zoneinfo":
            of_zones = zoneinfo.parse(text, where)
            nids = dict.fromkeys(zone.nid for zone in of_zones.zones)
            nodes = tuple(NodeInfo(nid, stats=of_zones.node_stats.get(nid, {})) for nid in nids)
            return replace(empty, zones=joined_zones(of_zones, None, None, None), nodes=nodes)
        case "buddyinfo":
            return replace(empty, zones=joined_zones(None, buddyinfo.parse(text, where), None, None))
        case "pagetypeinfo":
            kinds = pagetypeinfo.parse(text, where)
            zones = joined_zones(None, None, kinds, None)
            return replace(empty, zones=zones, pageblock_order=kinds.pageblock_order)
        case "freelists":
            return replace(empty, zones=joined_zones(None, None, None, freelists.parse(text, where)))
        case "node_meminfo":
            record = node_meminfo.parse(text, where)
            return replace(empty, nodes=(NodeInfo(record.nid, meminfo=record.values),))
        case "numastat":
            return replace(empty, nodes=(NodeInfo(0, numastat=numastat.parse(text, where).values),))
    raise BadInput(f"a text of {kind} shows no state", where=where, todo="paste a file such as /proc/zoneinfo")
