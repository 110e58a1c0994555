"""x86-32's fixed areas, laid out downward from the top of the address space."""

from __future__ import annotations

from dataclasses import dataclass

from .space import AddressArea, AddressSpace

FIXADDR_TOP = 0xFFFFF000
PAGE = 4096
#: Slots of the fixmap that don't depend on the number of cpus: a hole, debug port, early console, OHCI, local APIC,
#: 64 I/O APICs, PCI configuration, two for APEI (enum fixed_addresses).
FIXMAP_SLOTS = 73
#: Slots for early_ioremap(): 8 of 64 pages, kept within one page table.
BTMAP_SLOTS = 512
#: Behind them: a write-protect test and Intel TXT's.
LATE_SLOTS = 2
#: Pages of a cpu's entry area: GDT, entry and double-fault stacks with guards, TSS with two I/O bitmaps, debug store
#: and its buffers (struct cpu_entry_area).
CPU_ENTRY_PAGES = 43
#: Hole between the direct map and vmalloc.
VMALLOC_OFFSET = 8 << 20


@dataclass(frozen=True, slots=True)
class FixedAreas:
    """Addresses of the areas at the top of a 32-bit kernel's space."""

    fixaddr_start: int
    fixaddr_tot_start: int
    cpu_entry_area: int
    ldt_base: int
    pkmap_base: int
    last_pkmap: int
    vmalloc_end: int


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
    )


def address_space(areas: FixedAreas, *, page_offset: int, lowmem_bytes: int, highmem: bool = True) -> AddressSpace:
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
    """
    high_memory = page_offset + lowmem_bytes
    found = [
        AddressArea("user space", 0, page_offset),
        AddressArea("direct map", page_offset, high_memory),
        AddressArea("vmalloc", high_memory + VMALLOC_OFFSET, areas.vmalloc_end),
        AddressArea("LDT remap", areas.ldt_base, areas.cpu_entry_area),
        AddressArea("cpu_entry_area", areas.cpu_entry_area, areas.fixaddr_tot_start),
        AddressArea("early fixmap", areas.fixaddr_tot_start, areas.fixaddr_start),
        AddressArea("fixmap", areas.fixaddr_start, FIXADDR_TOP),
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
