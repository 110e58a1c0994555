"""bootmem: gaps from a goal upward, small requests in the frame of the last one, and the boots of 2.4 and 2.6.11."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets import Machine
from kmemwidgets.sim.bootmem import Bootmem

PAGE = 4096
MIB = 1 << 20


def low_memory(megabytes: int = 32, *, remembers: bool = False) -> Bootmem:
    made = Bootmem(PAGE, [(0, 0, megabytes * MIB // PAGE)], remembers=remembers)
    made.add(0, megabytes * MIB, 0)
    made.reserve(0, PAGE)
    made.init_map(made.nodes[0], 0x400)
    return made


def test_all_is_taken_until_ram_is_told_of() -> None:
    empty = Bootmem(PAGE, [(0, 0, 16)])
    assert empty.alloc(1) is None
    # Only whole frames are free.
    empty.add(100, 3 * PAGE, 0)
    assert bytes(empty.map[:4]) == b"\1\0\0\1"


def test_a_request_gets_the_first_gap_above_its_goal() -> None:
    made = low_memory()
    assert made.alloc(2 * PAGE, PAGE, goal=16 * MIB) == 16 * MIB
    assert made.alloc(PAGE, 4 * PAGE, goal=16 * MIB) == 16 * MIB + 4 * PAGE
    assert made.alloc(PAGE, PAGE, goal=16 * MIB) == 16 * MIB + 2 * PAGE
    assert made.alloc(PAGE, PAGE) == PAGE
    # Too little is left above: below the goal will do.
    assert made.alloc(11 * MIB, PAGE, goal=24 * MIB) == 0x401 * PAGE
    assert made.alloc(64 * MIB, PAGE) is None


def test_small_requests_share_a_frame() -> None:
    made = low_memory()
    assert [made.alloc(28, 32) for _ in range(3)] == [PAGE, PAGE + 32, PAGE + 64]
    # One that is too large for the rest of the frame goes on in the next one.
    assert made.alloc(PAGE, 32) == PAGE + 96
    assert made.nodes[0].last_pos == 2
    assert made.alloc(100, 128) == 2 * PAGE + 128
    # A whole frame leaves nothing to share.
    assert made.alloc(PAGE, PAGE) == 3 * PAGE
    assert made.alloc(8, 8) == 4 * PAGE


def test_2_6_goes_on_where_the_last_search_succeeded() -> None:
    for remembers, frame in ((False, 0), (True, 3)):
        made = low_memory(remembers=remembers)
        for _ in range(3):
            made.alloc(PAGE, PAGE, goal=16 * MIB)
        made.map[16 * MIB // PAGE] = 0
        assert made.alloc(PAGE, PAGE, goal=16 * MIB) == 16 * MIB + frame * PAGE


def test_the_map_is_handed_over_last_but_for_high_memory() -> None:
    made = Bootmem(PAGE, [(0, 0, 0x1000)])
    made.add(0, 32 * MIB, 0)
    made.init_map(made.nodes[0], 0x400)
    assert made.free_pfn_ranges() == [(0, 0x400, 0), (0x401, 0x1000, 0), (0x400, 0x401, 0), (0x1000, 0x2000, 0)]
    assert made.reserved.regions == []


@pytest.mark.parametrize("arch", ["x86_32", "x86_64", "arm"])
@pytest.mark.parametrize("kernel", ["2.4", "2.6.11"])
def test_an_old_machine_boots_by_bootmem(arch: str, kernel: str) -> None:
    machine = Machine.boot(arch=arch, memory="1G", kernel=kernel, cpus=2)
    assert isinstance(machine.memblock, Bootmem)
    zones = [zone for zone in machine.zones if zone.present]
    taken = sum(region.size for region in machine.memblock.reserved.regions) // PAGE
    # 2.4 counts holes of the map as present.
    holes = sum(zone.present for zone in zones) - sum(region.size for region in machine.memblock.memory.regions) // PAGE
    assert sum(zone.present - zone.managed for zone in zones) == taken + holes
    callers = [call.caller for step in machine.boot_steps() for call in step.calls if call.caller]
    assert ("zone bitmaps" in callers) == (kernel == "2.4")
    assert ("Dentry cache hash table" in callers) == (kernel == "2.6.11")
    assert "alloc_node_data" not in callers


@pytest.mark.parametrize(("kernel", "bytes_"), [("2.4", 48), ("2.6.11", 32)])
def test_the_memory_map_begins_above_what_old_devices_reach(kernel: str, bytes_: int) -> None:
    machine = Machine.boot(arch="x86_32", memory="1G", kernel=kernel, cpus=1)
    (call,) = (call for call in machine.memblock.calls if call.caller == "memory map")
    assert (call.start, call.end - call.start) == (16 * MIB, ((1 << 18) + 1) * bytes_)
    assert machine.pfn_to_page(100) - machine.pfn_to_page(99) == bytes_


def test_per_cpu_room_of_2_6_11_hangs_on_the_cpus_it_is_built_for() -> None:
    for cpus, room in ((1, 0), (2, 8 * 32768)):
        machine = Machine.boot(arch="x86_32", memory="256M", kernel="2.6.11", cpus=cpus)
        calls = [call.end - call.start for call in machine.memblock.calls if call.caller == "setup_per_cpu_areas"]
        assert sum(calls) == room


@given(st.lists(st.tuples(st.integers(1, 20000), st.sampled_from([4, 32, 4096, 16384]), st.booleans()), max_size=40),
       st.booleans())  # fmt: skip
def test_no_byte_is_given_twice(requests: list[tuple[int, int, bool]], remembers: bool) -> None:
    made = low_memory(remembers=remembers)
    got: list[tuple[int, int]] = []
    for size, align, high in requests:
        address = made.alloc(size, align, goal=16 * MIB if high else 0)
        if address is not None:
            assert address % align == 0
            got.append((address, address + size))
    got.sort()
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(got))
    free = {pfn for start, end, _nid in made.free_pfn_ranges() for pfn in range(start, end)}
    assert not any(pfn in free for start, end in got for pfn in range(start // PAGE, -(-end // PAGE)))
