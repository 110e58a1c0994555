"""CONFIG_SLUB_STATS: what each cpu did with a cache, counted where the kernel counts it."""

from __future__ import annotations

import pytest

from kmemwidgets import Machine
from kmemwidgets.explain.proc_files import proc_files

STATS = {"CONFIG_SLUB_STATS": "y"}


def boot(kernel: str = "6.1", cpus: int = 2, **options: object) -> Machine:
    config = {**STATS, **options.pop("config", {})}  # type: ignore[dict-item]
    return Machine.boot(memory="256M", cpus=cpus, kernel=kernel, config=config, **options)  # type: ignore[arg-type]


def counted(machine: Machine, name: str = "thing") -> dict[str, str]:
    files = machine.objects.sysfs()[name]
    assert machine.objects.slub is not None
    rows = {row: files[row].rstrip("\n") for row in machine.objects.slub.rules.stats}
    return {row: text for row, text in rows.items() if text != "0"}


def test_without_it_there_are_no_such_files() -> None:
    machine = Machine.boot(memory="256M", kernel="6.1")
    machine.kmem_cache_create("thing", 256, flags="no_merge")
    assert "alloc_fastpath" not in machine.objects.sysfs()["thing"]


def test_a_new_slab_and_what_the_cpu_has_of_it() -> None:
    machine = boot()
    cache = machine.kmem_cache_create("thing", 256, flags="no_merge")
    held = [machine.kmem_cache_alloc(cache) for _ in range(17)]
    # The first and the 17th need a slab; the first slab was used up by then.
    assert counted(machine) == {
        "alloc_fastpath": "15 C0=15", "alloc_slowpath": "2 C0=2", "alloc_slab": "2 C0=2", "deactivate_bypass": "1 C0=1",
    }  # fmt: skip
    machine.kmem_cache_free(cache, held[16])
    machine.kmem_cache_free(cache, held[0], 1)
    machine.kmem_cache_free(cache, held[1], 1)
    after = counted(machine)
    assert after["free_fastpath"] == "1 C0=1"
    assert after["free_slowpath"] == "2 C1=2"
    # The full slab was put aside by cpu 1; then it was frozen there.
    assert after["cpu_partial_free"] == after["free_frozen"] == "1 C1=1"
    machine.kmem_cache_alloc(cache, cpu=1)
    assert counted(machine)["cpu_partial_alloc"] == "1 C1=1"
    assert counted(machine)["alloc_refill"] == "1 C1=1"


def test_what_others_gave_back_to_the_cpus_slab() -> None:
    machine = boot()
    cache = machine.kmem_cache_create("thing", 2048, flags="no_merge")
    held = [machine.kmem_cache_alloc(cache) for _ in range(16)]
    machine.kmem_cache_free(cache, held[3], 1)
    machine.kmem_cache_alloc(cache)
    after = counted(machine)
    assert (after["free_frozen"], after["alloc_refill"]) == ("1 C1=1", "1 C0=1")


def test_slabs_come_and_go_between_cpus_and_nodes() -> None:
    machine = boot()
    cache = machine.kmem_cache_create("thing", 256, flags="no_merge")
    held = [machine.kmem_cache_alloc(cache) for _ in range(16 * 12)]
    for address in held[::16]:
        machine.kmem_cache_free(cache, address, 1)
    after = counted(machine)
    # The last slab is cpu 0's own; cpu 1 puts 11 aside, and at the eighth moves seven to the node.
    assert after["cpu_partial_free"] == "11 C1=11"
    assert after["cpu_partial_drain"] == "1 C1=1"
    assert after["free_add_partial"] == "7 C1=7"
    machine.kmem_cache_shrink(cache)
    after = counted(machine)
    assert after["cpuslab_flush"] == "1 C0=1"
    assert after["deactivate_to_tail"] == after["deactivate_remote_frees"] == "1 C0=1"
    assert after["free_add_partial"] == "11 C1=11", "each cpu flushes its own"
    machine.kmem_cache_alloc(cache)
    after = counted(machine)
    assert after["alloc_from_partial"] == "1 C0=1"
    assert after["cpu_partial_node"] == "4 C0=4", "more than half of what a cpu may keep"


def test_empty_slabs_go_where_the_node_has_enough() -> None:
    machine = boot(cpus=1, config={"CONFIG_SLUB_CPU_PARTIAL": "n"})
    cache = machine.kmem_cache_create("thing", 256, flags="no_merge")
    held = [machine.kmem_cache_alloc(cache) for _ in range(16 * 8)]
    for address in held[: 16 * 7]:
        machine.kmem_cache_free(cache, address)
    after = counted(machine)
    assert after["free_add_partial"] == "7 C0=7"
    assert after["free_slab"] == after["free_remove_partial"] == "3 C0=3", "the node keeps five"


@pytest.mark.parametrize(
    ("kernel", "fast", "slow", "freed"), [("5.6", "0", "0", "1 C0=1"), ("6.1", "0", "1 C0=1", "1 C0=1"),
                                          ("6.12", "9 C0=9", "1 C0=1", "10 C0=10")],
)  # fmt: skip
def test_several_at_once_by_version(kernel: str, fast: str, slow: str, freed: str) -> None:
    machine = boot(kernel)
    cache = machine.kmem_cache_create("thing", 256, flags="no_merge")
    held = machine.kmem_cache_alloc_bulk(cache, 10)
    machine.kmem_cache_free_bulk(cache, held)
    after = counted(machine)
    assert (after.get("alloc_fastpath", "0"), after.get("alloc_slowpath", "0")) == (fast, slow)
    assert after["free_fastpath"] == freed


def test_6_12_knows_no_frozen_slab_on_a_cpus_list() -> None:
    machine = boot("6.12")
    cache = machine.kmem_cache_create("thing", 256, flags="no_merge")
    held = [machine.kmem_cache_alloc(cache) for _ in range(17)]
    for address in held[:2]:
        machine.kmem_cache_free(cache, address, 1)
    machine.kmem_cache_alloc(cache, cpu=1)
    after = counted(machine)
    assert "free_frozen" not in after
    assert "alloc_refill" not in after
    assert after["cpu_partial_alloc"] == "1 C1=1"


def test_debugged_caches_take_the_slow_way() -> None:
    for kernel, deactivated in (("5.6", "3 C0=3"), ("6.1", "0")):
        machine = boot(kernel, cmdline="slub_debug=FZ,thing")
        cache = machine.kmem_cache_create("thing", 256)
        held = [machine.kmem_cache_alloc(cache) for _ in range(3)]
        machine.kmem_cache_free(cache, held[0])
        after = counted(machine)
        assert (after["alloc_slowpath"], after["alloc_slab"], after["free_slowpath"]) == ("3 C0=3", "1 C0=1", "1 C0=1")
        assert after.get("deactivate_to_head", "0") == deactivated
        assert "alloc_fastpath" not in after


def test_a_wrong_node() -> None:
    machine = boot(nodes=2)
    cache = machine.kmem_cache_create("thing", 256, flags="no_merge")
    machine.kmem_cache_alloc(cache)
    slub = machine.objects.slub
    assert slub is not None
    slub.kmem_cache_alloc(slub.find_cache("thing"), nid=1)
    after = counted(machine)
    assert after["alloc_node_mismatch"] == after["deactivate_to_head"] == "1 C0=1"
    assert after["alloc_slab"] == "2 C0=2"


def test_sheaves_have_counters_of_their_own() -> None:
    machine = boot("6.18", cpus=1)
    cache = machine.kmem_cache_create("vm_area_struct", 192)
    name = "vm_area_struct"
    assert counted(machine, name) == {"sheaf_alloc": "1 C0=1"}, "each cpu begins with one"
    held = [machine.kmem_cache_alloc(cache) for _ in range(33)]
    after = counted(machine, name)
    assert after["alloc_cpu_sheaf"] == "33 C0=33"
    # Twice the main sheaf was empty, the barn too: one sheaf is made, the other is the one that was empty.
    assert after["barn_get_fail"] == "2 C0=2"
    assert after["sheaf_alloc"] == "2 C0=2"
    assert after["sheaf_refill"] == "64 C0=64"
    assert int(after["alloc_fastpath"].split()[0]) + int(after["alloc_slowpath"].split()[0]) == 64
    for address in held:
        machine.kmem_cache_free(cache, address)
    after = counted(machine, name)
    assert after["free_cpu_sheaf"] == "33 C0=33"
    machine.kmem_cache_shrink(cache)
    after = counted(machine, name)
    assert after["sheaf_flush"] == "64 C0=64"


def test_sheaves_filled_in_advance_and_freed_after_a_grace_period() -> None:
    machine = boot("6.18", cpus=1)
    cache = machine.kmem_cache_create("vm_area_struct", 192)
    sheaf = machine.kmem_cache_prefill_sheaf(cache, 10)
    machine.kmem_cache_return_sheaf(sheaf)
    again = machine.kmem_cache_prefill_sheaf(cache, 10)
    machine.kmem_cache_return_sheaf(again)
    after = counted(machine, "vm_area_struct")
    assert (after["sheaf_prefill_slow"], after["sheaf_prefill_fast"]) == ("1 C0=1", "1 C0=1")
    assert after["sheaf_return_fast"] == "2 C0=2"
    assert after["barn_get_fail"] == "1 C0=1"
    machine.kfree_rcu(machine.kmem_cache_alloc(cache))
    assert counted(machine, "vm_area_struct")["free_rcu_sheaf"] == "1 C0=1"


def test_counters_survive_going_back_in_time() -> None:
    machine = boot()
    cache = machine.kmem_cache_create("thing", 256, flags="no_merge")
    machine.kmem_cache_alloc(cache)
    before = counted(machine)
    machine.kmem_cache_alloc(cache)
    machine.undo()
    assert counted(machine) == before


# --- the small SLUB -----------------------------------------------------------------------------


def tiny(kernel: str = "6.12") -> Machine:
    config = {"CONFIG_SLUB_TINY": "y", "CONFIG_RANDOM_KMALLOC_CACHES": "y", **STATS}
    return Machine.boot(memory="256M", cpus=2, kernel=kernel, config=config, cmdline="slub_debug=FZPU")


def test_the_small_slub_keeps_nothing_for_a_cpu() -> None:
    machine = tiny()
    cache = machine.kmem_cache_create("thing", 256, flags="no_merge")
    held = [machine.kmem_cache_alloc(cache) for _ in range(16 * 3)]
    slub = machine.objects.slub
    assert slub is not None
    mine = slub.find_cache("thing")
    assert all(c.slab is None and not c.partial for c in mine.cpus)
    assert held[:16] == sorted(held[:16]), "objects in order: neither shuffled nor debugged"
    assert mine.stats is None
    # The first full slab that gets an object back goes to the end of the list.
    machine.kmem_cache_free(cache, held[20])
    machine.kmem_cache_free(cache, held[3], 1)
    assert machine.kmem_cache_alloc(cache, cpu=1) == held[20]
    assert machine.kmem_cache_alloc(cache) == held[3]
    for address in held[:16]:
        machine.kmem_cache_free(cache, address)
    assert mine.num_slabs() == 2, "nodes keep no empty slab"
    assert mine.geometry.min_partial == mine.geometry.cpu_partial == 0
    bulk = machine.kmem_cache_alloc_bulk(cache, 5)
    machine.kmem_cache_free_bulk(cache, bulk)
    assert mine.num_slabs() == 2


def test_the_small_slub_has_fewer_caches_and_smaller_slabs() -> None:
    machine = tiny()
    machine.kmem_cache_init()
    names = {cache.name for cache in machine.objects.caches() or ()}
    assert not [name for name in names if "rcl" in name or "rnd" in name]
    assert "kmalloc-cg-64" in names
    assert max(cache.order or 0 for cache in machine.objects.caches() or () if (cache.slab_size or 0) <= 2048) == 1
    other = machine.kmem_cache_create("reclaimed", 256, flags="reclaim_account")
    assert other, "there is no such flag, and so it is no obstacle"
    assert machine.objects.sysfs() == {}
    assert "proc/slabinfo" not in proc_files(machine)
    older = tiny("6.1")
    older.kmem_cache_init()
    assert any("rcl" in cache.name for cache in older.objects.caches() or ()), "6.2 brought it"
