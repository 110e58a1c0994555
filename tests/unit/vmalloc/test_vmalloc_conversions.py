"""__va, __pa, struct pages and what the kernel says of addresses that lead nowhere, on every architecture."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets import Machine
from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.oops import answer, is_canonical

KINDS = {
    "x86-64": {"memory": "1G"},
    "five levels": {"memory": "1G", "config": {"PGTABLE_LEVELS": 5}},
    "x86-64, 2.4": {"memory": "1G", "kernel": "2.4"},
    "x86-64, 2.6.11": {"memory": "1G", "kernel": "2.6.11"},
    "x86-32": {"arch": "x86_32", "memory": "2G"},
    "x86-32, PAE": {"arch": "x86_32", "memory": "6G"},
    "x86-32, 2.4": {"arch": "x86_32", "memory": "1G", "kernel": "2.4"},
    "arm64": {"arch": "arm64", "memory": "1G"},
    "arm64, 5.6": {"arch": "arm64", "memory": "1G", "kernel": "5.6"},
    "arm64, 64K": {"arch": "arm64", "memory": "1G", "config": {"ARM64_64K_PAGES": True, "ARM64_VA_BITS": 42}},
    "arm": {"arch": "arm", "memory": "512M"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back(kind: str) -> None:
    machine = Machine.boot(cpus=1, **KINDS[kind])  # type: ignore[arg-type]
    size = machine.spec().page_size
    pages = [machine.alloc_pages("GFP_KERNEL") for _ in range(3)]
    for pfn in pages:
        address = machine.va(pfn * size + 5)
        assert machine.pa(address) == pfn * size + 5
        assert machine.slow_virt_to_phys(address) == pfn * size + 5
        assert machine.virt_addr_valid(address)
        assert machine.page_to_pfn(machine.virt_to_page(address)) == pfn
        assert machine.pfn_to_page(pfn + 1) - machine.pfn_to_page(pfn) == machine.address_space.page_bytes
    area = machine.vmalloc(2 * size)
    assert not machine.virt_addr_valid(area)
    assert machine.slow_virt_to_phys(area + size) == machine.objects.area.busy[area].pfns[1] * size
    now = machine.now
    for address in (area, 8):
        with pytest.raises(KernelBug):
            machine.pa(address)
    with pytest.raises(KernelBug, match="NULL pointer dereference"):
        machine.slow_virt_to_phys(8)
    with pytest.raises(KernelBug, match=r"paging request|page fault for address"):
        machine.slow_virt_to_phys(area + 2 * size)  # the guard page
    with pytest.raises(ValueError, match="bits"):
        machine.slow_virt_to_phys(1 << 64)
    assert machine.now == now


def test_high_memory_has_no_address_but_a_struct_page() -> None:
    machine = Machine.boot(arch="x86_32", memory="2G", cpus=1)
    high = machine.highmem().max_low_pfn
    with pytest.raises(ValueError, match="no place in the direct map"):
        machine.va(high * 4096)
    assert machine.page_to_pfn(machine.pfn_to_page(high)) == high


@pytest.mark.parametrize(
    ("kernel", "arch", "bits", "address", "words"),
    [
        ((6, 1), "x86_64", 48, 0x0000800000000000, "probably for non-canonical address 0x0000800000000000: 0000"),
        ((6, 1), "x86_64", 57, 0x0000800000000000, "BUG: unable to handle page fault for address: 0000800000000000"),
        ((6, 1), "x86_64", 48, 0xFFFF800000000000, "BUG: unable to handle page fault for address: ffff800000000000"),
        ((6, 1), "x86_64", 48, 0x18, "BUG: kernel NULL pointer dereference, address: 0000000000000018"),
        ((2, 4, 22), "x86_32", 32, 0xF8000000, "Unable to handle kernel paging request at virtual address f8000000"),
        ((2, 6, 11), "x86_64", 48, 0x0000800000000000, "general protection fault: 0000"),
        ((6, 1), "arm64", 48, 0x0001000000000000, "[0001000000000000] address between user and kernel address ranges"),
        ((6, 1), "arm", 32, 0xFFE00000, "Unable to handle kernel paging request at virtual address ffe00000"),
    ],
)  # fmt: skip
def test_the_kernels_words(kernel: tuple[int, ...], arch: str, bits: int, address: int, words: str) -> None:
    assert words in answer(kernel, arch, bits, address)


@given(st.integers(0, (1 << 64) - 1), st.sampled_from((48, 57)))
def test_canonical_addresses_are_sign_extended(address: int, bits: int) -> None:
    low = address & (1 << bits) - 1
    extended = low - (1 << bits) if low >> (bits - 1) else low
    assert is_canonical(address, bits) is (address == extended % (1 << 64))


def test_arm64s_image_lies_where_vmalloc_begins() -> None:
    machine = Machine.boot(arch="arm64", memory="1G", cpus=1)
    space = machine.address_space
    area = machine.vmalloc(100)
    image = machine.snapshot().vmalloc[0]
    assert (image.start, image.flags, image.phys) == (space.area("vmalloc").start, ("vmap",), 0x40000000)
    assert area >= image.end
    assert machine.pa(space.text_start) == 0x40000000
    stack = machine.alloc_thread_stack()
    assert stack % 32768 == 0
