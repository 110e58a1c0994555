"""arm's 32-bit address space, vmalloc at its top (arch/arm/mm/mmu.c, Documentation/arch/arm/memory.rst)."""

from __future__ import annotations

from dataclasses import replace

from .space import AddressArea, AddressSpace

MIB = 1 << 20
VMALLOC_END = 0xFF800000
#: Room for vmalloc below its end, and the hole that keeps it apart from the direct map.
VMALLOC_MIN = 240 * MIB
VMALLOC_OFFSET = 8 * MIB
#: 2.4 and 2.6.11: the highest end that a board may choose (Documentation/arm/memory.txt).
OLD_VMALLOC_END = 0xFF000000
BOARD = "Each board chose its own end of vmalloc, none above 0xff000000; that one is shown."


#: 2.6: what dma_alloc_coherent() maps without the cache (arch/arm/mm/consistent.c, CONSISTENT_BASE).
DMA_BUFFERS = AddressArea("DMA buffers", 0xFFC00000, 0xFFE00000)
#: Where the firmware's description of the board is mapped, between vmalloc and the fixmap.
DEVICE_TREE = AddressArea("device tree", 0xFF800000, 0xFFC00000)


def address_space_with_device_tree(
    *, page_offset: int = 0xC0000000, memory_start: int = 0, lowmem_bytes: int = 0
) -> AddressSpace:
    """5.11 on: a place of its own for the device tree (arch/arm/include/asm/memory.h, FDT_FIXED_BASE)."""
    space = address_space(page_offset=page_offset, memory_start=memory_start, lowmem_bytes=lowmem_bytes)
    areas = sorted((*space.areas, DEVICE_TREE), key=lambda entry: entry.start)
    return replace(space, areas=tuple(areas))


def address_space_of_a_board(
    *, page_offset: int = 0xC0000000, memory_start: int = 0, lowmem_bytes: int = 0, modules: int = 0
) -> AddressSpace:
    """2.4: no high memory, and each board says where vmalloc ends (include/asm-arm/arch-*/vmalloc.h)."""
    high_memory = min(page_offset + lowmem_bytes, OLD_VMALLOC_END - 2 * VMALLOC_OFFSET)
    found = [
        AddressArea("user space", 0, page_offset - modules),
        AddressArea("direct map", page_offset, high_memory),
        AddressArea("vmalloc", (high_memory + VMALLOC_OFFSET) & -VMALLOC_OFFSET, OLD_VMALLOC_END, BOARD),
        AddressArea("vectors", 0xFFFF0000, 0xFFFF1000),
    ]
    if modules:
        found.append(AddressArea("modules", page_offset - modules, page_offset))
    return AddressSpace(
        bits=32,
        areas=tuple(sorted(found, key=lambda entry: entry.start)),
        page_offset=page_offset,
        direct_end=high_memory,
        phys_offset=memory_start,
        text_map=page_offset - memory_start,
        page_bytes=32,
    )


def address_space_26(*, page_offset: int = 0xC0000000, memory_start: int = 0, lowmem_bytes: int = 0) -> AddressSpace:
    """2.6.11: as 2.4, but modules have 16 MiB below the kernel, within reach of a branch, and DMA buffers a place."""
    space = address_space_of_a_board(
        page_offset=page_offset, memory_start=memory_start, lowmem_bytes=lowmem_bytes, modules=16 * MIB
    )
    return replace(space, areas=tuple(sorted((*space.areas, DMA_BUFFERS), key=lambda entry: entry.start)))


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
