"""The allocation functions around kmalloc and a cache's objects: krealloc, kvmalloc, several at once. Commands."""

from __future__ import annotations

from typing import Any

from kmemwidgets.records import BadInput, MachineSpec, format_version

from .gfp import GFP_KERNEL
from .kmalloc import Kmalloc
from .rules import pick
from .rules.interfaces import TABLE, InterfaceRules

#: The commands of this module, each a method that takes plain arguments.
COMMANDS = frozenset({"krealloc", "kvmalloc", "kvfree", "kmem_cache_alloc_bulk", "kmem_cache_free_bulk"})


class InterfaceCommands:
    """Functions that not every kernel has, by version.

    Parameters
    ----------
    spec : MachineSpec
    allocator : Slub or Slab24
    """

    def __init__(self, spec: MachineSpec, allocator: Any) -> None:
        self._kernel = spec.kernel
        self._rules = pick(InterfaceRules, TABLE, spec.kernel)
        self._allocator = allocator

    def need(self, name: str) -> None:
        """Refuse a function that this kernel doesn't have."""
        if not getattr(self._rules, name):
            raise BadInput(f"Linux {format_version(self._kernel)} has no {name}", todo="boot a newer kernel")

    def ksize(self, address: int) -> int:
        """Return how many bytes may be used behind a pointer."""
        self.need("ksize")
        return int((self._general or self._allocator).ksize(address))

    def krealloc(self, address: int, size: int, gfp: int = GFP_KERNEL, cpu: int = 0) -> int:
        """Make what a pointer points to larger; 0 where there is no memory."""
        self.need("krealloc")
        return self._kmalloc.krealloc(address, size, gfp, cpu)

    def kvmalloc(self, size: int, gfp: int = GFP_KERNEL, cpu: int = 0) -> int:
        """Allocate by kmalloc, else by vmalloc; 0 where neither can."""
        self.need("kvmalloc")
        return self._kmalloc.kvmalloc(size, gfp, cpu)

    def kvfree(self, address: int, cpu: int = 0) -> None:
        """Give back what kvmalloc gave."""
        self.need("kvmalloc")
        self._kmalloc.kvfree(address, cpu)

    def kmem_cache_alloc_bulk(self, cache: str, count: int, gfp: int = GFP_KERNEL, cpu: int = 0) -> list[int]:
        """Take several objects, or none."""
        self.need("bulk")
        if count < 1:
            raise ValueError(f"{count} objects")
        return list(self._allocator.kmem_cache_alloc_bulk(self._cache(cache), count, gfp, cpu))

    def kmem_cache_free_bulk(self, cache: str, addresses: str, cpu: int = 0) -> None:
        """Give several objects back; their addresses are a text, with blanks between them."""
        self.need("bulk")
        given = [int(address, 0) for address in addresses.split()]
        if len(set(given)) != len(given):
            raise ValueError("an object is given back twice")
        self._allocator.kmem_cache_free_bulk(self._cache(cache), given, cpu)

    @property
    def _general(self) -> Kmalloc | None:
        return getattr(self._allocator, "general", None) if self._rules.krealloc else None

    @property
    def _kmalloc(self) -> Kmalloc:
        general = self._general
        assert general is not None
        return general

    def _cache(self, name: str) -> Any:
        try:
            return self._allocator.find_cache(name)
        except KeyError:
            raise ValueError(f"no cache {name!r}") from None
