"""What the kernel would BUG on."""

from __future__ import annotations


class KernelBug(RuntimeError):
    """The kernel's own complaint, in its words. The machine's state is as it was before the call."""
