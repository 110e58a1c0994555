"""FrameMap: every page frame of a machine, coloured by what it is."""

from __future__ import annotations

from .widget import FrameMap

__all__ = ["FrameMap"]
