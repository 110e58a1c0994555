"""Every recording in ZoneDiagram, BuddyPanel and MeminfoPanel: said, drawn, and to be sent as JSON."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from casefinder import capture_id, captures

from kmemwidgets.capture import Capture
from kmemwidgets.widgets import BuddyPanel, MeminfoPanel, ZoneDiagram


@pytest.mark.parametrize("path", captures(), ids=capture_id)
def test_a_recording_in_three_panels(path: Path) -> None:
    capture = Capture.load(path)
    snapshot = capture.snapshot()
    zones = ZoneDiagram(capture)
    for panel in (zones, BuddyPanel(capture), MeminfoPanel(capture)):
        ET.fromstring(panel.picture())
        assert snapshot.name in repr(panel)
        json.dumps(panel.data())
    drawn = {(node["nid"], zone["name"]): zone for node in zones.data()["nodes"] for zone in node["zones"]}
    for zone in snapshot.zones:
        told = drawn[zone.nid, zone.name]
        assert told["free"] == zone.free
        if told["uses"] is not None:
            assert sum(map(sum, told["uses"].values())) == zone.spanned
        if zone.free_area and zone.free is not None and told["uses"] is not None and snapshot.instant:
            # The buddy bit is set on every page of a free block.
            assert sum(told["uses"].get("free", [])) == zone.free
