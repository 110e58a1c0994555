"""Recordings of real machines: load one, or record the machine this runs on."""

from __future__ import annotations

from .pasted import from_text
from .recording import Capture

__all__ = ["Capture", "from_text"]
