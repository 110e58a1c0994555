"""ZoneDiagram has a name and a colour for every kind of frame that it counts."""

from __future__ import annotations

from kmemwidgets.sim import Machine
from kmemwidgets.widgets.zonediagram.facts import diagram


def test_every_kind_of_a_simulated_machine_has_a_name_and_colours() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    machine.alloc_pages("GFP_KERNEL", 3)
    data = diagram(machine.snapshot())
    known = {name for name, *_ in data["kinds"]}
    used = {name for node in data["nodes"] for zone in node["zones"] for name in zone["uses"] or ()}
    assert used > {"free", "reserved"}
    assert used <= known
