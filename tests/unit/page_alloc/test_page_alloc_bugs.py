"""What the kernel would BUG on, in its words, with nothing changed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets import Machine
from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.gfp import GFP_KERNEL
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.several_pages import split_page

Build = Callable[..., PageAllocator]
KERNELS = ("2.4", "2.6.11", "5.6", "5.10", "6.1", "6.6", "6.12", "6.18")
SILENT = "this kernel says nothing"
CUT_HERE = "------------[ cut here ]------------\n"
ZEROS = "0" * 16


def page(kernel: str, pfn: int, count: int, flags: str = "", order: int = 0) -> str:
    """Return mm/debug.c dump_page's lines of a page in zone 2 of a hand-made machine."""
    mapping = f"mapping:{ZEROS} index:0x0"
    word = (2 << 61) + {"": 0, "reserved": 1 << 12, "head": 1 << 16}[flags]
    if kernel in ("6.12", "6.18"):
        word = (2 << 61) + {"": 0, "reserved": 1 << 13, "head": 1 << 6}[flags]
    fields = f"{flags}|zone=2" if flags else "zone=2"
    start = f"page:{pfn * 64:016x} " if kernel not in ("6.12", "6.18") else "page: "
    first = f"{start}refcount:{count} mapcount:0 {mapping}"
    lines = {
        "5.6": [first + (" compound_mapcount: 0" if order else ""), f"flags: {word:#x}({flags})"],
        "5.10": [f"{first} pfn:{pfn:#x}", f"flags: {word:#x}({flags})"],
        "6.1": [f"{first} pfn:{pfn:#x}", f"flags: {word:#x}({fields})"],
        "6.6": [f"{first} pfn:{pfn:#x}", f"flags: {word:#x}({fields})", "page_type: 0xffffffff()"],
        "6.12": [f"{first} pfn:{pfn:#x}", f"flags: {word:#x}({fields})"],
    }
    lines["6.18"] = lines["6.12"]
    found = lines[kernel]
    head = {
        "5.10": f"head:{pfn * 64:016x} order:{order} compound_mapcount:0 compound_pincount:0",
        "6.6": f"head:{pfn * 64:016x} order:{order} entire_mapcount:0 nr_pages_mapped:0 pincount:0",
        "6.12": f"head: order:{order} mapcount:0 entire_mapcount:0 nr_pages_mapped:0 pincount:0",
    }
    head["6.1"], head["6.18"] = head["5.10"], head["6.12"]
    if order and kernel in head:
        found.insert(1, head[kernel])
    return "\n".join(found)


def bad_page(kernel: str, pfn: int, count: int, why: str, flags: str = "") -> str:
    """Return mm/page_alloc.c bad_page's lines."""
    dump = page(kernel, pfn, count, flags)
    return f"BUG: Bad page state in process kmem  pfn:{pfn:05x}\n{dump}\npage dumped because: {why}"


def said(allocator: PageAllocator, pfn: int, order: int) -> str:
    """Return what is said of a free that changes nothing."""
    before = allocator.save()
    with pytest.raises(KernelBug) as told:
        allocator.free_pages(pfn, order)
    assert allocator.save() == before
    return str(told.value)


def nobodys(kernel: str, pfn: int) -> str:
    """Return the words for a page whose count is zero.

    2.4.22: put_page_testzero lets the count fall below zero; 2.6.11: a BUG in mm/page_alloc.c, line 902, where the
    macro of include/linux/mm.h stands; since then check_new_page_bad or free_page_is_bad_report tell later.
    """
    if kernel in ("2.4", "2.6.11"):
        return SILENT if kernel == "2.4" else f"{CUT_HERE}kernel BUG at mm/page_alloc.c:902!"
    return bad_page(kernel, pfn, -1, "nonzero _refcount")


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("order", [0, 2, 5])
def test_a_double_free(build: Build, kernel: str, order: int) -> None:
    allocator = build(kernel=kernel)
    pfn = allocator.alloc_pages(GFP_KERNEL, order)
    allocator.free_pages(pfn, order)
    assert said(allocator, pfn, order) == f"{nobodys(kernel, pfn)} (the page is free already)"


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_middle_of_a_block(build: Build, kernel: str) -> None:
    allocator = build(kernel=kernel)
    pfn = allocator.alloc_pages(GFP_KERNEL, 3)
    plain = f"it lies inside the block at pfn {pfn:#x}: no allocation begins here"
    assert said(allocator, pfn + 1, 0) == f"{nobodys(kernel, pfn + 1)} ({plain})"
    allocator.free_pages(pfn, 3)
    assert said(allocator, pfn + 1, 0) == f"{nobodys(kernel, pfn + 1)} (the page is free already)"


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_wrong_order(build: Build, kernel: str) -> None:
    """mm/page_alloc.c free_pages_prepare with CONFIG_DEBUG_VM; before it nobody knew what order a block had."""
    allocator = build(kernel=kernel)
    # Twice, so that the second is what the fast path has seen before.
    for order, wrong in ((3, 2), (1, 0), (3, 2)):
        pfn = allocator.alloc_pages(GFP_KERNEL, order)
        words = SILENT
        if kernel not in ("2.4", "2.6.11"):
            words = (
                f"{page(kernel, pfn, 0, 'head', order)}\n"
                "page dumped because: VM_BUG_ON_PAGE(compound && compound_order(page) != order)\n"
                f"{CUT_HERE}kernel BUG at mm/page_alloc.c!"
            )
        assert said(allocator, pfn, wrong) == f"{words} (it was allocated with order {order}, not {wrong})"
        allocator.free_pages(pfn, order)


@pytest.mark.parametrize("kernel", KERNELS)
def test_more_pages_than_were_allocated(build: Build, kernel: str) -> None:
    """Each page of the range is looked at (2.6.11 on), else only that the block can begin there (2.4 line 121)."""
    allocator = build(kernel=kernel)
    pages = sorted(allocator.alloc_pages(GFP_KERNEL, 0) for _ in range(8))
    low = next(pfn for pfn in pages if not pfn % 2 and pfn + 1 in pages)
    words = {
        "2.4": SILENT,
        "2.6.11": (
            f"Bad page state at __free_pages_ok (in process 'kmem', page {(low + 1) * 64:08x})\n"
            f"flags:0x{2 << 61:08x} mapping:{ZEROS} mapcount:0 count:1\nBacktrace:\n"
            "Trying to fix it up, but a reboot is needed"
        ),
    }.get(kernel) or bad_page(kernel, low + 1, 1, "nonzero _refcount")
    assert said(allocator, low, 1) == f"{words} (it was allocated with order 0, not 1)"
    allocator.free_pages(low + 2 if low + 2 in pages else pages[-1], 0)
    words = {"2.4": "kernel BUG at page_alloc.c:121!", "2.6.11": f"{CUT_HERE}kernel BUG at mm/page_alloc.c:248!"}
    alone = next(pfn for pfn in pages if pfn % 2 and pfn + 1 not in pages)
    assert said(allocator, alone, 1).startswith(words.get(kernel, SILENT))


@pytest.mark.parametrize("kernel", KERNELS)
def test_reserved_and_missing_pages(build: Build, kernel: str) -> None:
    """Old kernels pass over a reserved page; 5.6 names the bad flags besides (bad_page)."""
    allocator = build(kernel=kernel, hand_over=False)
    allocator.reserve_range(0, 16)
    allocator.free_boot_range(0, 16, 65536)
    words = SILENT
    if kernel not in ("2.4", "2.6.11"):
        words = bad_page(kernel, 3, 0, "PAGE_FLAGS_CHECK_AT_FREE flag(s) set", "reserved")
        words += "\nbad because of flags: 0x1000(reserved)" if kernel == "5.6" else ""
    assert said(allocator, 3, 0) == f"{words} (boot keeps the page: it is reserved)"
    for pfn in (-1, -5, 65536, 1 << 40):
        assert re.match(r".*nable to handle .* \(pfn:.* has no struct page\)$", said(allocator, pfn, 0))


def test_a_machine_knows_where_its_structs_lie_and_what_their_flags_hold() -> None:
    """include/linux/page-flags-layout.h: node, zone and last cpu above the flags, as a real 6.1's dumps have them."""

    def words(**described: object) -> str:
        machine = Machine.boot(memory="64M", cpus=1, **described)
        page = machine.alloc_pages("GFP_KERNEL")
        machine.free_pages(page)
        with pytest.raises(KernelBug) as told:
            machine.free_pages(page)
        return str(told.value)

    assert "flags: 0xfffffc0000000(node=0|zone=1|lastcpupid=0x1fffff)\n" in words(kernel="6.1")
    assert re.search(r"page:ffffea[0-9a-f]{10} refcount:-1 ", words(kernel="6.1"))
    assert "(node=0|zone=0|lastcpupid=0xffff)\n" in words(kernel="6.1", arch="arm64")
    assert re.search(r"mapping:0{8} index:0x0 .*\nflags: 0x40000000\(zone=1\)\n", words(kernel="6.1", arch="x86_32"))
    small = words(kernel="6.1", config={"NODES_SHIFT": 6, "NR_CPUS": 64, "NUMA_BALANCING": "y"})
    assert f"flags: {(0x3FFF << 41) + (1 << 55):#x}(node=0|zone=1|lastcpupid=0x3fff)" in small
    with pytest.raises(KernelBug, match=r"^Unable to handle kernel paging request at virtual address f"):
        Machine.boot(memory="64M", cpus=1, arch="arm64").free_pages(1 << 30)


def test_bad_arguments_are_no_bug(build: Build) -> None:
    allocator = build()
    pfn = allocator.alloc_pages(GFP_KERNEL, 0)
    for call in (
        lambda: allocator.alloc_pages(GFP_KERNEL, -1),
        lambda: allocator.alloc_pages(GFP_KERNEL, 0, None, 7),
        lambda: allocator.alloc_pages(GFP_KERNEL, 0, None, -1),
        lambda: allocator.alloc_pages(3, 0),
        lambda: allocator.alloc_pages(0x18, 0),
        lambda: allocator.free_pages(pfn, 0, 3),
        lambda: allocator.free_pages(pfn, 0, -1),
    ):
        with pytest.raises(ValueError, match=r"."):
            call()
    allocator.free_pages(pfn, 0)
    assert allocator.alloc_pages(GFP_KERNEL, 11) == -1


@given(st.integers(-4, 20), st.integers(-40, 40), st.integers(-3, 3))
def test_no_bogus_free_is_taken(pfn_step: int, order: int, cpu: int) -> None:
    from tests.unit.page_alloc.conftest import build  # a fixture would be shared between examples

    allocator = build()
    pages = [allocator.alloc_pages(GFP_KERNEL, each) for each in (0, 1, 2, 3, 4)]
    for each, pfn in enumerate(pages):
        allocator.free_pages(pfn, each)
    pages = [allocator.alloc_pages(GFP_KERNEL, each) for each in (0, 1, 2, 3, 4)]
    if (pages[2] + pfn_step, order) in list(zip(pages, range(5), strict=True)) and cpu == 0:
        return
    before = allocator.save()
    with pytest.raises((KernelBug, ValueError)):
        allocator.free_pages(pages[2] + pfn_step, order, cpu)
    assert allocator.save() == before


def test_split_pages_are_freed_one_by_one(build: Build) -> None:
    allocator = build()
    pfn = allocator.alloc_pages(GFP_KERNEL, 3)
    with pytest.raises(KernelBug):
        split_page(allocator, pfn, 2)
    split_page(allocator, pfn, 3)
    with pytest.raises(KernelBug):
        allocator.free_pages(pfn, 3)
    for page in range(pfn, pfn + 8):
        allocator.free_pages(page, 0)
    with pytest.raises(KernelBug):
        allocator.free_pages(pfn + 5, 0)
