"""What vmalloc takes from the slab allocator: a struct for each range and area, and an array of pages."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmemwidgets.sim import slub_init
from kmemwidgets.sim.machine import Machine

PAGE = 4096


def used(machine: Machine, *names: str) -> list[int]:
    """Return the objects in use of some caches."""
    found = []
    for name in names:
        slabs = machine.slabs(name, 10_000)
        found.append(sum(slab.objects.count(0) for slab in slabs))
    return found


def test_an_area_takes_its_structs_and_gives_them_back() -> None:
    machine = Machine.boot(memory="256M", cpus=1, kernel="6.1")
    machine.kmem_cache_init()
    objects = machine.objects.area.objects
    before = used(machine, "vmap_area", "kmalloc-64", "kmalloc-128")
    assert before[0] == 1, "all addresses are one free range"
    area = machine.vmalloc(16 * PAGE)
    # The area, the range below it, and one in advance, which the cut of the range used up at once.
    assert used(machine, "vmap_area", "kmalloc-64", "kmalloc-128") == [3, before[1] + 1, before[2] + 1]
    other = machine.vmalloc(PAGE)
    # One more in advance; the range is only made shorter.
    assert used(machine, "vmap_area", "kmalloc-8") == [5, 1]
    assert set(objects.structs) == set(objects.arrays) == {area, other}
    machine.vfree(area)
    machine.vfree(other)
    assert used(machine, "vmap_area", "kmalloc-64", "kmalloc-128", "kmalloc-8") == [5, *before[1:], 0], (
        "until the purge"
    )
    machine.vm_unmap_aliases()
    assert used(machine, "vmap_area") == [2], "one free range, and one in advance"
    assert slub_init.check(machine.objects.slub) == []


def test_a_large_area_has_its_array_by_vmalloc() -> None:
    machine = Machine.boot(memory="256M", cpus=1, kernel="6.1")
    large = machine.vmalloc(600 * PAGE)
    objects = machine.objects.area.objects
    assert next(iter(objects.structs)) == large
    (array,) = set(objects.structs) - {large}
    assert machine.objects.area.busy[large].array == array
    assert set(objects.arrays) == {array}, "two pages: kmalloc has their array"
    machine.vfree(large)
    assert not objects.structs
    assert not objects.arrays


@pytest.mark.parametrize(
    ("kernel", "cache", "arrays"), [("2.4", "size-32", 0), ("2.6.11", "size-64", 1), ("5.6", "kmalloc-64", 1)]
)
def test_older_kernels(kernel: str, cache: str, arrays: int) -> None:
    machine = Machine.boot(memory="256M", cpus=1, kernel=kernel)
    machine.kmem_cache_init()
    before = used(machine, cache)
    area = machine.vmalloc(3 * PAGE)
    objects = machine.objects.area.objects
    assert len(objects.arrays) == arrays
    assert used(machine, cache) == [before[0] + 1]
    assert bool(objects.areas) == (kernel == "5.6")
    machine.vfree(area)
    assert used(machine, cache) == before
    large = machine.vmalloc(2000 * PAGE)
    assert bool(machine.objects.area.busy[large].array) == (kernel != "2.4")


@pytest.mark.parametrize(("kernel", "size"), [("6.1", 64), ("6.12", 72)])
def test_a_range_is_an_object_of_that_size(kernel: str, size: int) -> None:
    machine = Machine.boot(memory="256M", kernel=kernel, cmdline="slab_nomerge")
    machine.kmem_cache_init()
    (info,) = (each for each in machine.snapshot().slabs if each.name == "vmap_area")
    # The size that slabinfo of recorded kernels has.
    assert info.object_size == size


def test_where_memory_ends_nothing_is_left_behind() -> None:
    machine = Machine.boot(memory="32M", cpus=1, kernel="6.1")
    machine.kmem_cache_init()
    objects = machine.objects.area.objects
    while machine.alloc_pages("GFP_KERNEL") is not None:
        pass
    while machine.kmalloc(64) is not None:
        pass
    assert machine.vmalloc(PAGE) is None, "no memory for the struct"
    assert not objects.structs
    assert used(machine, "vmap_area") == [len(objects.areas) + len(objects.free) + sum(map(bool, objects.spare))]
    assert slub_init.check(machine.objects.slub) == []


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 40), st.integers(0, 3)), max_size=40))
def test_every_range_has_one_object(steps: list[tuple[int, int, int]]) -> None:
    machine = Machine.boot(memory="128M", cpus=4, kernel="6.12")
    held: list[int] = []
    for what, number, cpu in steps:
        if what < 3:
            held.append(machine.vmalloc(number * PAGE, cpu=cpu) or 0)
        elif what < 5 and held:
            machine.vfree(held.pop(number % len(held)), cpu=cpu)
        else:
            machine.vm_unmap_aliases()
    machine.kmem_cache_init()
    area = machine.objects.area
    objects = area.objects
    assert sorted(objects.free) == [start for start, _end in area.free]
    pooled = {start for node in area.nodes for pool in node.pools.values() for start, _end in pool}
    waiting = {start for node in area.nodes for start, _end, _pooled in node.freed}
    assert set(objects.areas) == set(area.busy) | pooled | waiting
    assert set(objects.structs) == set(area.busy)
    everything = [*objects.free.values(), *objects.areas.values(), *(each for each in objects.spare if each)]
    assert len(set(everything)) == len(everything)
    assert used(machine, "vmap_area") == [len(everything)]
    machine.goto(machine.now // 2)
    machine.goto(len(machine.history.commands))
    assert machine.objects.area.objects.save() == objects.save()
    assert slub_init.check(machine.objects.slub) == []


def test_only_64_bit_kernels_share_areas_out_among_nodes() -> None:
    for arch, nodes in (("x86_64", 4), ("x86_32", 1)):
        machine = Machine.boot(arch=arch, memory="256M", cpus=4, kernel="6.12")
        machine.kmem_cache_init()
        assert len(machine.objects.area.nodes) == nodes


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        ("2.4", ()), ("2.6.11", ("allocation failed: out of vmalloc space - use vmalloc=<size> to increase size.",)),
        ("6.1", ("vmap allocation for size 1073745920 failed: use vmalloc=<size> to increase size",)),
        ("6.12", ("vmalloc_node_range for size 1073745920 failed: Address range restricted to",)),
    ],
)  # fmt: skip
def test_what_is_said_of_no_room(kernel: str, said: tuple[str, ...]) -> None:
    machine = Machine.boot(arch="x86_32", memory="2G", kernel=kernel)
    assert machine.vmalloc(1 << 30) is None
    lines = machine.objects.area.dmesg
    assert len(lines) == len(said)
    assert all(line.startswith(words) for line, words in zip(lines, said, strict=True))
    assert not machine.objects.area.objects.structs


@pytest.mark.parametrize(("kernel", "apart"), [("2.4", 2), ("2.6.11", 4), ("5.6", 2)])
def test_what_ioremap_aligns_to(kernel: str, apart: int) -> None:
    machine = Machine.boot(arch="x86_32", memory="256M", kernel=kernel)
    # A page and its guard; 2.6.11 aligns a page to two, and two pages to four.
    first, second = machine.ioremap(0xF0000000, PAGE), machine.ioremap(0xF0000000, 2 * PAGE)
    assert (second - first) // PAGE == apart
