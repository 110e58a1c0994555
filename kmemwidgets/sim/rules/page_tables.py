"""The kernel's page tables: which mappings are huge, and how a leaf is written."""

from __future__ import annotations

from dataclasses import dataclass

from .table import Rule


@dataclass(frozen=True, slots=True)
class PageTableRules:
    """What differs between kernels.

    Attributes
    ----------
    huge_ioremap : bool
        Whether device memory is mapped by the largest entries that fit.
    arm64_page : int
        arm64: bits of an ordinary kernel page besides its frame.
    arm64_device : int
        arm64: the number of the memory type that ioremap asks for, where it stands in an entry (nGnRE).
    x86_nx : bool
        Whether the kernel's data is mapped so that it can't be executed.
    """

    huge_ioremap: bool
    arm64_page: int
    arm64_device: int
    x86_nx: bool


TABLE: tuple[Rule, ...] = (
    Rule("huge_ioremap", (2, 4), False, "Device memory is mapped page by page.", "mm/vmalloc.c, ioremap_page_range",
         ("source",)),
    Rule("huge_ioremap", (4, 1), True, "Device memory is mapped by the largest entries that fit its place.",
         "lib/ioremap.c, ioremap_page_range; from 5.13 mm/vmalloc.c, vmap_range_noflush", ("source",)),
    Rule("arm64_page", (2, 4), 0x00E8000000000713, "A kernel page is dirty from the start; ordinary memory is type 4.",
         "arch/arm64/include/asm/pgtable-prot.h, PROT_NORMAL", ()),
    Rule("arm64_page", (5, 10), 0x0068000000000703, "A kernel page is clean at first; ordinary memory is type 0.",
         "arch/arm64/include/asm/pgtable-prot.h, PROT_NORMAL", ()),
    Rule("arm64_device", (2, 4), 1 << 2, "Device memory is type 1.",
         "arch/arm64/include/asm/memory.h, MT_DEVICE_nGnRE", ()),
    Rule("arm64_device", (5, 10), 4 << 2, "Device memory is type 4.",
         "arch/arm64/include/asm/memory.h, MT_DEVICE_nGnRE", ()),
    Rule("x86_nx", (2, 4), False, "Every page can be executed.", "include/asm-i386/pgtable.h, PAGE_KERNEL",
         ("source",)),
    Rule("x86_nx", (2, 6, 8), True, "Data can't be executed where entries have 64 bits.",
         "arch/x86/include/asm/pgtable_types.h, PAGE_KERNEL", ()),
)  # fmt: skip
