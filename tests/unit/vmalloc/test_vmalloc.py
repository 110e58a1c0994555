"""vmalloc: where areas lie, when they come back, and what is shown of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.vmalloc import TABLE, VmallocRules
from kmemwidgets.sim.vmalloc import Vmalloc
from kmemwidgets.sim.vmap_space import CHUNK, FreeSpace

START, END = 0xFFFFC90000000000, 0xFFFFE90000000000
PAGE = 4096


def space(kernel: tuple[int, ...] = (6, 1, 192), cpus: int = 1, **options: object) -> Vmalloc:
    return Vmalloc(pick(VmallocRules, TABLE, kernel), START, END, cpus=cpus, **options)  # type: ignore[arg-type]


class Blocks:
    """Counts what is out."""

    def __init__(self, pages: int, huge: bool = True) -> None:
        self.left = pages
        self.huge = huge
        self.next = 0

    def alloc_pages(self, gfp: int, order: int = 0, nid: int | None = None, cpu: int = 0) -> int:
        if self.left < 1 << order or (order and not self.huge):
            return -1
        self.left -= 1 << order
        self.next += 1 << order
        return self.next

    def free_pages(self, pfn: int, order: int = 0, cpu: int = 0) -> None:
        self.left += 1 << order


def test_areas_follow_each_other_with_a_guard_page() -> None:
    v = space()
    assert [v.vmalloc(size) - START for size in (1, PAGE, 3 * PAGE, PAGE)] == [0, 2 * PAGE, 4 * PAGE, 8 * PAGE]
    assert v.areas()[2].size == 4 * PAGE
    assert v.areas()[2].pages == 3


def test_a_freed_area_is_not_used_before_the_purge() -> None:
    v = space()
    first = v.vmalloc(PAGE)
    v.vmalloc(PAGE)
    v.vfree(first)
    assert v.vmalloc(PAGE) == START + 4 * PAGE
    assert [row.flags for row in v.areas()][-1] == ("unpurged vm_area",)
    v.purge()
    assert v.vmalloc(PAGE) == first
    assert v.lazy_pages == 0


def test_the_lowest_hole_that_fits() -> None:
    v = space()
    areas = [v.vmalloc(pages * PAGE) for pages in (1, 4, 1, 2, 1)]
    for number in (1, 3):
        v.vfree(areas[number])
    v.purge()
    assert v.vmalloc(2 * PAGE) == areas[1]
    assert v.vmalloc(2 * PAGE) == areas[3]


def test_holes_join_on_both_sides() -> None:
    v = space()
    _, a, b, c, _ = (v.vmalloc(PAGE) for _ in range(5))
    for area in (a, c, b):
        v.vfree(area)
        v.purge()
    assert list(v.free)[1] == (a, c + 2 * PAGE)


@pytest.mark.parametrize(
    ("kernel", "align", "page"),
    [((6, 1), 4 * PAGE, 8), ((6, 1), PAGE, 2), ((5, 6), PAGE, 8), ((5, 6), 1, 2)],
)
def test_alignment_costs(kernel: tuple[int, ...], align: int, page: int) -> None:
    # A hole of five pages from page 2 on, whose start is not aligned to four.
    v = space(kernel)
    v.vmalloc(PAGE)
    hole = v.vmalloc(3 * PAGE if align == 4 * PAGE else 2 * PAGE)
    v.vmalloc(PAGE)
    v.vfree(hole)
    v.purge()
    assert hole == START + 2 * PAGE
    size = (2 if align == 4 * PAGE else 3) * PAGE
    found, _ = v.alloc_vmap_area(size, align)
    assert (found - START) // PAGE == (8 if align == 4 * PAGE else 2 if page == 2 else 7)
    assert found % align == 0


def test_too_many_lazy_pages_bring_a_purge() -> None:
    v = space(cpus=1)
    limit = 32 << 20
    one = v.vmalloc(limit - PAGE)
    two = v.vmalloc(PAGE)
    v.vfree(one)
    # Its array of page pointers lies in an area of its own, and is freed with it.
    assert v.lazy_pages == 0
    v.vfree(two)
    assert v.lazy_pages == 2
    assert space(cpus=4).rules.lazy_max_pages(4, PAGE) == 3 * 8192


def test_a_full_space_is_purged_before_it_fails() -> None:
    v = Vmalloc(pick(VmallocRules, TABLE, (6, 1)), START, START + 4 * PAGE)
    v.vfree(v.vmalloc(3 * PAGE))
    assert v.vmalloc(3 * PAGE) == START
    assert v.vmalloc(PAGE) == 0
    assert v.dmesg == [
        "vmap allocation for size 8192 failed: use vmalloc=<size> to increase size",
        "vmalloc error: size 4096, vm_struct allocation failed",
    ]


def test_old_kernels_free_at_once() -> None:
    v = space((2, 4, 22))
    v.vfree(v.vmalloc(PAGE))
    assert v.vmalloc(PAGE) == START
    assert v.unpurged() == ()


def test_bounds_of_modules_share_the_free_space() -> None:
    v = space()
    low, high = 0xFFFFFFFFC0000000, 0xFFFFFFFFFF000000
    assert v.vmalloc(PAGE, bounds=(low, high)) == low
    assert v.vmalloc(PAGE, bounds=(low, high)) == low + 2 * PAGE
    assert v.vmalloc(PAGE) == START
    assert v.vmalloc(2 << 30, bounds=(low, high)) == 0


def test_large_areas_have_their_array_beside_them() -> None:
    v = space()
    v.vmalloc(513 * PAGE, caller="me")
    big, array = v.areas()
    assert (big.flags, array.flags) == (("vmalloc", "vpages"), ("vmalloc",))
    assert (array.pages, array.start) == (2, big.end)
    v.vfree(big.start)
    assert v.busy == {}
    assert len(v.areas()) == 1, "the two freed ranges touch and are shown as one"
    one_page = space()
    one_page.vmalloc(512 * PAGE)
    assert [row.flags for row in one_page.areas()] == [("vmalloc",)]


def test_pages_come_and_go() -> None:
    pages = Blocks(20)
    v = space(page_alloc=pages, total_pages=100)
    area = v.vmalloc(10 * PAGE)
    assert pages.left == 10
    assert v.vmalloc_to_pfn(area + 3 * PAGE + 5) == v.busy[area].pfns[3]
    assert v.nr_vmalloc_pages() == 10
    assert v.vmalloc(11 * PAGE) == 0
    assert pages.left == 10
    assert "failed to allocate pages" in v.dmesg[-1]
    assert v.vmalloc(101 * PAGE) == 0
    assert v.dmesg[-1].endswith("exceeds total pages")
    assert v.vmalloc(0) == 0
    v.vfree(area)
    assert pages.left == 20
    with pytest.raises(KernelBug, match="page fault"):
        v.vmalloc_to_pfn(area)


def test_huge_mappings_and_back_to_small_pages() -> None:
    v = space(page_alloc=Blocks(10000))
    area = v.vmalloc(3 << 20, huge=True)
    assert area % (2 << 20) == 0
    assert v.busy[area].order == 9
    assert v.busy[area].row.pages == 1024
    assert v.vmalloc_to_pfn(area + (2 << 20) + PAGE) == v.busy[area].pfns[1] + 1
    small = space(page_alloc=Blocks(10000, huge=False))
    assert small.busy[small.vmalloc(3 << 20, huge=True)].order == 0
    old = space((5, 6), page_alloc=Blocks(10000))
    assert old.busy[old.vmalloc(3 << 20, huge=True)].order == 0


def test_ioremap_is_aligned_to_its_size() -> None:
    v = space()
    v.vmalloc(PAGE)
    assert v.ioremap(0xFED00004, 0x5000) == START + (8 * PAGE) + 4
    row = v.areas()[1]
    assert (row.phys, row.size, row.flags) == (0xFED00000, 7 * PAGE, ("ioremap",))
    v.vunmap(row.start + 4)
    assert len(v.busy) == 1


def test_vmap_shows_pages_that_stay_their_owners() -> None:
    pages = Blocks(10)
    v = space(page_alloc=pages)
    start = v.vmap([7, 9, 8])
    # vmap doesn't count pages that it doesn't own: its row has no "pages=".
    assert (v.areas()[0].pages, v.areas()[0].flags) == (None, ("vmap",))
    assert v.vmalloc_to_pfn(start + PAGE) == 9
    v.vunmap(start)
    assert pages.left == 10


def test_stacks_are_kept_for_the_next_fork() -> None:
    v = space()
    stacks = [v.alloc_thread_stack() for _ in range(3)]
    assert [stack - START for stack in stacks] == [0, 0x8000, 0x10000]
    for stack in stacks:
        v.free_thread_stack(stack)
    assert v.stacks[0] == stacks[:2]
    assert len(v.busy) == 2
    assert v.alloc_thread_stack() == stacks[0]
    # The first slot is empty now: what comes back next is what goes out next.
    other = v.vmalloc(4 * PAGE)
    v.free_thread_stack(other)
    assert v.alloc_thread_stack() == other
    with pytest.raises(KernelBug, match="nonexistent"):
        v.free_thread_stack(stacks[1])


def test_wrong_addresses() -> None:
    v = space()
    area = v.vmalloc(PAGE)
    mapped = v.vmap([1])
    before = v.save()
    for call, address, words in (
        (v.vfree, area + 8, "bad address"), (v.vfree, area + PAGE, "nonexistent"), (v.vfree, mapped, "not vmalloc's"),
        (v.vunmap, area, "is vmalloc's"), (v.free_thread_stack, 0x1000, "nonexistent"),
    ):  # fmt: skip
        checked: Callable[[int], None] = call
        with pytest.raises(KernelBug, match=words):
            checked(address)
    v.vfree(0)
    assert v.save() == before


def test_vmap_nodes_keep_small_areas_ready() -> None:
    v = space((6, 9), cpus=2)
    a = v.vmalloc(PAGE, cpu=0)
    b = v.vmalloc(PAGE, cpu=1)
    v.vfree(a)
    v.vfree(b)
    v.purge()
    assert v.vmalloc(2 * PAGE, cpu=0) == START + 4 * PAGE
    assert v.vmalloc(PAGE, cpu=1) == b
    assert v.vmalloc(PAGE, cpu=0) == a


def test_pools_decay_and_refuse_large_areas() -> None:
    v = space((6, 9), cpus=2)
    areas = [v.vmalloc(PAGE, cpu=0) for _ in range(8)]
    large = v.vmalloc(300 * PAGE, cpu=0)
    for area in (*areas, large):
        v.vfree(area)
    v.purge()
    assert len(v.nodes[0].pools[2]) == 8
    assert 301 not in v.nodes[0].pools
    v.purge()
    assert len(v.nodes[0].pools[2]) == 6
    assert len(space((6, 1), cpus=8).nodes) == 1
    assert len(space((6, 9), cpus=200).nodes) == 128


def test_save_and_load() -> None:
    v = space((6, 12), cpus=2)
    areas = [v.vmalloc(n * PAGE, cpu=n % 2) for n in range(1, 9)]
    v.vfree(areas[2])
    kept = v.save()
    v.purge()
    v.vfree(areas[4])
    v.alloc_thread_stack()
    v.load(kept)
    assert v.save() == kept


SIZES = st.integers(1, 6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), SIZES, st.sampled_from([1, PAGE, 4 * PAGE])), max_size=120))
def test_first_fit_is_what_a_plain_search_finds(steps: list[tuple[int, int, int]]) -> None:
    v = space()
    # The free range below START would make the first hole longer than it looks.
    taken = {v.alloc_vmap_area(PAGE)[0]: PAGE}
    for op, pages, align in steps:
        if op < 2:
            size = pages * PAGE
            length = size + align - 1 if align > PAGE else size
            edges = [START, *(start + taken[start] for start in sorted(taken))]
            expected = min(
                at
                for low in edges
                for at in [-(-low // align) * align]
                if _hole(taken, low) >= length and _hole(taken, at) >= size
            )
            found, _ = v.alloc_vmap_area(size, align)
            assert found == expected
            taken[found] = size
        elif len(taken) > 1:
            start = sorted(taken)[1 + pages % (len(taken) - 1)]
            v.free_vmap_area(start, start + taken.pop(start))
            v.purge()
    ranges = list(v.free)
    assert all(a[1] < b[0] for a, b in pairwise(ranges))
    assert sum(end - start for start, end in ranges) + sum(taken.values()) == (1 << 64) - 2


def _hole(taken: dict[int, int], at: int) -> int:
    """Return how far it is free from an address on, 0 inside an area."""
    if any(start <= at < start + size for start, size in taken.items()):
        return 0
    return min((start for start in taken if start >= at), default=END) - at


def test_many_holes_are_searched_by_chunks() -> None:
    free = FreeSpace(0, 1 << 30)
    for number in range(4 * CHUNK):
        free.take(number * 16 + 8, number * 16 + 16)
    assert len(free.chunks) > 3
    assert free.largest == [max(end - start for start, end in chunk) for chunk in free.chunks]
    assert free.find(9, 1, 0, 1 << 30, 9) == 4 * CHUNK * 16
    assert free.find(8, 1, 100 * 16 + 1, 1 << 30, 8) == 101 * 16
    with pytest.raises(ValueError, match="not free"):
        free.take(8, 9)
    with pytest.raises(ValueError, match="free already"):
        free.give(0, 4)
    for number in range(4 * CHUNK):
        free.give(number * 16 + 8, number * 16 + 16)
    assert list(free) == [(0, 1 << 30)]
    free.take(0, 1 << 30)
    assert free.find(1, 1, 0, 1 << 30, 1) == -1
    free.give(5, 6)
    assert list(free) == [(5, 6)]


def test_a_pool_gives_the_area_that_waited_longest() -> None:
    v = space((6, 12, 117), cpus=2)
    held = [v.vmalloc(PAGE, cpu=0) for _ in range(3)]
    for address in held:
        v.vfree(address, cpu=0)
    v.purge()
    assert [v.vmalloc(PAGE, cpu=0) for _ in range(3)] == held
