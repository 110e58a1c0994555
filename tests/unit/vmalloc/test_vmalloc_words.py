"""What each kernel says of areas that can't be had and of addresses at which there is none."""

from __future__ import annotations

import re

import pytest
from refusals import said

from kmemwidgets import Machine

CUT = "------------[ cut here ]------------"
WARNING = "WARNING: CPU: 0 PID: 0 at"
BADNESS = "Badness in __vunmap at mm/vmalloc.c"
PAGE = 4096


def boot(kernel: str, **described: object) -> Machine:
    arch = "x86_32" if kernel.startswith("2") else "x86_64"
    machine = Machine.boot(kernel=kernel, **{"memory": "64M", "cpus": 1, "arch": arch, **described})
    machine.kmem_cache_init()
    return machine


@pytest.mark.parametrize(
    ("kernel", "before", "bad", "no_area", "unmap", "nothing_mapped"),
    [
        ("2.4", [], [], [], "vfree", []),
        ("2.6.11", [], [f"{BADNESS}:360"], [f"{BADNESS}:368"], "vfree", [f"{BADNESS}:368"]),
        ("5.6", [CUT], [f"{WARNING} mm/vmalloc.c __vunmap"], [f"{WARNING} mm/vmalloc.c __vunmap"], "vfree",
         [f"{WARNING} mm/vmalloc.c __vunmap"]),
        ("6.1", [CUT], [f"{WARNING} mm/vmalloc.c __vunmap"], [f"{WARNING} mm/vmalloc.c __vunmap"], "vfree",
         [f"{WARNING} mm/vmalloc.c __vunmap"]),
        ("6.12", [CUT], [f"{WARNING} mm/vmalloc.c remove_vm_area"], [f"{WARNING} mm/vmalloc.c vfree"], "vunmap",
         [f"{WARNING} mm/vmalloc.c vunmap"]),
        ("6.18", [CUT], [f"{WARNING} mm/vmalloc.c remove_vm_area"], [f"{WARNING} mm/vmalloc.c vfree"], "vunmap",
         [f"{WARNING} mm/vmalloc.c vunmap"]),
    ],
)  # fmt: skip
def test_wrong_addresses(
    kernel: str, before: list[str], bad: list[str], no_area: list[str], unmap: str, nothing_mapped: list[str]
) -> None:
    """2.4 vfree; 2.6.11, 5.6, 6.1 __vunmap; since 6.3 remove_vm_area, vfree and vunmap."""
    machine = boot(kernel)
    address = machine.vmalloc(PAGE) + 64 * PAGE
    digits = 8 if kernel.startswith("2") else 16
    text = f"Trying to vfree() bad address ({address + 1:0{digits}x})"
    assert said(machine, "vfree", address + 1).splitlines() == [*before, text, *bad]
    text = f"Trying to vfree() nonexistent vm area ({address:0{digits}x})"
    assert said(machine, "vfree", address).splitlines() == [*before, text, *no_area]
    text = f"Trying to {unmap}() nonexistent vm area ({address:0{digits}x})"
    assert said(machine, "vunmap", address).splitlines() == [*before, text, *nothing_mapped]
    text = {
        "2.4": f"Trying to vfree() nonexistent vm area ({address:08x})",
        "2.6.11": f"__iounmap: bad address {address:08x}",
    }.get(kernel, f"iounmap: bad address {address:016x}")
    assert said(machine, "iounmap", address + 8) == text


def test_an_area_of_another_kind() -> None:
    """remove_vm_area takes any area away; the machine does not let it."""
    machine = boot("6.1")
    page = machine.alloc_pages("GFP_KERNEL")
    mapped, made = machine.vmap([page]), machine.vmalloc(PAGE)
    assert said(machine, "vfree", mapped) == f"this kernel says nothing (the area at {mapped:016x} is not vmalloc's)"
    assert said(machine, "vunmap", made) == f"this kernel says nothing (the area at {made:016x} is vmalloc's)"


@pytest.mark.parametrize("kernel", ["2.4", "2.6.11", "5.6", "6.1", "6.12", "6.18"])
def test_nothing_and_too_much(kernel: str) -> None:
    """__vmalloc: NULL [2.4, 2.6.11]; one text [5.6]; WARN_ON_ONCE(!size) and a text for each failure since 5.13."""
    machine = boot(kernel)
    for size in (0, 1 << 30, 0):
        assert machine.vmalloc(size) is None
    heads = [text.splitlines()[0] for text in machine.dmesg]
    end = ", mode:0xcc0(GFP_KERNEL), nodemask=(null),cpuset=/,mems_allowed=0"
    large = f"kmem: vmalloc error: size {1 << 30}, exceeds total pages{end}"
    if kernel.startswith("2"):
        assert heads == []
    elif kernel == "5.6":
        failed = [f"kmem: vmalloc: allocation failure: {size} bytes{end}" for size in (0, 1 << 30, 0)]
        assert heads == failed
    else:
        name = "__vmalloc_node_range" if kernel == "6.1" else "__vmalloc_node_range_noprof"
        assert heads == [large, CUT]
        assert machine.dmesg[1] == f"{CUT}\n{WARNING} mm/vmalloc.c {name}"
        assert "Mem-Info:" in machine.dmesg[0].splitlines()


@pytest.mark.parametrize(
    ("kernel", "text"),
    [
        ("5.6", "vmalloc: allocation failure, allocated {got} of {whole} bytes, mode:0xcc0(GFP_KERNEL)"),
        ("6.1",
         "vmalloc error: size {got}, page order 0, failed to allocate pages, mode:0xcc2(GFP_KERNEL|__GFP_HIGHMEM)"),
        ("6.12", "vmalloc error: size {got}, failed to allocate pages, mode:0xcc2(GFP_KERNEL|__GFP_HIGHMEM)"),
        ("6.18", "vmalloc error: size {got}, failed to allocate pages, mode:0xcc2(GFP_KERNEL|__GFP_HIGHMEM)"),
    ],
)  # fmt: skip
def test_too_few_pages(kernel: str, text: str) -> None:
    """__vmalloc_area_node: how much there was, and the flags that pages were asked for with."""
    machine = boot(kernel)
    free = machine.snapshot().meminfo.values["MemFree"] << 10
    size = free & -PAGE
    assert machine.vmalloc(size) is None
    (report,) = machine.dmesg
    got = int(re.search(r"(?:error: size|, allocated) (\d+)", report)[1])
    assert 0 < got < size
    assert got % PAGE == 0
    assert report.startswith("kmem: " + text.format(got=got, whole=size + PAGE) + ", nodemask=(null)")
    assert machine.snapshot().meminfo.values["MemFree"] << 10 <= free


@pytest.mark.parametrize("kernel", ["2.4", "2.6.11", "5.6", "6.1", "6.18"])
def test_memory_is_no_device(kernel: str) -> None:
    """__ioremap_caller: WARN_ONCE on x86; ioremap_allowed and others on arm64, each time; no word before."""
    machine = boot(kernel)
    for _ in range(2):
        assert machine.ioremap(0x1000000, PAGE) is None
    if kernel.startswith("2"):
        assert machine.dmesg == ()
        return
    said_once = f"ioremap on RAM at 0x0000000001000000 - 0x0000000001000fff\n{WARNING} arch/x86/mm/ioremap.c"
    assert machine.dmesg == (f"{CUT}\n{said_once} __ioremap_caller",)
    arm = boot(kernel, arch="arm64", memory="256M")
    for _ in range(2):
        assert arm.ioremap(arm.spec().memory[0].start, PAGE) is None
    name = {"5.6": "__ioremap_caller", "6.1": "ioremap_allowed", "6.18": "__ioremap_prot"}[kernel]
    assert arm.dmesg == (f"{CUT}\n{WARNING} arch/arm64/mm/ioremap.c {name}",) * 2
