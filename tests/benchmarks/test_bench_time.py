"""How soon an earlier moment of 100,000 commands is there, on small machines and on the largest preset.

Run by path: pytest -s tests/benchmarks. Times are printed; that a moment comes at all is what is asserted.
"""

from __future__ import annotations

from random import Random
from time import perf_counter

import pytest

from kmemwidgets import Machine, Timeline

COMMANDS = 100_000


def worked(machine: Machine) -> Machine:
    """Ask for and free blocks by chance."""
    chance = Random(2)
    live: list[tuple[int, int]] = []
    while machine.now < COMMANDS:
        if not live or (len(live) < 20_000 and chance.random() < 0.52):
            order = min(int(chance.expovariate(0.9)), 10)
            page = machine.alloc_pages(chance.choice(["GFP_KERNEL", "GFP_HIGHUSER_MOVABLE"]), order)
            if page is not None:
                live.append((page, order))
        else:
            page, order = live.pop(chance.randrange(len(live)))
            machine.free_pages(page, order)
    return machine


@pytest.mark.parametrize("what", ["64M", "4G", "server-1t"])
def test_moments(what: str) -> None:
    machine = Machine.boot(memory=what, kernel="6.18") if what[0].isdigit() else Machine.boot(what)
    line = Timeline(worked(machine))
    chance = Random(1)
    for kind in machine.frame_kinds():
        machine.frame_table(kind)
        times = []
        for _ in range(20):
            number = chance.randrange(COMMANDS)
            begin = perf_counter()
            line.go_to(number)
            machine.frame_table(kind)
            times.append(perf_counter() - begin)
            assert machine.now == number
        print(f"{what:<10} frames by {kind:<12} worst {max(times):.3f} s, median {sorted(times)[10]:.3f} s")
