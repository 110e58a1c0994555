"""The node of every page that a recorded machine touched under a memory policy."""

from __future__ import annotations

import pytest

from kmemwidgets.capture import Capture
from kmemwidgets.replay.numa import extra_keys
from tests.casefinder import capture_id, captures

CASES = [path for path in captures() if "numa" in capture_id(path)]


@pytest.mark.parametrize("path", CASES, ids=capture_id)
def test_nodes(path):
    capture = Capture.load(path)
    for trace in capture.traces():
        answer = extra_keys(capture, trace, capture.text(f"{trace}/trace"))
        if not capture.has(f"{trace}/touches.txt"):
            assert answer == {}
            continue
        numa = answer["numa"]
        assert numa["of"] > 1000
        assert numa["exact"] == numa["of"], numa["first_misses"]
