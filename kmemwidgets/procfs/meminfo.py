"""/proc/meminfo (fs/proc/meminfo.c, meminfo_proc_show)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kmemwidgets.records import MemInfo

from ._fields import at_most, require
from ._lines import NUMBER, bad, checked, fill, lines_of, shown, template

LIMIT = 1 << 16

#: Fields that some kernel from 2.4 to 6.18 prints.
KNOWN = frozenset(
    """
    MemTotal MemFree MemAvailable MemShared Buffers Cached SwapCached Active Inactive Active(anon) Inactive(anon)
    Active(file) Inactive(file) Unevictable Mlocked HighTotal HighFree LowTotal LowFree BigTotal BigFree MmapCopy
    SwapTotal SwapFree Zswap Zswapped Dirty Writeback AnonPages Mapped Shmem KReclaimable Slab SReclaimable SUnreclaim
    KernelStack ShadowCallStack PageTables SecPageTables NFS_Unstable Bounce WritebackTmp CommitLimit Committed_AS
    VmallocTotal VmallocUsed VmallocChunk Percpu EarlyMemtestBad HardwareCorrupted AnonHugePages ShmemHugePages
    ShmemPmdMapped FileHugePages FilePmdMapped CmaTotal CmaFree Unaccepted Balloon HugePages_Total HugePages_Free
    HugePages_Rsvd HugePages_Surp Hugepagesize Hugetlb DirectMap4k DirectMap64k DirectMap1M DirectMap2M DirectMap4M
    DirectMap1G DirectMap2G Quicklists Inact_dirty Inact_clean Inact_laundry Inact_target Active_anon Active_cache
    ReverseMaps Committed_VM GPUActive GPUReclaim
    """.split()  # noqa: SIM905 - a list of 100 quoted names is harder to read
)

_ROW = re.compile(rf"(?P<name>[^\s:]{{1,64}}): *(?P<value>{NUMBER})(?: kB)?")
#: Linux up to 2.4 begins with a table in bytes.
_TABLE_HEAD = "        total:    used:    free:  shared: buffers:  cached:"
_TABLE_ROW = re.compile(rf"(Mem|Swap):((?: +{NUMBER}){{3,6}})")
_COUNTS = ("HugePages_Total", "HugePages_Free", "HugePages_Rsvd", "HugePages_Surp")


@dataclass(frozen=True, slots=True)
class MemInfoFile:
    """The whole file.

    Attributes
    ----------
    info : MemInfo
        The fields, kB; HugePages_* are numbers of pages.
    table : mapping of str to tuple of int
        The rows "Mem" and "Swap" of the table, bytes, with which Linux 2.4 begins; else empty.
    layout : tuple of str
        A template a line; empty: as the newest kernel writes it.
    """

    info: MemInfo
    table: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    layout: tuple[str, ...] = ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """Fields that no kernel up to 6.18 prints."""
        return tuple(name for name in self.info.values if name not in KNOWN)


def parse(text: str, where: str = "proc/meminfo") -> MemInfoFile:
    """Read the fields; `BadInput` where MemTotal or MemFree is missing, a line is cut, or a part exceeds its whole."""
    values: dict[str, int] = {}
    table: dict[str, tuple[int, ...]] = {}
    layout: list[str] = []
    for number, line in enumerate(lines_of(text, where, LIMIT), 1):
        if number == 1 and line == _TABLE_HEAD:
            layout.append(line)
        elif layout[:1] == [_TABLE_HEAD] and number == len(table) + 2 and (found := _TABLE_ROW.fullmatch(line)):
            if found[1] in table:
                raise bad(where, number, f"the row {found[1]} stands here a second time")
            spans = [
                (found.start(2) + word.start(), found.start(2) + word.end()) for word in re.finditer(NUMBER, found[2])
            ]
            table[found[1]] = tuple(int(line[start:end]) for start, end in spans)
            layout.append(template(line, spans))
        elif found := _ROW.fullmatch(line):
            if found["name"] in values:
                raise bad(where, number, f"{found['name']} stands here a second time")
            values[found["name"]] = int(found["value"])
            layout.append(template(line, [found.span("value")]))
        else:
            raise bad(where, number, f"expected 'NAME: NUMBER kB', not {shown(line)}")
    require(values, ("MemTotal", "MemFree"), where, text)
    for part, whole in (("MemFree", "MemTotal"), ("SwapFree", "SwapTotal"), ("HugePages_Free", "HugePages_Total")):
        at_most(values, part, whole, where, layout)
    record = MemInfoFile(MemInfo(values), table, tuple(layout))
    return checked(record, text, where, format)


def format(record: MemInfoFile) -> str:  # noqa: A001 - every format has parse() and format()
    """Write the file. Without a layout: names in 16 columns, values right-aligned to column 24."""
    if record.layout:
        rows: list[tuple[int, ...]] = [(), *record.table.values()] if record.layout[0] == _TABLE_HEAD else []
        rows += [(value,) for value in record.info.values.values()]
        return "".join(fill(record.layout, rows, "meminfo"))
    return "".join(_line(name, value) for name, value in record.info.values.items())


def _line(name: str, value: int) -> str:
    head = f"{name}:"
    # The kernel's text for these is 19 columns wide, then five digits.
    wide = name in _COUNTS or name == "HardwareCorrupted"
    head = f"{head:<{19 if wide else 16}}"
    return f"{head}{value:>{24 - len(head)}}{'' if name in _COUNTS else ' kB'}\n"
