"""arm's 32-bit address space, vmalloc at its top (arch/arm/mm/mmu.c, Documentation/arch/arm/memory.rst)."""

from __future__ import annotations

from .space import AddressArea, AddressSpace

MIB = 1 << 20
VMALLOC_END = 0xFF800000
#: Room for vmalloc below its end, and the hole that keeps it apart from the direct map.
VMALLOC_MIN = 240 * MIB
VMALLOC_OFFSET = 8 * MIB


def address_space(*, page_offset: int = 0xC0000000, memory_start: int = 0, lowmem_bytes: int = 0) -> AddressSpace:
    """Lay the address space out.

    Parameters
    ----------
    page_offset : int
        Where the kernel's part begins.
    memory_start : int
        Physical address of the first byte of RAM (PHYS_OFFSET).
    lowmem_bytes : int
        RAM that has a place in the direct map.
    """
    most = VMALLOC_END - VMALLOC_MIN - VMALLOC_OFFSET
    high_memory = min(page_offset + lowmem_bytes, most) if lowmem_bytes else most
    vmalloc = (high_memory + VMALLOC_OFFSET) & -VMALLOC_OFFSET
    modules = page_offset - 16 * MIB
    pkmap = page_offset - 2 * MIB
    return AddressSpace(
        bits=32,
        areas=(
            AddressArea("user space", 0, modules),
            AddressArea("modules", modules, pkmap),
            AddressArea("pkmap", pkmap, page_offset),
            AddressArea("direct map", page_offset, high_memory),
            AddressArea("vmalloc", vmalloc, VMALLOC_END),
            AddressArea("fixmap", 0xFFC80000, 0xFFF00000),
            AddressArea("vectors", 0xFFFF0000, 0xFFFF1000),
        ),
        page_offset=page_offset,
        direct_end=high_memory,
        phys_offset=memory_start,
        text_map=page_offset - memory_start,
        page_bytes=32,
    )
