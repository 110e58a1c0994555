"""The steps of a boot: order by version, what each asks of memblock, and the widget that shows them."""

from __future__ import annotations

import re

import pytest
from casefinder import capture_id, captures

from kmemwidgets import BootTimeline, Capture, Machine
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
    # bootmem gives its own map up when it has handed over all else.
    taken = [call for call in calls if call.what == "reserve" and call.caller != "bootmem map"]
    given = [call for call in calls if call.what == "hand over"]
    assert given
    assert not any(one.start < other.end and other.start < one.end for one in given for other in taken)
    ram = sum(call.end - call.start for call in calls if call.what == "add")
    assert sum(call.end - call.start for call in given) < ram
    managed = sum(zone.managed for zone in machine.zones) * 4096
    assert managed == sum(call.end - call.start for call in given)


def test_which_early_allocator_is_named():
    for arch, kernel, bootmem in (("x86_32", "2.4", True), ("x86_64", "5.6", False)):
        assert BootTimeline(Machine.boot(arch=arch, kernel=kernel, memory="64M")).data()["bootmem"] is bootmem


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


def printed(**machine):
    return {step.name.rpartition(": ")[2]: step.prints for step in Machine.boot(**machine).boot_steps() if step.prints}


@pytest.mark.parametrize(
    ("kernel", "step"),
    [("2.4", "mem_init"), ("2.6.11", "mem_init"), ("5.6", "mem_init"), ("6.1", "mem_init_print_info"),
     ("6.6", "mem_init_print_info"), ("6.12", "page_alloc_init_late"), ("6.18", "page_alloc_init_late")],
)  # fmt: skip
def test_which_step_prints_the_memory_line(kernel, step):
    arch = "x86_32" if kernel.startswith("2") else "x86_64"
    lines = printed(arch=arch, kernel=kernel, memory="256M")
    assert list(lines) == [step]
    assert len(lines[step]) == 1
    assert lines[step][0].startswith("Memory: ")
    assert ("cma-reserved" in lines[step][0]) is not kernel.startswith("2")
    # So late, only a real boot knows what the kernel has taken meanwhile.
    assert ("Memory: ?K/" in lines[step][0]) == (step == "page_alloc_init_late")


def test_2_4_counts_holes_and_high_memory():
    lines = printed(arch="x86_32", kernel="2.4", memory="1G", cpus=1)["mem_init"]
    found = re.fullmatch(
        r"Memory: (\d+)k/1048576k available \(\?k kernel code, (\d+)k reserved, \?k data, \?k init, 131072k highmem\)",
        lines[0],
    )
    assert found
    managed = sum(zone.managed for zone in Machine.boot(arch="x86_32", kernel="2.4", memory="1G", cpus=1).zones)
    assert int(found[1]) == managed * 4


def test_x86_32_prints_its_address_space_until_5_6():
    lines = printed(arch="x86_32", kernel="5.6", memory="2G")["mem_init"]
    assert lines[1:] == (
        "virtual kernel memory layout:",
        "    fixmap  : 0xfff18000 - 0xfffff000   ( 924 kB)",
        "  cpu_entry : 0xff800000 - 0xff959000   (1380 kB)",
        "    pkmap   : 0xff000000 - 0xff400000   (4096 kB)",
        "    vmalloc : 0xf77fe000 - 0xfeffe000   ( 120 MB)",
        "    lowmem  : 0xc0000000 - 0xf6ffe000   ( 879 MB)",
        "      .init : ?",
        "      .data : ?",
        "      .text : ?",
    )
    assert [len(each) for each in printed(arch="x86_32", kernel="6.1", memory="2G").values()] == [1]
    bare = printed(arch="x86_32", kernel="5.6", memory="512M", config={"CONFIG_HIGHMEM": False})["mem_init"]
    assert not any("pkmap" in line for line in bare)
    assert "highmem" not in bare[0]


def test_arm_tells_its_banks_first():
    assert printed(arch="arm", kernel="2.4", memory="256M")["mem_init"][0] == "Memory: 256MB = 256MB total"


def logged_calls(path):
    capture = Capture.load(path)
    return "memblock=debug" in str(capture.meta.get("cmdline", "")) and capture.spec().kernel < (6, 11)


@pytest.mark.parametrize("path", [path for path in captures() if logged_calls(path)], ids=capture_id)
def test_the_memory_line_of_a_recording_with_all_calls(path):
    capture = Capture.load(path)
    lines = [line for step in Machine.boot(capture).boot_steps() for line in step.prints]
    assert [line.partition("] ")[2] for line in capture.text("dmesg.txt").splitlines() if "] Memory: " in line] == lines


def test_a_recording_is_sent_to_machine_boot():
    with pytest.raises(BadInput, match=r"give it Machine\.boot"):
        BootTimeline(Snapshot("x", "x86_64", (6, 1)))
