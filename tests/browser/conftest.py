"""The browser's tests share one server and one page; see `harness`."""

from __future__ import annotations

from harness import (
    Lab,
    Notebook,
    Server,
    Watch,
    browser,
    chromium,
    lab,
    lab_session,
    notebook,
    server,
)

__all__ = [
    "Lab",
    "Notebook",
    "Server",
    "Watch",
    "browser",
    "chromium",
    "lab",
    "lab_session",
    "notebook",
    "server",
]
