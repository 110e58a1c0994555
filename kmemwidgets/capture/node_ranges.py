"""Which node owns which memory, from what a recording tells besides the ranges that boot prints of them.

A PC's firmware tells it in a table that the kernel prints (SRAT). A device tree is not printed; but memblock keeps the
regions of different nodes apart, and the kernel says where it put each node's record: in memory of that node.
"""

from __future__ import annotations

from collections.abc import Sequence

from kmemwidgets.procfs import dmesg
from kmemwidgets.records import MemoryRange, NodeRange


def node_ranges(
    log: dmesg.BootLog, memory: Sequence[MemoryRange], node_ids: Sequence[int], *, firmware_table: bool
) -> tuple[NodeRange, ...]:
    """Return the ranges of each node; nothing where there is but one.

    Parameters
    ----------
    log : BootLog
    memory : sequence of MemoryRange
        What RAM there is.
    node_ids : sequence of int
        The nodes that sysfs shows.
    firmware_table : bool
        Whether `memory` is a firmware's table, which knows of no nodes.
    """
    if log.srat:
        return log.srat
    if not firmware_table:
        regions = sorted((row for row in memory if row.kind == "usable"), key=lambda row: row.start)
        owners = _told(regions) or _by_records(log, regions, node_ids)
        if len(set(owners)) > 1:
            return tuple(NodeRange(nid, row.start, row.end) for nid, row in zip(owners, regions, strict=True))
    # What boot set up is the best guess where nothing else was recorded.
    return log.initmem if len(log.initmem) > 1 else ()


def _told(regions: Sequence[MemoryRange]) -> list[int]:
    """Return each region's node where the table of memblock tells it (6.2 and later), else nothing."""
    owners = [row.nid for row in regions if row.nid is not None]
    return owners if len(owners) == len(regions) else []


def _by_records(log: dmesg.BootLog, regions: Sequence[MemoryRange], node_ids: Sequence[int]) -> list[int]:
    """Return each region's node by the node records in them, which lie as high in a node as there was room.

    Records come in the order of the nodes. A region without one belongs to the node of the next above that has one:
    a node's record is in the highest of its regions.
    """
    records = log.node_data
    nids = sorted(node_ids) if len(node_ids) == len(records) else range(len(records))
    found: dict[int, int] = {}
    for nid, record in zip(nids, records, strict=False):
        inside = [number for number, row in enumerate(regions) if row.start <= record.start < row.end]
        if len(inside) != 1 or inside[0] in found:
            # Two nodes in one region: memblock didn't keep them apart, or a node without memory has its record there.
            return []
        found[inside[0]] = record.nid if record.nid is not None else nid
    if not found:
        return []
    owners: list[int] = []
    owner = found[max(found)]
    for number in reversed(range(len(regions))):
        owner = found.get(number, owner)
        owners.insert(0, owner)
    return owners
