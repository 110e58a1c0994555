"""kmalloc: which cache serves a request, and what it answers to odd ones."""

from __future__ import annotations

import pytest
from slub_kit import BASE, FewPages, boot

from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.gfp import FLAGS, GFP_KERNEL
from kmemwidgets.sim.kmalloc import Kmalloc
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.vmalloc import TABLE, VmallocRules
from kmemwidgets.sim.slub import Slub
from kmemwidgets.sim.slub_init import check, save
from kmemwidgets.sim.vmalloc import Vmalloc

ACCOUNT, DMA, RECLAIMABLE = FLAGS["__GFP_ACCOUNT"], FLAGS["__GFP_DMA"], FLAGS["__GFP_RECLAIMABLE"]


def general(slub: Slub) -> Kmalloc:
    assert slub.general is not None
    return slub.general


def cache_of(slub: Slub, address: int) -> str:
    return slub.slabs[address >> 12].cache.name


@pytest.mark.parametrize(
    ("size", "gfp", "name"),
    [
        (1, 0, "kmalloc-8"), (8, 0, "kmalloc-8"), (9, 0, "kmalloc-16"), (64, 0, "kmalloc-64"), (65, 0, "kmalloc-96"),
        (129, 0, "kmalloc-192"), (193, 0, "kmalloc-256"), (8192, 0, "kmalloc-8k"), (100, ACCOUNT, "kmalloc-cg-128"),
        (100, DMA, "dma-kmalloc-128"), (300, RECLAIMABLE | ACCOUNT, "kmalloc-rcl-512"),
        (300, DMA | RECLAIMABLE, "dma-kmalloc-512"),
    ],
)  # fmt: skip
def test_cache_of_a_request(size: int, gfp: int, name: str) -> None:
    slub = boot()
    assert cache_of(slub, slub.kmalloc(size, GFP_KERNEL | gfp)) == name
    info = general(slub).info(size, GFP_KERNEL | gfp)
    assert info.cache == name
    assert info.taken >= size


def test_before_5_14_accounting_had_no_caches() -> None:
    slub = boot((5, 6, 4))
    assert cache_of(slub, slub.kmalloc(100, GFP_KERNEL | ACCOUNT)) == "kmalloc-128"


def test_nothing_and_too_much() -> None:
    slub = boot()
    assert slub.kmalloc(0) == 16
    slub.kfree(16)
    slub.kfree(0)
    before = save(slub)[0]
    assert slub.kmalloc((4 << 20) + 1) == 0
    assert "mm/page_alloc.c" in slub.dmesg[-1]
    assert save(slub)[0] == before
    with pytest.raises(ValueError, match="bytes"):
        slub.kmalloc(-1)
    assert general(slub).info(5 << 20).taken == 0


def test_large_requests_take_pages() -> None:
    slub = boot()
    address = slub.kmalloc(8193)
    assert (address - BASE) % 16384 == 0
    assert general(slub).large == {address: 2}
    assert general(slub).ksize(address) == 16384
    info = general(slub).info(8193)
    assert (info.cache, info.order, info.waste) == (None, 2, 16384 - 8193)
    slub.kfree(address)
    assert general(slub).large == {}
    assert isinstance(slub.page_alloc, FewPages)
    assert (address - BASE) >> 12 not in slub.page_alloc.out


@pytest.mark.parametrize(("kernel", "words"), [
    ((5, 6, 4), "kernel BUG"), ((6, 1, 192), "object pointer"), ((6, 18), "Not a kmalloc allocation"),
])  # fmt: skip
def test_a_wrong_pointer(kernel: tuple[int, ...], words: str) -> None:
    slub = boot(kernel)
    address = slub.kmalloc(10000)
    before = save(slub)
    with pytest.raises(KernelBug, match=words):
        slub.kfree(address + 4 * 4096)
    with pytest.raises(KernelBug, match="BUG: unable to handle page fault for address: "):
        slub.kfree(0xDEADBEEF)
    with pytest.raises(KernelBug):
        general(slub).ksize(0x1234)
    assert save(slub) == before


def test_krealloc_moves_only_where_it_must() -> None:
    slub = boot()
    k = general(slub)
    address = slub.kmalloc(50)
    assert k.krealloc(address, 64) == address
    moved = k.krealloc(address, 65)
    assert cache_of(slub, moved) == "kmalloc-96"
    assert slub.next_object(slub.find_cache("kmalloc-64")) == address
    assert k.krealloc(moved, 0) == 16
    assert cache_of(slub, k.krealloc(0, 10)) == "kmalloc-16"
    assert k.ksize(0) == k.ksize(16) == 0


def test_kvmalloc_falls_back() -> None:
    slub = boot(pages=200)
    k = general(slub)
    k.vmalloc = Vmalloc(pick(VmallocRules, TABLE, (6, 1)), 1 << 40, 1 << 41, page_alloc=slub.page_alloc)
    assert isinstance(slub.page_alloc, FewPages)
    slub.page_alloc.next = 166
    address = k.kvmalloc(128 << 10)
    assert address >> 40 == 1
    assert slub.dmesg == [], "the first try is quiet"
    k.kvfree(address)
    assert k.vmalloc.busy == {}
    k.kvfree(k.kvmalloc(100))
    assert check(slub) == []


def test_random_copies_by_caller() -> None:
    slub = boot((6, 6), CONFIG_RANDOM_KMALLOC_CACHES="y")
    k = general(slub)
    names = {k.cache_for(64, caller=f"caller{n}").name for n in range(200)}  # type: ignore[union-attr]
    assert len(names) == 16
    assert k.cache_for(64, caller="a") is k.cache_for(64, caller="a")
    assert k.cache_for(64, ACCOUNT, "a") is slub.find_cache("kmalloc-cg-64")


def test_waste_of_many_requests() -> None:
    assert general(boot()).waste([1, 8, 100, 9000]) == 7 + 0 + 28 + (12288 + 4096 - 9000)


def test_creation_order() -> None:
    names = [cache.name for cache in boot((6, 1)).slab_caches]
    assert names[2:9] == [f"kmalloc-{size}" for size in (8, 16, 32, 64, 96, 128, 192)]
    names = [cache.name for cache in boot((6, 12)).slab_caches]
    assert names[2:6] == ["kmalloc-96", "kmalloc-192", "kmalloc-8", "kmalloc-16"]
