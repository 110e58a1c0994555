"""x86-64's address space with four and five levels of page tables (Documentation/arch/x86/x86_64/mm.rst)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .space import AddressArea, AddressSpace

GIB = 1 << 30
TIB = 1 << 40
PIB = 1 << 50

START_KERNEL_MAP = 0xFFFFFFFF80000000
MODULES_END = 0xFFFFFFFFFF000000
VSYSCALL = 0xFFFFFFFFFF600000
FIXADDR_TOP = 0xFFFFFFFFFF7FF000
#: Slots of the fixmap: down to the vsyscall page, debug port, early console, local APIC, 128 I/O APICs, two of APEI.
FIXMAP_SLOTS = 512 + 2 + 1 + 128 + 2
PAGE = 4096
#: 2.4 and 2.6.11: room for the image, and where vsyscalls lie: the uppermost slots of the fixmap.
TEXT_SIZE_OLD = 40 << 20
VSYSCALL_OLD = (0xFFFFFFFFFF600000, 0xFFFFFFFFFFE00000)
#: Slots below them: two of the HPET and the local APIC; then the I/O APICs that the kernel is built for (MAX_IO_APICS).
FIXMAP_SLOTS_OLD = 3
IO_APICS_24, IO_APICS_26 = 16, 32


@dataclass(frozen=True, slots=True)
class Levels:
    """Areas that depend on the number of page-table levels."""

    user_end: int
    hole_end: int
    ldt: tuple[int, int]
    direct: tuple[int, int]
    vmalloc: tuple[int, int]
    vmemmap: tuple[int, int]
    kasan: tuple[int, int]


FOUR = Levels(
    user_end=0x00007FFFFFFFF000,
    hole_end=0xFFFF800000000000,
    ldt=(0xFFFF880000000000, 0xFFFF888000000000),
    direct=(0xFFFF888000000000, 64 * TIB),
    vmalloc=(0xFFFFC90000000000, 32 * TIB),
    vmemmap=(0xFFFFEA0000000000, TIB),
    kasan=(0xFFFFEC0000000000, 0xFFFFFC0000000000),
)
FIVE = Levels(
    user_end=0x00FFFFFFFFFFF000,
    hole_end=0xFF00000000000000,
    ldt=(0xFF10000000000000, 0xFF11000000000000),
    direct=(0xFF11000000000000, 32 * PIB),
    vmalloc=(0xFFA0000000000000, 12800 * TIB),
    vmemmap=(0xFFD4000000000000, 512 * TIB),
    kasan=(0xFFDF000000000000, 0xFFFFFC0000000000),
)

#: Areas that lie at the same addresses with four and five levels.
TOP = (
    AddressArea("cpu_entry_area", 0xFFFFFE0000000000, 0xFFFFFE8000000000),
    AddressArea("espfix stacks", 0xFFFFFF0000000000, 0xFFFFFF8000000000),
    AddressArea("EFI", 0xFFFFFFEF00000000, 0xFFFFFFFF00000000),
)


def vmalloc_end(start: int, *, five_levels: bool) -> int:
    """Return the last byte of the vmalloc area, which the kernel calls its end (VMALLOC_END)."""
    return start + (FIVE if five_levels else FOUR).vmalloc[1] - 1


def address_space(
    *,
    five_levels: bool = False,
    bases: Mapping[str, int] | None = None,
    image_size: int = GIB,
    phys_base: int = 0,
    kasan: bool = False,
    memory_end: int = 0,
) -> AddressSpace:
    """Lay the address space out.

    Parameters
    ----------
    five_levels : bool
    bases : mapping of str to int
        Where KASLR put page_offset_base, vmalloc_base, vmemmap_base; the fixed places if not given.
    image_size : int
        Room for the kernel image: 1 GiB with CONFIG_RANDOMIZE_BASE, else 512 MiB; modules follow.
    phys_base : int
        How far the image lies behind where it was linked to.
    kasan : bool
        Whether there is a KASAN shadow.
    memory_end : int
        End of physical memory: where KASLR moved areas together, the direct map is no longer than needed.
    """
    levels = FIVE if five_levels else FOUR
    chosen = bases or {}
    direct = chosen.get("page_offset_base", levels.direct[0])
    vmalloc = chosen.get("vmalloc_base", levels.vmalloc[0])
    vmemmap = chosen.get("vmemmap_base", levels.vmemmap[0])
    direct_end = direct + levels.direct[1]
    if "page_offset_base" in chosen:
        direct_end = direct + (-(-memory_end // TIB) * TIB or levels.direct[1])
    modules = START_KERNEL_MAP + image_size
    found = [
        AddressArea("user space", 0, levels.user_end),
        AddressArea("guard page", levels.user_end, levels.user_end + PAGE),
        AddressArea("non-canonical", levels.user_end + PAGE, levels.hole_end),
        AddressArea("hypervisor hole", levels.hole_end, levels.ldt[0]),
        AddressArea("LDT remap", *levels.ldt),
        AddressArea("direct map", direct, direct_end),
        AddressArea("vmalloc", vmalloc, vmalloc + levels.vmalloc[1]),
        AddressArea("vmemmap", vmemmap, vmemmap + levels.vmemmap[1]),
        *TOP,
        AddressArea("kernel text", START_KERNEL_MAP, modules),
        AddressArea("modules", modules, MODULES_END),
        AddressArea("fixmap", FIXADDR_TOP - FIXMAP_SLOTS * PAGE, VSYSCALL),
        AddressArea("vsyscall", VSYSCALL, VSYSCALL + PAGE),
    ]
    if kasan:
        found.append(AddressArea("KASAN shadow", *levels.kasan))
    return AddressSpace(
        bits=64,
        areas=tuple(sorted(found, key=lambda entry: entry.start)),
        page_offset=direct,
        direct_end=direct_end,
        text_map=START_KERNEL_MAP - phys_base,
        text_start=START_KERNEL_MAP,
        text_end=modules,
        vmemmap=vmemmap,
    )


def address_space_24() -> AddressSpace:
    """2.4: three levels for a process, so 512 GiB; the direct map begins a TiB up (Documentation/x86_64/mm.txt)."""
    return _old_space(
        user_end=0x0000007FC0000000,
        # Further entries of the top table as they are needed, as far as addresses are canonical.
        direct=(0x0000010000000000, 1 << 47),
        vmalloc=(0xFFFFFF0000000000, 0xFFFFFF8000000000),
        modules=(0xFFFFFFFFA0000000, 0xFFFFFFFFB0000000),
        io_apics=IO_APICS_24,
        more=(AddressArea("I/O mappings", 0xFFFFFE8000000000, 0xFFFFFF0000000000),),
    )


def address_space_26() -> AddressSpace:
    """2.6.11: four levels; a direct map of 64 TiB (include/asm-x86_64/page.h, pgtable.h)."""
    return _old_space(
        user_end=1 << 47,
        direct=(0xFFFF810000000000, 0xFFFFC10000000000),
        vmalloc=(0xFFFFC20000000000, 0xFFFFE20000000000),
        # They end behind the fixmap, which lies within.
        modules=(0xFFFFFFFF88000000, 0xFFFFFFFFFFF00000),
        io_apics=IO_APICS_26,
        more=(AddressArea("guard hole", 0xFFFF800000000000, 0xFFFF810000000000),),
    )


def _old_space(
    *,
    user_end: int,
    direct: tuple[int, int],
    vmalloc: tuple[int, int],
    modules: tuple[int, int],
    io_apics: int,
    more: tuple[AddressArea, ...],
) -> AddressSpace:
    """Lay out a space in which the image has 40 MiB, and struct pages lie in the direct map."""
    text_end = START_KERNEL_MAP + TEXT_SIZE_OLD
    found = [
        AddressArea("user space", 0, user_end),
        AddressArea("direct map", *direct),
        AddressArea("vmalloc", *vmalloc),
        AddressArea("kernel text", START_KERNEL_MAP, text_end),
        AddressArea("modules", *modules),
        AddressArea("fixmap", VSYSCALL_OLD[0] - (FIXMAP_SLOTS_OLD + io_apics) * PAGE, VSYSCALL_OLD[0]),
        AddressArea("vsyscall", *VSYSCALL_OLD),
        AddressArea("non-canonical", 1 << 47, 0xFFFF800000000000),
        *more,
    ]
    return AddressSpace(
        bits=64,
        areas=tuple(sorted(found, key=lambda entry: entry.start)),
        page_offset=direct[0],
        direct_end=direct[1],
        text_map=START_KERNEL_MAP,
        text_start=START_KERNEL_MAP,
        text_end=text_end,
    )
