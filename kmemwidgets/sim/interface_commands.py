"""The allocation functions around kmalloc and a cache's objects: krealloc, kvmalloc, several at once. Commands."""

from __future__ import annotations

from typing import Any

from kmemwidgets.records import BadInput, MachineSpec, format_version

from . import slub_rcu, slub_sheaves
from .gfp import FLAGS, GFP_KERNEL
from .kmalloc import Kmalloc
from .rules import pick
from .rules.interfaces import TABLE, InterfaceRules

_DIRECT_RECLAIM = FLAGS["__GFP_DIRECT_RECLAIM"]
#: The commands of this module, each a method that takes plain arguments.
COMMANDS = frozenset(
    {
        "krealloc", "kvmalloc", "kvfree", "kmem_cache_alloc_bulk", "kmem_cache_free_bulk", "kfree_rcu", "rcu_barrier",
        "kmem_cache_prefill_sheaf", "kmem_cache_alloc_from_sheaf", "kmem_cache_return_sheaf",
    }
)  # fmt: skip


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
        rules = self._rules
        may_wait = gfp & _DIRECT_RECLAIM if rules.kvmalloc_any_wait else gfp & GFP_KERNEL == GFP_KERNEL
        return self._kmalloc.kvmalloc(
            size, gfp, cpu, fallback=bool(may_wait), most=rules.kvmalloc_most, huge=rules.kvmalloc_huge
        )

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

    def kfree_rcu(self, address: int, cpu: int = 0) -> None:
        """Give an object back once nobody reads it any more."""
        self.need("kfree_rcu")
        slub_rcu.kfree_rcu(self._allocator, address, cpu)

    def rcu_barrier(self) -> None:
        """Wait for all readers: what kfree_rcu was given goes back."""
        self.need("kfree_rcu")
        slub_rcu.barrier(self._allocator)

    def kmem_cache_prefill_sheaf(self, cache: str, size: int, gfp: int = GFP_KERNEL, cpu: int = 0) -> int:
        """Have `size` objects in advance; returns the sheaf's number, 0 where there is no memory."""
        self.need("sheaves")
        if size < 1:
            raise ValueError(f"a sheaf of {size} objects")
        made = slub_sheaves.prefill(self._allocator, self._cache(cache), size, gfp, cpu)
        if made is None:
            return 0
        number = max(self._allocator.prefilled, default=0) + 1
        self._allocator.prefilled[number] = made
        return number

    def kmem_cache_alloc_from_sheaf(self, sheaf: int) -> int:
        """Take an object of such a sheaf; 0 once it is empty."""
        self.need("sheaves")
        return slub_sheaves.alloc_from(slub_sheaves.check_sheaf(self._allocator, sheaf))

    def kmem_cache_return_sheaf(self, sheaf: int, gfp: int = GFP_KERNEL, cpu: int = 0) -> None:
        """Give the sheaf back with what is left in it."""
        self.need("sheaves")
        given = slub_sheaves.check_sheaf(self._allocator, sheaf)
        del self._allocator.prefilled[sheaf]
        slub_sheaves.give_sheaf(self._allocator, given, gfp, cpu)

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
