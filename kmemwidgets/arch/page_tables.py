"""Levels of page tables of each architecture, and what an entry of theirs says in its bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Names of the levels, the one that is looked at last first.
NAMES = ("pte", "pmd", "pud", "p4d", "pgd")


@dataclass(frozen=True, slots=True)
class Level:
    """A level of page tables.

    Attributes
    ----------
    name : str
        The kernel's: "pgd", "p4d", "pud", "pmd" or "pte". Levels that a machine lacks are folded into the pgd.
    shift : int
        log2 of the bytes that one entry maps.
    bits : int
        Bits of an address that choose the entry.
    leaf : bool
        Whether an entry can map memory itself.
    """

    name: str
    shift: int
    bits: int
    leaf: bool

    @property
    def entries(self) -> int:
        """Entries of a table."""
        return 1 << self.bits

    @property
    def span(self) -> int:
        """Bytes that one entry maps."""
        return 1 << self.shift

    def index(self, address: int) -> int:
        """Return the number of an address's entry in its table."""
        return address >> self.shift & self.entries - 1


@dataclass(frozen=True, slots=True)
class EntryBits:
    """What stands in an entry besides the frame.

    Attributes
    ----------
    present : int
        Any of these bits: the entry says something.
    table : int
        An entry that leads to another table.
    page, block : int
        A leaf of the lowest level, and of a higher one: ordinary kernel memory.
    device : int
        What is added to a leaf that maps device memory.
    is_block : (int, int)
        Mask and value that tell a leaf above the lowest level from a table.
    frame : int
        Bits of the physical address.
    """

    present: int
    table: int
    page: int
    block: int
    device: int
    is_block: tuple[int, int]
    frame: int = 0x000F_FFFF_FFFF_F000


#: x86: P, RW, US, A, D in a table's entry (_PAGE_TABLE); P, RW, A, D, G and NX in a leaf's (PAGE_KERNEL), PS in a large
#: one; PCD where a device is behind it (_PAGE_CACHE_MODE_UC_MINUS). arch/x86/include/asm/pgtable_types.h
X86_64 = EntryBits(1, 0x067, 0x8000000000000163, 0x80000000000001E3, 0x010, (0x80, 0x80))
#: Two levels of 32 bits: there is no NX.
X86_32 = EntryBits(1, 0x067, 0x163, 0x1E3, 0x010, (0x80, 0x80), 0xFFFF_F000)
#: arm64: valid and table; AF, inner shareable, DBM (writable), PXN and UXN in a leaf; a block lacks the table bit; the
#: memory type is a number in bits 2-4. arch/arm64/include/asm/pgtable-prot.h
ARM64 = EntryBits(1, 0x3, 0x0068000000000703, 0x0068000000000701, 0x010, (0x3, 0x1), 0x0000_FFFF_FFFF_F000)
#: arm: only which kind an entry is; the rest depends on the cpu.
ARM = EntryBits(3, 0x1, 0x2, 0x2, 0x0, (0x3, 0x2), 0xFFFF_F000)


def entry_bits(arch: str, *, pae: bool = False) -> EntryBits:
    """Return how an architecture writes its entries."""
    if arch == "x86_32":
        return X86_64 if pae else X86_32
    return {"x86_64": X86_64, "arm64": ARM64, "arm": ARM}[arch]


def levels_of(arch: str, *, va_bits: int, page_size: int = 4096, pae: bool = False) -> tuple[Level, ...]:
    """Return the levels of a kernel's page tables, the highest first.

    Parameters
    ----------
    arch : str
    va_bits : int
        Bits of a virtual address that are looked up.
    page_size : int
    pae : bool
        x86-32: entries of 64 bits, so three levels.
    """
    shift = page_size.bit_length() - 1
    if arch == "x86_32":
        return _named(shift, (9, 9, 2) if pae else (10, 10), leaf=2)
    if arch == "arm":
        # Two of the cpu's entries make one of Linux's, so that a table of entries fills a page with its shadow.
        return _named(shift, (9, 11), leaf=2)
    each = shift - 3
    left, bits = va_bits - shift, []
    while left > 0:
        bits.append(min(each, left))
        left -= each
    # Blocks: 2 MiB and 1 GiB with pages of 4 KiB; larger pages have one size of block.
    return _named(shift, bits, leaf=3 if page_size == 4096 else 2)


def _named(shift: int, bits: Sequence[int], *, leaf: int) -> tuple[Level, ...]:
    """Name levels given from the lowest up; the highest is the pgd, whatever lies below."""
    found = []
    for number, count in enumerate(bits):
        name = "pgd" if number == len(bits) - 1 else NAMES[number]
        # A folded level's blocks are entries of the pgd.
        found.append(Level(name, shift, count, number < leaf))
        shift += count
    return tuple(reversed(found))
