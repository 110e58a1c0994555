"""The steps of a boot: order by version, what each asks of memblock, and the widget that shows them."""

from __future__ import annotations

import pytest

from kmemwidgets import BootTimeline, Machine
from kmemwidgets.records import BadInput, Snapshot
from kmemwidgets.sim.rules.start_kernel import MEANINGS, TABLE

VERSIONS = ("2.4", "2.6.11", "5.6", "6.1", "6.12", "6.18")


def names(kernel):
    arch = "x86_32" if kernel.startswith("2") else "x86_64"
    return [step.name for step in Machine.boot(arch=arch, kernel=kernel, memory="256M").boot_steps()]


def test_every_step_has_a_meaning():
    for rule in TABLE:
        for name in rule.value:
            says, source = MEANINGS[name.rpartition(": ")[2]]
            assert says.endswith(".")
            assert "/" in source


def test_zonelists_move_into_mm_core_init():
    assert names("5.6").index("build_all_zonelists") < names("5.6").index("mm_init: mem_init")
    assert "build_all_zonelists" not in names("6.12")
    assert names("6.12").index("mm_core_init: build_all_zonelists") < names("6.12").index("mm_core_init: mem_init")


def test_the_hand_over_is_a_step_of_its_own_in_6_18():
    late = names("6.18")
    assert late.index("mm_core_init: memblock_free_all") == late.index("mm_core_init: mem_init") - 1
    assert "mm_core_init: memblock_free_all" not in names("6.12")


def test_2_4_makes_the_slab_caches_before_the_hand_over():
    old = names("2.4")
    assert old.index("kmem_cache_init") < old.index("mem_init") < old.index("kmem_cache_sizes_init")


@pytest.mark.parametrize("kernel", VERSIONS)
def test_what_is_handed_over_is_ram_that_nobody_reserved(kernel):
    arch = "x86_32" if kernel.startswith("2") else "x86_64"
    machine = Machine.boot(arch=arch, kernel=kernel, memory="256M")
    calls = [call for step in machine.boot_steps() for call in step.calls]
    taken = [call for call in calls if call.what == "reserve"]
    given = [call for call in calls if call.what == "hand over"]
    assert given
    assert not any(one.start < other.end and other.start < one.end for one in given for other in taken)
    ram = sum(call.end - call.start for call in calls if call.what == "add")
    assert sum(call.end - call.start for call in given) < ram
    managed = sum(zone.managed for zone in machine.zones) * 4096
    assert managed == sum(call.end - call.start for call in given)


def test_the_widget_steps_by_number_and_by_name():
    panel = BootTimeline(Machine.boot(memory="256M", kernel="6.18"))
    assert panel.go("memblock_free_all").name == "mm_core_init: memblock_free_all"
    assert panel.steps[panel.step - 1].calls
    assert panel.go(0) is None
    for wrong in (len(panel.steps) + 1, -1, "no_such_step"):
        with pytest.raises(ValueError, match="no step"):
            panel.go(wrong)
    assert "memblock_free_all: hand over" in repr(panel)
    assert "memblock_free_all" in panel.picture()


def test_a_recording_is_sent_to_machine_boot():
    with pytest.raises(BadInput, match=r"give it Machine\.boot"):
        BootTimeline(Snapshot("x", "x86_64", (6, 1)))
