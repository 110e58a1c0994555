"""The allocation functions of a machine beyond alloc_pages, kmalloc and vmalloc, by version, in time and on disk."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmemwidgets import BadInput, KernelBug, Machine
from kmemwidgets.sim.percpu import Chunk, PerCpu, first_chunk


def test_krealloc_ksize_kvmalloc() -> None:
    machine = Machine.boot(memory="256M", cpus=1)
    small = machine.kzalloc(50)
    assert small is not None
    assert machine.ksize(small) == 64
    assert machine.krealloc(small, 64) == small
    moved = machine.krealloc(small, 300)
    assert moved not in (None, small)
    assert machine.ksize(moved or 0) == 512
    assert machine.krealloc(moved or 0, 0) == 16
    large = machine.kvmalloc(6 << 20)
    assert large is not None
    assert any(area.start == large for area in machine.snapshot().vmalloc or ()), "above KMALLOC_MAX_SIZE by vmalloc"
    now = machine.now
    machine.kvfree(large)
    machine.goto(now)
    assert any(area.start == large for area in machine.snapshot().vmalloc or ())


def test_kcalloc_refuses_what_overflows() -> None:
    machine = Machine.boot(memory="256M", cpus=1)
    assert machine.ksize(machine.kcalloc(10, 10) or 0) == 128
    now = machine.now
    assert machine.kcalloc(1 << 33, 1 << 33) is None
    assert machine.now == now
    with pytest.raises(ValueError, match="array"):
        machine.kcalloc(-1, 8)


def test_many_objects_at_once(tmp_path) -> None:
    machine = Machine.boot(memory="256M", cpus=1)
    cache = machine.kmem_cache_create("things", 200)
    taken = machine.kmem_cache_alloc_bulk(cache, 45)
    assert len(set(taken)) == 45
    machine.kmem_cache_free_bulk(cache, taken[::2])
    machine.save(tmp_path / "m.json")
    assert Machine.load(tmp_path / "m.json").slabs(cache) == machine.slabs(cache)
    assert sum(slab.objects.count(0) for slab in machine.slabs(cache)) == 22
    with pytest.raises(ValueError, match="twice"):
        machine.kmem_cache_free_bulk(cache, [taken[1], taken[1]])


def test_a_reserve_of_a_machine(tmp_path) -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    cache = machine.kmem_cache_create("things", 2048, flags="no_merge")
    pool = machine.mempool_create(4, cache)
    while machine.alloc_pages("GFP_KERNEL", 3):
        pass
    while machine.alloc_pages("GFP_ATOMIC", 0):
        pass
    taken = []
    while (address := machine.mempool_alloc(pool, "GFP_NOIO")) is not None:
        taken.append(address)
    assert len(taken) >= 4, "the reserve went last"
    seen = machine.slabs(cache)
    machine.mempool_free(pool, taken[0])
    machine.undo()
    assert machine.slabs(cache) == seen
    with pytest.raises(KernelBug, match="still out"):
        machine.mempool_destroy(pool)
    for address in taken[-4:]:
        machine.mempool_free(pool, address)
    assert machine.mempool_alloc(pool, "GFP_NOIO") == taken[-1], "the newest of the reserve"
    with pytest.raises(ValueError, match="no mempool 9"):
        machine.mempool_alloc(9)
    machine.save(tmp_path / "m.json")
    assert Machine.load(tmp_path / "m.json").slabs(cache) == machine.slabs(cache)


def test_what_older_kernels_dont_have() -> None:
    machine = Machine.boot(arch="x86_32", memory="64M", kernel="2.4", cpus=1)
    pointer = machine.kmalloc(100) or 0
    for call in (
        lambda: machine.kvmalloc(100), lambda: machine.krealloc(pointer, 200), lambda: machine.ksize(pointer),
        lambda: machine.mempool_create(2, "size-32"), lambda: machine.alloc_percpu(8), lambda: machine.kcalloc(1, 1),
    ):  # fmt: skip
        now = machine.now
        with pytest.raises(BadInput, match=r"Linux 2.4.22 has no "):
            call()
        assert machine.now == now
    newer = Machine.boot(arch="x86_32", memory="64M", kernel="2.6.11", cpus=1)
    assert newer.ksize(newer.kmalloc(100) or 0) == 128
    pool = newer.mempool_create(2, "size-32")
    assert newer.mempool_alloc(pool)


@pytest.mark.parametrize(
    ("static", "cpus", "arch", "dynamic", "unit", "pages"),
    [
        # "percpu: Embedded" of recorded kernels: x86-64 of 6.1 and 6.12, arm64, x86-32.
        (217088, 1, "x86_64", 28672, 2097152, 62), (233472, 1, "x86_64", 28672, 2097152, 66),
        (87272, 1, "arm64", 31512, 126976, 31), (104276, 1, "x86_32", 30892, 135168, 33),
        (217088, 2, "x86_64", 28672, 1048576, 62), (217088, 8, "x86_64", 28672, 262144, 62),
        # Five cpus: eight units a block would waste three, two waste one.
        (217088, 5, "x86_64", 28672, 1048576, 62),
    ],
)  # fmt: skip
def test_the_first_chunk(static: int, cpus: int, arch: str, dynamic: int, unit: int, pages: int) -> None:
    plan = first_chunk(static, cpus, arch=arch)
    assert (plan.dynamic, plan.unit, plan.pages) == (dynamic, unit, pages)


def test_copies_for_each_cpu() -> None:
    machine = Machine.boot(memory="256M", cpus=2, kernel="6.1")
    first = machine.alloc_percpu(40)
    second = machine.alloc_percpu(8)
    assert first is not None
    assert second == first + 40
    machine.free_percpu(first)
    assert machine.alloc_percpu(64, 64) != first, "the hole of 40 bytes is too small"
    assert machine.alloc_percpu(32) == first
    now = machine.now
    for size, align in ((0, 8), (40000, 8), (8, 8192), (8, 12)):
        with pytest.raises(KernelBug, match=r"illegal size \(\d+\) or align"):
            machine.alloc_percpu(size, align)
    with pytest.raises(KernelBug, match="no chunk"):
        machine.free_percpu(first + 4)
    assert machine.now == now


def test_a_full_chunk_gets_another_and_pages_come_with_it() -> None:
    machine = Machine.boot(memory="256M", cpus=2, kernel="6.1")
    percpu_first = machine.alloc_percpu(16384)
    pointers = [machine.alloc_percpu(16384) for _ in range(3)]
    assert percpu_first
    assert machine.objects.pools is not None
    first, second = machine.objects.pools.percpu.chunks
    assert first.pages == {}
    assert {len(pfns) for pfns in second.pages.values()} == {2}, "a page for every cpu"
    assert sorted(second.pages) == list(range(12))
    assert pointers == sorted(pointers)
    machine.undo()
    assert machine.alloc_percpu(16384) == pointers[-1]


class _Pages:
    def alloc_pages(self, gfp: int, order: int = 0, nid: int | None = None, cpu: int = 0) -> int:
        return 1

    def free_pages(self, pfn: int, order: int = 0, cpu: int = 0) -> None:
        """Nothing."""


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9000), st.sampled_from([4, 8, 64, 4096]), st.booleans()), max_size=60))
def test_no_byte_of_a_unit_is_owned_twice(steps: list[tuple[int, int, bool]]) -> None:
    percpu = PerCpu(first_chunk(100_000, 1, arch="arm64"), _Pages())
    held: dict[int, int] = {}
    for size, align, give_back in steps:
        if give_back and held:
            pointer = min(held)
            percpu.free(pointer)
            del held[pointer]
            continue
        pointer = percpu.alloc(size, align)
        assert pointer % align == 0
        held[pointer] = -(-size // 4) * 4
    spans = sorted((pointer, pointer + size) for pointer, size in held.items())
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    for number, chunk in enumerate(percpu.chunks):
        assert sum(b - a for a, b in chunk.holes) + sum(chunk.taken.values()) == chunk.size - chunk.start
        assert [number in slot for slot in percpu.slots].count(True) == 1
    kept = percpu.save()
    percpu.alloc(4)
    percpu.load(kept)
    assert percpu.save() == kept


def test_a_chunk_whose_largest_hole_is_too_small_is_passed_over() -> None:
    chunk = Chunk(0, 4096)
    chunk.take(64, 64)
    assert chunk.fit(64, 4) == 0
    assert chunk.fit(100, 4) == 128
    assert chunk.fit(4000, 4) == -1


def test_who_asks_chooses_the_copy_and_the_bucket(tmp_path) -> None:
    config = {"RANDOM_KMALLOC_CACHES": "y", "SLAB_BUCKETS": "y"}
    machine = Machine.boot(memory="256M", cpus=1, kernel="6.12", config=config)

    def cache_of(caller: str, gfp: str = "GFP_KERNEL") -> str:
        return machine.slab_object(machine.kmalloc(100, gfp, caller=caller) or 0).cache

    assert len({cache_of(f"function_{number}") for number in range(60)}) > 8
    assert cache_of("function_1") == cache_of("function_1")
    assert cache_of("msg_msg") == "msg_msg-128"
    assert cache_of("msg_msg", "GFP_KERNEL_ACCOUNT") == "msg_msg-128", "whatever the flags"
    assert cache_of("function_1", "GFP_KERNEL_ACCOUNT") == "kmalloc-cg-128"
    machine.save(tmp_path / "m.json")
    assert Machine.load(tmp_path / "m.json").slabs("msg_msg-128") == machine.slabs("msg_msg-128")
    plain = Machine.boot(memory="256M", cpus=1, kernel="6.1")
    assert plain.slab_object(plain.kmalloc(100, caller="msg_msg") or 0).cache == "kmalloc-128"
    old = Machine.boot(arch="x86_32", memory="64M", cpus=1, kernel="2.4")
    assert old.slab_object(old.kmalloc(100, caller="msg_msg") or 0).cache == "size-128"


@pytest.mark.parametrize(
    ("arch", "words"),
    [
        # The second word of struct page number (0xdeadbee0 - page_offset) >> 12, 64 bytes each, behind vmemmap.
        ("x86_64", "BUG: unable to handle page fault for address: ffffebde037ab6c8"),
        ("x86_32", "BUG: unable to handle page fault for address: "),
        ("arm64", "Unable to handle kernel paging request at virtual address "),
    ],
)
def test_kfree_of_what_no_struct_page_describes(arch: str, words: str) -> None:
    machine = Machine.boot(arch=arch, memory="256M", cpus=1)
    machine.kmem_cache_init()
    now = machine.now
    for call in (machine.kfree, machine.kfree_rcu):
        with pytest.raises(KernelBug, match=words):
            call(0xDEADBEE0 if arch != "x86_32" else 0x1000)
    with pytest.raises(KernelBug, match=r"free_large_kmalloc|page fault|paging request"):
        machine.kfree(machine.objects.slub.page_offset + (200 << 20))
    assert machine.now == now


def test_a_reserve_needs_room_for_its_array_of_pointers() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    cache = machine.kmem_cache_create("things", 64, flags="no_merge")
    before = machine.snapshot().slabs
    with pytest.raises(KernelBug, match="no memory for the array"):
        machine.mempool_create(1 << 20, cache)
    assert machine.snapshot().slabs == before
    pool = machine.mempool_create(4, cache)
    assert machine.objects.pools is not None
    array = machine.slab_object(machine.objects.pools.pools[pool].array)
    machine.mempool_destroy(pool)
    gone = machine.slab_object(array.address)
    assert (array.cache, array.state == gone.state) == ("kmalloc-32", False), "the array went with the reserve"


@pytest.mark.parametrize("cpu", [-1, 1, 1 << 64])
def test_a_cpu_that_is_not_there_is_refused_before_anything_is_done(cpu: int) -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    page = machine.alloc_pages("GFP_KERNEL")
    assert page is not None
    address = machine.kmalloc(100)
    assert address is not None
    area = machine.vmalloc(4096)
    assert area is not None
    now, before = machine.now, machine.snapshot()
    for call in (
        lambda: machine.kmalloc(8, cpu=cpu), lambda: machine.kfree(address, cpu), lambda: machine.vfree(area, cpu),
        lambda: machine.krealloc(address, 200, cpu=cpu), lambda: machine.kmem_cache_alloc("kmalloc-8", cpu=cpu),
        lambda: machine.alloc_thread_stack(cpu), lambda: machine.get_free_pages(cpu=cpu),
        lambda: machine.alloc_pages_bulk("GFP_KERNEL", 3, cpu=cpu), lambda: machine.free_pages(page, 0, cpu),
        lambda: machine.compact_memory(cpu=cpu), lambda: machine.alloc_pages_exact(4096, cpu=cpu),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="cpu"):
            call()
    assert (machine.now, machine.snapshot()) == (now, before)
