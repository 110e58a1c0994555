"""Predict a recorded machine's figures from its description, and lay them beside what was recorded."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable

from kmemwidgets.capture import Capture
from kmemwidgets.records import BadInput

from .section import Figures, Miss, Result, Section, compare, run

__all__ = ["Figures", "Miss", "Result", "Section", "check_names", "compare", "explain", "run", "sections"]

#: Modules that define ``SECTIONS``, in the order in which they are shown.
_MODULES = ("zones", "reserves", "slab_sections", "layout", "meminfo", "boot")


def sections() -> tuple[Section, ...]:
    """Return every section that there is."""
    found: list[Section] = []
    for name in _MODULES:
        found.extend(importlib.import_module(f"{__name__}.{name}").SECTIONS)
    return tuple(found)


def explain(
    capture: Capture, names: Iterable[str] = (), began: Callable[[str], None] = lambda _name: None
) -> tuple[Result, ...]:
    """Predict all sections of a recording, or the named ones.

    Parameters
    ----------
    capture : Capture
    names : iterable of str
    began : callable
        Told the name of each section when it begins.

    Raises
    ------
    BadInput
        For a section that doesn't exist.
    """
    known = {section.name: section for section in sections()}
    wanted = check_names(names) or tuple(known)
    results = []
    for name in wanted:
        began(name)
        results.append(run(known[name], capture))
    return tuple(results)


def check_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of sections as they are, or refuse the first that doesn't exist."""
    known = [section.name for section in sections()]
    for name in (wanted := tuple(names)):
        if name not in known:
            raise BadInput(f"no section {name!r}", todo=f"one of {', '.join(known)}")
    return wanted
