"""What SLUB and kmalloc say of wrong pointers, and of caches that can't go, in each kernel's words.

A line number belongs to one stable release, so none is told; registers, modules and stacks are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import KernelBug
from .gfp import FLAGS
from .memmap import IN_USE, ORDER_MASK, RESERVED
from .rules import pick
from .rules.show_mem import TABLE as SHOWN
from .rules.show_mem import ShowMemRules
from .rules.slub_words import TABLE, SlubWords
from .rules.words import CUT_HERE, warning
from .slab_cache import KmemCache, Slab
from .slub_report import lines_of, print_tracking, remaining

if TYPE_CHECKING:
    from .kmalloc import Kmalloc
    from .slub import Slub


def words_of(slub: Slub) -> SlubWords:
    """Return the words of a kernel."""
    return pick(SlubWords, TABLE, slub.version)


def too_large(slub: Slub, gfp: int, cpu: int) -> None:
    """Warn of a size above KMALLOC_MAX_SIZE, as the page allocator does of such an order, once a boot."""
    function = pick(ShowMemRules, SHOWN, slub.version).too_large
    if not gfp & FLAGS["__GFP_NOWARN"] and not any(f" {function}" in line for line in slub.dmesg):
        slub.warn(warning("mm/page_alloc.c", function, cpu=cpu))


def wrong_cache(slub: Slub, cache: KmemCache, slab: Slab, address: int, cpu: int) -> None:
    """Warn of an object that is given back to another cache (cache_from_obj); it goes where it belongs."""
    words = words_of(slub)
    said = f"cache_from_obj: Wrong slab cache. {cache.name} but object is from {slab.cache.name}"
    if words.wrong_cache_once and any("cache_from_obj: Wrong slab cache." in line for line in slub.dmesg):
        return
    slub.warn(warning(words.cache_file, "cache_from_obj", said, cpu=cpu))
    if words.wrong_cache_tracks:
        print_tracking(slub, slab, address)


def no_slab_page(slub: Slub, cpu: int) -> KernelBug:
    """Return the answer to kmem_cache_free of what lies in no slab (virt_to_cache)."""
    return KernelBug(
        warning(words_of(slub).cache_file, "virt_to_cache", "virt_to_cache: Object is not a Slab page!", cpu=cpu)
    )


def freed_twice(cache: KmemCache, address: int) -> KernelBug:
    """Return the answer to an object that would link to itself, where links are hardened (set_freepointer)."""
    return KernelBug(
        f"{CUT_HERE}\nkernel BUG at mm/slub.c! (object == fp in set_freepointer, {cache.name} 0x{address:016x})"
    )


def bad_kfree(kmalloc: Kmalloc, address: int, cpu: int) -> KernelBug:
    """Return the answer to kfree of a page that kmalloc didn't give (kfree, free_large_kmalloc)."""
    slub = kmalloc.slub
    memmap = getattr(slub.page_alloc, "memmap", None)
    pfn = (address - slub.page_offset) >> slub.page_shift
    head, count, order = pfn, 1, 0
    flags: tuple[str, ...] = ()
    if memmap is not None:
        found = memmap.head_of(pfn)
        head = found if found >= 0 else pfn
        code = memmap.state[head]
        taken = code & ORDER_MASK & 0xF0 == IN_USE
        count, flags = (1, ("reserved",)) if code == RESERVED else (int(taken), ())
        order = code & 15 if taken else 0
        if order:
            flags = ("head",)
    if order and not kmalloc.rules.knows_large:
        # A block of several pages is taken for kmalloc's, and freed.
        return KernelBug(
            f"this kernel says nothing (the block of {1 << order} pages at pfn {head:#x} is not kmalloc's)"
        )
    dump = ""
    if memmap is not None:
        zone = memmap.zone_ids[head >> memmap.pageblock_order]
        dump = memmap.bugs.dump(head, count, flags=flags, order=order, zone=zone)
    return KernelBug(kmalloc.rules.free_words.format(pointer=address, cpu=cpu, dump=dump))


def inside(slab: Slab, address: int) -> KernelBug:
    """Return the answer to a pointer into an object, at which only a debugged cache looks."""
    return KernelBug(f"this kernel says nothing (0x{address:016x} is no object of {slab.cache.name})")


def bad_rcu_pointer(slub: Slub, slab: Slab | None, address: int, cpu: int) -> KernelBug:
    """Return the answer to kfree_rcu of what is no object: what kfree says when all readers are done."""
    if slab is not None:
        return inside(slab, address)
    return no_slab_page(slub, cpu) if slub.general is None else bad_kfree(slub.general, address, cpu)


def bad_ksize(kmalloc: Kmalloc, address: int) -> KernelBug:
    """Return the answer to ksize of what kmalloc didn't give (__ksize)."""
    return KernelBug(f"{warning(words_of(kmalloc.slub).ksize_file, '__ksize')} (0x{address:016x} is not kmalloc's)")


def objects_left(slub: Slub, cache: KmemCache) -> KernelBug:
    """Return the answer to kmem_cache_destroy of a cache with objects left: its slabs, and what is said of it."""
    words = words_of(slub)
    said = slub.rules.destroy_words.format(name=cache.name)
    lines = lines_of(slub, lambda: remaining(slub, cache, words))
    lines.append(warning("mm/slab_common.c", "kmem_cache_destroy", said) if words.warns else said)
    return KernelBug("\n".join(lines))
