"""The kernel's text formats, one module a file: parse(text) to a record, and format(record) back, byte for byte."""

from __future__ import annotations

from . import (
    buddyinfo,
    dmesg,
    freelists,
    iomem,
    kpagecount,
    kpageflags,
    maps,
    meminfo,
    node_meminfo,
    numastat,
    pagetypeinfo,
    slabinfo,
    smaps,
    swaps,
    vmallocinfo,
    vmstat,
    zoneinfo,
)
from ._sniff import sniff

__all__ = [
    "buddyinfo",
    "dmesg",
    "freelists",
    "iomem",
    "kpagecount",
    "kpageflags",
    "maps",
    "meminfo",
    "node_meminfo",
    "numastat",
    "pagetypeinfo",
    "slabinfo",
    "smaps",
    "sniff",
    "swaps",
    "vmallocinfo",
    "vmstat",
    "zoneinfo",
]
