"""Pages by address, by version: high memory has none; and the bounds of kvmalloc."""

from __future__ import annotations

import pytest

from kmemwidgets import KernelBug, Machine

HIGHUSER = "GFP_KERNEL|__GFP_HIGHMEM"


def free_pages(machine):
    """Return the free pages once no list of a cpu holds any."""
    machine.drain_all_pages()
    return machine.snapshot().vmstat.values["nr_free_pages"]


@pytest.mark.parametrize("arch", ["x86_64", "x86_32", "arm64", "arm"])
def test_pages_come_and_go_by_address(arch, tmp_path):
    machine = Machine.boot(arch=arch, memory="256M", cpus=1)
    free = free_pages(machine)
    address = machine.get_free_pages("GFP_KERNEL", 3)
    assert machine.virt_addr_valid(address)
    pfn = machine.pa(address) // 4096
    assert machine.frame(pfn).order == 3
    page = getattr(machine, "__get_free_pages")()
    zeroed = machine.get_zeroed_page()
    assert page != zeroed
    seen = free_pages(machine)
    assert free - seen == 10
    machine.save(tmp_path / "m.json")
    assert Machine.load(tmp_path / "m.json").snapshot().vmstat.values["nr_free_pages"] == seen
    machine.free_page(page)
    machine.free_page(zeroed)
    machine.free_pages(address, 3)
    assert free_pages(machine) == free
    machine.undo()
    machine.undo()
    assert machine.frame(pfn).order == 3


@pytest.mark.parametrize(("kernel", "lost"), [("2.4", 1), ("2.6.11", 1), ("5.6", 0), ("6.12", 0)])
def test_a_high_page_has_no_address(kernel, lost):
    machine = Machine.boot(arch="x86_32", memory="2G", cpus=1, kernel=kernel)
    high = machine.snapshot().zone(0, "HighMem").free
    address = machine.get_free_pages(HIGHUSER)
    assert (address is None) == bool(lost)
    machine.drain_all_pages()
    assert high - machine.snapshot().zone(0, "HighMem").free == lost, "nobody can give it back"


@pytest.mark.parametrize(
    ("kernel", "words"),
    [("2.4", "NULL pointer dereference"), ("2.6.11", r"kernel BUG at mm/page_alloc\.c!"), ("6.1", "")],
)
def test_a_zeroed_high_page(kernel, words):
    machine = Machine.boot(arch="x86_32", memory="2G", cpus=1, kernel=kernel)
    if not words:
        assert machine.get_zeroed_page(HIGHUSER) < 0xC0000000 + (machine.highmem().max_low_pfn << 12)
        return
    with pytest.raises(KernelBug, match=words):
        machine.get_zeroed_page(HIGHUSER)
    assert machine.now == 0


@pytest.mark.parametrize(
    ("kernel", "words"), [("2.4", "paging request"), ("6.1", r"kernel BUG at mm/page_alloc\.c!.*no page's address")]
)
def test_an_address_that_is_no_pages(kernel, words):
    machine = Machine.boot(arch="x86_32", memory="2G", cpus=1, kernel=kernel)
    area = machine.vmalloc(4096)
    now = machine.now
    for address in (area, 0xFFFFF000):
        with pytest.raises(KernelBug, match=words):
            machine.free_pages(address)
    with pytest.raises(KernelBug):
        machine.free_page(machine.va(0x5000000))
    assert machine.now == now


def test_kvmalloc_goes_on_to_vmalloc_only_for_who_may_wait():
    for kernel, gfp, goes_on in (
        ("5.6", "GFP_KERNEL", True), ("5.6", "GFP_NOFS", False), ("6.1", "GFP_NOFS", True),
        ("6.1", "GFP_NOWAIT", False),
    ):  # fmt: skip
        machine = Machine.boot(memory="256M", cpus=1, kernel=kernel)
        assert bool(machine.kvmalloc(6 << 20, gfp)) == goes_on, (kernel, gfp)


def test_kvmalloc_of_more_than_int_max():
    for kernel, given in (("5.6", True), ("6.1", False)):
        machine = Machine.boot(memory="6G", cpus=1, kernel=kernel)
        assert bool(machine.kvmalloc(1 << 31)) == given
        assert any("mm/util.c kvmalloc_node" in line for line in machine.dmesg) != given


def test_kvmalloc_takes_huge_pages_from_5_18_on():
    for kernel, order in (("5.6", 0), ("6.1", 9)):
        machine = Machine.boot(memory="512M", cpus=1, kernel=kernel)
        assert machine.objects.area is None
        address = machine.kvmalloc(8 << 20)
        assert machine.objects.area.busy[address].order == order
