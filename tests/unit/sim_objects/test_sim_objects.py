"""The verbs for kernel objects: logged, undone, saved; what is wrong is refused and changes nothing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmemwidgets import Machine
from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.slab24 import check as check_slab
from kmemwidgets.sim.slub_init import check

KINDS = (
    {"memory": "256M"},
    {"memory": "256M", "kernel": "5.6"},
    {"memory": "256M", "kernel": "6.18"},
    {"memory": "256M", "arch": "arm64"},
    {"memory": "256M", "arch": "x86_32"},
    {"memory": "256M", "arch": "arm"},
)


def state(machine):
    shown = machine.snapshot()
    return shown.slabs, shown.vmalloc, bytes(shown.frames.codes), [zone.free for zone in shown.zones]


def test_nothing_is_taken_before_somebody_asks_for_an_object():
    machine = Machine.boot(memory="256M")
    free = sum(zone.free for zone in machine.snapshot().zones)
    assert machine.snapshot().slabs is None
    machine.kmalloc(100)
    assert sum(zone.free for zone in machine.snapshot().zones) < free
    assert [name for name, *_ in machine.history.commands] == ["kmem_cache_init", "kmalloc"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_any_moment_comes_back(kind):
    machine = Machine.boot(**kind)
    cache = machine.kmem_cache_create("thing", 200)
    held = [machine.kmem_cache_alloc(cache) for _ in range(40)]
    moments = {machine.now: state(machine)}
    area = machine.vmalloc(30000)
    for address in held[::3]:
        machine.kmem_cache_free(cache, address)
    moments[machine.now] = state(machine)
    machine.vfree(area)
    machine.kfree(machine.kmalloc(5000))
    moments[machine.now] = state(machine)
    for now in sorted(moments, reverse=True):
        machine.goto(now)
        assert state(machine) == moments[now]
    machine.goto(0)
    assert machine.snapshot().slabs is None
    machine.goto(max(moments))
    assert state(machine) == moments[max(moments)]
    assert check(machine.objects.slub) == []


def test_a_saved_machine_has_the_same_objects(tmp_path):
    machine = Machine.boot(memory="256M", seed=7)
    pointer = machine.kmalloc(100, "GFP_KERNEL|__GFP_ZERO")
    machine.write_memory(pointer, b"hello")
    machine.save(tmp_path / "m.json")
    again = Machine.load(tmp_path / "m.json")
    assert state(again) == state(machine)
    assert again.slab_object(pointer).data[:5] == b"hello"


def test_the_kernels_answers_to_what_is_wrong():
    machine = Machine.boot(memory="256M")
    pointer = machine.kmalloc(100)
    assert machine.kmalloc(0) == 16
    machine.kfree(16)
    assert machine.kmalloc(5 << 20) is None
    before, now = state(machine), machine.now
    with pytest.raises(KernelBug):
        machine.kfree(pointer + 8 - 0x10000000)
    with pytest.raises(ValueError, match="no cache 'none'"):
        machine.kmem_cache_alloc("none")
    with pytest.raises(KernelBug):
        machine.vfree(0xFFFFC90000001000)
    assert state(machine) == before
    assert machine.now == now


def test_slub_debug_reports_a_write_past_the_end():
    machine = Machine.boot(memory="256M", cmdline="slub_debug=FZPU")
    pointer = machine.kmalloc(64)
    machine.write_memory(pointer + 64, b"\x00")
    machine.kfree(pointer)
    report = "\n".join(machine.dmesg)
    assert "BUG kmalloc-64" in report
    assert "Redzone overwritten" in report
    assert f"{pointer:016x}" in report


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9000), st.booleans()), max_size=60), st.sampled_from(KINDS))
def test_no_byte_is_handed_out_twice(requests, kind):
    machine = Machine.boot(**kind)
    held = {}
    for size, give_back in requests:
        if give_back and held:
            machine.kfree(held.pop(min(held))[0])
            continue
        pointer = machine.kmalloc(size)
        if size:
            held[pointer] = (pointer, size)
    spans = sorted((start, start + size) for start, size in held.values())
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert check(machine.objects.slub) == [] if machine.objects.up else True


@pytest.mark.parametrize(("kernel", "cpus"), [("2.4", 1), ("2.4", 2), ("2.6.11", 2)])
def test_a_kernel_with_the_older_slab(kernel, cpus, tmp_path):
    machine = Machine.boot(arch="x86_32", memory="256M", kernel=kernel, cpus=cpus)
    cache = machine.kmem_cache_create("inodes", 480)
    held = [machine.kmem_cache_alloc(cache, cpu=number % cpus) for number in range(20)]
    pointer = machine.kmalloc(100, "GFP_KERNEL")
    machine.write_memory(pointer, b"hello")
    low = machine.kmalloc(100, "GFP_KERNEL|__GFP_DMA")
    assert machine.slab_object(low).cache == "size-128(DMA)"
    assert low - 0xC0000000 < 16 << 20
    seen, now = state(machine), machine.now
    machine.kfree(low)
    for address in held[::2]:
        machine.kmem_cache_free(cache, address, 0)
    machine.kmem_cache_shrink(cache)
    machine.goto(now)
    assert state(machine) == seen
    assert machine.slab_object(pointer).data[:5] == b"hello"
    machine.save(tmp_path / "m.json")
    assert state(Machine.load(tmp_path / "m.json")) == seen
    assert check_slab(machine.objects.slab24) == []
    in_use = sum(slab.objects.count(0) for slab in machine.slabs(cache))
    assert in_use == len(held)
    assert {slab.place for slab in machine.slabs(cache)} <= {"slabs_full", "slabs_partial", "slabs_free"}
    with pytest.raises(KernelBug, match="Can't free all objects"):
        machine.kmem_cache_destroy(cache)
    assert state(machine) == seen
    machine.reset()
    assert machine.snapshot().slabs is None


def test_high_memory_is_reached_undone_and_saved(tmp_path):
    machine = Machine.boot(arch="x86_32", memory="2G")
    fresh = machine.highmem()
    pfn = fresh.max_low_pfn + 5
    address = machine.kmap(pfn)
    assert machine.kmap(pfn) == address
    brief = machine.kmap_local(pfn + 1)
    area = machine.vmalloc(3 * 4096)
    seen = machine.highmem()
    assert address == seen.pkmap_base + 4096
    assert seen.pkmap_count[1] == 3
    assert [(each.pfn, each.address) for each in seen.local] == [(pfn + 1, brief)]
    assert [len(pfns) for start, pfns in seen.areas if start == area] == [3]
    assert min(pfn for _, pfns in seen.areas for pfn in pfns) >= fresh.max_low_pfn, "vmalloc prefers high memory"
    machine.kunmap_local(brief)
    machine.undo()
    assert machine.highmem() == seen
    machine.save(tmp_path / "m.json")
    assert Machine.load(tmp_path / "m.json").highmem() == seen
    machine.reset()
    assert machine.highmem() == fresh
    machine.goto(len(machine.history.commands) - 1)
    machine.kunmap_local(brief)
    with pytest.raises(KernelBug):
        machine.kunmap_local(brief)
    with pytest.raises(ValueError, match="no frame"):
        machine.kmap(1 << 30)
    assert machine.highmem().local == ()


def test_kmap_sleeps_where_all_slots_are_used():
    machine = Machine.boot(arch="x86_32", memory="2G")
    first = machine.highmem().max_low_pfn
    slots = len(machine.highmem().pkmap_count)
    assert all(machine.kmap(first + i) for i in range(slots))
    assert machine.kmap(first + slots) is None
    machine.kunmap(first)
    assert machine.kmap(first + slots)


@pytest.mark.parametrize("arch", ["x86_64", "arm64", "arm"])
def test_where_all_memory_has_an_address_kmap_is_an_addition(arch):
    machine = Machine.boot(arch=arch, memory="256M")
    assert machine.highmem() is None
    pfn = (machine.spec().memory[0].start >> 12) + 77
    direct = next(each for each in machine.snapshot().layout if each.name == "direct map")
    assert machine.kmap(pfn) == machine.kmap_local(pfn) == direct.start + 77 * 4096
    machine.kunmap_local(machine.kmap(pfn))
    machine.kunmap(pfn)


def test_a_freed_area_is_shown_once_until_the_purge():
    machine = Machine.boot(memory="256M")
    area = machine.vmalloc(4 * 4096)
    machine.vfree(area)
    assert [(each.start, each.flags) for each in machine.snapshot().vmalloc] == [(area, ("unpurged vm_area",))]
