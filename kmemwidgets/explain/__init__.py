"""Predict a recorded machine's figures from its description, and lay them beside what was recorded."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable

from kmemwidgets.capture import Capture
from kmemwidgets.records import BadInput

from .section import Figures, Miss, Result, Section, compare, run

__all__ = ["Figures", "Miss", "Result", "Section", "compare", "explain", "run", "sections"]

#: Modules that define ``SECTIONS``, in the order in which they are shown.
_MODULES = ("zones", "reserves", "slab_sections", "layout", "meminfo", "boot")


def sections() -> tuple[Section, ...]:
    """Return every section that there is."""
    found: list[Section] = []
    for name in _MODULES:
        if importlib.util.find_spec(f"{__name__}.{name}"):
            found.extend(importlib.import_module(f"{__name__}.{name}").SECTIONS)
    return tuple(found)


def explain(capture: Capture, names: Iterable[str] = ()) -> tuple[Result, ...]:
    """Predict all sections of a recording, or the named ones.

    Raises
    ------
    BadInput
        For a section that doesn't exist.
    """
    known = {section.name: section for section in sections()}
    for name in names:
        if name not in known:
            raise BadInput(f"no section {name!r}", todo=f"one of {', '.join(known)}")
    wanted = tuple(names) or tuple(known)
    return tuple(run(known[name], capture) for name in wanted)
