"""The recorded machines that exercises ask about."""

from __future__ import annotations

from functools import cache

from kmemwidgets.capture import Capture
from kmemwidgets.records import Snapshot


@cache
def recorded(name: str) -> Snapshot:
    """Return a bundled recording's snapshot; frozen, so that all may share it."""
    return Capture.bundled(name).snapshot()
