"""Recorded machines booted again from their descriptions."""

from __future__ import annotations

from pathlib import Path

import pytest
from casefinder import capture_id, captures

from kmemwidgets.capture import Capture
from kmemwidgets.sim import Machine

CASES = captures()
#: Frames by which a zone may manage more or fewer: what the early code takes is partly estimated.
TOLERANCE = 128


@pytest.mark.parametrize("path", CASES, ids=capture_id)
def test_a_recorded_machine_boots_to_the_same_zones(path: Path) -> None:
    capture = Capture.load(path)
    machine = Machine.boot(capture)
    shown = machine.snapshot()
    recorded = capture.snapshot("proc")
    assert [(zone.nid, zone.name) for zone in shown.zones] == [(zone.nid, zone.name) for zone in recorded.zones]
    for mine, its in zip(shown.zones, recorded.zones, strict=True):
        assert (mine.spanned, mine.present) == (its.spanned, its.present)
        if its.present:
            assert mine.start_pfn == its.start_pfn
            assert abs((mine.managed or 0) - (its.managed or 0)) <= TOLERANCE, mine.name
            # A user may have had the marks set again after boot.
            assert mine.min == pytest.approx((its.min or 0) - (its.boost or 0), rel=0.02, abs=2)
    for mine_node, its_node in zip(shown.nodes, recorded.nodes, strict=True):
        assert mine_node.ranges == its_node.ranges
        assert not its_node.distance or mine_node.distance == its_node.distance


@pytest.mark.parametrize("path", CASES, ids=capture_id)
def test_its_frames_are_where_the_recording_has_memory(path: Path) -> None:
    capture = Capture.load(path)
    shown = Machine.boot(capture).snapshot()
    assert shown.frames is not None
    holes = bytes(shown.frames.codes).count(shown.frames.labels.index("no memory here"))
    present = sum(zone.present or 0 for zone in capture.snapshot("proc").zones)
    assert len(shown.frames.codes) - holes == present
