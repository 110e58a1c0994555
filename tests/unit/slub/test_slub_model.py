"""SLUB's lists: who gets which object next, and where slabs go."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slub_kit import BASE, FewPages, boot

from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.slab_cache import CPU_PARTIAL, CPU_SLAB, FULL, NODE_PARTIAL, KmemCache, Slab
from kmemwidgets.sim.slab_create import objects_in_use
from kmemwidgets.sim.slub import Slub
from kmemwidgets.sim.slub_init import check, load, save

KERNELS = [(5, 6, 4), (6, 1, 192), (6, 12, 117), (6, 18, 35)]


def take_slabs(slub: Slub, cache: KmemCache, slabs: int, cpu: int = 0) -> list[list[int]]:
    """Take all objects of some new slabs, slab by slab."""
    return [[slub.kmem_cache_alloc(cache, cpu=cpu) for _ in range(cache.geometry.objs_per_slab)] for _ in range(slabs)]


def slab_of(slub: Slub, address: int) -> Slab:
    return slub.slabs[address >> slub.page_shift]


def test_last_freed_goes_out_first() -> None:
    slub = boot()
    cache = slub.kmem_cache_create("things", 100)
    a, b, c = (slub.kmem_cache_alloc(cache) for _ in range(3))
    for address in (a, c, b):
        slub.kmem_cache_free(cache, address)
    assert [slub.kmem_cache_alloc(cache) for _ in range(3)] == [b, c, a]


def test_objects_lie_side_by_side_from_the_page_on() -> None:
    slub = boot(CONFIG_SLAB_FREELIST_RANDOM="n")
    cache = slub.kmem_cache_create("things", 100)
    first = slub.kmem_cache_alloc(cache)
    assert (first - BASE) % 4096 == 0
    assert [slub.kmem_cache_alloc(cache) - first for _ in range(3)] == [104, 208, 312]


def test_shuffled_slabs_share_one_cyclic_order() -> None:
    slub = boot(seed=3)
    cache = slub.kmem_cache_create("things", 256)
    one, two = ([slab_of(slub, x).index_of(x) for x in row] for row in take_slabs(slub, cache, 2))
    assert sorted(one) == sorted(two) == list(range(16))
    assert one != list(range(16))
    starts = {slab_of(slub, row[0]).index_of(row[0]) for row in take_slabs(slub, cache, 6)}
    assert len(starts) > 1, "each slab begins elsewhere in it"
    at = two.index(one[0])
    assert two[at:] + two[:at] == one


def test_frees_to_another_slab_wait_on_the_cpu_partial_list() -> None:
    slub = boot()
    cache = slub.kmem_cache_create("things", 1024)
    one, two, three = take_slabs(slub, cache, 3)
    assert slab_of(slub, one[0]).place == FULL
    slub.kmem_cache_free(cache, one[0])
    slub.kmem_cache_free(cache, one[1])
    slub.kmem_cache_free(cache, two[0])
    assert slab_of(slub, one[0]).place == CPU_PARTIAL
    assert slab_of(slub, three[0]).place == CPU_SLAB
    # The slab put aside last comes first, and in it the object freed last.
    assert [slub.kmem_cache_alloc(cache) for _ in range(3)] == [two[0], one[1], one[0]]


@pytest.mark.parametrize(("kernel", "frozen"), [((6, 1, 192), True), ((6, 12, 117), False)])
def test_slabs_put_aside_are_frozen_or_not(kernel: tuple[int, ...], frozen: bool) -> None:
    slub = boot(kernel)
    cache = slub.kmem_cache_create("things", 1024)
    one, _ = take_slabs(slub, cache, 2)
    slub.kmem_cache_free(cache, one[0])
    assert slab_of(slub, one[0]).frozen is frozen


def test_a_full_cpu_partial_list_moves_to_the_node() -> None:
    slub = boot()
    cache = slub.kmem_cache_create("things", 1024)
    limit = cache.geometry.cpu_partial_slabs
    rows = take_slabs(slub, cache, limit + 2)
    for row in rows[: limit + 1]:
        slub.kmem_cache_free(cache, row[0])
    places = [slab_of(slub, row[0]).place for row in rows]
    assert places == [NODE_PARTIAL] * limit + [CPU_PARTIAL, CPU_SLAB]
    # The list moves head first, and each slab to the tail.
    order = [slab.base for slab in cache.nodes[0].partial.values()]
    assert order == [slab_of(slub, row[0]).base for row in reversed(rows[:limit])]
    assert check(slub) == []


def test_5_6_counts_free_objects_when_slabs_are_put_aside() -> None:
    slub = boot((5, 6, 4))
    cache = slub.kmem_cache_create("things", 1024)
    rows = take_slabs(slub, cache, 10)
    for row in rows[:8]:
        slub.kmem_cache_free(cache, row[0])
    # 6 objects may wait; the list moves when more than 6 are on it already.
    assert [slab_of(slub, row[0]).place for row in rows[:8]] == [NODE_PARTIAL] * 7 + [CPU_PARTIAL]


def test_the_node_gives_a_slab_and_some_for_the_cpus_list() -> None:
    slub = boot()
    cache = slub.kmem_cache_create("things", 1024)
    limit = cache.geometry.cpu_partial_slabs
    rows = take_slabs(slub, cache, 4 * limit)
    for row in rows:
        slub.kmem_cache_free(cache, row[0])
    slub.flush_cpu(cache, 0)
    waiting = [slab.base for slab in cache.nodes[0].partial.values()]
    got = slub.kmem_cache_alloc(cache)
    assert slab_of(slub, got).base == waiting[0]
    assert [slab.base for slab in cache.cpus[0].partial] == waiting[1 : limit // 2 + 2]


def test_remote_frees_wait_on_the_slab_itself() -> None:
    slub = boot(cpus=2)
    cache = slub.kmem_cache_create("things", 1024)
    a, b = (slub.kmem_cache_alloc(cache, cpu=0) for _ in range(2))
    slub.kmem_cache_free(cache, a, cpu=1)
    assert slab_of(slub, a).freelist == [a]
    slub.kmem_cache_free(cache, b, cpu=0)
    assert slub.next_object(cache, 0) == b
    rest = [slub.kmem_cache_alloc(cache, cpu=0) for _ in range(cache.geometry.objs_per_slab - 1)]
    assert a not in rest
    assert slub.kmem_cache_alloc(cache, cpu=0) == a
    assert check(slub) == []


def test_an_empty_slab_goes_back_once_the_node_has_enough() -> None:
    slub = boot()
    cache = slub.kmem_cache_create("things", 4096)
    rows = take_slabs(slub, cache, 12)
    for row in rows:
        slub.kmem_cache_free(cache, row[0])
    slub.flush_cpu(cache, 0)
    keep = cache.geometry.min_partial
    before = cache.num_slabs()
    for row in rows:
        for address in row[1:]:
            slub.kmem_cache_free(cache, address)
    assert before == 12
    # A slab that becomes empty counts itself: with `keep` on the list it goes.
    assert cache.num_slabs() == keep - 1
    assert len(cache.nodes[0].partial) == keep - 1
    assert check(slub) == []


def test_shrink_sorts_by_fullness_and_keeps_no_empty_slab() -> None:
    slub = boot()
    cache = slub.kmem_cache_create("things", 1024)
    rows = take_slabs(slub, cache, 4)
    for count, row in zip((3, 8, 1), rows, strict=False):
        for address in row[:count]:
            slub.kmem_cache_free(cache, address)
    assert slub.kmem_cache_shrink(cache) == 3
    order = [slab.base for slab in cache.nodes[0].partial.values()]
    assert order == [slab_of(slub, rows[2][0]).base, slab_of(slub, rows[0][0]).base]
    assert slub.slabs.get(rows[1][0] >> slub.page_shift) is None
    assert check(slub) == []


@pytest.mark.parametrize(("kernel", "reverse"), [((5, 6, 4), True), ((6, 1, 192), False)])
def test_a_slab_given_up_keeps_the_cpus_order(kernel: tuple[int, ...], reverse: bool) -> None:
    slub = boot(kernel)
    cache = slub.kmem_cache_create("things", 1024)
    slub.kmem_cache_alloc(cache)
    waiting = list(cache.cpus[0].freelist)
    slub.flush_cpu(cache, 0)
    slab = next(iter(cache.nodes[0].partial.values()))
    assert slab.freelist == (waiting[::-1] if reverse else waiting)
    assert slab.inuse == 1


@pytest.mark.parametrize("remote", [False, True])
def test_a_slab_with_remote_frees_goes_to_the_tail(remote: bool) -> None:
    slub = boot(cpus=2)
    cache = slub.kmem_cache_create("things", 1024)
    mine = slub.kmem_cache_alloc(cache, cpu=0)
    other = slub.kmem_cache_alloc(cache, cpu=1)
    slub.flush_cpu(cache, 1)
    slub.kmem_cache_free(cache, mine, cpu=1 if remote else 0)
    slub.flush_cpu(cache, 0)
    bases = [slab.base for slab in cache.nodes[0].partial.values()]
    expected = [slab_of(slub, mine).base, slab_of(slub, other).base]
    assert bases == (expected[::-1] if remote else expected)
    assert check(slub) == []


def test_nodes_have_lists_of_their_own() -> None:
    slub = boot(cpus=2, nodes=(0, 1))
    cache = slub.kmem_cache_create("things", 1024)
    a = slub.kmem_cache_alloc(cache, cpu=0)
    b = slub.kmem_cache_alloc(cache, cpu=1)
    c = slub.kmem_cache_alloc(cache, cpu=0, nid=1)
    assert [slab_of(slub, x).nid for x in (a, b, c)] == [0, 1, 1]
    assert slab_of(slub, a).place == NODE_PARTIAL
    assert check(slub) == []


def test_other_nodes_help_out_in_the_order_of_the_zonelist() -> None:
    slub = boot(cpus=3, nodes=(0, 1, 2))
    slub.page_alloc.node_order = ((0, 2, 1), (1, 0, 2), (2, 1, 0))  # type: ignore[attr-defined]
    cache = slub.kmem_cache_create("things", 4096)
    keep = cache.geometry.min_partial
    rows = [take_slabs(slub, cache, keep + 1, cpu) for cpu in (1, 2)]
    for row in (row for rows_of_node in rows for row in rows_of_node):
        slub.kmem_cache_free(cache, row[0])
    for cpu in (0, 1, 2):
        slub.flush_cpu(cache, cpu)
    assert [len(node.partial) for node in cache.nodes.values()] == [0, keep + 1, keep + 1]
    slub.random.state = 1
    helped = {slab_of(slub, slub.kmem_cache_alloc(cache, cpu=0)).nid for _ in range(2)}
    assert helped == {2}
    assert check(slub) == []


def test_pages_are_asked_for_gently_and_then_for_less() -> None:
    slub = boot()
    cache = slub.kmem_cache_create("things", 1024, flags={"reclaim_account", "cache_dma"})
    pages = slub.page_alloc
    assert isinstance(pages, FewPages)
    pages.asked.clear()
    pages.next = pages.pages - 1
    address = slub.kmem_cache_alloc(cache, gfp=0x400DC0)
    (eager, order, _), (plain, least, _) = pages.asked
    assert (order, least, slab_of(slub, address).objects) == (1, 0, 4)
    assert eager & 0x11 == 0x11, "reclaimable and DMA"
    assert not eager & 0x400C00, "no reclaim for a large slab, no charge"
    assert eager & 0x12000 == 0x12000, "quietly"
    assert eager & 0x40000, "compound"
    assert plain & 0xC00 == 0xC00
    assert not plain & 0x40000
    assert [slub.kmem_cache_alloc(cache) for _ in range(4)][-1] == 0
    assert check(slub) == []


def test_bulk_takes_in_order_and_gives_back_by_slab() -> None:
    slub = boot()
    cache = slub.kmem_cache_create("things", 1024)
    one = slub.kmem_cache_alloc_bulk(cache, 8)
    two = slub.kmem_cache_alloc_bulk(cache, 8)
    assert len(set(one + two)) == 16
    slub.kmem_cache_free_bulk(cache, [one[0], two[0], one[1], two[1]])
    assert slab_of(slub, one[0]).freelist == [one[1], one[0]]
    assert cache.cpus[0].freelist == [two[1], two[0]]
    assert check(slub) == []
    with pytest.raises(KernelBug, match="no object"):
        slub.kmem_cache_free_bulk(cache, [one[2] + 8])


def test_bulk_gives_all_or_nothing() -> None:
    slub = boot(pages=64)
    cache = slub.kmem_cache_create("things", 4096)
    used = objects_in_use(cache)
    assert slub.kmem_cache_alloc_bulk(cache, 1000) == []
    assert objects_in_use(cache) == used
    assert check(slub) == []


def test_sheaves_stand_before_the_slabs() -> None:
    slub = boot((6, 18, 35))
    cache = slub.kmem_cache_create("vm_area_struct", 256)
    assert (cache.sheaf_capacity, cache.plain) == (32, False)
    a = slub.kmem_cache_alloc(cache)
    assert len(cache.cpus[0].sheaf) == 31
    slub.kmem_cache_free(cache, a)
    assert slub.kmem_cache_alloc(cache) == a
    taken = [a, *(slub.kmem_cache_alloc(cache) for _ in range(500))]
    assert len(set(taken)) == 501
    for address in taken:
        slub.kmem_cache_free(cache, address)
    assert len(cache.cpus[0].sheaf) <= 32
    assert len(cache.nodes[0].full_sheaves) == 10
    assert check(slub) == []
    assert objects_in_use(cache) == 0
    slub.kmem_cache_shrink(cache)
    assert cache.num_slabs() == 0


def test_a_spare_sheaf_comes_before_the_slabs() -> None:
    slub = boot((6, 18, 35))
    cache = slub.kmem_cache_create("vm_area_struct", 256)
    taken = [slub.kmem_cache_alloc(cache) for _ in range(40)]
    for address in taken:
        slub.kmem_cache_free(cache, address)
    assert [slub.kmem_cache_alloc(cache) for _ in range(40)] == taken[::-1]


def test_sheaves_need_a_request_that_may_wait() -> None:
    slub = boot((6, 18, 35))
    cache = slub.kmem_cache_create("maple_node", 256)
    assert slub.kmem_cache_alloc(cache, gfp=0x800)
    assert cache.cpus[0].sheaf == []
    assert slub.kmem_cache_create("other", 256).sheaf_capacity == 0


def test_caches_are_shared_and_counted() -> None:
    slub = boot()
    one = slub.kmem_cache_create("one", 100, flags={"account"})
    assert slub.kmem_cache_create("two", 104, flags={"account"}) is one
    assert slub.kmem_cache_create("three", 100) is not one
    assert (one.aliases, one.refcount, one.object_size, one.id()) == (["two"], 2, 104, ":A-0000104")
    assert slub.find_cache("two") is one
    with pytest.raises(KeyError):
        slub.find_cache("four")
    assert slub.caches()[0].name == "three"
    assert boot(cmdline="slab_nomerge").kmem_cache_create("one", 64).name == "one"


def test_figures_of_slabinfo() -> None:
    slub = boot()
    cache = slub.kmem_cache_create("things", 1024)
    rows = take_slabs(slub, cache, 3)
    for address in rows[0][:3]:
        slub.kmem_cache_free(cache, address)
    info = cache.info()
    assert (info.active_objs, info.num_objs, info.slabs, info.partial) == (24, 24, 3, 0)
    slub.flush_cpu(cache, 0)
    info = cache.info()
    assert (info.active_objs, info.num_objs, info.slabs, info.partial) == (21, 24, 3, 1)


def test_the_first_caches_hold_the_structs_of_all() -> None:
    slub = boot(nodes=(0, 1), cpus=2)
    assert [cache.name for cache in slub.slab_caches[:2]] == ["kmem_cache", "kmem_cache_node"]
    made = len(slub.slab_caches)
    assert objects_in_use(slub.slab_caches[0]) == made
    assert objects_in_use(slub.slab_caches[1]) == 2 * made
    assert slub.slab_caches[0].object_size == 216 + 16
    cache = slub.kmem_cache_create("things", 72, flags={"no_merge"})
    assert slab_of(slub, cache.address).cache is slub.kmem_cache
    slub.kmem_cache_destroy(cache)
    assert objects_in_use(slub.slab_caches[0]) == made
    assert cache not in slub.slab_caches


def test_what_the_kernel_refuses_changes_nothing() -> None:
    slub = boot()
    cache = slub.kmem_cache_create("things", 72, flags={"no_merge"})
    other = slub.kmem_cache_create("others", 72, flags={"no_merge"})
    address = slub.kmem_cache_alloc(cache)
    before = save(slub)
    with pytest.raises(KernelBug, match="still has objects"):
        slub.kmem_cache_destroy(cache)
    for name, size, flags in (("x", 0, set()), ("x", 5 << 20, set()), ("", 8, set()), ("x", 8, {"sparkling"})):
        with pytest.raises(KernelBug, match="error -22"):
            slub.kmem_cache_create(name, size, flags=flags)
    with pytest.raises(KernelBug, match="page fault"):
        slub.kmem_cache_free(cache, 0xDEAD0000)
    with pytest.raises(ValueError, match="is no object"):
        slub.kmem_cache_free(cache, address + 4)
    assert save(slub) == before
    slub.kmem_cache_free(other, address)
    assert "Wrong slab cache. others but object is from things" in slub.dmesg[-1]
    assert slub.next_object(cache) == address
    with pytest.raises(KernelBug, match="object == fp"):
        slub.kmem_cache_free(cache, address)


def test_an_alias_keeps_the_cache() -> None:
    slub = boot()
    one = slub.kmem_cache_create("one", 100)
    slub.kmem_cache_create("two", 100)
    slub.kmem_cache_alloc(one)
    slub.kmem_cache_destroy(one)
    assert one in slub.slab_caches
    with pytest.raises(KernelBug):
        slub.kmem_cache_destroy(one)


def test_same_seed_same_objects() -> None:
    def run(seed: int) -> list[int]:
        slub = boot(seed=seed)
        cache = slub.kmem_cache_create("things", 64, flags={"no_merge"})
        return [slub.kmem_cache_alloc(cache) for _ in range(100)]

    assert run(1) == run(1)
    assert run(1) != run(2)


STEPS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 200), st.integers(0, 2)), max_size=80)


@settings(max_examples=120, deadline=None)
@given(STEPS, st.sampled_from(KERNELS), st.sampled_from(["", "slub_debug=FZPU,c1"]))
def test_no_byte_is_owned_twice_and_counters_equal_lists(
    steps: list[tuple[int, int, int, int]], kernel: tuple[int, ...], cmdline: str
) -> None:
    slub = boot(kernel, cpus=2, cmdline=cmdline, pages=4096)
    caches = [
        slub.kmem_cache_create(name, size, flags={"no_merge"})
        for name, size in (("c0", 700), ("c1", 1000), ("vm_area_struct", 2000))
    ]
    live: list[tuple[KmemCache, int]] = []
    for op, cpu, number, which in steps:
        cache = caches[which]
        if op < 2:
            expected = slub.next_object(cache, cpu) if cache.plain else 0
            address = slub.kmem_cache_alloc(cache, cpu=cpu)
            assert address
            assert expected in (0, address)
            live.append((cache, address))
        elif op == 2:
            live += [(cache, address) for address in slub.kmem_cache_alloc_bulk(cache, number % 20, cpu=cpu)]
        elif op == 3 and live:
            owner, address = live.pop(number % len(live))
            slub.kmem_cache_free(owner, address, cpu)
        elif op == 4 and live:
            owner = live[number % len(live)][0]
            gone = [entry for entry in live if entry[0] is owner][: number % 15]
            live = [entry for entry in live if entry not in gone]
            slub.kmem_cache_free_bulk(owner, [address for _, address in gone], cpu)
        elif op == 5 and number % 10 == 0:
            slub.kmem_cache_shrink(cache, cpu)
    assert check(slub) == []
    spans = sorted((address, address + owner.object_size) for owner, address in live)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    for cache in caches:
        assert objects_in_use(cache) == sum(owner is cache for owner, _ in live)
    assert slub.dmesg == []
    before = save(slub)
    pages = deepcopy(slub.page_alloc)
    following = [slub.kmem_cache_alloc(cache) for cache in caches for _ in range(30)]
    load(slub, before)
    slub.page_alloc = pages
    assert check(slub) == []
    assert save(slub) == before
    assert [slub.kmem_cache_alloc(cache) for cache in caches for _ in range(30)] == following
