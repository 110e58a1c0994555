"""Sheaves and barns of 6.18: exchange, bulk, objects freed after a grace period, sheaves filled in advance."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slub_kit import boot

from kmemwidgets import BadInput, KernelBug, Machine
from kmemwidgets.sim.slab_cache import KmemCache
from kmemwidgets.sim.slab_create import objects_held, objects_in_use
from kmemwidgets.sim.slub import Slub
from kmemwidgets.sim.slub_init import check, load, save
from kmemwidgets.sim.slub_rcu import barrier, kfree_rcu
from kmemwidgets.sim.slub_sheaves import alloc_from, give_sheaf, prefill

WAITS, HURRIES = 0x400 | 0x800, 0x800


def with_cache(cpus: int = 1, nodes: tuple[int, ...] = (0,)) -> tuple[Slub, KmemCache]:
    slub = boot((6, 18, 35), cpus, nodes=nodes)
    return slub, slub.kmem_cache_create("vm_area_struct", 256)


def sheaves(cache: KmemCache, cpu: int = 0) -> tuple[int, int | None, int, int]:
    """Return objects in the main and the spare sheaf, and full and empty sheaves of the barn."""
    c, barn = cache.cpus[cpu], cache.nodes[0]
    return len(c.sheaf), None if c.spare is None else len(c.spare), len(barn.full_sheaves), barn.empty_sheaves


def test_an_empty_main_sheaf_goes_to_the_barn_when_a_full_one_comes() -> None:
    slub, cache = with_cache()
    taken = [slub.kmem_cache_alloc(cache, WAITS)]
    assert sheaves(cache) == (31, None, 0, 1), "a new sheaf was filled, the empty one is the barn's"
    taken += [slub.kmem_cache_alloc(cache, WAITS) for _ in range(32)]
    assert sheaves(cache) == (31, None, 0, 1), "the barn's sheaf was filled, and the main one put in its place"
    for address in taken:
        slub.kmem_cache_free(cache, address)
    assert sheaves(cache) == (32, 32, 0, 0)


def test_a_full_sheaf_is_exchanged_for_one_of_the_barn() -> None:
    slub, cache = with_cache()
    taken = [slub.kmem_cache_alloc(cache, WAITS) for _ in range(96)]
    for address in taken:
        slub.kmem_cache_free(cache, address)
    main, spare, full, _empty = sheaves(cache)
    assert (main + (spare or 0) + 32 * full) == 96
    assert objects_in_use(cache) == 0
    assert slub.kmem_cache_alloc(cache, HURRIES) == taken[-1]


def test_bulk_takes_from_sheaves_first_and_then_from_slabs() -> None:
    slub, cache = with_cache()
    slub.kmem_cache_alloc(cache, WAITS)
    resting = list(cache.cpus[0].sheaf)
    taken = slub.kmem_cache_alloc_bulk(cache, 40, WAITS)
    assert taken[:31] == resting, "in the order of the array"
    assert len(set(taken)) == 40
    assert sheaves(cache)[0] == 0, "sheaves are not filled for it"
    slub.kmem_cache_free_bulk(cache, taken)
    assert cache.cpus[0].spare == taken[:32]
    assert cache.cpus[0].sheaf == taken[32:]
    assert check(slub) == []


def test_what_the_barn_cant_exchange_goes_to_slabs() -> None:
    slub, cache = with_cache()
    taken = slub.kmem_cache_alloc_bulk(cache, 100, WAITS)
    slub.kmem_cache_free_bulk(cache, taken)
    assert sheaves(cache) == (32, None, 0, 0), "there is no empty sheaf, and a bulk free makes none"
    assert objects_in_use(cache) == 0


def test_objects_of_another_node_pass_the_sheaves() -> None:
    slub, cache = with_cache(2, (0, 1))
    far = slub.kmem_cache_alloc(cache, WAITS, cpu=1)
    slab = slub.slabs[far >> 12]
    slab.nid = 1
    before = len(cache.cpus[0].sheaf)
    slub.kmem_cache_free(cache, far, cpu=0)
    assert len(cache.cpus[0].sheaf) == before
    assert far in slab.freelist


def test_a_full_sheaf_of_freed_objects_reaches_the_barn_after_the_grace_period() -> None:
    slub, cache = with_cache()
    taken = slub.kmem_cache_alloc_bulk(cache, 40, WAITS)
    for address in taken:
        kfree_rcu(slub, address, 0)
    assert [len(objects) for _cache, objects, _cpu, _full in slub.rcu_waiting] == [32]
    assert cache.cpus[0].rcu_free == taken[32:]
    assert objects_held(slub, cache) == 0
    with pytest.raises(ValueError, match="waits for its readers already"):
        kfree_rcu(slub, taken[0], 0)
    barrier(slub)
    assert cache.nodes[0].full_sheaves == [taken[:32]]
    assert cache.cpus[0].rcu_free is None
    assert objects_in_use(cache) == 0
    assert slub.kmem_cache_alloc(cache, HURRIES) == taken[31]
    assert check(slub) == []


def test_a_cache_is_destroyed_when_its_last_readers_are_done() -> None:
    slub, cache = with_cache()
    address = slub.kmem_cache_alloc(cache, WAITS)
    with pytest.raises(KernelBug, match="still has objects"):
        slub.kmem_cache_destroy(cache)
    kfree_rcu(slub, address, 0)
    slub.kmem_cache_destroy(cache)
    assert slub.rcu_waiting == []
    assert not any(slab.cache is cache for slab in slub.slabs.values())


def test_a_sheaf_filled_in_advance() -> None:
    slub, cache = with_cache()
    sheaf = prefill(slub, cache, 10, WAITS, 0)
    assert sheaf is not None
    assert len(sheaf.objects) == 32, "a sheaf is filled up"
    taken = [alloc_from(sheaf) for _ in range(30)]
    assert 0 not in taken
    give_sheaf(slub, sheaf, WAITS, 0)
    assert cache.cpus[0].spare == sheaf.objects, "it becomes the spare one"
    again = prefill(slub, cache, 2, WAITS, 0)
    assert again is not None
    assert len(again.objects) == 2, "the spare one has enough"
    large = prefill(slub, cache, 100, WAITS, 0)
    assert large is not None
    assert len(large.objects) == large.capacity == 100
    give_sheaf(slub, large, WAITS, 0)
    give_sheaf(slub, again, WAITS, 0)
    assert objects_in_use(cache) == 30
    while alloc_from(again):
        pass


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["alloc", "free", "rcu", "barrier", "bulk", "lend", "back"]),
                          st.integers(0, 99), st.integers(0, 1)), max_size=150))  # fmt: skip
def test_nothing_is_lost_or_owned_twice(steps: list[tuple[str, int, int]]) -> None:
    slub, cache = with_cache(2)
    live: list[int] = []
    lent = []
    for what, number, cpu in steps:
        if what == "alloc":
            live.append(slub.kmem_cache_alloc(cache, WAITS if number % 3 else HURRIES, cpu))
        elif what == "bulk":
            live += slub.kmem_cache_alloc_bulk(cache, 1 + number, WAITS, cpu)
        elif what == "free" and live:
            slub.kmem_cache_free(cache, live.pop(number % len(live)), cpu)
        elif what == "rcu" and live:
            for _ in range(min(number, len(live))):
                kfree_rcu(slub, live.pop(), cpu)
        elif what == "barrier":
            barrier(slub)
        elif what == "lend":
            sheaf = prefill(slub, cache, 1 + number % 50, WAITS, cpu)
            assert sheaf is not None
            lent.append(sheaf)
            slub.prefilled[len(slub.prefilled) + 1] = sheaf
        elif what == "back" and lent:
            give_sheaf(slub, lent.pop(), WAITS, cpu)
            slub.prefilled.popitem()
        assert check(slub) == []
    out = [*live, *(address for sheaf in lent for address in sheaf.objects)]
    assert len(set(out)) == len(out)
    assert objects_held(slub, cache) == len(out)
    kept = save(slub)
    load(slub, kept)
    assert save(slub) == kept


def test_the_verbs_of_a_machine(tmp_path) -> None:
    machine = Machine.boot(memory="256M", cpus=2, kernel="6.18")
    cache = machine.kmem_cache_create("maple_node", 256)
    sheaf = machine.kmem_cache_prefill_sheaf(cache, 5)
    assert sheaf == 1
    first = machine.kmem_cache_alloc_from_sheaf(sheaf)
    assert first is not None
    machine.kfree_rcu(first)
    seen = machine.slabs(cache)
    machine.rcu_barrier()
    machine.kmem_cache_return_sheaf(sheaf)
    with pytest.raises(KernelBug, match="nobody has"):
        machine.kmem_cache_return_sheaf(sheaf)
    machine.undo()
    machine.undo()
    assert machine.slabs(cache) == seen
    machine.save(tmp_path / "m.json")
    assert Machine.load(tmp_path / "m.json").slabs(cache) == seen
    old = Machine.boot(memory="256M", cpus=1, kernel="6.1")
    pointer = old.kmalloc(100) or 0
    old.kfree_rcu(pointer)
    assert old.slab_object(pointer).state == 0
    old.rcu_barrier()
    assert old.slab_object(pointer).state != 0
    with pytest.raises(BadInput, match="no sheaves"):
        old.kmem_cache_prefill_sheaf("kmalloc-64", 1)
