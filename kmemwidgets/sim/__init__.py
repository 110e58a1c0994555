"""A simulated kernel's memory management, laid out as ``mm/`` is in Linux."""

from __future__ import annotations

from .errors import KernelBug
from .interfaces import allocation_interfaces
from .machine import Machine
from .page import Page

__all__ = ["KernelBug", "Machine", "Page", "allocation_interfaces"]
