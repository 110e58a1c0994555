"""Words, claims, exercises, and the course that is made of them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

#: Public name -> module that defines it; loaded when first used.
_HOME = {
    "check": "checks",
    "claim": "claims",
    "decisions": "told",
    "explain_flags": "flag_words",
    "explain_gfp": "gfp_words",
    "live": "here",
    "solution": "checks",
}

__all__ = sorted(_HOME)

if TYPE_CHECKING:
    from .checks import check as check
    from .checks import solution as solution
    from .claims import claim as claim
    from .flag_words import explain_flags as explain_flags
    from .gfp_words import explain_gfp as explain_gfp
    from .here import live as live
    from .told import decisions as decisions


def __getattr__(name: str) -> Any:
    try:
        module = _HOME[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(importlib.import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value
