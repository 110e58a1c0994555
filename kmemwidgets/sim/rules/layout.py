"""Where the kernel's areas lie in its address space, by architecture and version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kmemwidgets.arch.x86_32 import fixed_areas
from kmemwidgets.records import MachineSpec, Region

from .table import Rule, pick

MIB = 1 << 20
VMALLOC_RESERVE = 128 * MIB


def lowmem_896(_spec: MachineSpec, page_offset: int) -> int:
    """2.4, 2.6.11: all of the kernel's part but 128 MiB."""
    return (1 << 32) - page_offset - VMALLOC_RESERVE


def lowmem_below_vmalloc(spec: MachineSpec, page_offset: int) -> int:
    """5.6 on: 128 MiB below where vmalloc ends, which lies below pkmap and the cpus' entry areas."""
    areas = fixed_areas(
        nr_cpus=int(spec.option("CONFIG_NR_CPUS") or 8),
        pae=spec.pae,
        highmem=has_highmem(spec),
        kmap_slots=rules_for(spec).kmap_slots,
    )
    return areas.vmalloc_end - page_offset - VMALLOC_RESERVE


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
    """

    x86_32_lowmem: Callable[[MachineSpec, int], int]
    kmap_slots: int


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


def virtual_layout(_spec: MachineSpec) -> tuple[Region, ...]:
    """Return the regions of the virtual address space."""
    return ()
