"""What is seen and touched: one folder a widget."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

#: Public name -> module that defines it; loaded when first used.
_HOME = {
    "BuddyPanel": "buddypanel",
    "BootTimeline": "boottimeline",
    "SlabPanel": "slabpanel",
    "VmallocPanel": "vmallocpanel",
    "HighmemPanel": "highmempanel",
    "KmallocPanel": "kmallocpanel",
    "AddressMap": "addressmap",
    "Focus": "focus",
    "FrameMap": "framemap",
    "KmemWidget": "_base",
    "MeminfoPanel": "meminfopanel",
    "StaticSource": "source",
    "Timeline": "timeline",
    "ZoneDiagram": "zonediagram",
    "link": "focus",
}

__all__ = sorted(_HOME)

if TYPE_CHECKING:
    from .addressmap import AddressMap as AddressMap
    from .boottimeline import BootTimeline as BootTimeline
    from .buddypanel import BuddyPanel as BuddyPanel
    from .focus import Focus as Focus
    from .focus import link as link
    from .framemap import FrameMap as FrameMap
    from .highmempanel import HighmemPanel as HighmemPanel
    from .kmallocpanel import KmallocPanel as KmallocPanel
    from .meminfopanel import MeminfoPanel as MeminfoPanel
    from .slabpanel import SlabPanel as SlabPanel
    from .source import StaticSource as StaticSource
    from .timeline import Timeline as Timeline
    from .vmallocpanel import VmallocPanel as VmallocPanel
    from .zonediagram import ZoneDiagram as ZoneDiagram


def __getattr__(name: str) -> Any:
    try:
        module = _HOME[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(importlib.import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value
