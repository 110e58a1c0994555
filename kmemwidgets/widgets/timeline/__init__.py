"""Timeline: plays, steps and scrubs through a simulated run or a recorded trace."""

from __future__ import annotations

from .trace import TraceSource
from .widget import Timeline

__all__ = ["Timeline", "TraceSource"]
