"""Constants of the architectures: pages, zones, sections, sizes of the kernel's records."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arch:
    """What an architecture fixes, whatever the machine.

    Attributes
    ----------
    name : str
    bits : int
        Width of a kernel pointer.
    page_sizes : tuple of int
        Sizes that a kernel can be built for; the first is the usual one.
    zones : tuple of (str, str, bool)
        Zone, the CONFIG option that gives it, and whether it is usually on; in index order.
    page_bytes : int
        Size of struct page in the usual configuration.
    section_bits : mapping by page size
        See `section_bits()`.
    """

    name: str
    bits: int
    page_sizes: tuple[int, ...]
    zones: tuple[tuple[str, str, bool], ...]
    page_bytes: int


_MOVABLE = ("Movable", "", True)
_DEVICE = ("Device", "CONFIG_ZONE_DEVICE", False)

X86_64 = Arch(
    "x86_64", 64, (4096,),
    (("DMA", "CONFIG_ZONE_DMA", True), ("DMA32", "CONFIG_ZONE_DMA32", True), ("Normal", "", True), _MOVABLE,
     ("Device", "CONFIG_ZONE_DEVICE", True)),
    64,
)  # fmt: skip
X86_32 = Arch(
    "x86_32", 32, (4096,),
    (("DMA", "CONFIG_ZONE_DMA", True), ("Normal", "", True), ("HighMem", "CONFIG_HIGHMEM", True), _MOVABLE),
    40,
)  # fmt: skip
ARM64 = Arch(
    "arm64", 64, (4096, 16384, 65536),
    (("DMA", "CONFIG_ZONE_DMA", True), ("DMA32", "CONFIG_ZONE_DMA32", True), ("Normal", "", True), _MOVABLE, _DEVICE),
    64,
)  # fmt: skip
ARM = Arch(
    "arm", 32, (4096,),
    (("DMA", "CONFIG_ZONE_DMA", False), ("Normal", "", True), ("HighMem", "CONFIG_HIGHMEM", True), _MOVABLE),
    32,
)  # fmt: skip

ARCHES = {arch.name: arch for arch in (X86_64, X86_32, ARM64, ARM)}


def section_bits(arch: str, *, page_size: int = 4096, pae: bool = False) -> int:
    """Return log2 of a memory section's bytes (SECTION_SIZE_BITS of asm/sparsemem.h)."""
    if arch == "x86_32":
        return 29 if pae else 26
    if arch == "arm64":
        return 29 if page_size == 65536 else 27
    return 28 if arch == "arm" else 27


def huge_page_order(arch: str, *, page_size: int = 4096, pae: bool = False) -> int:
    """Return the order of the page that one entry of the second lowest table maps."""
    if arch == "x86_32" and not pae:
        return 10
    if arch == "arm":
        return 9
    entry_bits = 3
    return page_size.bit_length() - 1 - entry_bits


def hugetlb_sizes(arch: str, *, page_size: int = 4096, pae: bool = False) -> tuple[int, ...]:
    """Return the kilobytes of hugetlb's page sizes, in the order in which a kernel sets them up.

    Of x86-64 a processor that maps 1 GiB by one entry. Source: arch/x86/mm/hugetlbpage.c gigantic_pages_init before
    mm/hugetlb.c hugetlb_init; arch/arm64/mm/hugetlbpage.c hugetlbpage_init. 32-bit arm has none without LPAE.
    """
    huge = page_size << huge_page_order(arch, page_size=page_size, pae=pae) >> 10
    if arch == "arm64":
        # Contiguous entries of either table: 16 and 16 with pages of 4 KiB, 128 and 32 with 16, 32 and 32 with 64.
        upper, lower = {4096: (16, 16), 16384: (32, 128), 65536: (32, 32)}[page_size]
        gigantic = (1 << 20,) if page_size == 4096 else ()
        return (*gigantic, huge * upper, huge, (page_size >> 10) * lower)
    return () if arch == "arm" else (1 << 20, huge) if arch == "x86_64" else (huge,)
