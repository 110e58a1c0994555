"""What a machine says of a call that it refuses."""

from __future__ import annotations

import pytest

from kmemwidgets import KernelBug, Machine


def said(machine: Machine, verb: str, *arguments: object) -> str:
    """Return what is said of a call that changes nothing."""
    before = machine.now, machine.dmesg, machine.snapshot()
    with pytest.raises(KernelBug) as told:
        getattr(machine, verb)(*arguments)
    assert (machine.now, machine.dmesg, machine.snapshot()) == before
    return str(told.value)
