"""The browser's tests share one server and one page; see `harness`. What fails says what was on the screen."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from harness import (
    Lab,
    Notebook,
    Server,
    Watch,
    apart,
    browser,
    chromium,
    lab,
    lab_session,
    notebook,
    server,
)
from witness import sections

__all__ = [
    "Lab",
    "Notebook",
    "Server",
    "Watch",
    "apart",
    "browser",
    "chromium",
    "lab",
    "lab_session",
    "notebook",
    "server",
]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any) -> Generator[None, Any, Any]:
    """Put into a failed test's report what its pages, its kernel and its server say."""
    report = yield
    if report.failed:
        # A page of the session is a fixture under two names.
        seen = {id(fixture): (name, fixture) for name, fixture in getattr(item, "funcargs", {}).items()}
        report.sections += sections(dict(seen.values()))
    return report
