"""What differs between kernels: one module a mechanism, one table of rules."""

from __future__ import annotations

from .table import Rule, in_force, pick

__all__ = ["Rule", "in_force", "pick"]
