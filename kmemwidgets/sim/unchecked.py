"""Which claims about a kernel nobody outside this project has checked."""

from __future__ import annotations

import importlib
import pkgutil

from kmemwidgets.records import Version

from . import rules
from .rules import Rule, in_force


def all_rules(version: Version) -> tuple[Rule, ...]:
    """Return the rules of every mechanism that are in force in a kernel."""
    found: list[Rule] = []
    for module in sorted(pkgutil.iter_modules(rules.__path__), key=lambda entry: entry.name):
        table = getattr(importlib.import_module(f"{rules.__name__}.{module.name}"), "TABLE", ())
        found.extend(in_force(table, version).values())
    return tuple(found)


def unchecked_rules(version: Version) -> tuple[Rule, ...]:
    """Return those that no oracle and no recording has checked: only read in the source, or not even that."""
    return tuple(rule for rule in all_rules(version) if not set(rule.checked_by) - {"source"})


def unchecked_words(version: Version) -> str:
    """Say in words how much of a kernel's simulation nobody outside has checked; empty where all of it was."""
    some, all_ = len(unchecked_rules(version)), len(all_rules(version))
    if not some:
        return ""
    return (
        f"simulated: {some} of the {all_} rules in force were checked by no oracle and no recording "
        "(Machine.unchecked_rules() lists them)"
    )
