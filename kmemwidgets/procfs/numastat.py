"""/sys/devices/system/node/nodeN/numastat: where pages were wanted and where found (drivers/base/node.c)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ._fields import field_rows, read_fields, require
from ._lines import NUMBER, checked, fill

LIMIT = 1 << 12

#: All fields, since 2.6.
KNOWN = ("numa_hit", "numa_miss", "numa_foreign", "interleave_hit", "local_node", "other_node")

_ROW = re.compile(rf"(?P<name>\w{{1,64}}) (?P<value>{NUMBER})")


@dataclass(frozen=True, slots=True)
class NumaStat:
    """Allocations, in pages, by how well they were served."""

    values: Mapping[str, int]
    layout: tuple[str, ...] = ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """Fields that no kernel up to 6.18 prints."""
        return tuple(name for name in self.values if name not in KNOWN)


def parse(text: str, where: str = "node/numastat") -> NumaStat:
    """Read the fields; all of `KNOWN` are required."""
    values, layout = read_fields(text, where, LIMIT, _ROW, "'NAME NUMBER'")
    require(values, KNOWN, where, text)
    return checked(NumaStat(values, layout), text, where, format)


def format(record: NumaStat) -> str:  # noqa: A001 - every format has parse() and format()
    """Write one field a line."""
    if record.layout:
        return "".join(fill(record.layout, field_rows(record.layout, record.values), "numastat"))
    return "".join(f"{name} {value}\n" for name, value in record.values.items())
