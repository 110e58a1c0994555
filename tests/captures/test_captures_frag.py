"""Fragmentation and compaction of recorded machines, predicted from the requests."""

from __future__ import annotations

import pytest

from kmemwidgets.capture import Capture
from kmemwidgets.replay.frag import extra_keys, readings
from kmemwidgets.replay.trace import replay_trace
from tests.casefinder import capture_id, captures

CASES = [path for path in captures() if capture_id(path).startswith("frag")]


@pytest.mark.parametrize("path", CASES, ids=capture_id)
def test_fragmentation_indexes(path):
    capture = Capture.load(path)
    for trace in capture.traces():
        answer = extra_keys(capture, trace, capture.text(f"{trace}/trace"))
        if not readings(capture.text_or_none(f"{trace}/series.txt") or ""):
            assert answer == {}
            continue
        frag = answer["frag"]
        assert frag["of"] > 100
        assert frag["exact"] == frag["of"], frag["first_misses"]


@pytest.mark.parametrize("path", CASES, ids=capture_id)
def test_pages_across_compaction(path):
    capture = Capture.load(path)
    for trace in capture.traces():
        pages = replay_trace(capture, trace).pages
        assert pages is not None
        assert pages.allocs.of - pages.allocs.exact <= 3, pages.misses
        for tally in (pages.refills, pages.drains, pages.steals, pages.pcp_lists, pages.pageblocks, pages.free_lists):
            assert tally is None or tally.exact == tally.of, (pages.misses, pages.notes)
