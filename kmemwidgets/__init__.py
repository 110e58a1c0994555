"""See, touch and predict how Linux manages memory.

Names are loaded when they are first used, so that ``import kmemwidgets`` costs
nothing and the simulation kernel can be imported where Jupyter is missing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: Public name -> module that defines it.
_HOME = {
    "Machine": "kmemwidgets.sim",
    "KernelBug": "kmemwidgets.sim",
    "allocation_interfaces": "kmemwidgets.sim",
    "Capture": "kmemwidgets.capture",
    "MachineSpec": "kmemwidgets.records",
    "Snapshot": "kmemwidgets.records",
    "BadInput": "kmemwidgets.records",
    "diff": "kmemwidgets.records",
    "explain_gfp": "kmemwidgets.learn",
    "explain_flags": "kmemwidgets.learn",
    "link": "kmemwidgets.widgets",
    "AddressMap": "kmemwidgets.widgets",
    "KmallocPanel": "kmemwidgets.widgets",
    "VmallocPanel": "kmemwidgets.widgets",
    "SlabPanel": "kmemwidgets.widgets",
    "HighmemPanel": "kmemwidgets.widgets",
    "BootTimeline": "kmemwidgets.widgets",
    "BuddyPanel": "kmemwidgets.widgets",
    "FrameMap": "kmemwidgets.widgets",
    "Timeline": "kmemwidgets.widgets",
    "ZoneDiagram": "kmemwidgets.widgets",
    "MeminfoPanel": "kmemwidgets.widgets",
}

__all__ = ["__version__", *_HOME]

if TYPE_CHECKING:
    from kmemwidgets.capture import Capture as Capture
    from kmemwidgets.learn import explain_flags as explain_flags
    from kmemwidgets.learn import explain_gfp as explain_gfp
    from kmemwidgets.records import BadInput as BadInput
    from kmemwidgets.records import MachineSpec as MachineSpec
    from kmemwidgets.records import Snapshot as Snapshot
    from kmemwidgets.records import diff as diff
    from kmemwidgets.sim import KernelBug as KernelBug
    from kmemwidgets.sim import Machine as Machine
    from kmemwidgets.sim import allocation_interfaces as allocation_interfaces
    from kmemwidgets.widgets import AddressMap as AddressMap
    from kmemwidgets.widgets import BootTimeline as BootTimeline
    from kmemwidgets.widgets import BuddyPanel as BuddyPanel
    from kmemwidgets.widgets import FrameMap as FrameMap
    from kmemwidgets.widgets import HighmemPanel as HighmemPanel
    from kmemwidgets.widgets import KmallocPanel as KmallocPanel
    from kmemwidgets.widgets import MeminfoPanel as MeminfoPanel
    from kmemwidgets.widgets import SlabPanel as SlabPanel
    from kmemwidgets.widgets import Timeline as Timeline
    from kmemwidgets.widgets import VmallocPanel as VmallocPanel
    from kmemwidgets.widgets import ZoneDiagram as ZoneDiagram
    from kmemwidgets.widgets import link as link


def __getattr__(name: str) -> Any:
    try:
        module = _HOME[name]
    except KeyError:
        raise AttributeError(f"module 'kmemwidgets' has no attribute {name!r}") from None
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
