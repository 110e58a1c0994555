"""The verbs of vmalloc's space beside vmalloc and vfree: mappings, kernel stacks, page tables. A part of `Machine`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kmemwidgets.records import PageWalk

from .objects import KernelObjects


class AreaVerbs:
    """Verbs about areas that map what somebody else owns, and about page tables."""

    objects: KernelObjects

    def _do_with_objects(self, name: str, *arguments: Any) -> Any:
        raise NotImplementedError

    def kmem_cache_init(self) -> None:
        """See `ObjectVerbs`."""
        raise NotImplementedError

    def vmalloc_huge(self, size: int, cpu: int = 0) -> int | None:
        """Allocate as vmalloc does, by huge pages where they are to be had."""
        return self._do_with_objects("vmalloc_huge", size, cpu) or None

    def vmap(self, pfns: Sequence[int], cpu: int = 0) -> int | None:
        """Map frames beside each other; they stay their owner's. None where the kernel refuses."""
        return self._do_with_objects("vmap", [int(pfn) for pfn in pfns], cpu) or None

    def vunmap(self, address: int, cpu: int = 0) -> None:
        """Undo vmap; the frames stay their owner's."""
        self._do_with_objects("vunmap", address, cpu)

    def ioremap(self, phys: int, size: int, cpu: int = 0) -> int | None:
        """Map what a device shows at a physical address; None where the kernel refuses (`dmesg` says why)."""
        return self._do_with_objects("ioremap", phys, size, cpu) or None

    def iounmap(self, address: int, cpu: int = 0) -> None:
        """Undo ioremap."""
        self._do_with_objects("iounmap", address, cpu)

    def vm_map_ram(self, pfns: Sequence[int], cpu: int = 0) -> int | None:
        """Map frames for a short while: up to 64 of them from a block that this cpu keeps."""
        return self._do_with_objects("vm_map_ram", [int(pfn) for pfn in pfns], cpu) or None

    def vm_unmap_ram(self, address: int, count: int) -> None:
        """Undo vm_map_ram of so many frames."""
        self._do_with_objects("vm_unmap_ram", address, count)

    def vm_unmap_aliases(self) -> None:
        """Flush all that was unmapped lazily, so that its addresses can be used again."""
        self._do_with_objects("vm_unmap_aliases")

    def alloc_thread_stack(self, cpu: int = 0) -> int | None:
        """Take the kernel stack of a new task: one that the cpu kept, or a new area."""
        return self._do_with_objects("alloc_thread_stack", cpu) or None

    def free_thread_stack(self, address: int, cpu: int = 0) -> None:
        """Give the kernel stack of a dead task back; the cpu keeps two."""
        self._do_with_objects("free_thread_stack", address, cpu)

    def walk(self, address: int) -> PageWalk:
        """Look an address of vmalloc's space up in the kernel's page tables, level by level."""
        self.kmem_cache_init()
        return self.objects.walk(address)
