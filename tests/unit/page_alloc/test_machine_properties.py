"""What must hold after 100,000 commands of any kind through a machine's verbs, in 16 MiB, 4 GiB and two nodes."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from kmemwidgets import Machine
from kmemwidgets.sim.pcp import list_order

MACHINES = {
    "16 MiB": {"memory": "16M", "cpus": 1},
    "4 GiB": {"memory": "4G", "cpus": 2},
    "two nodes": {"nodes": ["96M", "160M"], "cpus": 2},
}
COMMANDS = 100_000
REQUESTS = tuple(
    f"{gfp}|__GFP_NOWARN"
    for gfp in ("GFP_KERNEL", "GFP_HIGHUSER_MOVABLE", "GFP_ATOMIC", "GFP_KERNEL|__GFP_RECLAIMABLE", "GFP_DMA32")
)

#: First pfn and order of what is in use, by whoever asked.
Live = list[tuple[int, int]]


def drive(machine: Machine, seed: int, until: int, live: Live) -> None:
    """Give commands in waves of asking and freeing: blocks, bulks, exact numbers, splits."""
    chance = Random(seed)
    cpus = machine.spec().cpus
    nodes = [None, *{zone.nid for zone in machine.zones}]
    grow = 0.6
    next_wave = 0
    while machine.now < until:
        if machine.now >= next_wave:
            grow, next_wave = chance.choice([0.35, 0.5, 0.6, 0.75]), machine.now + 5000
        cpu = chance.randrange(cpus)
        way = chance.random()
        if way < 0.004:
            gfp, node = chance.choice(REQUESTS), chance.choice(nodes)
            live.extend((page, 0) for page in machine.alloc_pages_bulk(gfp, chance.randrange(1, 20), node, cpu))
        elif way < 0.006:
            pages = chance.randrange(1, 40)
            first = machine.alloc_pages_exact(pages << 12, chance.choice(REQUESTS), None, cpu)
            live.extend((first + at, 0) for at in range(pages if first is not None else 0))
        elif way < 0.007:
            machine.drain_all_pages()
        elif not live or chance.random() < grow:
            order = min(int(chance.expovariate(0.9)), 10)
            page = machine.alloc_pages(chance.choice(REQUESTS), order, chance.choice(nodes), cpu)
            if page is not None:
                live.append((page, order))
        else:
            at = chance.randrange(len(live))
            live[at], live[-1] = live[-1], live[at]
            page, order = live.pop()
            if order == 2 and way > 0.9:
                machine.split_page(page, order)
                live.extend((page + at, 0) for at in range(4))
            else:
                machine.free_pages(page, order, cpu)


def account(machine: Machine, live: Live) -> None:
    """See every frame in one place only, and every counter say what its list holds."""
    allocator = machine.page_alloc
    seen = bytearray(allocator.memmap.max_pfn)

    def take(pfn: int, order: int) -> None:
        assert seen.count(0, pfn, pfn + (1 << order)) == 1 << order, f"{pfn:#x} is in two places"
        seen[pfn : pfn + (1 << order)] = b"x" * (1 << order)

    for pfn, order in live:
        take(pfn, order)
    in_use = sum(1 << order for _, order in live)
    for zone in allocator.zones:
        lists = zone.free_area.lists()
        for (mt, order), blocks in lists.items():
            assert zone.free_area.counts()[order][mt] == len(blocks)
            for pfn in blocks:
                assert zone.zone.start_pfn <= pfn < pfn + (1 << order) <= zone.zone.end_pfn
                take(pfn, order)
        free = sum(len(blocks) << order for (_, order), blocks in lists.items())
        assert free == zone.free_pages_now()
        waiting = 0
        for pcp in zone.pcps:
            blocks = [
                (pfn, list_order(index, allocator.huge_order)) for index, pfns in enumerate(pcp.lists) for pfn in pfns
            ]
            assert pcp.count == sum(1 << order for _, order in blocks)
            waiting += pcp.count
            for pfn, order in blocks:
                take(pfn, order)
        in_use += free + waiting
    # Nothing is lost: what boot handed over is in use, free, or on a cpu's list.
    assert in_use == sum(zone.managed for zone in machine.zones)


def state(machine: Machine) -> tuple[Any, Any]:
    return machine.snapshot(), machine.page_alloc.save()


@pytest.mark.parametrize("name", MACHINES)
def test_a_hundred_thousand_commands(name: str) -> None:
    machine = Machine.boot(kernel="6.18", seed=3, **MACHINES[name])
    whole = machine.snapshot()
    live: Live = []
    seen = {0: state(machine)}
    for until in range(COMMANDS // 5, COMMANDS + 1, COMMANDS // 5):
        drive(machine, until, until, live)
        account(machine, live)
        seen[machine.now] = state(machine)
    end = machine.now
    # The same seed and commands give the same bytes.
    other = Machine.boot(kernel="6.18", seed=3, **MACHINES[name])
    again: Live = []
    for until in range(COMMANDS // 5, COMMANDS + 1, COMMANDS // 5):
        drive(other, until, until, again)
    assert (again, state(other)) == (live, seen[end])
    # Back and forward again is the same state, however one comes there.
    for moment in Random(1).sample(sorted(seen), len(seen)):
        machine.goto(moment)
        assert state(machine) == seen[moment]
    machine.goto(end)
    # Split and merge are inverse: with everything given back, memory is whole again.
    for pfn, order in live:
        machine.free_pages(pfn, order)
    machine.drain_all_pages()
    account(machine, [])
    now = machine.snapshot()
    for before, after in zip(whole.zones, now.zones, strict=True):
        assert after.free == before.free
        # A page block kept for high-order atomic requests does not merge with its neighbours.
        lost = sum(area.nr_free << area.order for area in before.free_area or () if area.order == 10) - sum(
            area.nr_free << area.order for area in after.free_area or () if area.order == 10
        )
        assert lost <= 2 * (after.reserved_highatomic or 0)
