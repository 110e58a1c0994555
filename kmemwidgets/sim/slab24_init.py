"""SLAB of a machine that boots: the cache of caches, kmalloc's, and then everybody's arrays (mm/slab.c)."""

from __future__ import annotations

from kmemwidgets.records import MachineSpec

from .rules import pick
from .rules.slab import TABLE, SlabRules
from .rules.slub import align_up
from .slab24 import Slab24
from .slab24_cache import ArrayCache, SlabCache24
from .slab24_layout import SlabTunables, slab_geometry
from .slub_options import word_size
from .slub_pages import Pages

#: Bytes of a cache line that kernels of the time were built for: a Pentium III's, and a generic x86-64's.
_LINE_SHIFT = {"x86_32": 5, "x86_64": 7}


def old_tunables(spec: MachineSpec) -> SlabTunables:
    """Gather what a machine's description says about all of its caches."""
    shift = spec.option("CONFIG_X86_L1_CACHE_SHIFT") or ""
    usable = sum(entry.end - entry.start for entry in spec.memory if entry.kind == "usable")
    return SlabTunables(
        word=word_size(spec),
        page_size=spec.page_size,
        cache_line=1 << (int(shift) if shift.isdigit() else _LINE_SHIFT.get(spec.arch, 5)),
        large_machine=usable > 32 << 20,
        smp=spec.cpus > 1 or spec.option("CONFIG_SMP") == "y",
    )


def old_slab_allocator(spec: MachineSpec, page_alloc: Pages, *, page_offset: int) -> Slab24:
    """Boot SLAB and kmalloc (kmem_cache_init, kmem_cache_sizes_init, kmem_cpucache_init).

    Parameters
    ----------
    spec : MachineSpec
    page_alloc : Pages
    page_offset : int
        Address of the frame with pfn 0 in the direct map.
    """
    rules = pick(SlabRules, TABLE, spec.kernel)
    made = Slab24(
        page_alloc, rules, machine=old_tunables(spec), cpus=spec.cpus, page_offset=page_offset,
        debug=spec.option("CONFIG_DEBUG_SLAB") == "y",
    )  # fmt: skip
    boot(made)
    return made


def boot(slab: Slab24) -> None:
    """Make the first caches; `slab` has none yet."""
    rules, machine = slab.rules, slab.machine
    cache_cache = _cache_of_caches(slab)
    slab.slab_caches.append(cache_cache)
    if rules.boot_arrays:
        cache_cache.arrays = [ArrayCache(1, 1)]
    slab.cache_cache = cache_cache
    for size in general_sizes(rules, machine):
        _general(slab, size)
    if rules.boot_arrays:
        for cache in (cache_cache, slab.general[0][0]):
            cache.arrays = [_rehoused(slab, cache)]
    else:
        slab.online = slab.cpus
    slab.up = True
    for cache in list(slab.slab_caches):
        slab.enable_cpucache(cache)
    if rules.boot_arrays:
        _bring_up_cpus(slab)


def general_sizes(rules: SlabRules, machine: SlabTunables) -> tuple[int, ...]:
    """Return the sizes of kmalloc's caches: odd ones only where they don't waste cache lines (kmalloc_sizes.h)."""
    left_out = {32} if machine.page_size > 4096 else set()
    left_out |= {size for size, line in ((96, 64), (192, 128)) if machine.cache_line >= line}
    return tuple(size for size in rules.sizes if size not in left_out)


def _cache_of_caches(slab: Slab24) -> SlabCache24:
    """kmem_cache: its struct is part of the kernel's image, so that it can exist before all others."""
    rules, machine = slab.rules, slab.machine
    size = rules.struct_size(machine.word, machine.smp)
    if slab.debug:
        size += rules.debug_struct(machine.word, machine.smp)
    align = 0
    if rules.boot_arrays:
        align = machine.cache_line
        size = align_up(size, align)
    return SlabCache24("kmem_cache", size, slab_geometry(rules, size, align, machine=machine))


def _general(slab: Slab24, size: int) -> None:
    """Make a size of kmalloc's caches and its twin for DMA (kmem_cache_sizes_init)."""
    pair: list[SlabCache24] = []
    for name, flags in ((f"size-{size}", set()), (f"size-{size}(DMA)", {"cache_dma"})):
        cache = slab.kmem_cache_create(name, size, 0, {"hwcache_align", *flags})
        pair.append(cache)
        if slab.rules.boot_arrays:
            # The very first array lies in the kernel's image: there is nothing yet to allocate it from.
            cache.arrays = [slab.new_array(1, 1) if slab.general else ArrayCache(1, 1)]
            cache.free_limit = 2 + cache.geometry.num
        if not flags:
            slab.general.append((cache, cache))
            if not cache.geometry.off_slab:
                # A descriptor outside must fit a cache whose own descriptors lie inside; 2.4 counts links of 2 bytes.
                slab.most_off_slab = (size - slab.rules.descriptor(slab.machine.word)) // 2
    slab.general[-1] = (pair[0], pair[1])


def _rehoused(slab: Slab24, cache: SlabCache24) -> ArrayCache:
    """Move an array out of the kernel's image, with what is in it."""
    old = cache.arrays[0]
    moved = slab.new_array(1, 1)
    if old is not None:
        moved.objects, moved.touched = old.objects, old.touched
    return moved


def _bring_up_cpus(slab: Slab24) -> None:
    """Give each further cpu its arrays, as it comes up (cpuup_callback)."""
    for _cpu in range(1, slab.cpus):
        for cache in slab.slab_caches:
            first = cache.arrays[0]
            assert first is not None
            cache.arrays.append(slab.new_array(first.limit, first.batchcount))
            # The new cpu isn't counted yet.
            cache.free_limit = (1 + slab.online) * first.batchcount + cache.geometry.num
        slab.online += 1
