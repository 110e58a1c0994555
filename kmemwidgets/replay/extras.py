"""What a replay tells beyond pages: objects, vmalloc areas, nodes of touched pages, fragmentation.

Each is a module of this room with one function::

    def extra_keys(capture: Capture, trace: str, text: str) -> dict[str, Any]

that returns its keys of the JSON answer, ``{}`` where the recording has no log of what it needs. `text` is
the trace's text.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from kmemwidgets.capture import Capture

EXTRAS = ("objects", "vmalloc", "numa", "frag")


def extra_keys(capture: Capture, trace: str, text: str) -> dict[str, Any]:
    """Collect the keys of all the extras that are there."""
    keys: dict[str, Any] = {}
    for name in EXTRAS:
        if importlib.util.find_spec(f"{__package__}.{name}") is None:
            continue
        module = importlib.import_module(f"{__package__}.{name}")
        if hasattr(module, "extra_keys"):
            keys.update(module.extra_keys(capture, trace, text))
    return keys
