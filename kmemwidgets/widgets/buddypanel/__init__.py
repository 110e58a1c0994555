"""BuddyPanel: a zone's free lists by order and migrate type, and the lists of each cpu."""

from __future__ import annotations

from .widget import BuddyPanel

__all__ = ["BuddyPanel"]
