"""The state of memory that a real kernel wrote into its log, beside the simulated kernel's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from casefinder import capture_id, captures

from kmemwidgets.capture import Capture
from kmemwidgets.sim import Machine

LOGS = ("dmesg_end.txt", "t_oom/dmesg_after.txt", "t_oomadj/dmesg_after.txt")


def reports(path: Path) -> list[list[str]]:
    """Return what the log holds from each ``Mem-Info:`` on to its last line, without time stamps."""
    capture = Capture.load(path)
    found = []
    for name in LOGS:
        lines = [re.sub(r"^\[ *[\d.]+\] ?", "", line) for line in (capture.text_or_none(name) or "").splitlines()]
        starts = [number for number, line in enumerate(lines) if line == "Mem-Info:"]
        for start in starts[:1]:
            end = next((at for at in range(start, len(lines)) if "pages hwpoisoned" in lines[at]), None)
            if end is not None:
                found.append(lines[start : end + 1])
    return found


def shape(line: str) -> str:
    """Return a line without its figures, and without the letters of free lists."""
    return re.sub(r"all_unreclaimable\? \w+", "", re.sub(r" \([A-Z]+\)", "", re.sub(r"(?<=[: =])\d+|^\d+", "N", line)))


CASES = [path for path in captures() if reports(path)]


@pytest.mark.parametrize("path", CASES, ids=capture_id)
def test_the_report_has_the_recorded_lines(path: Path) -> None:
    machine = Machine.boot(Capture.load(path))
    machine.page_alloc.reports.failed(0x140DCA, 0, 0, None)
    mine = machine.dmesg[0].splitlines()
    mine = mine[mine.index("Mem-Info:") :]
    for recorded in reports(path):
        assert [shape(line) for line in mine] == [shape(line) for line in recorded]
        for ours, its in zip(mine, recorded, strict=True):
            # The marks and reserves were set again after boot.
            fixed = r"present:\d+kB|hugepages_size=\d+kB|^\d+ pages RAM"
            assert re.findall(fixed, ours) == re.findall(fixed, its)
