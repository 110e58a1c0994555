"""CONFIG_DEBUG_SLAB of 2.4 and 2.6.11, and the reapers of both."""

from __future__ import annotations

import pytest

from kmemwidgets import Machine
from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.slab24 import Slab24, check

DEBUG = {"CONFIG_DEBUG_SLAB": "y"}


def boot(kernel: str, cpus: int = 1, **config: str) -> Machine:
    return Machine.boot(arch="x86_32", memory="128M", kernel=kernel, cpus=cpus, config=config)


def allocator(machine: Machine) -> Slab24:
    machine.kmem_cache_init()
    assert machine.objects.slab24 is not None
    return machine.objects.slab24


def use(machine: Machine, cache: str, times: int) -> None:
    """Take some objects, and give all of them back."""
    held = [machine.kmem_cache_alloc(cache) for _ in range(times)]
    for address in held:
        assert address is not None
        machine.kmem_cache_free(cache, address)


def around(machine: Machine, address: int) -> dict[str, str]:
    found = machine.slab_object(address)
    return {name: found.data[start:end].hex() for name, start, end in found.parts}


def test_words_on_both_sides_say_who_has_an_object() -> None:
    machine = boot("2.6.11", **DEBUG)
    cache = machine.kmem_cache_create("thing", 20)
    taken = machine.kmem_cache_alloc(cache)
    assert taken is not None
    # Words of 4 bytes: one in front, one behind, and one for the last user.
    assert allocator(machine).find_cache("thing").geometry.size == 32
    assert around(machine, taken) == {
        "left red zone": "a5c20f17", "object": "5a" * 19 + "a5", "right red zone": "a5c20f17", "last user": "00000000",
    }  # fmt: skip
    machine.kmem_cache_free(cache, taken)
    after = around(machine, taken)
    assert (after["left red zone"], after["object"]) == ("71f02c5a", "6b" * 19 + "a5")
    assert check(allocator(machine)) == []


def test_2_4_keeps_no_user_and_no_pattern_for_owners() -> None:
    machine = boot("2.4", **DEBUG)
    cache = machine.kmem_cache_create("thing", 20)
    taken = machine.kmem_cache_alloc(cache)
    assert taken is not None
    assert around(machine, taken) == {
        "left red zone": "a5c20f17", "object": "5a" * 19 + "a5", "right red zone": "a5c20f17",
    }  # fmt: skip
    large = machine.kmem_cache_create("large", 512)
    address = machine.kmem_cache_alloc(large)
    assert address is not None
    assert set(around(machine, address)) == {"object"}, "from an eighth of a page on there are no red zones"
    made = machine.kmem_cache_create("made", 64, ctor="make")
    guard = allocator(machine).find_cache(made).guard
    assert (guard.red_zone, guard.poison) == (True, False)


def test_2_6_reports_what_lies_outside_an_object_and_goes_on() -> None:
    machine = boot("2.6.11", **DEBUG)
    cache = machine.kmem_cache_create("thing", 20)
    taken = machine.kmem_cache_alloc(cache)
    assert taken is not None
    machine.write_memory(taken + 20, b"\x00")
    machine.kmem_cache_free(cache, taken)
    assert list(machine.objects.dmesg)[-2:] == [
        "slab error in cache_free_debugcheck(): cache `thing': double free, or memory outside object was overwritten",
        f"{taken - 4:08x}: redzone 1: 0x170fc2a5, redzone 2: 0x170fc200.",
    ]
    assert machine.kmem_cache_alloc(cache) == taken


def test_2_6_shows_who_wrote_to_a_free_object() -> None:
    machine = boot("2.6.11", **DEBUG)
    cache = machine.kmem_cache_create("thing", 32)
    first, taken, third = (machine.kmem_cache_alloc(cache) for _ in range(3))
    assert first is not None
    assert taken is not None
    assert third is not None
    machine.kmem_cache_free(cache, taken)
    machine.write_memory(taken + 17, b"\xff")
    before = len(machine.objects.dmesg)
    assert machine.kmem_cache_alloc(cache) == taken
    said = list(machine.objects.dmesg)[before:]
    assert said[:5] == [
        f"Slab corruption: start={taken:08x}, len=32",
        "Redzone: 0x5a2cf071/0x5a2cf071.",
        "Last user: [<00000000>](kmem_cache_free)",
        "010: 6b ff 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b a5",
        f"Prev obj: start={taken - 44:08x}, len=32",
    ]
    assert said[5:7] == ["Redzone: 0x170fc2a5/0x170fc2a5.", "Last user: [<00000000>](kmem_cache_alloc)"]
    assert [line for line in said if line.startswith("Next obj")] == [f"Next obj: start={taken + 44:08x}, len=32"]


def test_a_slab_that_goes_is_looked_at() -> None:
    machine = boot("2.6.11", **DEBUG)
    cache = machine.kmem_cache_create("thing", 32)
    taken = machine.kmem_cache_alloc(cache)
    assert taken is not None
    machine.kmem_cache_free(cache, taken)
    machine.write_memory(taken - 4, b"\x00\x00\x00\x00")
    machine.kmem_cache_shrink(cache)
    assert machine.objects.dmesg[-1] == (
        "slab error in slab_destroy(): cache `thing': start of a freed object was overwritten"
    )


@pytest.mark.parametrize("while_free", [True, False])
def test_2_4_stops_and_nothing_has_changed(*, while_free: bool) -> None:
    machine = boot("2.4", **DEBUG)
    cache = machine.kmem_cache_create("thing", 20)
    taken = machine.kmem_cache_alloc(cache)
    assert taken is not None
    if while_free:
        machine.kmem_cache_free(cache, taken)
        machine.write_memory(taken + 19, b"\x5a")
    else:
        machine.write_memory(taken + 20, b"\x00")
    before = machine.objects.save()
    requests = {True: lambda: machine.kmem_cache_alloc(cache), False: lambda: machine.kmem_cache_free(cache, taken)}
    with pytest.raises(KernelBug, match="kernel BUG at slab"):
        requests[while_free]()
    assert machine.objects.save() == before
    assert check(allocator(machine)) == []


def test_a_large_object_that_would_need_the_next_power_of_two_has_no_red_zone() -> None:
    machine = boot("2.6.11", **DEBUG)
    slab = allocator(machine)
    assert not slab.find_cache("size-4096").guard.red_zone
    assert slab.find_cache("size-2048").guard.red_zone
    aligned = machine.kmem_cache_create("aligned", 64, align=64)
    assert not slab.find_cache(aligned).guard.red_zone, "a maker who wants objects aligned gets no red zone"
    assert slab.find_cache("size-32").arrays[0] is not None
    assert slab.find_cache("size-32").tunables()[:2] == (32, 16), "not 120: interrupts would be off for too long"
    taken = machine.kmalloc(100)
    assert taken is not None
    assert machine.objects.slab24 is not None
    assert machine.objects.slab24.ksize(taken) == 128
    machine.kfree(taken)


def test_without_it_nothing_lies_around_objects() -> None:
    machine = boot("2.6.11")
    cache = machine.kmem_cache_create("thing", 20)
    taken = machine.kmem_cache_alloc(cache)
    assert taken is not None
    assert set(around(machine, taken)) == {"object"}


# --- reaping ------------------------------------------------------------------------------------


def test_the_timer_shrinks_arrays_that_nobody_used() -> None:
    machine = boot("2.6.11")
    cache = machine.kmem_cache_create("thing", 64)
    use(machine, cache, 100)
    array = allocator(machine).find_cache("thing").arrays[0]
    assert array is not None
    resting = len(array.objects)
    machine.kmem_cache_reap()
    assert len(array.objects) == resting, "the first time it sees that the array was used"
    machine.kmem_cache_reap()
    assert len(array.objects) == resting - 24, "then a fifth of 120 goes"
    for _ in range(20):
        machine.kmem_cache_reap()
    assert len(array.objects) == 0
    assert check(allocator(machine)) == []


def test_the_timer_gives_empty_slabs_back_every_four_seconds() -> None:
    machine = boot("2.6.11")
    cache = machine.kmem_cache_create("thing", 2048)
    use(machine, cache, 40)
    mine = allocator(machine).find_cache("thing")
    slabs = [len(mine.free)]
    for _ in range(10):
        machine.kmem_cache_reap()
        slabs.append(len(mine.free))
    # The first look sees that an empty slab was taken; then a fifth of what may be free goes with every second round.
    assert mine.free_limit == 26
    assert slabs[6:] == [8, 8, 5, 5, 2]
    spared = machine.kmem_cache_create("spared", 2048, flags="no_reap")
    kept = machine.kmem_cache_alloc(spared)
    assert kept is not None
    machine.kmem_cache_free(spared, kept)
    before = len(allocator(machine).find_cache("spared").free)
    for _ in range(8):
        machine.kmem_cache_reap()
    assert len(allocator(machine).find_cache("spared").free) == before


def test_2_4_takes_half_of_the_cache_with_most_empty_slabs() -> None:
    machine = boot("2.4")
    cache = machine.kmem_cache_create("thing", 1024)
    use(machine, cache, 80)
    mine = allocator(machine).find_cache("thing")
    empty = len(mine.free)
    assert empty >= 10
    assert machine.kmem_cache_reap() == 0, "a cache that has just grown is left alone once"
    rounds = [machine.kmem_cache_reap() for _ in range(6)]
    assert ((empty + 1) // 2) << mine.geometry.order in rounds
    assert len(mine.free) <= empty - (empty + 1) // 2
    assert check(allocator(machine)) == []


def test_slub_has_no_reaper() -> None:
    machine = Machine.boot(memory="128M", kernel="6.1")
    with pytest.raises(ValueError, match="kmem_cache_shrink"):
        machine.kmem_cache_reap()


# --- arrays -------------------------------------------------------------------------------------


def test_arrays_are_resized_by_hand() -> None:
    machine = boot("2.6.11", cpus=2)
    cache = machine.kmem_cache_create("thing", 64)
    use(machine, cache, 30)
    mine = allocator(machine).find_cache("thing")
    assert mine.tunables() == (120, 60, 8)
    machine.tune_cpucache(cache, 16, 8, 2)
    assert mine.tunables() == (16, 8, 2)
    assert list(mine.in_arrays()) == []
    assert mine.in_use() == 0, "what was in the old arrays went back to the slabs"
    assert mine.free_limit == 3 * 8 + mine.geometry.num
    for _ in range(20):
        machine.kmem_cache_alloc(cache)
    assert check(allocator(machine)) == []
    for wrong in ((8, 9, 0), (0, 0, 0), (8, 8, -1), (1 << 20, 1, 0)):
        with pytest.raises(KernelBug, match="write error"):
            machine.tune_cpucache(cache, *wrong)
    assert mine.tunables() == (16, 8, 2)


def test_2_4_has_arrays_with_several_cpus_only_and_may_do_without() -> None:
    machine = boot("2.4", cpus=2)
    cache = machine.kmem_cache_create("thing", 64)
    machine.tune_cpucache(cache, 0, 0)
    taken = machine.kmem_cache_alloc(cache)
    assert taken is not None
    assert list(allocator(machine).find_cache("thing").in_arrays()) == []
    single = boot("2.4", CONFIG_SMP="n")
    single.kmem_cache_create("thing", 64)
    with pytest.raises(KernelBug, match="Invalid argument"):
        single.tune_cpucache("thing", 16, 8)
    with pytest.raises(ValueError, match="no arrays"):
        Machine.boot(memory="128M", kernel="6.1").tune_cpucache("kmalloc-64", 16, 8)
