"""FrameMap over a trace: every kind of frame table that is live is sent as it changes."""

from __future__ import annotations

import pytest
from wire_reader import connected

from kmemwidgets.records import KPF, FrameTable, Snapshot, TraceEvent, ZoneInfo
from kmemwidgets.widgets.timeline import TraceSource

ZONE = ZoneInfo(0, "Normal", spanned=64, present=64, managed=64, start_pfn=0)
BEFORE = Snapshot("box", "x86_64", (6, 1), zones=(ZONE,), frames=FrameTable(0, bytes(64), (KPF["BUDDY"],)))


@pytest.mark.parametrize("part", [[], [8, 40]])
def test_a_map_of_a_trace_follows_its_moments(part: list[int]) -> None:
    events = [
        TraceEvent(i, "kmem", "mm_page_alloc", {"page": 1, "pfn": pfn, "order": 0}, time_ns=i, pid=1, comm="c")
        for i, pfn in enumerate((9, 30, 31))
    ]
    source = TraceSource(BEFORE, events)
    widget, line, _ = connected(source)
    widget.part = part
    start, end = part or (0, 64)
    for moment in (1, 3, 2, 0):
        source.goto(moment)
        widget.send_changes()
        assert bytes(line.reader.codes) == bytes(source.frame_table().codes)[start:end]
        assert line.reader.codes.count(1) == moment
