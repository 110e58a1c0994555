"""MeminfoPanel: /proc/meminfo, field by field."""

from __future__ import annotations

from .widget import MeminfoPanel

__all__ = ["MeminfoPanel"]
