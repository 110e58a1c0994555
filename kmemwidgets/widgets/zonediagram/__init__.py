"""ZoneDiagram: the floors node, zone and page of a machine, to scale."""

from __future__ import annotations

from .widget import ZoneDiagram

__all__ = ["ZoneDiagram"]
