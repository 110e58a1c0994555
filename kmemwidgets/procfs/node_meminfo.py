"""/sys/devices/system/node/nodeN/meminfo (drivers/base/node.c, node_read_meminfo)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ._fields import at_most, field_rows, read_fields, require
from ._lines import NUMBER, bad, checked, fill
from .meminfo import KNOWN as MEMINFO_KNOWN

LIMIT = 1 << 16

#: "NFS Unstable" is how 2.6.18 writes NFS_Unstable.
KNOWN = MEMINFO_KNOWN | {"MemUsed", "FilePages", "NFS Unstable"}

_ROW = re.compile(rf"(?P<name>Node [0-9]{{1,4}} [^\s:]{{1,32}}(?: [^\s:]{{1,32}})?): *(?P<value>{NUMBER})(?: kB)?")


@dataclass(frozen=True, slots=True)
class NodeMeminfo:
    """A node's memory: `values` in kB, HugePages_* in pages; by name, without "Node N"."""

    nid: int
    values: Mapping[str, int]
    layout: tuple[str, ...] = ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """Fields that no kernel up to 6.18 prints."""
        return tuple(name for name in self.values if name not in KNOWN)


def parse(text: str, where: str = "node/meminfo") -> NodeMeminfo:
    """Read the fields of one node. Kernels before 2.6.22 begin the file with an empty line."""
    rows, layout = read_fields(text, where, LIMIT, _ROW, "'Node N NAME: NUMBER kB'")
    values: dict[str, int] = {}
    nids: list[int] = []
    for number, (name, value) in enumerate(rows.items(), 1):
        _, nid, field = name.split(" ", 2)
        if nids and int(nid) != nids[0]:
            raise bad(where, number, f"a line of node {nid} in the file of node {nids[0]}")
        nids.append(int(nid))
        values[field] = value
    require(values, ("MemTotal", "MemFree"), where, text)
    for part in ("MemFree", "MemUsed"):
        if values.get(part, 0) > values["MemTotal"]:
            raise bad(
                where, list(values).index(part) + 1, f"{part} {values[part]} is more than MemTotal {values['MemTotal']}"
            )
    at_most(values, "HugePages_Free", "HugePages_Total", where, ())
    return checked(NodeMeminfo(nids[0], values, layout), text, where, format)


def format(record: NodeMeminfo) -> str:  # noqa: A001 - every format has parse() and format()
    """Write the file; without a layout names are padded to 16 columns."""
    if record.layout:
        return "".join(fill(record.layout, field_rows(record.layout, record.values), "node meminfo"))
    return "".join(_line(record.nid, name, value) for name, value in record.values.items())


def _line(nid: int, name: str, value: int) -> str:
    if name.startswith("HugePages_"):
        return f"Node {nid} {name + ':':<16} {value:>5}\n"
    return f"Node {nid} {name + ':':<15}{value:>9} kB\n"
