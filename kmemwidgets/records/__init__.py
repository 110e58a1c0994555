"""The waist: the words that producers and consumers share. Frozen records, no behaviour."""

from __future__ import annotations

from .boot import BootCall, BootStep
from .diff import Difference, diff
from .errors import BadInput
from .events import TraceEvent
from .frames import KPF, KPF_NAMES, FrameInfo, FrameTable, flag_names
from .highmem import HighmemInfo, LocalMapping
from .number_list import format_list
from .page_walk import PageWalk, WalkStep
from .slabs import OBJECT_STATES, SlabInfo, SlabObject
from .snapshot import (
    MIGRATETYPES,
    FreeArea,
    MemInfo,
    NodeInfo,
    PerCpuPages,
    Region,
    SlabCacheInfo,
    SlabPlaces,
    Snapshot,
    SwapArea,
    Vma,
    VmallocArea,
    VmStat,
    ZoneInfo,
)
from .source import Changes, FrameSource, Source
from .spec import MachineSpec, MemoryRange, NodeRange
from .version import TREES, Version, format_version, parse_version

__all__ = [
    "KPF",
    "KPF_NAMES",
    "MIGRATETYPES",
    "OBJECT_STATES",
    "TREES",
    "BadInput",
    "BootCall",
    "BootStep",
    "Changes",
    "Difference",
    "FrameInfo",
    "FrameSource",
    "FrameTable",
    "FreeArea",
    "HighmemInfo",
    "LocalMapping",
    "MachineSpec",
    "MemInfo",
    "MemoryRange",
    "NodeInfo",
    "NodeRange",
    "PageWalk",
    "PerCpuPages",
    "Region",
    "SlabCacheInfo",
    "SlabInfo",
    "SlabObject",
    "SlabPlaces",
    "Snapshot",
    "Source",
    "SwapArea",
    "TraceEvent",
    "Version",
    "VmStat",
    "Vma",
    "VmallocArea",
    "WalkStep",
    "ZoneInfo",
    "diff",
    "flag_names",
    "format_list",
    "format_version",
    "parse_version",
]
