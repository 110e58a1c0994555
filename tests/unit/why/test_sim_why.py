"""Why here: the decisions of one command in words, and the machine as it was."""

from __future__ import annotations

import pytest

from kmemwidgets.records import TraceEvent
from kmemwidgets.sim import Machine
from kmemwidgets.sim.events import KINDS
from kmemwidgets.sim.why import sentences, why


def state(machine: Machine) -> object:
    snapshot = machine.snapshot()
    lists = [machine.free_lists(zone.nid, zone.name, 10**6) for zone in snapshot.zones if zone.present]
    return snapshot, lists


def used() -> Machine:
    machine = Machine.boot(memory="64M", cpus=1)
    first = machine.alloc_pages("GFP_KERNEL", 0)
    block = machine.alloc_pages("GFP_HIGHUSER_MOVABLE", 4)
    assert first is not None
    assert block is not None
    machine.free_pages(block, 4)
    machine.free_pages(first, 0)
    return machine


def told(machine: Machine, number: int | None = None) -> tuple[str, ...]:
    return why(machine, machine.spec().kernel, number)


def test_an_allocation_is_told_from_request_to_page() -> None:
    machine = used()
    lines = told(machine, 1)
    assert lines[0] == "GFP_KERNEL asks for 1 page: migrate type Unmovable, zones up to Normal, from node 0 on"
    zone = machine.snapshot().zone(0, "DMA32")
    assert f"+ 0 reserved = {zone.low:,}, so the zone may be used" in lines[1]
    assert lines[2].startswith("no Unmovable block is free, so a block of order 10 at pfn 0x1000 is taken from Movable")
    assert "is split from order 10 down to 0" in lines[3]
    assert lines[3].count("(order ") == 10
    assert lines[-1] == "so it got pfn 0x1000, 1 page"


def test_a_free_is_told() -> None:
    assert told(used(), 3)[0].endswith("16 pages (order 4), is given back")


def test_a_failure_is_told_to_the_end() -> None:
    machine = used()
    while machine.alloc_pages("GFP_KERNEL|__GFP_NOWARN", 10):
        pass
    lines = told(machine)
    enough = next(line for line in lines if line.startswith("node 0 DMA32: free"))
    assert enough.endswith("but no free block has order 10 or more")
    lacking = next(line for line in lines if line.startswith("node 0 DMA: free"))
    assert "is not above the mark" in lacking
    assert any(line.startswith("slow path") for line in lines)
    assert any("kswapd of node 0 is woken" in line for line in lines)
    assert lines[-1] == "no zone had a block: the request failed"


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_machine_is_as_it_was(number: int) -> None:
    machine = used()
    before, moment, listening = state(machine), machine.now, machine.page_alloc.decisions
    told(machine, number)
    assert state(machine) == before
    assert machine.now == moment
    assert machine.page_alloc.decisions is listening


def test_it_can_be_asked_of_an_earlier_moment() -> None:
    machine = used()
    machine.goto(2)
    assert told(machine) == told(machine, 2)
    assert machine.now == 2
    assert told(machine, 4)
    assert machine.now == 2


@pytest.mark.parametrize("number", [0, 5, -1])
def test_a_command_that_was_not_given(number: int) -> None:
    with pytest.raises(ValueError, match="there are 1 to 4"):
        told(used(), number)


def test_every_kind_of_event_can_be_told() -> None:
    values = {
        "zone": "Normal",
        "why": "cpuset",
        "step": "reclaim",
        "passed": True,
        "name": "x",
        "system": "s",
        "fields": {},
    }
    for system, name, names in KINDS:
        event = TraceEvent(0, system, name, {field: values.get(field, 1) for field in names})
        for line in sentences([event], (6, 1, 192), ("DMA", "Normal")):
            assert "None" not in line


def test_a_free_is_told_to_the_end_of_the_list_it_lies_on() -> None:
    lines = told(used(), 4)
    assert lines[1].startswith("pfn 0x1000 goes to the head of the cpu's list (order 0, Unmovable)")
    machine = Machine.boot(memory="64M", cpus=1)
    block = machine.alloc_pages("GFP_KERNEL", 5)
    assert block is not None
    machine.free_pages(block, 5)
    lines = told(machine)
    assert [line.split()[2] for line in lines[1:]] == ["merges"] * 5 + ["of"]
    assert lines[-1] == "pfn 0x1000 of order 10 goes onto the Unmovable list, at its head"


def test_of_a_refill_and_of_a_drain_it_is_told_how_many() -> None:
    machine = Machine.boot(memory="1G", cpus=1)
    pages = [machine.alloc_pages("GFP_KERNEL") for _ in range(16_000)]
    lines = told(machine, 1)
    assert sum(" is split from " in line for line in lines) == 2
    assert sum("more blocks are split" in line for line in lines) == 1
    for page in pages:
        count = machine.page_alloc.pcp(1, 0).count
        assert page is not None
        machine.free_pages(page)
        if machine.page_alloc.pcp(1, 0).count < count:
            break
    lines = told(machine)
    assert len(lines) == 3
    assert lines[-1].startswith("63 blocks go from the cpu's lists back to the buddy lists, where they merge")


def test_a_command_behind_which_a_checkpoint_lies_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kmemwidgets.sim.history.SPACING", 1)
    machine = Machine.boot(memory="64M", cpus=1)
    for order in range(4):
        machine.alloc_pages("GFP_KERNEL", order)
    for number in range(1, 5):
        assert told(machine, number)[-1].startswith("so it got pfn")


def test_the_end_that_is_told_is_the_end_where_it_lies() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    blocks = [machine.alloc_pages("GFP_KERNEL", 5) for _ in range(12)]
    seen = set()
    for block in (*blocks[1::4], *blocks[::4]):
        assert block is not None
        machine.free_pages(block, 5)
        *_, line = told(machine)
        order = int(line.split(" of order ")[1].split()[0])
        pfns = machine.free_lists(0, "DMA32")[order, "Unmovable"]
        pfn = int(line.split()[1], 16)
        end = "tail" if " at its tail, " in line else "head"
        assert pfns[-1 if end == "tail" else 0] == pfn
        seen.add((end, len(pfns) > 1))
    assert {("tail", True), ("head", True)} <= seen
