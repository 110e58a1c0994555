"""The page tables on the way to an address, as the panel shows them."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from kmemwidgets.records import PageWalk

from .._words import size


@runtime_checkable
class WalkSource(Protocol):
    """A source that has page tables (a simulated machine)."""

    def walk(self, address: int) -> PageWalk:
        """Look an address of vmalloc's space up, level by level."""


def told(walk: PageWalk, page_size: int) -> dict[str, Any]:
    """Return a walk as JSON; what doesn't fit a JavaScript number as text."""
    return {
        "address": hex(walk.address),
        "steps": [
            {
                "level": step.level,
                "table": None if step.table is None else hex(step.table),
                "index": step.index,
                "entry": None if step.entry is None else f"{step.entry:#018x}",
                "kind": step.kind,
                "span": size(step.span),
            }
            for step in walk.steps
        ],
        "physical": None if walk.physical is None else hex(walk.physical),
        "pfn": None if walk.physical is None else hex(walk.physical // page_size),
    }


def words(walk: PageWalk) -> str:
    """Say a walk in one line."""
    way = " → ".join(f"{step.level}[{step.index}]" for step in walk.steps)
    end = "nothing is mapped" if walk.physical is None else f"physical {walk.physical:#x}"
    return f"{walk.address:#x}: {way} → {end}"
