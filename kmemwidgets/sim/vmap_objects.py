"""What vmalloc itself takes from the slab allocator: a struct for each area, range and array of pages (mm/vmalloc.c).

A vmap_area stands for every range of addresses, used, waiting for the purge, or free; a vm_struct for every area that
somebody asked for; and one array for the pages of an area, from kmalloc where it fits a page.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from .gfp import FLAGS, GFP_KERNEL

GFP_NOWAIT = FLAGS["__GFP_KSWAPD_RECLAIM"]
_ZERO = FLAGS["__GFP_ZERO"]
#: What of a request's flags its structs are asked for with (mm/internal.h, GFP_RECLAIM_MASK).
RECLAIM_MASK = (
    GFP_KERNEL | FLAGS["__GFP_HIGH"] | FLAGS["__GFP_NOWARN"] | FLAGS["__GFP_RETRY_MAYFAIL"] | FLAGS["__GFP_NOFAIL"]
    | FLAGS["__GFP_NORETRY"] | FLAGS["__GFP_MEMALLOC"] | FLAGS["__GFP_NOMEMALLOC"]
)  # fmt: skip


class Slabs(Protocol):
    """What is asked of SLUB or SLAB."""

    def kmem_cache_create(self, name: str, size: int) -> Any:
        """Make a cache, or share one."""

    def kmem_cache_alloc(self, cache: Any, gfp: int = GFP_KERNEL, cpu: int = 0) -> int:
        """Take an object; 0 where there are no pages."""

    def kmem_cache_free(self, cache: Any, address: int, cpu: int = 0) -> None:
        """Give an object back."""

    def kmalloc(self, size: int, gfp: int = GFP_KERNEL, cpu: int = 0) -> int:
        """Take any size; 0 where there are no pages."""

    def kfree(self, address: int, cpu: int = 0) -> None:
        """Give back what kmalloc gave."""


class VmapObjects:
    """The structs of one machine's areas, made when vmalloc starts (vmalloc_init).

    Parameters
    ----------
    slabs : Slabs
    struct_bytes : int
        Bytes of a vm_struct.
    area_bytes : int
        Bytes of a vmap_area; 0 where there is none.
    cpus : int
    free : iterable of (int, int)
        The free ranges.
    busy : iterable of int
        Starts of areas that are there already.

    Attributes
    ----------
    areas : dict of int to int
        The vmap_area of every range in use or waiting for the purge, by start.
    free : dict of int to int
        That of every free range, by start.
    spare : list of int
        One for each cpu in advance, for the moment when a range is cut in two (ne_fit_preload_node); 0 for none.
    structs, arrays : dict of int to int
        The vm_struct, and the array of pages, of every area that has one, by start.
    """

    def __init__(
        self,
        slabs: Slabs,
        *,
        struct_bytes: int,
        area_bytes: int,
        cpus: int,
        free: Iterable[tuple[int, int]] = (),
        busy: Iterable[int] = (),
    ) -> None:
        self.slabs = slabs
        self.struct_bytes = struct_bytes
        self.cache = slabs.kmem_cache_create("vmap_area", area_bytes) if area_bytes else None
        self.spare = [0] * cpus
        self.areas: dict[int, int] = {}
        self.free: dict[int, int] = {}
        self.structs: dict[int, int] = {}
        self.arrays: dict[int, int] = {}
        # Those that were there before the slab allocator have a vm_struct in the image.
        for start in busy if area_bytes else ():
            self.areas[start] = self.new_area(GFP_NOWAIT, 0)
        for start, _end in free if area_bytes else ():
            self.free[start] = self.new_area(GFP_NOWAIT, 0)

    # Structs and arrays of an area

    def new_struct(self, gfp: int, cpu: int) -> int:
        """Take a vm_struct; 0 where there is no memory (__get_vm_area_node)."""
        return self.slabs.kmalloc(self.struct_bytes, (gfp & RECLAIM_MASK) | _ZERO, cpu)

    def new_array(self, start: int, size: int, gfp: int, cpu: int) -> bool:
        """Take an area's array of pages (__vmalloc_area_node); False where there is no memory."""
        array = self.slabs.kmalloc(size, (gfp & RECLAIM_MASK) | _ZERO, cpu)
        if array:
            self.arrays[start] = array
        return bool(array)

    def drop(self, start: int, cpu: int) -> None:
        """Give the array and the vm_struct of an area back that is gone."""
        for kept in (self.arrays, self.structs):
            if address := kept.pop(start, 0):
                self.slabs.kfree(address, cpu)

    # Ranges of addresses

    def new_area(self, gfp: int, cpu: int) -> int:
        """Take a vmap_area; 0 where there is no memory, -1 in kernels that have none."""
        if self.cache is None:
            return -1
        return self.slabs.kmem_cache_alloc(self.cache, gfp & RECLAIM_MASK, cpu)

    def enter(self, start: int, area: int) -> None:
        """Note which vmap_area stands for an area in use."""
        if self.cache is not None:
            self.areas[start] = area

    def free_area(self, area: int, cpu: int = 0) -> None:
        """Give a vmap_area back."""
        if self.cache is not None:
            self.slabs.kmem_cache_free(self.cache, area, cpu)

    def preload(self, gfp: int, cpu: int) -> None:
        """Have one more in advance (preload_this_cpu_lock); nobody cares where there is no memory."""
        if self.cache is not None and not self.spare[cpu]:
            self.spare[cpu] = self.new_area(gfp, cpu)

    def clip(self, hole: tuple[int, int], start: int, end: int, cpu: int) -> bool:
        """Cut an area out of a free range; False where the other half of it finds no memory (va_clip)."""
        if self.cache is None:
            return True
        low, high = hole
        if low < start and end < high:
            other = self.spare[cpu] or self.new_area(GFP_NOWAIT, cpu)
            if not other:
                return False
            self.spare[cpu] = 0
            self.free[end] = self.free[low]
            self.free[low] = other
        elif end < high:
            self.free[end] = self.free.pop(low)
        elif low == start:
            self.free_area(self.free.pop(low), cpu)
        return True

    def merge(self, start: int, end: int, *, before: int | None, after: bool) -> None:
        """Make a range free, in one with its neighbours (merge_or_add_vmap_area).

        Parameters
        ----------
        start, end : int
        before : int or None
            Start of the free range that ends where this one begins.
        after : bool
            Whether one begins where it ends.
        """
        if self.cache is None:
            return
        area = self.areas.pop(start)
        if after:
            self.free_area(area)
            area = self.free.pop(end)
        if before is not None:
            self.free_area(area)
        else:
            self.free[start] = area

    # Keeping

    def save(self) -> tuple[Any, ...]:
        """Return the state that is not the slab allocator's."""
        return tuple(tuple(kept.items()) for kept in self._kept()), tuple(self.spare)

    def load(self, saved: tuple[Any, ...]) -> None:
        """Go back to what `save` returned."""
        kept, spare = saved
        self.areas, self.free, self.structs, self.arrays = map(dict, kept)
        self.spare = list(spare)

    def _kept(self) -> tuple[dict[int, int], ...]:
        return self.areas, self.free, self.structs, self.arrays
