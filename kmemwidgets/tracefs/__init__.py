"""Trace text of the kernel: tracefs ``trace``, ``trace-cmd report`` and ``perf script``.

`parse` reads all of a trace into `TraceEvent` records and tells what it could not read, `scan` runs over the
same text at about the cost of splitting its lines, `format` writes what the kernel would print.
"""

from __future__ import annotations

from .head import read_time
from .layouts import EVENTS, KMEM_EVENTS, PAGE_EVENTS, SLAB_EVENTS
from .reader import Lost, TraceFile, Unreadable, in_time_order, parse
from .scanner import LOST, SCAN_FIELDS, Row, Scan, scan
from .template import HexInt
from .writer import format, format_event  # noqa: A004

__all__ = [
    "EVENTS",
    "KMEM_EVENTS",
    "LOST",
    "PAGE_EVENTS",
    "SCAN_FIELDS",
    "SLAB_EVENTS",
    "HexInt",
    "Lost",
    "Row",
    "Scan",
    "TraceFile",
    "Unreadable",
    "format",
    "format_event",
    "in_time_order",
    "parse",
    "read_time",
    "scan",
]
