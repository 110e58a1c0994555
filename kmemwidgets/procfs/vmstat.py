"""/proc/vmstat and a node's vmstat: counters since boot and numbers of pages (mm/vmstat.c, vmstat_text)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kmemwidgets.records import VmStat

from ._fields import field_rows, read_fields
from ._lines import NUMBER, bad, checked, fill
from ._names import known_counter

LIMIT = 1 << 18

_ROW = re.compile(rf"(?P<name>\w{{1,64}}) (?P<value>{NUMBER})")


@dataclass(frozen=True, slots=True)
class VmStatFile:
    """The counters in the file's order."""

    stat: VmStat
    layout: tuple[str, ...] = ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """Counters that no kernel up to 6.18 prints."""
        return tuple(name for name in self.stat.values if not known_counter(name))


def parse(text: str, where: str = "proc/vmstat") -> VmStatFile:
    """Read the counters. All kernels count dirty pages (nr_dirty) or, a node's file, free pages (nr_free_pages)."""
    values, layout = read_fields(text, where, LIMIT, _ROW, "'NAME NUMBER'")
    if "nr_dirty" not in values and "nr_free_pages" not in values:
        raise bad(where, text.count("\n"), "neither nr_dirty nor nr_free_pages; expected the counters of vmstat")
    return checked(VmStatFile(VmStat(values), layout), text, where, format)


def format(record: VmStatFile) -> str:  # noqa: A001 - every format has parse() and format()
    """Write one counter a line."""
    if record.layout:
        return "".join(fill(record.layout, field_rows(record.layout, record.stat.values), "vmstat"))
    return "".join(f"{name} {value}\n" for name, value in record.stat.values.items())
