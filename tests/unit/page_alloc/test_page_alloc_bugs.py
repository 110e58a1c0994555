"""What the kernel would BUG on, in its words, with nothing changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.gfp import GFP_KERNEL
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.several_pages import split_page

Build = Callable[..., PageAllocator]
KERNELS = ("2.4", "2.6.11", "5.6", "6.1", "6.12", "6.18")
#: What each kernel writes of a page that nobody has, of one that boot keeps, and of a wrong order.
WORDS = {
    "2.4": (r"kernel BUG at page_alloc\.c!",) * 3,
    "2.6.11": (
        r"kernel BUG at include/linux/mm\.h!",
        *(r"Bad page state at free_hot_cold_page \(in process 'kmem', pfn 0*[0-9a-f]+\)",) * 2,
    ),
    **dict.fromkeys(
        ("5.6", "6.1", "6.12", "6.18"),
        (
            r"BUG: Bad page state in process kmem  pfn:[0-9a-f]{5}\npage dumped because: nonzero _refcount",
            (
                r"BUG: Bad page state in process kmem  pfn:[0-9a-f]{5}\npage dumped because: PAGE_FLAGS_CHECK_AT_FREE "
                r"flag\(s\) set"
            ),
            (
                r"page dumped because: VM_BUG_ON_PAGE\(compound && compound_order\(page\) != order\)\n"
                r"kernel BUG at mm/page_alloc\.c!"
            ),
        ),
    ),
}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("order", [0, 2, 5])
def test_a_double_free_is_a_bad_page(build: Build, kernel: str, order: int) -> None:
    allocator = build(kernel=kernel)
    pfn = allocator.alloc_pages(GFP_KERNEL, order)
    allocator.free_pages(pfn, order)
    before = allocator.save()
    with pytest.raises(KernelBug, match=rf"^{WORDS[kernel][0]} \(.*free already\)$"):
        allocator.free_pages(pfn, order)
    assert allocator.save() == before


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_wrong_order_is_a_bad_page(build: Build, kernel: str) -> None:
    allocator = build(kernel=kernel)
    # Twice, so that the second is what the fast path has seen before.
    for order, wrong in ((3, 2), (0, 1), (1, 0), (3, 2)):
        pfn = allocator.alloc_pages(GFP_KERNEL, order)
        before = allocator.save()
        with pytest.raises(KernelBug, match=rf"^{WORDS[kernel][2]} \(.*order {order}, not {wrong}\)$"):
            allocator.free_pages(pfn, wrong)
        assert allocator.save() == before
        allocator.free_pages(pfn, order)


def test_the_middle_of_a_block_can_not_be_freed(build: Build) -> None:
    allocator = build()
    pfn = allocator.alloc_pages(GFP_KERNEL, 3)
    with pytest.raises(KernelBug, match=r"VM_BUG_ON_PAGE\(PageTail\(page\)\)\n.*no allocation begins here"):
        allocator.free_pages(pfn + 1, 0)
    allocator.free_pages(pfn, 3)
    with pytest.raises(KernelBug, match="nonzero _refcount"):
        allocator.free_pages(pfn + 1, 0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_reserved_and_missing_pages_can_not_be_freed(build: Build, kernel: str) -> None:
    allocator = build(kernel=kernel, hand_over=False)
    allocator.reserve_range(0, 16)
    allocator.free_boot_range(0, 16, 65536)
    before = allocator.save()
    with pytest.raises(KernelBug, match=rf"^{WORDS[kernel][1]}.*\(.*reserved\)$" if kernel != "5.6" else "0x1000"):
        allocator.free_pages(3, 0)
    for pfn in (-1, -5, 65536, 1 << 40):
        with pytest.raises(KernelBug, match=r"nable to handle .* \(pfn:.* has none\)$"):
            allocator.free_pages(pfn, 0)
    assert allocator.save() == before


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
