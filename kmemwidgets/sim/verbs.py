"""What all groups of a machine's verbs ask of the machine that they are a part of."""

from __future__ import annotations

from typing import Any


class Verbs:
    """Base of the groups of verbs; `Machine` answers each of these."""

    def _do(self, name: str, *arguments: Any) -> Any:
        """Carry a command out, take it down, and tell whoever listens."""
        raise NotImplementedError

    def _gfp(self, gfp: int | str) -> int:
        """Return GFP flags as a number."""
        raise NotImplementedError

    def _node(self, node: int | None) -> int | None:
        """Return a node that is there, or None for the cpu's own."""
        raise NotImplementedError

    def _cpu(self, cpu: int) -> int:
        """Return a cpu that is there."""
        raise NotImplementedError
