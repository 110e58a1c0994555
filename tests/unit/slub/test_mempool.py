"""mempool's reserve, and the interfaces side by side."""

from __future__ import annotations

import pytest
from slub_kit import FewPages, boot

from kmemwidgets import allocation_interfaces
from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.interfaces import INTERFACES, choose
from kmemwidgets.sim.mempool import Mempool
from kmemwidgets.sim.slab_create import objects_in_use
from kmemwidgets.sim.slub_init import check


def test_the_reserve_is_for_when_there_is_nothing_else() -> None:
    slub = boot()
    cache = slub.kmem_cache_create("bios", 1000, flags={"no_merge"})
    pool = Mempool(slub, cache, 3)
    reserve = list(pool.elements)
    pages = slub.page_alloc
    assert isinstance(pages, FewPages)
    pages.pages = pages.next
    taken = []
    while address := pool.alloc():
        taken.append(address)
    assert taken[-3:] == reserve[::-1]
    for address in taken:
        pool.free(address)
    assert pool.elements == taken[:3], "what comes back fills the reserve first"
    assert pages.asked[-3][0] & 0x440 == 0, "the first try neither waits nor does I/O"
    assert pages.asked[-1][0] & 0x440 == 0x440, "the one after the reserve may do both"
    assert check(slub) == []
    kept = pool.save()
    pool.elements.pop()
    with pytest.raises(KernelBug, match="1 objects are still out"):
        pool.destroy()
    pool.load(kept)
    pool.destroy()
    assert objects_in_use(cache) == 0


def test_no_memory_for_a_reserve() -> None:
    slub = boot(pages=40)
    cache = slub.kmem_cache_create("bios", 4096, flags={"no_merge"})
    with pytest.raises(KernelBug, match="no memory"):
        Mempool(slub, cache, 1000)
    assert objects_in_use(cache) == 0
    with pytest.raises(ValueError, match="reserve"):
        Mempool(slub, cache, 0)


@pytest.mark.parametrize(
    ("size", "needs", "name"),
    [
        (100, {}, "kmalloc"), (4096, {}, "kmalloc"), (4097, {}, "kvmalloc"), (8192, {"contiguous": True}, "kmalloc"),
        (8193, {"contiguous": True}, "alloc_pages"), (10, {"must_not_fail": True}, "mempool_alloc"),
        (65536, {"page_size": 65536}, "kmalloc"),
    ],
)  # fmt: skip
def test_which_to_use(size: int, needs: dict[str, int], name: str) -> None:
    assert choose(size, **needs).name == name


def test_promises_agree_with_each_other() -> None:
    assert len({interface.name for interface in INTERFACES}) == len(INTERFACES) == 11
    assert [interface.name for interface in INTERFACES if not interface.may_fail] == ["mempool_alloc"]
    assert not next(i for i in INTERFACES if i.name == "kvmalloc").contiguous
    with pytest.raises(ValueError, match="0 bytes"):
        choose(0)


def test_the_functions_of_a_kernel() -> None:
    now = allocation_interfaces("6.1")
    assert [each.name for each in now] == [each.name for each in INTERFACES]
    old = {each.name: each for each in allocation_interfaces("2.6.11")}
    assert {"mempool_alloc", "alloc_percpu", "kcalloc"} <= set(old)
    assert not {"kvmalloc", "kzalloc"} & set(old)
    assert old["kmalloc"].largest == "128 KiB"
    assert "mempool_alloc" not in {each.name for each in allocation_interfaces("2.4")}
    text = repr(now)
    assert text.count("\n") + 1 == 9 * len(now)
    html = now._repr_html_()
    assert html.count("<tr>") == 1 + len(now)
    assert "<script" not in html
