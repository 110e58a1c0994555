"""High memory: splits, kmap's slots and their flush, and the short-lived mappings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.arch.x86_32 import KMAP_BEGIN
from kmemwidgets.records import MachineSpec
from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.highmem import PAGE, Highmem, splits

MIB = 1 << 20
HIGH = 0x40000


def machine(kernel: tuple[int, ...] = (6, 1, 176), *, pae: bool = True, cpus: int = 1) -> Highmem:
    return Highmem(MachineSpec(arch="x86_32", kernel=kernel, pae=pae, cpus=cpus, config=(("CONFIG_NR_CPUS", "32"),)))


def test_low_memory_by_version_and_split() -> None:
    old = {split.name: split.lowmem for split in splits(MachineSpec(arch="x86_32", kernel=(2, 4, 22)))}
    assert old["3G/1G"] == 896 * MIB
    assert old["1G/3G"] == 2944 * MIB
    new = {
        split.name: split.lowmem
        for split in splits(
            MachineSpec(arch="x86_32", kernel=(6, 1, 176), pae=True, config=(("CONFIG_NR_CPUS", "32"),))
        )
    }
    # The recorded i386 machine: low memory ends at pfn 0x36ffe.
    assert new["3G/1G"] == 0x36FFE * PAGE
    assert new["2G/2G"] == new["3G/1G"] + 1024 * MIB


def test_low_pages_have_their_address() -> None:
    h = machine()
    assert h.kmap(5) == h.kmap_local(5) == h.page_address(5) == 0xC0005000
    h.kunmap(5)
    h.kunmap_local(0xC0005000)
    assert not any(h.pkmap_count)


def test_kmap_counts_users_plus_one() -> None:
    h = machine()
    address = h.kmap(HIGH)
    assert address == h.pkmap_base + PAGE, "the search begins behind the last slot"
    assert h.kmap(HIGH) == address
    assert h.pkmap_count[1] == 3
    h.kunmap(HIGH)
    h.kunmap(HIGH)
    assert h.pkmap_count[1] == 1
    assert h.page_address(HIGH) == address, "it stays until the next flush"
    assert h.kmap(HIGH) == address
    assert h.flushes == 0


@pytest.mark.parametrize(("pae", "slots"), [(True, 512), (False, 1024)])
def test_unused_slots_are_taken_back_at_the_wrap(pae: bool, slots: int) -> None:
    h = machine(pae=pae)
    kept = h.kmap(HIGH)
    for pfn in range(HIGH + 1, HIGH + slots - 1):
        h.kmap(pfn)
        h.kunmap(pfn)
    assert h.flushes == 0
    assert h.kmap(HIGH + slots) == h.pkmap_base
    assert h.flushes == 1
    assert h.page_address(HIGH) == kept
    assert h.page_address(HIGH + 1) == 0
    assert h.kmap(HIGH + slots + 1) == h.pkmap_base + 2 * PAGE


def test_a_full_window_makes_the_next_one_sleep() -> None:
    h = machine()
    for pfn in range(512):
        assert h.kmap(HIGH + pfn)
    before = h.pkmap_pfn[:]
    assert h.kmap(HIGH + 600) == 0
    assert h.pkmap_pfn == before
    h.kunmap(HIGH + 7)
    assert h.kmap(HIGH + 600)


def test_kunmap_of_what_is_not_mapped() -> None:
    h = machine()
    h.kmap(HIGH)
    h.kunmap(HIGH)
    before = h.save()
    for pfn in (HIGH, HIGH + 1):
        with pytest.raises(KernelBug, match="kunmap_high"):
            h.kunmap(pfn)
    assert h.save() == before


def test_short_lived_mappings_are_a_stack_below_the_top() -> None:
    h = machine(cpus=2)
    assert h.kmap_slots == 16
    a, b = h.kmap_local(HIGH), h.kmap_local(HIGH + 1)
    assert (a, a - b) == (h.fix_to_virt(KMAP_BEGIN), PAGE)
    assert h.kmap_local(HIGH, cpu=1, task=1) == a - 16 * PAGE
    with pytest.raises(KernelBug, match="newest"):
        h.kunmap_local(a)
    h.kunmap_local(b)
    h.kunmap_local(a)
    assert h.kmap_local(HIGH + 2) == a


def test_without_high_memory() -> None:
    with pytest.raises(ValueError, match="without"):
        Highmem(MachineSpec(arch="x86_32", config=(("CONFIG_HIGHMEM", "n"), ("CONFIG_NOHIGHMEM", "y"))))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 700)), max_size=300))
def test_no_slot_holds_two_pages(steps: list[tuple[bool, int]]) -> None:
    h = machine()
    users: dict[int, int] = {}
    for take, number in steps:
        pfn = HIGH + number
        if take and h.kmap(pfn):
            users[pfn] = users.get(pfn, 0) + 1
        elif not take and users.get(pfn):
            h.kunmap(pfn)
            users[pfn] -= 1
    for pfn, count in users.items():
        if count:
            assert h.pkmap_count[(h.page_address(pfn) - h.pkmap_base) // PAGE] == count + 1
    mapped = [pfn for pfn in h.pkmap_pfn if pfn >= 0]
    assert len(mapped) == len(set(mapped))
    kept = h.save()
    h.flush_all_zero_pkmaps()
    assert 1 not in h.pkmap_count
    h.load(kept)
    assert h.save() == kept
