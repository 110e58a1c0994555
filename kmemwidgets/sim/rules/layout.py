"""Where the kernel's areas lie in its address space, by architecture and version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kmemwidgets.arch import arm, arm64, x86_32, x86_64
from kmemwidgets.arch.space import AddressSpace
from kmemwidgets.records import MachineSpec, Region

from ..cmdline import memparse, parameter
from .table import Rule, pick

MIB = 1 << 20
VMALLOC_RESERVE = 128 * MIB


def lowmem_896(_spec: MachineSpec, page_offset: int) -> int:
    """2.4, 2.6.11: all of the kernel's part but 128 MiB."""
    return (1 << 32) - page_offset - VMALLOC_RESERVE


def lowmem_below_vmalloc(spec: MachineSpec, page_offset: int) -> int:
    """5.6 on: 128 MiB below where vmalloc ends, which lies below pkmap and the cpus' entry areas."""
    areas = x86_32.fixed_areas(
        nr_cpus=int(spec.option("CONFIG_NR_CPUS") or 8),
        pae=spec.pae,
        highmem=has_highmem(spec),
        kmap_slots=rules_for(spec).kmap_slots,
    )
    asked = parameter(spec.cmdline, "vmalloc")
    reserve = memparse(asked) + x86_32.VMALLOC_OFFSET if asked else VMALLOC_RESERVE
    return areas.vmalloc_end - page_offset - reserve


def has_highmem(spec: MachineSpec) -> bool:
    """Tell whether a 32-bit kernel is built with high memory."""
    values = [spec.option(f"CONFIG_HIGHMEM{kind}") for kind in ("", "4G", "64G")]
    return "y" in values or all(value is None for value in values)


def page_offset_32(spec: MachineSpec) -> int:
    """Return where a 32-bit kernel's part begins: 3 GiB unless configured otherwise."""
    value = spec.option("CONFIG_PAGE_OFFSET")
    return int(value, 0) if value and value != "n" else 0xC0000000


@dataclass(frozen=True, slots=True)
class LayoutRules:
    """Address layouts.

    Attributes
    ----------
    x86_32_lowmem : function
        ``(spec, page offset) -> bytes of low memory``.
    kmap_slots : int
        x86-32: short-lived mappings per cpu.
    arm64_bounds : function
        ``shape -> bounds`` of the upper half.
    """

    x86_32_lowmem: Callable[[MachineSpec, int], int]
    kmap_slots: int
    arm64_bounds: arm64.Layout


_EARLIEST = (2, 4)

TABLE: tuple[Rule, ...] = (
    Rule("x86_32_lowmem", _EARLIEST, lowmem_896, "Low memory is 1 GiB - 128 MiB = 896 MiB.",
         "include/asm-i386/page.h MAXMEM", ("source",)),
    Rule("x86_32_lowmem", (4, 15), lowmem_below_vmalloc,
         "Low memory is what lies more than 128 MiB below the end of vmalloc: less than 896 MiB.",
         "arch/x86/include/asm/pgtable_32_areas.h MAXMEM", ("recording:6.1",)),
    Rule("kmap_slots", _EARLIEST, 20, "20 kmap_atomic slots a cpu.", "include/asm-generic/kmap_types.h", ("source",)),
    Rule("kmap_slots", (5, 11), 16, "16 kmap_local slots a cpu.", "include/asm-generic/kmap_size.h",
         ("recording:6.1",)),
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
        image = 1 << 30 if spec.option("CONFIG_RANDOMIZE_BASE") != "n" else 512 * MIB
        return x86_64.address_space(
            five_levels=spec.va_bits == 57,
            bases=bases,
            image_size=image,
            phys_base=bases.get("phys_base", 0),
            kasan=spec.option("CONFIG_KASAN") == "y",
            memory_end=end,
        )
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
    if spec.arch == "arm":
        return arm.address_space(
            page_offset=page_offset_32(spec), memory_start=start, lowmem_bytes=limit // MIB * MIB - start
        )
    areas = x86_32.fixed_areas(
        nr_cpus=int(spec.option("CONFIG_NR_CPUS") or 8),
        pae=spec.pae,
        highmem=has_highmem(spec),
        kmap_slots=rules_for(spec).kmap_slots,
    )
    return x86_32.address_space(
        areas, page_offset=page_offset_32(spec), lowmem_bytes=limit // 4096 * 4096, highmem=has_highmem(spec)
    )


def vmalloc_bytes(spec: MachineSpec, memory: Sequence[tuple[int, int]]) -> int:
    """Return VMALLOC_END - VMALLOC_START as the kernel counts it: on x86-64 its end is the last byte."""
    area = address_space(spec, memory).area("vmalloc")
    return area.size - (1 if spec.arch == "x86_64" else 0)


def virtual_layout(spec: MachineSpec, memory: Sequence[tuple[int, int]]) -> tuple[Region, ...]:
    """Return the areas of the virtual address space as regions."""
    return tuple(Region(area.start, area.end, area.name, space="virtual") for area in address_space(spec, memory).areas)
