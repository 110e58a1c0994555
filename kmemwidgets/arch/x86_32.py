"""x86-32's fixed areas, laid out downward from the top of the address space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .space import AddressArea, AddressSpace

FIXADDR_TOP = 0xFFFFF000
PAGE = 4096
#: Slots of the fixmap before those of short-lived mappings: a hole, debug port, early console, local APIC and 64 I/O
#: APICs (enum fixed_addresses of a distribution's kernel, which has no early OHCI).
KMAP_BEGIN = 68
#: Those that don't depend on the number of cpus: these, PCI configuration, two for APEI.
FIXMAP_SLOTS = KMAP_BEGIN + 3
#: Slots for early_ioremap(): 8 of 64 pages, kept within one page table.
BTMAP_SLOTS = 512
#: Behind them: a write-protect test and Intel TXT's.
LATE_SLOTS = 2
#: Pages of a cpu's entry area: GDT, entry and double-fault stacks with guards, TSS with two I/O bitmaps, debug store
#: and its buffers (struct cpu_entry_area).
CPU_ENTRY_PAGES = 43
#: Hole between the direct map and vmalloc.
VMALLOC_OFFSET = 8 << 20
#: 2.4: end of the fixmap, and where kmap's slots are, whatever lies between.
FIXADDR_TOP_24 = 0xFFFFE000
PKMAP_BASE_24 = 0xFE000000
#: 2.4: local APIC, eight I/O APICs. 2.6.11: a hole and the vsyscall page before them.
KMAP_BEGIN_24, KMAP_BEGIN_26 = 9, 11
#: Both: four for ACPI tables; 2.6.11: one for PCI configuration, and one for a write-protect test below the early ones.
ACPI_SLOTS = 4
#: Both: slots that boot uses before ioremap() works.
BTMAP_SLOTS_OLD = 16


@dataclass(frozen=True, slots=True)
class FixedAreas:
    """Addresses of the areas at the top of a 32-bit kernel's space.

    Attributes
    ----------
    fixaddr_top, fixaddr_start : int
    fixaddr_tot_start : int
        Start of the slots that only boot uses.
    cpu_entry_area, ldt_base : int
        0 where this kernel has none.
    pkmap_base, last_pkmap : int
        Start and number of kmap's slots.
    vmalloc_end : int
    kmap_begin : int
        Number of the first slot of the fixmap for short-lived mappings.
    cpu_entry_bytes : int
        Bytes of the cpus' entry areas, less than lies between their start and the fixmap.
    """

    fixaddr_start: int
    fixaddr_tot_start: int
    cpu_entry_area: int
    ldt_base: int
    pkmap_base: int
    last_pkmap: int
    vmalloc_end: int
    fixaddr_top: int = FIXADDR_TOP
    kmap_begin: int = KMAP_BEGIN
    cpu_entry_bytes: int = 0


Areas = Callable[..., FixedAreas]


def fixed_areas_24(*, nr_cpus: int, pae: bool, highmem: bool = True, kmap_slots: int = 8) -> FixedAreas:
    """2.4: fixmap at the top, kmap's slots at 0xfe000000, vmalloc below them (include/asm-i386/fixmap.h, highmem.h)."""
    slots = KMAP_BEGIN_24 + (kmap_slots * nr_cpus if highmem else 0) + ACPI_SLOTS
    start = FIXADDR_TOP_24 - slots * PAGE
    return FixedAreas(
        fixaddr_start=start,
        fixaddr_tot_start=start - BTMAP_SLOTS_OLD * PAGE,
        cpu_entry_area=0,
        ldt_base=0,
        pkmap_base=PKMAP_BASE_24,
        last_pkmap=512 if pae else 1024,
        vmalloc_end=(PKMAP_BASE_24 if highmem else start) - 2 * PAGE,
        fixaddr_top=FIXADDR_TOP_24,
        kmap_begin=KMAP_BEGIN_24,
    )


def fixed_areas_26(*, nr_cpus: int, pae: bool, highmem: bool = True, kmap_slots: int = 13) -> FixedAreas:
    """2.6.11: kmap's slots lie below the slots that boot uses, wherever those end (include/asm-i386/highmem.h)."""
    entries = 512 if pae else 1024
    slots = KMAP_BEGIN_26 + (kmap_slots * nr_cpus if highmem else 0) + ACPI_SLOTS + 1
    start = FIXADDR_TOP - slots * PAGE
    boot_start = start - (BTMAP_SLOTS_OLD + 1) * PAGE
    pkmap = (boot_start - PAGE * (entries + 1)) & -(entries * PAGE)
    return FixedAreas(
        fixaddr_start=start,
        fixaddr_tot_start=boot_start,
        cpu_entry_area=0,
        ldt_base=0,
        pkmap_base=pkmap,
        last_pkmap=entries,
        vmalloc_end=(pkmap if highmem else start) - 2 * PAGE,
        kmap_begin=KMAP_BEGIN_26,
    )


def vmalloc_start_rounded(high_memory: int) -> int:
    """2.4 and 2.6.11: at least 8 MiB behind the direct map, at a multiple of 8 MiB (include/asm-i386/pgtable.h)."""
    return (high_memory + 2 * VMALLOC_OFFSET - 1) & -VMALLOC_OFFSET


def vmalloc_start(high_memory: int) -> int:
    """5.6 on: 8 MiB behind the direct map (arch/x86/include/asm/pgtable_32_areas.h)."""
    return high_memory + VMALLOC_OFFSET


def fixed_areas(*, nr_cpus: int, pae: bool, highmem: bool = True, kmap_slots: int = 16) -> FixedAreas:
    """Lay the areas out: fixmap, cpu entry areas, LDT, pkmap, end of vmalloc.

    Parameters
    ----------
    nr_cpus : int
        CONFIG_NR_CPUS.
    pae : bool
        Page tables of 512 entries, so areas aligned to 2 MiB instead of 4.
    highmem : bool
        Whether there is a pkmap.
    kmap_slots : int
        Short-lived mappings of high memory per cpu.
    """
    entries = 512 if pae else 1024
    pmd = entries * PAGE
    permanent = FIXMAP_SLOTS + kmap_slots * nr_cpus
    end = permanent
    if (permanent ^ (permanent + BTMAP_SLOTS - 1)) & -entries:
        end = permanent + BTMAP_SLOTS - (permanent & (BTMAP_SLOTS - 1))
    total_start = FIXADDR_TOP - (end + BTMAP_SLOTS + LATE_SLOTS) * PAGE
    entry_area = (total_start - PAGE * (CPU_ENTRY_PAGES * nr_cpus + 1)) & -pmd
    ldt = (entry_area - PAGE) & -pmd
    pkmap = (ldt - PAGE) & -pmd
    return FixedAreas(
        fixaddr_start=FIXADDR_TOP - permanent * PAGE,
        fixaddr_tot_start=total_start,
        cpu_entry_area=entry_area,
        ldt_base=ldt,
        pkmap_base=pkmap,
        last_pkmap=entries,
        vmalloc_end=(pkmap if highmem else ldt) - 2 * PAGE,
        cpu_entry_bytes=PAGE * (CPU_ENTRY_PAGES * nr_cpus + 1),
    )


def address_space(
    areas: FixedAreas,
    *,
    page_offset: int,
    lowmem_bytes: int,
    highmem: bool = True,
    vmalloc_from: Callable[[int], int] = vmalloc_start,
) -> AddressSpace:
    """Lay the address space out.

    Parameters
    ----------
    areas : FixedAreas
    page_offset : int
        Where the kernel's part begins.
    lowmem_bytes : int
        RAM that has a place in the direct map.
    highmem : bool
        Whether there is a pkmap.
    vmalloc_from : callable
        Start of vmalloc from the end of the direct map.
    """
    high_memory = page_offset + lowmem_bytes
    found = [
        AddressArea("user space", 0, page_offset),
        AddressArea("direct map", page_offset, high_memory),
        AddressArea("vmalloc", vmalloc_from(high_memory), areas.vmalloc_end),
        AddressArea("early fixmap", areas.fixaddr_tot_start, areas.fixaddr_start),
        AddressArea("fixmap", areas.fixaddr_start, areas.fixaddr_top),
    ]
    if areas.ldt_base:
        found += [
            AddressArea("LDT remap", areas.ldt_base, areas.cpu_entry_area),
            AddressArea("cpu_entry_area", areas.cpu_entry_area, areas.fixaddr_tot_start),
        ]
    if highmem:
        found.append(AddressArea("pkmap", areas.pkmap_base, areas.pkmap_base + areas.last_pkmap * PAGE))
    return AddressSpace(
        bits=32,
        areas=tuple(sorted(found, key=lambda entry: entry.start)),
        page_offset=page_offset,
        direct_end=high_memory,
        text_map=page_offset,
        page_bytes=40,
    )
