"""SLAB of 2.4 and 2.6.11: sizes, colours, arrays and the three lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slub_kit import FewPages

from kmemwidgets import Machine
from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.gfp import FLAGS
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.slab import TABLE, SlabRules
from kmemwidgets.sim.slab24 import Slab24, check
from kmemwidgets.sim.slab24_cache import SlabCache24
from kmemwidgets.sim.slab24_init import boot
from kmemwidgets.sim.slab24_layout import SlabTunables, slab_geometry

OLD = pick(SlabRules, TABLE, (2, 4, 22))
NEW = pick(SlabRules, TABLE, (2, 6, 11))


def allocator(rules: SlabRules = OLD, cpus: int = 1, pages: int = 1 << 16) -> Slab24:
    made = Slab24(FewPages(pages), rules, machine=SlabTunables(smp=cpus > 1), cpus=cpus)
    boot(made)
    return made


def with_cache(
    rules: SlabRules = OLD, size: int = 100, cpus: int = 1, pages: int = 1 << 16
) -> tuple[Slab24, SlabCache24]:
    slab = allocator(rules, cpus, pages)
    return slab, slab.kmem_cache_create("things", size)


@pytest.mark.parametrize(
    ("rules", "size", "order", "num", "off_slab"),
    [
        (OLD, 32, 0, 113, False), (NEW, 32, 0, 119, False), (OLD, 128, 0, 30, False), (NEW, 128, 0, 31, False),
        (OLD, 512, 0, 8, True), (NEW, 1024, 0, 4, True), (OLD, 2048, 0, 2, True), (OLD, 4096, 0, 1, True),
        (OLD, 131072, 5, 1, True),
    ],
)  # fmt: skip
def test_how_slabs_are_cut(rules: SlabRules, size: int, order: int, num: int, off_slab: bool) -> None:
    # size-32 of 2.4 has 113 objects a slab, of 2.6 on i386 119: /proc/slabinfo of such machines.
    g = slab_geometry(rules, size, flags=frozenset({"hwcache_align"}))
    assert (g.order, g.num, g.off_slab) == (order, num, off_slab)


def test_too_wasteful_slabs_grow_until_they_are_large_enough() -> None:
    small = SlabTunables(large_machine=False)
    assert slab_geometry(OLD, 1400).order == 2
    assert slab_geometry(NEW, 1400).order == 1
    assert slab_geometry(NEW, 1400, machine=small).order == 0
    assert slab_geometry(NEW, 1400, flags=frozenset({"reclaim_account"})).order == 0
    with pytest.raises(ValueError, match="no slab holds"):
        slab_geometry(OLD, 200_000)


def test_a_descriptor_moves_in_where_it_fits() -> None:
    g = slab_geometry(OLD, 1360, machine=SlabTunables(large_machine=False))
    assert not slab_geometry(OLD, 900).off_slab
    assert g.off_slab == (g.left_over < g.slab_size)


@pytest.mark.parametrize(("rules", "size"), [(OLD, 32), (NEW, 16)])
def test_an_object_that_fills_half_a_line(rules: SlabRules, size: int) -> None:
    line = SlabTunables(cache_line=32)
    assert slab_geometry(rules, 16, flags=frozenset({"hwcache_align"}), machine=line).size == size


def test_a_descriptor_fills_whole_lines_in_2_4() -> None:
    assert slab_geometry(OLD, 100).slab_size % 32 == 0
    assert slab_geometry(NEW, 100).slab_size == 104


def test_the_third_argument_is_an_offset_in_2_4_and_an_alignment_in_2_6() -> None:
    assert (slab_geometry(OLD, 100, 64).size, slab_geometry(OLD, 100, 64).colour_off) == (100, 64)
    assert (slab_geometry(NEW, 100, 64).size, slab_geometry(NEW, 100, 64).colour_off) == (128, 64)


def test_the_first_caches_of_2_4() -> None:
    slab = allocator()
    names = [cache.name for cache in slab.slab_caches]
    assert names[:3] == ["kmem_cache", "size-131072(DMA)", "size-131072"]
    assert names[-1] == "size-32"
    assert "size-96" not in names
    kmem_cache = slab.slab_caches[0].info()
    # 26 caches besides itself, each with a struct of 108 bytes; i386, one cpu.
    assert (kmem_cache.active_objs, kmem_cache.slab_size, kmem_cache.objs_per_slab) == (26, 108, 36)
    several = allocator(cpus=2).find_cache("kmem_cache").info()
    assert (several.slab_size, several.tunables) == (244, (252, 126, 0))


def test_the_first_caches_of_2_6() -> None:
    slab = allocator(NEW, cpus=2)
    names = [cache.name for cache in slab.slab_caches]
    assert names[0] == "size-131072(DMA)"
    assert names[-3:] == ["size-32(DMA)", "size-32", "kmem_cache"]
    assert slab.find_cache("size-192").info().tunables == (120, 60, 8)
    assert slab.find_cache("size-8192").info().tunables == (8, 4, 0)
    # Boot counts a cpu only once it is up: the limit is that of one.
    assert slab.find_cache("size-32").free_limit == 2 * 60 + 119
    assert slab.kmem_cache_create("later", 200).free_limit == 3 * 60 + 20
    assert check(slab) == []


def test_colours_shift_each_slab_by_a_cache_line() -> None:
    slab, c = with_cache(size=904)
    g = c.geometry
    assert g.colours >= 2
    bases = [slab.kmem_cache_alloc(c) % 4096 for _ in range(g.num * (g.colours + 1))][:: g.num]
    assert [base - bases[0] for base in bases] == [n * 32 for n in range(g.colours)] + [0]


def test_objects_go_out_by_number_and_come_back_last_first() -> None:
    slab, c = with_cache(size=128)
    a, b, d = (slab.kmem_cache_alloc(c) for _ in range(3))
    assert (b - a, d - b) == (128, 128)
    slab.kmem_cache_free(c, a)
    slab.kmem_cache_free(c, d)
    assert [slab.kmem_cache_alloc(c), slab.kmem_cache_alloc(c)] == [d, a]


def test_lists_of_2_4() -> None:
    slab, c = with_cache(size=1024)
    taken = [slab.kmem_cache_alloc(c) for _ in range(2 * c.geometry.num)]
    assert (len(c.full), len(c.partial), len(c.free)) == (2, 0, 0)
    slab.kmem_cache_free(c, taken[0])
    assert (len(c.full), len(c.partial)) == (1, 1)
    for address in taken[1 : c.geometry.num]:
        slab.kmem_cache_free(c, address)
    assert (len(c.full), len(c.partial), len(c.free)) == (1, 0, 1)
    assert slab.kmem_cache_shrink(c) == 1


def test_descriptors_outside_come_from_kmalloc() -> None:
    slab, c = with_cache(size=1024)
    assert c.geometry.off_slab
    before = slab.find_cache("size-64").info().active_objs or 0
    address = slab.kmem_cache_alloc(c)
    assert slab.find_cache("size-64").info().active_objs == before + 1
    slab.kmem_cache_free(c, address)
    slab.kmem_cache_shrink(c)
    assert slab.find_cache("size-64").info().active_objs == before


def test_arrays_of_2_6_take_and_give_batches() -> None:
    slab, c = with_cache(NEW, size=2048, cpus=2)
    own = [array for array in c.arrays if array is not None]
    assert [(array.limit, array.batchcount) for array in own] == [(24, 12), (24, 12)]
    first = slab.kmem_cache_alloc(c)
    assert len(own[0].objects) == 1, "a refill makes one new slab, not more"
    taken = [first, *(slab.kmem_cache_alloc(c) for _ in range(40))]
    for address in taken[:24]:
        slab.kmem_cache_free(c, address, cpu=1)
    assert len(own[1].objects) == 24
    slab.kmem_cache_free(c, taken[24], cpu=1)
    assert own[1].objects == taken[12:25]
    assert c.shared is not None
    assert c.shared.objects == taken[:12], "the oldest go where all cpus can get them"
    assert slab.kmem_cache_alloc(c, cpu=1) == taken[24]


def test_a_cold_cpu_fetches_16_at_most() -> None:
    slab, c = with_cache(NEW, size=32)
    slab.kmem_cache_alloc(c)
    (array,) = [array for array in c.arrays if array is not None]
    assert len(array.objects) == 15
    for _ in range(16):
        slab.kmem_cache_alloc(c)
    assert len(array.objects) == 59


def test_arrays_of_2_4_give_the_newest_back() -> None:
    slab, c = with_cache(size=2048, cpus=2)
    (first, _) = [array for array in c.arrays if array is not None]
    assert (first.limit, first.batchcount) == (60, 30)
    taken = [slab.kmem_cache_alloc(c, cpu=1) for _ in range(61)]
    for address in taken:
        slab.kmem_cache_free(c, address)
    assert first.objects == [*taken[:30], taken[60]]


def test_empty_slabs_go_once_there_are_enough() -> None:
    slab, c = with_cache(NEW, size=2048)
    for address in [slab.kmem_cache_alloc(c) for _ in range(200)]:
        slab.kmem_cache_free(c, address)
    assert c.free_objects <= c.free_limit
    assert len(c.free) + len(c.partial) + len(c.full) < 100


CUT = "------------[ cut here ]------------"


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("rules", [OLD, NEW])
def test_wrong_pointers(rules: SlabRules, debug: bool) -> None:
    """2.4.22 and 2.6.11 mm/slab.c: kmem_extra_free_checks, cache_free_debugcheck; without DEBUG nobody looks."""
    slab, c = with_cache(rules)
    slab.debug = debug
    address = slab.kmem_cache_alloc(c)
    slab.kmem_cache_alloc(c)
    other = slab.find_cache("size-32")
    before = slab.save()

    def said(cache: SlabCache24, pointer: int) -> str:
        with pytest.raises(KernelBug) as told:
            slab.kmem_cache_free(cache, pointer)
        return str(told.value)

    answers = [said(c, address + 4), said(c, 0x1000), said(other, address)]
    assert slab.save() == before
    slab.kmem_cache_free(c, address)
    answers.append(said(c, address))
    plain = [
        f" ({address + 4:08x} is no object of things)", " (00001000 is in no slab)",
        f" ({address:08x} is an object of things, not of size-32)", f" ({address:08x} of things is free already)",
    ]  # fmt: skip
    words = ["this kernel says nothing"] * 4
    if debug and rules is OLD:
        words = [f"kernel BUG at slab.c:{line}!" for line in (1220, 1406, 1582, 1225)]
        words[1] = f"kfree: bad ptr 1000h.\n{words[1]}"
    elif debug:
        words = [
            f"{CUT}\nkernel BUG at mm/slab.c:1920!",
            f"kfree_debugcheck: bad ptr 1000h.\n{CUT}\nkernel BUG at mm/slab.c:1881!",
            "\n".join((
                f"mismatch in kmem_cache_free: expected cache {c.address:08x}, got {other.address:08x}",
                f"{other.address:08x} is size-32.", f"{c.address:08x} is things.",
                "Badness in cache_free_debugcheck at mm/slab.c:1900",
            )),
            f"slab: double free detected in cache 'things', objp {address:08x}.\n{CUT}\nkernel BUG at mm/slab.c:2185!",
        ]  # fmt: skip
    assert answers == [said + why for said, why in zip(words, plain, strict=True)]


def test_a_double_free_finds_the_red_zones_of_a_free_object() -> None:
    """2.4.22 mm/slab.c kmem_cache_free_one, line 1439; 2.6.11 cache_free_debugcheck, a slab_error."""
    for kernel, words in (
        ("2.4", r"kernel BUG at slab\.c:1439! \("),
        ("2.6.11", (
            r"slab error in cache_free_debugcheck\(\): cache `things': double free, or memory outside object was "
            r"overwritten\n\w{8}: redzone 1: 0x5a2cf071, redzone 2: 0x5a2cf071\. \("
        )),
    ):  # fmt: skip
        machine = Machine.boot(kernel=kernel, arch="x86_32", memory="64M", cpus=1, config={"CONFIG_DEBUG_SLAB": "y"})
        machine.kmem_cache_init()
        machine.kmem_cache_create("things", 64)
        address = machine.kmem_cache_alloc("things")
        machine.kmem_cache_free("things", address)
        with pytest.raises(KernelBug, match=f"^{words}"):
            machine.kmem_cache_free("things", address)


@pytest.mark.parametrize(
    ("rules", "arguments", "flags", "duplicate"),
    [
        (OLD, "kernel BUG at slab.c:640!", "kernel BUG at slab.c:670!", "kernel BUG at slab.c:815!"),
        (NEW, f"kmem_cache_create: Early error in slab x\n{CUT}\nkernel BUG at mm/slab.c:1204!",
         f"{CUT}\nkernel BUG at mm/slab.c:1239!",
         f"kmem_cache_create: duplicate cache things\n{CUT}\nkernel BUG at mm/slab.c:1472!"),
    ],
)  # fmt: skip
def test_caches_that_can_not_be(rules: SlabRules, arguments: str, flags: str, duplicate: str) -> None:
    """2.4.22 and 2.6.11 mm/slab.c kmem_cache_create."""
    slab, _ = with_cache(rules)
    before = slab.save()
    for words, name, size, wanted in (
        (arguments, "x", 1, ()), (flags, "x", 64, ("sparkling",)), (duplicate, "things", 64, ()),
    ):  # fmt: skip
        with pytest.raises(KernelBug) as told:
            slab.kmem_cache_create(name, size, flags=wanted)
        assert str(told.value).startswith(f"{words} (")
    assert slab.save() == before


def test_no_pages() -> None:
    slab, c = with_cache(size=4096, pages=5)
    assert [bool(slab.kmem_cache_alloc(c)) for _ in range(4)] == [True, True, True, False]
    assert check(slab) == []


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 99), st.integers(0, 1)), max_size=120),
    st.sampled_from([OLD, NEW]),
    st.sampled_from([1, 2]),
)
def test_no_byte_is_owned_twice(steps: list[tuple[bool, int, int]], rules: SlabRules, cpus: int) -> None:
    slab, c = with_cache(rules, size=700, cpus=cpus)
    live: list[int] = []
    for take, number, cpu in steps:
        if take:
            live.append(slab.kmem_cache_alloc(c, cpu=cpu % cpus))
        elif live:
            slab.kmem_cache_free(c, live.pop(number % len(live)), cpu % cpus)
    assert len(set(live)) == len(live)
    assert all(b - a >= 700 for a, b in zip(sorted(live), sorted(live)[1:], strict=False))
    assert c.in_use() == len(live)
    assert check(slab) == []
    kept = slab.save()
    slab.kmem_cache_alloc(c)
    slab.load(kept)
    assert slab.save() == kept


@pytest.mark.parametrize(("rules", "to_tail"), [(OLD, False), (NEW, True)])
def test_a_slab_that_gets_an_object_back(rules: SlabRules, to_tail: bool) -> None:
    slab, c = with_cache(rules, size=1000)
    taken = []
    for _ in range(3 * c.geometry.num):
        source = slab._source(c) or slab._grow(c, 0, 0)
        assert source is not None
        taken.append(slab._take(c, source))
    first, second = taken[0], taken[c.geometry.num]
    slab.free_block(c, [first, second], 0)
    order = [slab._slab_of(first).pfn, slab._slab_of(second).pfn]
    assert list(c.partial) == (order if to_tail else order[::-1])


def test_kmalloc_of_old_kernels() -> None:
    slab = allocator(NEW)
    assert [plain.name for plain, _dma in slab.general][:6] == [f"size-{n}" for n in (32, 64, 96, 128, 192, 256)]
    address = slab.kmalloc(65)
    assert slab.ksize(address) == 96
    slab.kfree(address)
    assert slab.kmalloc(90) == address
    assert slab.kmalloc(131073) == 0
    assert slab.ksize(slab.kmalloc(0)) == 32, "there is no ZERO_SIZE_PTR yet"
    slab.kfree(0)
    with pytest.raises(KernelBug, match="in no slab"):
        slab.kfree(0x1000)


def test_memory_for_dma_has_caches_of_its_own() -> None:
    slab = allocator()
    address = slab.kmalloc(100, FLAGS["__GFP_DMA"])
    assert slab._slab_of(address).cache.name == "size-128(DMA)"
    with pytest.raises(KernelBug, match=r"^kernel BUG at slab\.c:1235! \(size-32 and GFP_DMA"):
        slab.kmem_cache_alloc(slab.find_cache("size-32"), FLAGS["__GFP_DMA"])


def test_caches_of_old_kernels() -> None:
    slab = allocator(cpus=2)
    before = slab.find_cache("kmem_cache").in_use()
    cache = slab.kmem_cache_create("inodes", 480)
    assert slab.slab_caches[1] is cache, "the newest comes right behind the cache of caches"
    with pytest.raises(KernelBug, match="is there already"):
        slab.kmem_cache_create("inodes", 480)
    with pytest.raises(KernelBug, match="kernel BUG"):
        slab.kmem_cache_create("huge", 200_000)
    with pytest.raises(KernelBug, match="couldn't create cache odd"):
        allocator(NEW).kmem_cache_create("odd", 131072, align=1 << 18)
    address = slab.kmem_cache_alloc(cache)
    state = slab.save()
    with pytest.raises(KernelBug, match="Can't free all objects"):
        slab.kmem_cache_destroy(cache)
    assert slab.save() == state
    slab.kmem_cache_free(cache, address)
    slab.kmem_cache_destroy(cache)
    assert cache not in slab.slab_caches
    assert check(slab) == []
    assert slab.find_cache("kmem_cache").in_use() == before
