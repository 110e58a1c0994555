"""What all tests share: no deadlines for properties, and how long each folder of tests took."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import HealthCheck, settings

# A busy machine is slow, and that is no error: no test asserts a time.
settings.register_profile("kmemwidgets", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kmemwidgets")


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
