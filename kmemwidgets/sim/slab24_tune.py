"""How many objects the arrays of a SLAB cache hold: chosen by the size of an object, or by hand (mm/slab.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import KernelBug

if TYPE_CHECKING:
    from .slab24 import Slab24
    from .slab24_cache import SlabCache24


def enable(slab24: Slab24, cache: SlabCache24) -> None:
    """Give a cache arrays of the size that fits its objects (enable_cpucache)."""
    rules, machine = slab24.rules, slab24.machine
    size = cache.geometry.size
    limit = rules.array_limit(size, machine.smp, machine.page_size)
    if not limit:
        return
    if slab24.debug and rules.debug_limit:
        limit = min(limit, rules.debug_limit)
    batch = (limit + rules.half_rounds_up) // 2
    _tune(slab24, cache, limit, batch, rules.shared_factor(size, machine.smp, machine.page_size))


def tune(slab24: Slab24, cache: SlabCache24, limit: int, batchcount: int, sharedfactor: int) -> None:
    """Give a cache arrays of another size: what a line written to /proc/slabinfo asks for (slabinfo_write).

    Raises
    ------
    KernelBug
        For what the kernel refuses: a batch larger than an array, an array that no cache of kmalloc holds, or a
        kernel without arrays.
    """
    rules, machine = slab24.rules, slab24.machine
    # 2.4 takes 0 for no array; nothing but an empty one has an empty batch.
    least = 0 if rules.align_is_offset else 1
    wrong = batchcount > limit or min(limit, batchcount) < least or (limit and not batchcount) or sharedfactor < 0
    asked = f"({cache.name} {limit} {batchcount} {sharedfactor})"
    if wrong or not (machine.smp or rules.boot_arrays):
        raise KernelBug(f"write error: Invalid argument {asked}")
    largest = slab24.general[-1][0].object_size
    if rules.array_head + max(limit, batchcount * sharedfactor) * machine.word > largest:
        raise KernelBug(f"write error: Cannot allocate memory {asked}")
    shared = None if rules.shared_factor(1, machine.smp, machine.page_size) is None else sharedfactor
    _tune(slab24, cache, limit, batchcount, shared)


def _tune(slab24: Slab24, cache: SlabCache24, limit: int, batch: int, factor: int | None) -> None:
    """Replace a cache's arrays; what was in them goes back to its slabs (do_tune_cpucache)."""
    old, shared = cache.arrays, cache.shared
    cache.arrays = [slab24.new_array(limit, batch) if limit else None for _ in range(slab24.online)]
    cache.free_limit = (1 + slab24.online) * batch + cache.geometry.num
    for array in old:
        if array is not None:
            slab24.free_block(cache, array.objects, 0)
            slab24.kfree(array.address)
    if factor is None:
        return
    cache.shared = slab24.new_array(batch * factor, batch)
    if shared is not None:
        slab24.free_block(cache, shared.objects, 0)
        slab24.kfree(shared.address)
