"""SLAB of 2.4 and 2.6.11: sizes, colours, arrays and the three lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slub_kit import FewPages

from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.slab import TABLE, SlabRules
from kmemwidgets.sim.slab24 import Slab24, SlabCache24, slab_geometry

OLD = pick(SlabRules, TABLE, (2, 4, 22))
NEW = pick(SlabRules, TABLE, (2, 6, 11))


def cache(rules: SlabRules = OLD, size: int = 100, cpus: int = 1, pages: int = 1 << 16) -> SlabCache24:
    return SlabCache24("things", slab_geometry(rules, size), rules, FewPages(pages), cpus=cpus)


@pytest.mark.parametrize(
    ("rules", "size", "order", "num", "off_slab"),
    [
        (OLD, 32, 0, 113, False), (NEW, 32, 0, 119, False), (OLD, 128, 0, 30, False), (OLD, 512, 0, 8, True),
        (NEW, 1024, 0, 4, True), (OLD, 2048, 0, 2, True), (OLD, 4096, 0, 1, True), (OLD, 131072, 5, 1, True),
    ],
)  # fmt: skip
def test_how_slabs_are_cut(rules: SlabRules, size: int, order: int, num: int, off_slab: bool) -> None:
    # size-32 of 2.4 has 113 objects a slab, of 2.6 on i386 119: /proc/slabinfo of such machines.
    g = slab_geometry(rules, size)
    assert (g.order, g.num, g.off_slab) == (order, num, off_slab)


def test_too_wasteful_slabs_grow_until_they_are_large_enough() -> None:
    assert slab_geometry(OLD, 1400).order == 2
    assert slab_geometry(NEW, 1400).order == 1
    assert slab_geometry(NEW, 1400, large_machine=False).order == 0
    with pytest.raises(ValueError, match="couldn't create"):
        slab_geometry(OLD, 200_000)


def test_a_descriptor_moves_in_where_it_fits() -> None:
    g = slab_geometry(OLD, 1360, large_machine=False)
    assert not slab_geometry(OLD, 900).off_slab
    assert g.off_slab == (g.left_over < g.slab_size)


def test_colours_shift_each_slab_by_a_cache_line() -> None:
    c = cache(size=904)
    g = c.geometry
    assert g.colours >= 2
    bases = [c.alloc() % 4096 for _ in range(g.num * (g.colours + 1))][:: g.num]
    assert [base - bases[0] for base in bases] == [n * 32 for n in range(g.colours)] + [0]


def test_objects_go_out_by_number_and_come_back_last_first() -> None:
    c = cache(size=128)
    a, b, d = (c.alloc() for _ in range(3))
    assert (b - a, d - b) == (128, 128)
    c.release(a)
    c.release(d)
    assert [c.alloc(), c.alloc()] == [d, a]


def test_lists_of_2_4() -> None:
    c = cache(size=1024)
    taken = [c.alloc() for _ in range(2 * c.geometry.num)]
    assert (len(c.full), len(c.partial), len(c.free)) == (2, 0, 0)
    c.release(taken[0])
    assert (len(c.full), len(c.partial)) == (1, 1)
    for address in taken[1 : c.geometry.num]:
        c.release(address)
    assert (len(c.full), len(c.partial), len(c.free)) == (1, 0, 1)
    assert c.shrink() == 1


def test_arrays_of_2_6_take_and_give_batches() -> None:
    c = cache(NEW, size=2048, cpus=2)
    assert (c.limit, c.batchcount) == (24, 12)
    first = c.alloc()
    assert len(c.arrays[0]) == 1, "a refill makes one new slab, not more"
    taken = [first, *(c.alloc() for _ in range(40))]
    for address in taken[:24]:
        c.release(address, cpu=1)
    assert len(c.arrays[1]) == 24
    c.release(taken[24], cpu=1)
    assert c.arrays[1] == taken[12:25]
    assert c.alloc(cpu=1) == taken[24]


def test_empty_slabs_go_once_there_are_enough() -> None:
    c = cache(NEW, size=2048)
    for address in [c.alloc() for _ in range(200)]:
        c.release(address)
    assert c._free_objects() <= c._free_limit()
    assert isinstance(c.page_alloc, FewPages)
    assert len(c.page_alloc.out) < 100


def test_wrong_pointers() -> None:
    c = cache()
    address = c.alloc()
    c.alloc()
    before = c.save()
    for wrong, words in ((address + 4, "is no object"), (0x1000, "in no slab")):
        with pytest.raises(KernelBug, match=words):
            c.release(wrong)
    assert c.save() == before
    c.release(address)
    with pytest.raises(KernelBug, match="double free"):
        c.release(address)


def test_no_pages() -> None:
    c = cache(size=4096, pages=3)
    assert [bool(c.alloc()) for _ in range(4)] == [True, True, True, False]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 99)), max_size=200), st.sampled_from([OLD, NEW]))
def test_no_byte_is_owned_twice(steps: list[tuple[bool, int]], rules: SlabRules) -> None:
    c = cache(rules, size=700)
    live: list[int] = []
    for take, number in steps:
        if take:
            live.append(c.alloc())
        elif live:
            c.release(live.pop(number % len(live)))
    assert len(set(live)) == len(live)
    assert all(b - a >= 700 for a, b in zip(sorted(live), sorted(live)[1:], strict=False))
    info = c.info()
    assert info.active_objs == len(live) + len(c.arrays[0])
    kept = c.save()
    c.alloc()
    c.load(kept)
    assert c.save() == kept


@pytest.mark.parametrize(("rules", "to_tail"), [(OLD, False), (NEW, True)])
def test_a_slab_that_gets_an_object_back(rules: SlabRules, to_tail: bool) -> None:
    c = cache(rules, size=1000)
    taken = [c._take(0) for _ in range(3 * c.geometry.num)]
    first, second = taken[0], taken[c.geometry.num]
    c._put(first)
    c._put(second)
    order = [c._find(first)[0].pfn, c._find(second)[0].pfn]
    assert list(c.partial) == (order if to_tail else order[::-1])


def test_kmalloc_of_old_kernels() -> None:
    slab = Slab24(FewPages(), NEW)
    assert [cache.name for cache in slab.general][:6] == [f"size-{n}" for n in (32, 64, 96, 128, 192, 256)]
    address = slab.kmalloc(65)
    assert slab.caches()[-3].active_objs == 1 + len(slab.general[2].arrays[0])
    slab.kfree(address)
    assert slab.kmalloc(90) == address
    assert slab.kmalloc(131073) == 0
    slab.kfree(0)
    with pytest.raises(KernelBug, match="in no slab"):
        slab.kfree(0x1000)
    assert "size-96" not in [cache.name for cache in Slab24(FewPages(), OLD).general]


def test_caches_of_old_kernels() -> None:
    slab = Slab24(FewPages(), OLD)
    cache = slab.kmem_cache_create("inodes", 480)
    with pytest.raises(KernelBug, match="duplicate"):
        slab.kmem_cache_create("inodes", 480)
    with pytest.raises(KernelBug, match="couldn't create"):
        slab.kmem_cache_create("huge", 200_000)
    address = slab.kmem_cache_alloc(cache)
    with pytest.raises(KernelBug, match="Can't free all objects"):
        slab.kmem_cache_destroy(cache)
    slab.kmem_cache_free(cache, address)
    slab.kmem_cache_destroy(cache)
    assert cache not in slab.slab_caches
    assert cache.pages == {}
