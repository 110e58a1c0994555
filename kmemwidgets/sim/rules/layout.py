"""Where the kernel's areas lie in its address space, by architecture and version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kmemwidgets.arch import arm, arm64, x86_32, x86_64
from kmemwidgets.arch.space import AddressArea, AddressSpace
from kmemwidgets.records import MachineSpec, Region

from ..cmdline import memparse, parameter
from .bootmem import TABLE as BOOTMEM
from .bootmem import BootmemRules
from .table import Rule, pick

MIB = 1 << 20
VMALLOC_RESERVE = 128 * MIB
#: CONFIG_PAGE_OFFSET of the ways to split 4 GiB, by the option that chooses one (arch/x86/Kconfig, arch/arm/Kconfig).
VMSPLITS = {"3G_OPT": 0xB0000000, "2G": 0x80000000, "2G_OPT": 0x78000000, "1G": 0x40000000}
#: The name of a flat memory map's area.
MEM_MAP = "mem_map"


def lowmem_896(_spec: MachineSpec, page_offset: int) -> int:
    """2.4: all of the kernel's part but 128 MiB."""
    return (1 << 32) - page_offset - VMALLOC_RESERVE


def lowmem_but_vmalloc(spec: MachineSpec, page_offset: int) -> int:
    """2.6.11: all of the kernel's part but what vmalloc= reserves, 128 MiB if it isn't given."""
    asked = parameter(spec.cmdline, "vmalloc")
    return (1 << 32) - page_offset - (memparse(asked) if asked else VMALLOC_RESERVE)


def nr_cpus_of(spec: MachineSpec, several: int) -> int:
    """Return CONFIG_NR_CPUS; where it isn't known 1 for a machine with one cpu, else the usual number."""
    known = spec.option("CONFIG_NR_CPUS")
    return int(known) if known else 1 if spec.cpus == 1 else several


def debugs_kmap(spec: MachineSpec) -> bool:
    """Tell whether a kernel is built to find mistakes with short-lived mappings."""
    return any(spec.option(f"CONFIG_DEBUG_{name}") == "y" for name in ("HIGHMEM", "KMAP_LOCAL"))


def _kmap_slots(spec: MachineSpec) -> int:
    return rules_for(spec).kmap_slots(debugs_kmap(spec))


def areas_24(spec: MachineSpec) -> x86_32.FixedAreas:
    """2.4: see `x86_32.fixed_areas_24`."""
    return x86_32.fixed_areas_24(
        nr_cpus=nr_cpus_of(spec, 32), pae=spec.pae, highmem=has_highmem(spec), kmap_slots=_kmap_slots(spec)
    )


def areas_26(spec: MachineSpec) -> x86_32.FixedAreas:
    """2.6.11: see `x86_32.fixed_areas_26`."""
    return x86_32.fixed_areas_26(
        nr_cpus=nr_cpus_of(spec, 8), pae=spec.pae, highmem=has_highmem(spec), kmap_slots=_kmap_slots(spec)
    )


def areas_from_the_top(spec: MachineSpec) -> x86_32.FixedAreas:
    """5.6 on: see `x86_32.fixed_areas`."""
    return x86_32.fixed_areas(
        nr_cpus=int(spec.option("CONFIG_NR_CPUS") or 8),
        pae=spec.pae,
        highmem=has_highmem(spec),
        kmap_slots=_kmap_slots(spec),
    )


def _x86_64_now(spec: MachineSpec, end: int) -> AddressSpace:
    bases = dict(spec.bases)
    return x86_64.address_space(
        five_levels=spec.va_bits == 57,
        bases=bases,
        image_size=1 << 30 if spec.option("CONFIG_RANDOMIZE_BASE") != "n" else 512 * MIB,
        phys_base=bases.get("phys_base", 0),
        kasan=spec.option("CONFIG_KASAN") == "y",
        memory_end=end,
    )


def lowmem_below_vmalloc(spec: MachineSpec, page_offset: int) -> int:
    """5.6 on: 128 MiB below where vmalloc ends, which lies below pkmap and the cpus' entry areas."""
    areas = areas_from_the_top(spec)
    asked = parameter(spec.cmdline, "vmalloc")
    reserve = memparse(asked) + x86_32.VMALLOC_OFFSET if asked else VMALLOC_RESERVE
    return areas.vmalloc_end - page_offset - reserve


def has_highmem(spec: MachineSpec) -> bool:
    """Tell whether a 32-bit kernel is built with high memory."""
    values = [spec.option(f"CONFIG_HIGHMEM{kind}") for kind in ("", "4G", "64G")]
    return "y" in values or all(value is None for value in values)


def page_offset_32(spec: MachineSpec) -> int:
    """Return where a 32-bit kernel's part begins: 3 GiB unless configured otherwise (VMSPLIT_*)."""
    value = spec.option("CONFIG_PAGE_OFFSET")
    if value and value != "n":
        return int(value, 0)
    chosen = [offset for name, offset in VMSPLITS.items() if spec.option(f"CONFIG_VMSPLIT_{name}") == "y"]
    return chosen[0] if chosen else 0xC0000000


@dataclass(frozen=True, slots=True)
class LayoutRules:
    """Address layouts.

    Attributes
    ----------
    x86_32_lowmem : function
        ``(spec, page offset) -> bytes of low memory``.
    kmap_slots : function
        ``debugged -> slots`` of each cpu for short-lived mappings on x86-32.
    x86_32_areas : function
        ``spec -> areas`` at the top of x86-32's space.
    x86_32_vmalloc_start : function
        ``end of the direct map -> start of vmalloc``.
    x86_64_space : function
        ``(spec, end of memory) -> address space``.
    arm64_bounds : function
        ``shape -> bounds`` of the upper half.
    arm_space : function
        ``(page_offset, memory_start, lowmem_bytes) -> address space``, by keyword.
    """

    x86_32_lowmem: Callable[[MachineSpec, int], int]
    kmap_slots: Callable[[bool], int]
    x86_32_areas: Callable[[MachineSpec], x86_32.FixedAreas]
    x86_32_vmalloc_start: Callable[[int], int]
    x86_64_space: Callable[[MachineSpec, int], AddressSpace]
    arm64_bounds: arm64.Layout
    arm_space: Callable[..., AddressSpace]


_EARLIEST = (2, 4)

TABLE: tuple[Rule, ...] = (
    Rule("x86_32_lowmem", _EARLIEST, lowmem_896, "Low memory is 1 GiB - 128 MiB = 896 MiB.",
         "include/asm-i386/page.h MAXMEM", ("source",)),
    Rule("x86_32_lowmem", (4, 15), lowmem_below_vmalloc,
         "Low memory is what lies more than 128 MiB below the end of vmalloc: less than 896 MiB.",
         "arch/x86/include/asm/pgtable_32_areas.h MAXMEM", ("recording:6.1",)),
    Rule("x86_32_lowmem", (2, 6), lowmem_but_vmalloc,
         "Low memory is 1 GiB less what vmalloc= reserves: 128 MiB if it says nothing.",
         "include/asm-i386/page.h MAXMEM; arch/i386/kernel/setup.c", ("source",)),
    Rule("kmap_slots", _EARLIEST, lambda _debugged: 8, "8 kmap_atomic slots a cpu.",
         "include/asm-i386/kmap_types.h KM_TYPE_NR", ("source",)),
    Rule("kmap_slots", (2, 6), lambda debugged: 27 if debugged else 13,
         "13 kmap_atomic slots a cpu; 27 with an empty one around each for debugging.",
         "include/asm-i386/kmap_types.h KM_TYPE_NR", ("source",)),
    Rule("kmap_slots", (5, 6), lambda debugged: 41 if debugged else 20,
         "20 kmap_atomic slots a cpu; 41 for debugging.", "include/asm-generic/kmap_types.h KM_TYPE_NR", ("source",)),
    Rule("kmap_slots", (5, 11), lambda debugged: 33 if debugged else 16,
         "16 kmap_local slots a cpu; 33 for debugging.", "include/asm-generic/kmap_size.h KM_MAX_IDX",
         ("recording:6.1",)),
    Rule("x86_32_areas", _EARLIEST, areas_24, "kmap's slots are at 0xfe000000, vmalloc ends below them.",
         "include/asm-i386/highmem.h, fixmap.h", ("source",)),
    Rule("x86_32_areas", (2, 6, 11), areas_26, "kmap's slots lie just below the fixmap, vmalloc ends below them.",
         "include/asm-i386/highmem.h PKMAP_BASE; fixmap.h", ("source",)),
    Rule("x86_32_areas", (4, 15), areas_from_the_top,
         "Below the fixmap lie the cpus' entry areas, the LDT and kmap's slots; vmalloc ends below them.",
         "arch/x86/include/asm/pgtable_32_areas.h", ("recording:6.1",)),
    Rule("x86_32_vmalloc_start", _EARLIEST, x86_32.vmalloc_start_rounded,
         "vmalloc begins 8 to 16 MiB behind the direct map, at a multiple of 8 MiB.",
         "include/asm-i386/pgtable.h VMALLOC_START", ("source",)),
    Rule("x86_32_vmalloc_start", (2, 6, 31), x86_32.vmalloc_start,
         "vmalloc begins 8 MiB behind the direct map.",
         "arch/x86/include/asm/pgtable_32_areas.h VMALLOC_START", ("recording:6.1",)),
    Rule("x86_64_space", _EARLIEST, lambda _spec, _end: x86_64.address_space_24(),
         "A process has 512 GiB; the direct map begins at 1 TiB, vmalloc has 512 GiB.",
         "Documentation/x86_64/mm.txt; include/asm-x86_64/pgtable.h", ("source",)),
    Rule("x86_64_space", (2, 6, 11), lambda _spec, _end: x86_64.address_space_26(),
         "A process has 128 TiB, the direct map 64 TiB, vmalloc 32 TiB.",
         "Documentation/x86_64/mm.txt; include/asm-x86_64/page.h, pgtable.h", ("source",)),
    Rule("x86_64_space", (4, 20), _x86_64_now, "Room for the LDT moved the direct map 8 TiB up; KASLR may move all.",
         "Documentation/arch/x86/x86_64/mm.rst", ("recording:6.1", "recording:6.12")),
    Rule("arm_space", _EARLIEST, arm.address_space_of_a_board, "Each board says where vmalloc ends.",
         "include/asm-arm/arch-*/vmalloc.h", ("source",)),
    Rule("arm_space", (2, 6), arm.address_space_26,
         "Modules have 16 MiB below the kernel, buffers for DMA 2 MiB at 0xffc00000.",
         "include/asm-arm/memory.h; arch/arm/mm/consistent.c; Documentation/arm/memory.txt", ("source",)),
    Rule("arm_space", (3, 3), arm.address_space, "vmalloc ends at 0xff800000 on every board.",
         "arch/arm/include/asm/pgtable.h VMALLOC_END", ("source",)),
    Rule("arm_space", (5, 11), arm.address_space_with_device_tree, "The device tree has a place of its own.",
         "arch/arm/include/asm/memory.h FDT_FIXED_BASE", ("source",)),
    Rule("arm64_bounds", _EARLIEST, arm64.bounds_with_bpf_area,
         "BPF, modules and vmalloc behind the linear map; struct pages 2 MiB below the top.",
         "arch/arm64/include/asm/memory.h", ("source",)),
    Rule("arm64_bounds", (5, 11), arm64.bounds_with_small_modules,
         "128 MiB of modules, vmalloc, then struct pages at a power of two from the top.",
         "arch/arm64/include/asm/memory.h", ("recording:6.1",)),
    Rule("arm64_bounds", (6, 5), arm64.bounds_with_large_modules, "2 GiB of modules.",
         "arch/arm64/include/asm/memory.h", ()),
    Rule("arm64_bounds", (6, 9), arm64.bounds_from_top, "Struct pages end 1 GiB below the top.",
         "arch/arm64/include/asm/memory.h", ("source",)),
)  # fmt: skip


def rules_for(spec: MachineSpec) -> LayoutRules:
    """Return the layout rules of a machine's kernel."""
    return pick(LayoutRules, TABLE, spec.kernel)


def lowmem_limit(spec: MachineSpec, memory_start: int) -> int | None:
    """Return the first physical address without a place in the direct map; None on 64-bit machines.

    Parameters
    ----------
    spec : MachineSpec
    memory_start : int
        Where RAM begins, bytes (arm: PHYS_OFFSET).
    """
    if spec.arch == "x86_32":
        return rules_for(spec).x86_32_lowmem(spec, page_offset_32(spec))
    if spec.arch == "arm":
        # 240 MiB for vmalloc, an 8 MiB hole, 16 MiB at the top (arch/arm/mm/mmu.c adjust_lowmem_bounds).
        return memory_start + (1 << 32) - page_offset_32(spec) - 264 * MIB
    return None


def address_space(spec: MachineSpec, memory: Sequence[tuple[int, int]]) -> AddressSpace:
    """Lay out the address space of a machine.

    Parameters
    ----------
    spec : MachineSpec
    memory : sequence of (int, int)
        RAM that the kernel uses, bytes, ascending.
    """
    start, end = memory[0][0], memory[-1][1]
    bases = dict(spec.bases)
    if spec.arch == "x86_64":
        return rules_for(spec).x86_64_space(spec, end)
    if spec.arch == "arm64":
        shape = arm64.Shape(spec.va_bits, spec.page_size)
        return arm64.address_space(
            shape,
            rules_for(spec).arm64_bounds(shape),
            memory_start=start,
            memory_end=end,
            phys_offset=bases.get("PHYS_OFFSET"),
        )
    limit = min(lowmem_limit(spec, start) or end, end)
    rules = rules_for(spec)
    if spec.arch == "arm":
        return rules.arm_space(
            page_offset=page_offset_32(spec), memory_start=start, lowmem_bytes=limit // MIB * MIB - start
        )
    space = x86_32.address_space(
        rules.x86_32_areas(spec),
        page_offset=page_offset_32(spec),
        lowmem_bytes=limit // 4096 * 4096,
        highmem=has_highmem(spec),
        vmalloc_from=rules.x86_32_vmalloc_start,
    )
    old = pick(BootmemRules, BOOTMEM, spec.kernel)
    return replace(space, page_bytes=old.page_bytes(4, has_highmem(spec))) if old.used else space


def vmalloc_bytes(spec: MachineSpec, memory: Sequence[tuple[int, int]]) -> int:
    """Return VMALLOC_END - VMALLOC_START as the kernel counts it: on x86-64 its end is the last byte."""
    area = address_space(spec, memory).area("vmalloc")
    return area.size - (1 if spec.arch == "x86_64" else 0)


def virtual_layout(
    spec: MachineSpec, memory: Sequence[tuple[int, int]], flat: AddressSpace | None = None
) -> tuple[Region, ...]:
    """Return the areas of the virtual address space as regions; `flat` is what a boot knows of a flat memory map."""
    space = flat or address_space(spec, memory)
    return tuple(
        Region(area.start, area.end, area.name, space="virtual", says=area.says, physical=_behind(space, area))
        for area in space.areas
    )


def _behind(space: AddressSpace, area: AddressArea) -> int | None:
    """Return what lies behind the start of the direct map or the image; of a memory map the first frame's address."""
    if area.start in (space.page_offset, space.text_start) and area.start:
        return space.pa(area.start)
    if area.name in ("vmemmap", MEM_MAP):
        return (area.start - space.vmemmap) // space.page_bytes * space.page_size
    return None


def with_mem_map(space: AddressSpace, start: int, end: int, first_pfn: int) -> AddressSpace:
    """Return the space with a flat memory map (mem_map) in its direct map.

    Parameters
    ----------
    start, end : int
        Physical addresses that boot gave it.
    first_pfn : int
        Frame of the first struct page.
    """
    first = space.va(start)
    area = AddressArea(MEM_MAP, first, first + end - start)
    areas = tuple(sorted((*space.areas, area), key=lambda entry: entry.start))
    return replace(space, areas=areas, vmemmap=first - first_pfn * space.page_bytes)
