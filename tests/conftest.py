"""What all tests share: how long each folder of them took."""

from __future__ import annotations

from collections import defaultdict
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the seconds of each folder of tests, so that a slow one is seen before it hurts."""
    seconds: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "duration"):
                seconds["/".join(report.nodeid.split("/")[:2])] += report.duration
    terminalreporter.write_line("")
    for folder, total in sorted(seconds.items()):
        terminalreporter.write_line(f"{total:7.1f} s  {folder}")
