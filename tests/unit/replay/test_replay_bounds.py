"""Bounds of tuned per-CPU lists, where a recording shows only what tuning made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kmemwidgets.capture import Capture
from kmemwidgets.procfs import zoneinfo
from kmemwidgets.replay.start import start_allocator

RECORDING = Path(__file__).parents[2] / "data" / "captures" / "amd64-v6.12-1g.tar.xz"


class Changed(Capture):
    """A recording of which some files say something else."""

    changed: dict[str, bytes]

    def bytes(self, path: str) -> bytes:
        return self.changed.get(path) or super().bytes(path)


@pytest.fixture(name="capture")
def capture_fixture() -> Changed:
    found = Capture.load(RECORDING)
    changed = Changed(found._files, found.name)
    changed.changed = {}
    return changed


def test_high_may_move_between_the_low_mark_and_an_eighth_of_the_zone(capture: Changed) -> None:
    allocator = start_allocator(capture, "t_quiet")
    assert allocator is not None
    live = allocator.zones[1]
    pcp = live.pcps[0]
    assert pcp.high == 15465
    assert pcp.high_min == live.zone.wmark_low == 13858
    # 2,634 pages came after the lists had their sizes: initrd, decrypted and unused parts of the image.
    assert pcp.high_max == (live.zone.managed - 2634) // 8
    assert pcp.free_high_batch


def test_bounds_that_zoneinfo_prints_are_taken_from_there(capture: Changed) -> None:
    text = capture.text("t_quiet/zoneinfo.before")
    capture.changed["t_quiet/zoneinfo.before"] = text.replace(
        "batch: 63\n", "batch: 63\n              high_min: 1000\n              high_max: 20000\n"
    ).encode()
    shown = zoneinfo.parse(capture.text("t_quiet/zoneinfo.before"))
    assert any(lists.high_max == 20000 for zone in shown.zones for lists in zone.pagesets)
    allocator = start_allocator(capture, "t_quiet")
    assert allocator is not None
    pcp = allocator.zones[1].pcps[0]
    assert (pcp.high_min, pcp.high_max) == (1000, 20000)


def test_a_fraction_that_the_user_set_ends_the_tuning(capture: Changed) -> None:
    capture.changed["sys/vm_sysctl"] = b"percpu_pagelist_high_fraction=16\n"
    allocator = start_allocator(capture, "t_quiet")
    assert allocator is not None
    live = allocator.zones[1]
    assert live.pcps[0].high_min == live.pcps[0].high_max == live.zone.managed // 16


def test_without_tuning_high_is_what_it_is() -> None:
    allocator = start_allocator(Capture.bundled("amd64-512m"), "t_quiet")
    assert allocator is not None
    for live in allocator.zones:
        assert all(pcp.high_min == pcp.high_max == pcp.high for pcp in live.pcps)
