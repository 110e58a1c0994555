"""Mappings for a moment by version: slots by kind of user, a cpu's stack, a task's stack."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmemwidgets.records import BadInput, MachineSpec
from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.highmem import PAGE, Highmem
from kmemwidgets.sim.machine import Machine

HIGH = 0x40000


def machine(kernel: tuple[int, ...], *options: str) -> Highmem:
    config = (("CONFIG_NR_CPUS", "4"), *((option, "y") for option in options))
    return Highmem(MachineSpec(arch="x86_32", kernel=kernel, pae=True, cpus=2, config=config))


@pytest.mark.parametrize(
    ("kernel", "options", "kind", "cpu", "slot"),
    [
        # FIX_KMAP_BEGIN + type + KM_TYPE_NR * cpu
        ((2, 4, 22), (), "KM_BOUNCE_READ", 0, 9),
        ((2, 4, 22), (), "KM_SOFTIRQ1", 1, 9 + 7 + 8),
        ((2, 6, 11), (), "KM_USER0", 1, 11 + 3 + 13),
        ((2, 6, 11), ("CONFIG_DEBUG_HIGHMEM",), "KM_USER0", 1, 11 + 7 + 27),
    ],
)
def test_each_kind_of_user_has_its_slot(kernel, options, kind, cpu, slot):
    h = machine(kernel, *options)
    address = h.kmap_atomic(HIGH, cpu=cpu, km_type=kind)
    assert address == h.fix_to_virt(slot)
    (seen,) = h.info().local
    assert (seen.name, seen.cpu, seen.pfn, seen.address, seen.state) == (kind, cpu, HIGH, address, "used")
    assert h.info().local_flushes == 1


@pytest.mark.parametrize("kernel", [(2, 4, 22), (2, 6, 11)])
def test_nobody_notices_that_a_kind_of_slot_is_taken_twice(kernel):
    h = machine(kernel)
    first = h.kmap_atomic(HIGH)
    assert h.kmap_atomic(HIGH + 1) == first, "whoever had the slot now looks into another page"
    assert [each.pfn for each in h.info().local] == [HIGH + 1]
    h.kunmap_atomic(first)
    assert [(each.pfn, each.state) for each in h.info().local] == [(HIGH + 1, "left")]
    assert h.info().local_flushes == 2, "only kmap_atomic flushes"
    with pytest.raises(ValueError, match="no KM_PTE9; there are KM_BOUNCE_READ"):
        h.kmap_atomic(HIGH, km_type="KM_PTE9")


@pytest.mark.parametrize(
    ("kernel", "words"), [((2, 4, 22), "panic.c"), ((2, 6, 11), "kernel BUG at arch/i386/mm/highmem.c")]
)
def test_a_debugging_kernel_notices(kernel, words):
    h = machine(kernel, "CONFIG_DEBUG_HIGHMEM")
    first = h.kmap_atomic(HIGH)
    before = h.save()
    with pytest.raises(KernelBug, match=words):
        h.kmap_atomic(HIGH + 1)
    with pytest.raises(KernelBug, match=words):
        h.kunmap_atomic(first, km_type="KM_USER1")
    assert h.save() == before
    h.kunmap_atomic(first)
    assert h.info().local == ()
    assert h.info().local_flushes == 2


def test_a_cpu_has_a_stack_of_slots_in_5_6():
    h = machine((5, 6))
    a, b = h.kmap_atomic(HIGH, cpu=1), h.kmap_atomic(HIGH + 1, cpu=1)
    begin = h.areas.kmap_begin
    assert (a, b) == (h.fix_to_virt(begin + 20), h.fix_to_virt(begin + 21))
    assert h.info().local_flushes == 0
    # Without debugging the newest goes, whatever it is told.
    h.kunmap_atomic(a, cpu=1)
    assert [each.address for each in h.info().local] == [a]
    assert h.info().local_flushes == 1
    for _ in range(19):
        h.kmap_atomic(HIGH, cpu=1)
    assert h.kmap_atomic(HIGH, cpu=1) == h.fix_to_virt(begin + 40), "it runs into the next cpu's slots"
    for refused in (h.kmap_local, h.kunmap_local):
        with pytest.raises(BadInput, match=r"Linux 5\.6 has no k(un)?map_local"):
            refused(HIGH)
    with pytest.raises(ValueError, match="its slots are a stack"):
        h.kmap_atomic(HIGH, km_type="KM_USER0")


def test_a_stack_that_runs_into_mapped_slots_stops_5_6():
    h = machine((5, 6))
    h.kmap_atomic(HIGH, cpu=1)
    for _ in range(20):
        h.kmap_atomic(HIGH, cpu=0)
    before = h.save()
    with pytest.raises(KernelBug, match=r"arch/x86/mm/highmem_32\.c"):
        h.kmap_atomic(HIGH, cpu=0)
    assert h.save() == before


def test_a_debugging_5_6_counts_and_compares():
    h = machine((5, 6), "CONFIG_DEBUG_HIGHMEM")
    assert h.info().cpu_slots == 41
    a = h.kmap_atomic(HIGH)
    h.kmap_atomic(HIGH)
    with pytest.raises(KernelBug, match=r"WARNING: at arch/x86/mm/highmem_32\.c"):
        h.kunmap_atomic(a)
    for _ in range(39):
        h.kmap_atomic(HIGH)
    with pytest.raises(KernelBug, match=r"kernel BUG at include/linux/highmem\.h"):
        h.kmap_atomic(HIGH)


@pytest.mark.parametrize(("options", "most", "first"), [((), 15, 0), (("CONFIG_DEBUG_KMAP_LOCAL",), 16, 1)])
def test_a_task_has_one_slot_less_than_its_cpu_from_5_11_on(options, most, first):
    h = machine((6, 1), *options)
    assert h.info().local_slots == most
    for _ in range(most):
        h.kmap_local(HIGH)
    step = 2 if options else 1
    assert [each.slot for each in h.info().local] == [first + step * i for i in range(most)]
    before = h.save()
    with pytest.raises(KernelBug, match=r"kernel BUG at mm/highmem\.c! no slot"):
        h.kmap_local(HIGH)
    assert h.save() == before


def test_a_task_keeps_its_cpu_and_takes_its_mappings_out_of_the_page_table():
    h = machine((6, 1))
    a = h.kmap_local(HIGH, cpu=0, task=7)
    with pytest.raises(ValueError, match="task 7 stays on cpu 0"):
        h.kmap_local(HIGH, cpu=1, task=7)
    b = h.kmap_local(HIGH + 1, cpu=0, task=8)
    assert a == b, "each task's stack begins at the cpu's first slot"
    assert [(each.owner, each.pfn, each.state) for each in h.info().local] == [(7, HIGH, "out"), (8, HIGH + 1, "used")]
    assert h.info().local_flushes == 1
    h.kunmap_local(b, cpu=0, task=8)
    h.kmap_local(HIGH + 2, cpu=0, task=7)
    assert [each.state for each in h.info().local] == ["used", "used"]
    assert h.local.ptes == {0: HIGH, 1: HIGH + 2}
    for address in (a - PAGE, a):
        h.kunmap_local(address, cpu=0, task=7)
    h.kmap_local(HIGH, cpu=1, task=7)


@pytest.mark.parametrize("kernel", [(2, 6, 11), (5, 6), (6, 1)])
@pytest.mark.parametrize("pfn", [HIGH, 5])
def test_from_kmap_atomic_on_no_other_task_comes(kernel, pfn):
    h = machine(kernel)
    a = h.kmap_atomic(pfn, task=1)
    before = h.save()
    with pytest.raises(KernelBug, match="scheduling while atomic: task/1/0x00000001"):
        h.kmap_atomic(HIGH, task=2)
    assert h.save() == before
    h.kunmap_atomic(a, task=1)
    h.kmap_atomic(HIGH, task=2)


def test_in_2_4_nothing_is_counted():
    h = machine((2, 4, 22))
    assert h.kmap_atomic(HIGH, task=1) == h.kmap_atomic(HIGH, task=2)


def test_kmap_atomic_and_kmap_local_share_a_stack():
    h = machine((6, 1))
    a, b = h.kmap_atomic(HIGH), h.kmap_local(HIGH + 1)
    assert a - b == PAGE
    h.kunmap_local(b)
    h.kunmap_atomic(a)
    with pytest.raises(KernelBug, match="no kmap_atomic on cpu 0"):
        h.kunmap_atomic(a)


def test_low_pages_are_mapped_where_debugging_forces_it():
    h = machine((6, 1), "CONFIG_DEBUG_KMAP_LOCAL_FORCE_MAP", "CONFIG_DEBUG_KMAP_LOCAL")
    address = h.kmap_local(5)
    assert address == h.fix_to_virt(h.areas.kmap_begin + 1)
    h.kunmap_local(address)
    assert h.info().local == ()


def test_the_verbs_are_commands_that_are_undone_and_saved(tmp_path):
    m = Machine.boot(arch="x86_32", memory="2G", kernel="2.6.11")
    pfn = m.highmem().max_low_pfn
    m.kmap_atomic(pfn, km_type="KM_IRQ0")
    seen = m.highmem()
    m.kmap_atomic(pfn + 1)
    m.undo()
    assert m.highmem() == seen
    m.save(tmp_path / "m.json")
    assert Machine.load(tmp_path / "m.json").highmem() == seen


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2), st.booleans()), max_size=60))
def test_no_task_sees_another_ones_page(steps):
    h = machine((6, 1))
    held: dict[int, list[tuple[int, int]]] = {}
    for number, (cpu, task, take) in enumerate(steps):
        task += 10 * cpu
        if take and len(held.get(task, [])) < 15:
            held.setdefault(task, []).append((h.kmap_local(HIGH + number, cpu, task), HIGH + number))
        elif held.get(task):
            h.kunmap_local(held[task].pop()[0], cpu, task)
    mapped = {h._local_address(slot): pfn for slot, pfn in h.local.ptes.items()}
    for task, pages in held.items():
        if h.local.running.get(task // 10) == task:
            assert dict(pages).items() <= mapped.items()
    assert len(mapped) == sum(len(held.get(h.local.running.get(cpu, -1), ())) for cpu in (0, 1))
