"""mempool: a few objects kept for the moment when there is no memory (mm/mempool.c)."""

from __future__ import annotations

from typing import Any, Protocol

from .errors import KernelBug
from .gfp import FLAGS, GFP_KERNEL

_DIRECT_RECLAIM = FLAGS["__GFP_DIRECT_RECLAIM"]
#: The first try neither waits nor complains nor touches the last reserves.
_FIRST_TRY = FLAGS["__GFP_NOMEMALLOC"] | FLAGS["__GFP_NORETRY"] | FLAGS["__GFP_NOWARN"]
_WAITS = _DIRECT_RECLAIM | FLAGS["__GFP_IO"]


class ObjectAllocator(Protocol):
    """What a reserve asks of SLUB or SLAB."""

    def find_cache(self, name: str) -> Any:
        """Return a cache by name; KeyError where there is none."""

    def kmem_cache_alloc(self, cache: Any, gfp: int = GFP_KERNEL, cpu: int = 0) -> int:
        """Take an object; 0 where there are no pages."""

    def kmem_cache_free(self, cache: Any, address: int, cpu: int = 0) -> None:
        """Give an object back."""


class Mempool:
    """A reserve of objects of one cache.

    Parameters
    ----------
    allocator : ObjectAllocator
    cache : object
        One of its caches.
    min_nr : int
        Objects that are always kept.

    Attributes
    ----------
    elements : list of int
        The reserve; the next one to go out is the last.
    array : int
        Where the kernel keeps their addresses: memory from kmalloc, which is its maker's; 0 for none.

    Raises
    ------
    KernelBug
        Where there is no memory for the reserve.
    """

    def __init__(self, allocator: ObjectAllocator, cache: Any, min_nr: int) -> None:
        if min_nr < 1:
            raise ValueError(f"a reserve of {min_nr} objects")
        self.allocator = allocator
        self.cache = cache
        self.min_nr = min_nr
        self.elements: list[int] = []
        self.array = 0
        for _ in range(min_nr):
            address = allocator.kmem_cache_alloc(cache)
            if not address:
                self._give_back(self.elements)
                raise KernelBug(f"mempool_create_slab_pool({min_nr}, {cache.name}): no memory for the reserve")
            self.elements.append(address)

    def alloc(self, gfp: int = GFP_KERNEL, cpu: int = 0) -> int:
        """Take an object: a new one, else one of the reserve (mempool_alloc).

        Returns
        -------
        int
            Its address; 0 where the reserve is empty too. A task that may wait then sleeps until one comes back,
            so that it never fails.
        """
        address = self.allocator.kmem_cache_alloc(self.cache, (gfp | _FIRST_TRY) & ~_WAITS, cpu)
        if address:
            return address
        if self.elements:
            return self.elements.pop()
        # Nobody else will help: the second try may wait for memory that others give up.
        return self.allocator.kmem_cache_alloc(self.cache, gfp | _FIRST_TRY, cpu) if gfp & _DIRECT_RECLAIM else 0

    def free(self, address: int, cpu: int = 0) -> None:
        """Give an object back: to the reserve first, if it is not complete (mempool_free).

        Raises
        ------
        KernelBug
            For an object that the reserve has already.
        """
        if address in self.elements:
            raise KernelBug(f"this kernel says nothing ({address:#x} lies in the reserve of {self.cache.name} already)")
        if len(self.elements) < self.min_nr:
            self.elements.append(address)
        else:
            self.allocator.kmem_cache_free(self.cache, address, cpu)

    def destroy(self) -> None:
        """Give the reserve back (mempool_destroy).

        Raises
        ------
        KernelBug
            Where objects are still out.
        """
        if len(self.elements) != self.min_nr:
            raise KernelBug(f"mempool of {self.cache.name}: {self.min_nr - len(self.elements)} objects are still out")
        elements, self.elements = self.elements, []
        self._give_back(elements)

    def _give_back(self, elements: list[int]) -> None:
        while elements:
            self.allocator.kmem_cache_free(self.cache, elements.pop())

    def save(self) -> tuple[Any, ...]:
        """Return the state that is not SLUB's."""
        return tuple(self.elements)

    def load(self, saved: tuple[Any, ...]) -> None:
        """Go back to what `save` returned."""
        self.elements = list(saved)
