"""The verbs of vmalloc's space beside vmalloc and vfree: mappings, kernel stacks, page tables. A part of `Machine`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kmemwidgets.arch.space import AddressSpace
from kmemwidgets.records import MachineSpec, PageWalk

from .areas import image_bytes
from .errors import KernelBug
from .objects import KernelObjects
from .oops import answer
from .rules.layout import address_space, with_mem_map
from .verbs import Verbs
from .zone_sizes import usable_memory

#: Pages of the largest block: a flat memory map begins at a multiple of so many (alloc_node_mem_map).
LARGEST_BLOCK = 1024
#: What arm and arm64 warn of (arch/arm64/mm/physaddr.c).
_NON_LINEAR = "virt_to_phys used for non-linear address: {address}"


class AreaVerbs(Verbs):
    """Verbs about areas that map what somebody else owns, and about page tables."""

    objects: KernelObjects

    @property
    def memblock(self) -> Any:
        """See `Machine`."""
        raise NotImplementedError

    def _do_with_objects(self, name: str, *arguments: Any) -> Any:
        raise NotImplementedError

    def kmem_cache_init(self) -> None:
        """See `ObjectVerbs`."""
        raise NotImplementedError

    def spec(self) -> MachineSpec:
        """See `Machine`."""
        raise NotImplementedError

    def vmalloc_huge(self, size: int, cpu: int = 0) -> int | None:
        """Allocate as vmalloc does, by huge pages where they are to be had."""
        return self._do_with_objects("vmalloc_huge", size, self._cpu(cpu)) or None

    def vmap(self, pfns: Sequence[int], cpu: int = 0) -> int | None:
        """Map frames beside each other; they stay their owner's. None where the kernel refuses."""
        return self._do_with_objects("vmap", [int(pfn) for pfn in pfns], self._cpu(cpu)) or None

    def vunmap(self, address: int, cpu: int = 0) -> None:
        """Undo vmap; the frames stay their owner's."""
        self._do_with_objects("vunmap", address, self._cpu(cpu))

    def ioremap(self, phys: int, size: int, cpu: int = 0) -> int | None:
        """Map what a device shows at a physical address; None where the kernel refuses (`dmesg` says why)."""
        return self._do_with_objects("ioremap", phys, size, self._cpu(cpu)) or None

    def iounmap(self, address: int, cpu: int = 0) -> None:
        """Undo ioremap."""
        self._do_with_objects("iounmap", address, self._cpu(cpu))

    def vm_map_ram(self, pfns: Sequence[int], cpu: int = 0) -> int | None:
        """Map frames for a short while: up to 64 of them from a block that this cpu keeps."""
        return self._do_with_objects("vm_map_ram", [int(pfn) for pfn in pfns], self._cpu(cpu)) or None

    def vm_unmap_ram(self, address: int, count: int) -> None:
        """Undo vm_map_ram of so many frames."""
        self._do_with_objects("vm_unmap_ram", address, count)

    def vm_unmap_aliases(self) -> None:
        """Flush all that was unmapped lazily, so that its addresses can be used again."""
        self._do_with_objects("vm_unmap_aliases")

    def alloc_thread_stack(self, cpu: int = 0) -> int | None:
        """Take the kernel stack of a new task: one that the cpu kept, or a new area."""
        return self._do_with_objects("alloc_thread_stack", self._cpu(cpu)) or None

    def free_thread_stack(self, address: int, cpu: int = 0) -> None:
        """Give the kernel stack of a dead task back; the cpu keeps two."""
        self._do_with_objects("free_thread_stack", address, self._cpu(cpu))

    # Conversions

    @property
    def address_space(self) -> AddressSpace:
        """The kernel's address space, with a flat memory map where boot put it."""
        spec = self.spec()
        space = address_space(spec, usable_memory(spec))
        if spec.arch == "arm64":
            # vmalloc goes on right behind the image.
            return replace(space, text_end=space.text_start + image_bytes(spec))
        taken = [call for call in self.memblock.calls if call.what == "reserve" and call.caller == "memory map"]
        if space.vmemmap or len(taken) != 1:
            return space
        first = usable_memory(spec)[0][0] // spec.page_size & -LARGEST_BLOCK
        return with_mem_map(space, taken[0].start, taken[0].end, first)

    def va(self, physical: int) -> int:
        """Return the direct map's address of physical memory (__va); ValueError where it has none."""
        return self.address_space.va(physical)

    def pa(self, address: int) -> int:
        """Return the physical address of an address of the direct map or the image (__pa).

        Raises
        ------
        KernelBug
            For any other address, in the words of a kernel that checks (CONFIG_DEBUG_VIRTUAL).
        """
        try:
            return self.address_space.pa(address)
        except ValueError as error:
            arch = self.spec().arch
            words = "kernel BUG at arch/x86/mm/physaddr.c!" if arch.startswith("x86") else _NON_LINEAR
            raise KernelBug(f"{words.format(address=f'{address:016x}')} ({error})") from None

    def pfn_to_page(self, pfn: int) -> int:
        """Return the address of a frame's struct page; ValueError where that is not known."""
        return self.address_space.page_of(pfn)

    def page_to_pfn(self, page: int) -> int:
        """Return the frame of a struct page; ValueError for an address that is none's."""
        return self.address_space.pfn_of(page)

    def virt_to_page(self, address: int) -> int:
        """Return the struct page of the frame behind an address of the direct map; KernelBug as for `pa`."""
        return self.address_space.page_of(self.pa(address) // self.spec().page_size)

    def virt_addr_valid(self, address: int) -> bool:
        """Tell whether an address may be given to `virt_to_page`: the direct map's, with RAM behind it."""
        space = self.address_space
        if not space.page_offset <= address < space.direct_end:
            return False
        physical = space.pa(address)
        return any(start <= physical < end for start, end in usable_memory(self.spec()))

    def slow_virt_to_phys(self, address: int) -> int:
        """Return the physical address behind any kernel address, by page tables where it must be.

        Raises
        ------
        KernelBug
            Where nothing is mapped: what the kernel says when it reads there. Nothing has changed then.
        """
        space, spec = self.address_space, self.spec()
        if not 0 <= address < 1 << space.bits:
            raise ValueError(f"{address:#x} has more than {space.bits} bits")
        area = space.area_of(address)
        if self.virt_addr_valid(address) or space.text_start <= address < space.text_end:
            return space.pa(address)
        if area is not None and area.name == "vmalloc" and self.objects.up:
            physical = self.objects.walk(address).physical
            if physical is not None:
                return physical
        raise KernelBug(answer(spec.kernel, spec.arch, spec.va_bits, address))

    def walk(self, address: int) -> PageWalk:
        """Look an address of vmalloc's space up in the kernel's page tables, level by level."""
        self.kmem_cache_init()
        return self.objects.walk(address)
