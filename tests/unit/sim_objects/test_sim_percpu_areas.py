"""Per-CPU chunks after the first lie in vmalloc's space; before there were chunks kmalloc gave each cpu's copy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets import BadInput, KernelBug, Machine
from kmemwidgets.sim.percpu import first_chunk
from kmemwidgets.sim.vmap_percpu import find_base

MIB = 1 << 20


def fill_the_first_chunk(machine: Machine) -> int:
    """Take copies until a second chunk is there, and return the first pointer into it."""
    chunks = machine.objects
    while True:
        pointer = machine.alloc_percpu(8192)
        assert pointer
        if len(chunks.pools.percpu.chunks) > 1:
            return pointer


@pytest.mark.parametrize(
    ("arch", "end"),
    # VMALLOC_END is the last byte on x86-64, so that rounding it down to 2 MiB costs the last of them.
    [("x86_64", 0xFFFFE8FFFFE00000), ("arm64", 0xFFFFFBFFF0000000)],
)
def test_a_second_chunk_lies_at_the_top_of_vmalloc(arch: str, end: int) -> None:
    machine = Machine.boot(arch=arch, memory="512M", cpus=1, kernel="6.1")
    pointer = fill_the_first_chunk(machine)
    (row,) = (row for row in machine.snapshot().vmalloc if row.caller == "pcpu_get_vm_areas")
    unit = machine.objects.pools.percpu.first.unit
    assert (row.end, row.size, row.flags, row.pages) == (end, unit, ("vmalloc",), None)
    address = machine.per_cpu_ptr(pointer, 0)
    assert row.start <= address < row.end
    pfn = machine.walk(address).physical >> 12
    assert pfn in machine.objects.pools.percpu.chunks[1].pages[0]
    assert machine.frame(pfn).owner == "per-CPU memory"
    owners = machine.frame_table("owner")
    assert owners.labels[owners.codes[pfn]] == "per-CPU memory"


def test_the_first_chunk_is_in_the_direct_map() -> None:
    machine = Machine.boot(memory="512M", cpus=2, kernel="6.1")
    pointer = machine.alloc_percpu(8)
    first, second = machine.per_cpu_ptr(pointer, 0), machine.per_cpu_ptr(pointer, 1)
    assert second - first == machine.objects.pools.percpu.first.unit == MIB
    assert machine.virt_addr_valid(first)
    with pytest.raises(ValueError, match="no cpu 2"):
        machine.per_cpu_ptr(pointer, 2)


def test_each_node_has_a_part_as_far_away_as_in_the_first_chunk() -> None:
    machine = Machine.boot(memory="2G", nodes=2, cpus=2, kernel="6.1")
    pointer = fill_the_first_chunk(machine)
    rows = [row for row in machine.snapshot().vmalloc if row.caller == "pcpu_get_vm_areas"]
    first = machine.alloc_percpu(4)
    apart = machine.per_cpu_ptr(first, 1) - machine.per_cpu_ptr(first, 0)
    assert rows[1].start - rows[0].start == apart >= 1 << 30
    assert rows[1].end == 0xFFFFE8FFFFE00000
    homes = [machine.frame(machine.walk(machine.per_cpu_ptr(pointer, cpu)).physical >> 12).nid for cpu in (0, 1)]
    assert homes == [0, 1]


def test_a_third_chunk_lies_below_the_second() -> None:
    machine = Machine.boot(memory="512M", cpus=1, kernel="6.12")
    fill_the_first_chunk(machine)
    while len(machine.objects.pools.percpu.chunks) < 3:
        assert machine.alloc_percpu(32768)
    rows = sorted(row.start for row in machine.snapshot().vmalloc if row.caller == "pcpu_get_vm_areas")
    assert rows[1] - rows[0] == 2 * MIB
    seen = machine.objects.pools.save()
    machine.undo()
    machine.redo()
    assert machine.objects.pools.save() == seen


def test_who_may_not_wait_gets_no_new_chunk() -> None:
    machine = Machine.boot(memory="512M", cpus=1, kernel="6.1")
    while machine.alloc_percpu(4096, gfp="GFP_NOWAIT"):
        pass
    assert len(machine.objects.pools.percpu.chunks) == 1
    pointer = machine.alloc_percpu(4096)
    machine.free_percpu(pointer)
    assert machine.alloc_percpu(4096, gfp="GFP_NOWAIT") == pointer, "its page is there"
    assert machine.alloc_percpu(4096, gfp="GFP_NOWAIT") is None


def test_units_of_several_nodes() -> None:
    # Four cpus on two nodes share a block two by two; with three and one, blocks of two would waste two of six units;
    # four and two fit blocks of four.
    assert first_chunk(217088, (2, 2)).unit == MIB
    assert first_chunk(217088, (3, 1)).unit == 2 * MIB
    assert first_chunk(217088, (4, 2)).unit == MIB // 2


def test_2_6_11_takes_kmalloc_for_every_cpu() -> None:
    machine = Machine.boot(arch="x86_32", memory="64M", cpus=2, kernel="2.6.11")
    pointer = machine.alloc_percpu(100)
    copies = [machine.per_cpu_ptr(pointer, cpu) for cpu in (0, 1)]
    assert [machine.ksize(address) for address in copies] == [128, 128]
    # The array has a place for each of 8 cpus and one more; its address is turned around.
    assert machine.ksize(~pointer & 0xFFFFFFFF) == 64
    kept = machine.now
    machine.free_percpu(pointer)
    with pytest.raises(KernelBug, match="no pointer of alloc_percpu"):
        machine.free_percpu(pointer)
    with pytest.raises(KernelBug):
        machine.kfree(copies[0])
    machine.goto(kept)
    assert machine.per_cpu_ptr(pointer, 1) == copies[1]
    with pytest.raises(BadInput, match=r"Linux 2\.4\.22 has no alloc_percpu"):
        Machine.boot(memory="64M", kernel="2.4").alloc_percpu(8)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=8),
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=3),
)
def test_the_base_is_the_highest_that_fits(holes: list[tuple[int, int]], areas: list[tuple[int, int]]) -> None:
    free: list[tuple[int, int]] = []
    for start, size in sorted(holes):
        if not free or start > free[-1][1]:
            free.append((start, start + size))
    offsets, sizes, place = [], [], 0
    for gap, size in areas:
        offsets.append(place + gap if offsets else 0)
        sizes.append(size)
        place = offsets[-1] + size

    def fits(base: int) -> bool:
        return all(
            any(low <= base + offset and base + offset + size <= high for low, high in free)
            for offset, size in zip(offsets, sizes, strict=True)
        )

    best = max((base for base in range(2, 70) if base + place <= 66 and fits(base)), default=-1)
    assert find_base(free, offsets, sizes, 1, (2, 66)) == best
