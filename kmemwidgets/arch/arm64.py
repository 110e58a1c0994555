"""arm64's address space, as its kernels laid it out over time (arch/arm64/include/asm/memory.h)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .space import AddressArea, AddressSpace

MIB = 1 << 20
GIB = 1 << 30
WRAP = 1 << 64
PAGE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Shape:
    """What an arm64 kernel is built for: bits of a virtual address, and the page size."""

    va_bits: int = 48
    page_size: int = 4096

    @property
    def page_shift(self) -> int:
        """log2 of the page size."""
        return self.page_size.bit_length() - 1

    @property
    def va_bits_min(self) -> int:
        """Bits that every cpu of that kind has: 52-bit kernels also run on others."""
        if self.va_bits <= 48:
            return self.va_bits
        return 47 if self.page_size == 16384 else 48

    @property
    def page_offset(self) -> int:
        """Start of the linear map."""
        return WRAP - (1 << self.va_bits)

    @property
    def page_end(self) -> int:
        """End of the linear map."""
        return WRAP - (1 << (self.va_bits_min - 1))

    @property
    def pud_size(self) -> int:
        """Bytes that one entry of the third lowest table maps; of the second lowest where there are but two levels."""
        entry_bits = self.page_shift - 3
        levels = -(-(self.va_bits - self.page_shift) // entry_bits)
        return 1 << (self.page_shift + entry_bits * (2 if levels > 2 else 1))

    @property
    def vmemmap_size(self) -> int:
        """Bytes of struct pages for the whole linear map."""
        return (self.page_end - self.page_offset >> self.page_shift) * PAGE_BYTES

    @property
    def memstart_align(self) -> int:
        """What the linear map's first physical address is a multiple of."""
        return GIB if self.page_size <= 16384 else 512 * MIB


@dataclass(frozen=True, slots=True)
class Bounds:
    """Areas of the upper half."""

    modules: tuple[int, int]
    vmalloc: tuple[int, int]
    vmemmap: tuple[int, int]
    pci_io: tuple[int, int]
    fixmap_end: int
    bpf: tuple[int, int] | None = None


Layout = Callable[[Shape], Bounds]


def bounds_with_bpf_area(shape: Shape) -> Bounds:
    """5.6: BPF, modules, vmalloc; struct pages 2 MiB below the top."""
    bpf = shape.page_end
    modules = bpf + 128 * MIB
    vmemmap = WRAP - shape.vmemmap_size - 2 * MIB
    pci_end = vmemmap - 2 * MIB
    return Bounds(
        modules=(modules, modules + 128 * MIB),
        vmalloc=(modules + 128 * MIB, WRAP - shape.pud_size - shape.vmemmap_size - 64 * 1024),
        vmemmap=(vmemmap, vmemmap + shape.vmemmap_size),
        pci_io=(pci_end - 16 * MIB, pci_end),
        fixmap_end=pci_end - 18 * MIB,
        bpf=(bpf, modules),
    )


def _struct_pages_at_power(shape: Shape, modules_size: int) -> Bounds:
    vmemmap = WRAP - (1 << (shape.va_bits - shape.page_shift + 6))
    return Bounds(
        modules=(shape.page_end, shape.page_end + modules_size),
        vmalloc=(shape.page_end + modules_size, vmemmap - 256 * MIB),
        vmemmap=(vmemmap, vmemmap + shape.vmemmap_size),
        pci_io=(vmemmap - 24 * MIB, vmemmap - 8 * MIB),
        fixmap_end=vmemmap - 32 * MIB,
    )


def bounds_with_small_modules(shape: Shape) -> Bounds:
    """5.11 to 6.4: 128 MiB of modules, vmalloc, 256 MiB of fixed areas, struct pages at a power of two from the top."""
    return _struct_pages_at_power(shape, 128 * MIB)


def bounds_with_large_modules(shape: Shape) -> Bounds:
    """6.5 to 6.8: the same with 2 GiB of modules."""
    return _struct_pages_at_power(shape, 2 * GIB)


def bounds_from_top(shape: Shape) -> Bounds:
    """From 6.9: struct pages end 1 GiB below the top, what remained unused of them goes to vmalloc."""
    vmemmap_end = WRAP - GIB
    vmemmap = vmemmap_end - shape.vmemmap_size
    return Bounds(
        modules=(shape.page_end, shape.page_end + 2 * GIB),
        vmalloc=(shape.page_end + 2 * GIB, vmemmap - 8 * MIB),
        vmemmap=(vmemmap, vmemmap_end),
        pci_io=(vmemmap_end + 8 * MIB, vmemmap_end + 24 * MIB),
        fixmap_end=WRAP - 8 * MIB,
    )


def address_space(
    shape: Shape, bounds: Bounds, *, memory_start: int = 0, memory_end: int = 0, phys_offset: int | None = None
) -> AddressSpace:
    """Lay the address space out.

    Parameters
    ----------
    shape : Shape
    bounds : Bounds
    memory_start, memory_end : int
        Physical memory.
    phys_offset : int, optional
        What the linear map starts with, where KASLR chose it.
    """
    align = shape.memstart_align
    start = memory_start // align * align if phys_offset is None else phys_offset
    found = [
        AddressArea("user space", 0, 1 << shape.va_bits_min),
        AddressArea("between user and kernel", 1 << shape.va_bits_min, shape.page_offset),
        AddressArea("direct map", shape.page_offset, shape.page_end),
        AddressArea("modules", *bounds.modules),
        AddressArea("vmalloc", *bounds.vmalloc),
        AddressArea("vmemmap", *bounds.vmemmap),
        AddressArea("PCI I/O", *bounds.pci_io),
        AddressArea("fixmap", bounds.fixmap_end - 4 * MIB, bounds.fixmap_end),
    ]
    if bounds.bpf:
        found.append(AddressArea("BPF JIT", *bounds.bpf))
    image = bounds.modules[1]
    return AddressSpace(
        bits=64,
        areas=tuple(sorted(found, key=lambda entry: entry.start)),
        page_offset=shape.page_offset,
        direct_end=min(shape.page_end, shape.page_offset + memory_end - start) if memory_end else shape.page_end,
        phys_offset=start,
        text_map=image - start,
        text_start=image,
        text_end=image + 64 * MIB,
        vmemmap=bounds.vmemmap[0] - (start >> shape.page_shift) * PAGE_BYTES,
        page_size=shape.page_size,
    )
