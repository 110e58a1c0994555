"""High memory on x86-32: how a page without an address of its own is reached for a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .table import Rule


@dataclass(frozen=True, slots=True)
class HighmemRules:
    """What differs between kernels.

    Attributes
    ----------
    pkmap_slots : callable (pae) -> slots
        Addresses of kmap (LAST_PKMAP): one page table's.
    km_types : tuple of str
        The kinds of users of kmap_atomic, each with a slot of its own on every cpu, in order (enum km_type); empty
        where slots are a stack.
    slots_of_task : bool
        Whether short-lived mappings are a stack of the task (kmap_local), or of the cpu (kmap_atomic).
    atomic_forbids_switch : bool
        Whether kmap_atomic keeps the cpu from running another task.
    flushes_on_map : bool
        Whether the cpu flushes a slot's page from its TLB when it maps one; else when it gives it up.
    debug_step : int
        Slots from one mapping to the next in a kernel that debugs them: one between them stays empty.
    words_push, words_map, words_unmap : str
        What the kernel says where no slot is left, where a slot is taken, and where the wrong mapping goes.
    """

    pkmap_slots: Callable[[bool], int]
    km_types: tuple[str, ...]
    slots_of_task: bool
    atomic_forbids_switch: bool
    flushes_on_map: bool
    debug_step: int
    words_push: str
    words_map: str
    words_unmap: str


_TYPES_24 = (
    "KM_BOUNCE_READ", "KM_SKB_SUNRPC_DATA", "KM_SKB_DATA_SOFTIRQ", "KM_USER0", "KM_USER1", "KM_BH_IRQ", "KM_SOFTIRQ0",
    "KM_SOFTIRQ1",
)  # fmt: skip
_TYPES_26 = (
    *_TYPES_24[:5], "KM_BIO_SRC_IRQ", "KM_BIO_DST_IRQ", "KM_PTE0", "KM_PTE1", "KM_IRQ0", "KM_IRQ1", "KM_SOFTIRQ0",
    "KM_SOFTIRQ1",
)  # fmt: skip


TABLE: tuple[Rule, ...] = (
    Rule(
        "pkmap_slots", (2, 4), lambda pae: 512 if pae else 1024,
        "kmap has a slot for each entry of one page table: 1024, with PAE 512.",
        "arch/x86/include/asm/highmem.h, LAST_PKMAP", ("source",),
    ),
    Rule(
        "km_types", (2, 4), _TYPES_24, "Every kind of user has a slot of its own on every cpu: there are 8 kinds.",
        "include/asm-i386/kmap_types.h, enum km_type", ("source",),
    ),
    Rule(
        "km_types", (2, 6), _TYPES_26, "Every kind of user has a slot of its own on every cpu: there are 13 kinds.",
        "include/asm-i386/kmap_types.h, enum km_type", ("source",),
    ),
    Rule(
        "km_types", (2, 6, 37), (), "Slots are a stack: whoever comes takes the next one.",
        "include/linux/highmem.h, kmap_atomic_idx_push", ("source",),
    ),
    Rule(
        "slots_of_task", (2, 4), False,
        "Mappings for a moment belong to the cpu.", "mm/highmem.c, kmap_atomic", ("source",),
    ),
    Rule(
        "slots_of_task", (5, 11), True,
        "Mappings for a moment belong to the task: it may be preempted with them, but stays on its cpu.",
        "mm/highmem.c, __kmap_local_pfn_prot", ("source",),
    ),
    Rule(
        "atomic_forbids_switch", (2, 4), False, "No task is preempted in the kernel, so nothing is counted.",
        "include/asm-i386/highmem.h, kmap_atomic", ("source",),
    ),
    Rule(
        "atomic_forbids_switch", (2, 6), True, "From kmap_atomic to kunmap_atomic a task can't be switched away.",
        "arch/x86/mm/highmem_32.c, kmap_atomic; include/linux/highmem-internal.h from 5.11", ("source",),
    ),
    Rule(
        "flushes_on_map", (2, 4), True,
        "kmap_atomic flushes its slot's page from the TLB; kunmap_atomic leaves page and slot alone, unless debugged.",
        "include/asm-i386/highmem.h; arch/i386/mm/highmem.c, kmap_atomic", ("source",),
    ),
    Rule(
        "flushes_on_map", (2, 6, 37), False, "kunmap_atomic clears the slot and flushes its page from the TLB.",
        "arch/x86/mm/highmem_32.c, __kunmap_atomic; mm/highmem.c, kunmap_local_indexed", ("source",),
    ),
    Rule(
        "debug_step", (2, 4), 1, "With CONFIG_DEBUG_HIGHMEM slots stay beside each other.",
        "include/asm-i386/kmap_types.h", ("source",),
    ),
    Rule(
        "debug_step", (2, 6), 2, "With CONFIG_DEBUG_HIGHMEM there is an empty slot before each.",
        "include/asm-i386/kmap_types.h, __KM_FENCE", ("source",),
    ),
    Rule(
        "debug_step", (2, 6, 37), 1, "Room for empty slots is kept, but no longer left empty.",
        "include/linux/highmem.h, kmap_atomic_idx_push", ("source",),
    ),
    Rule(
        "debug_step", (5, 11), 2, "With CONFIG_DEBUG_KMAP_LOCAL there is an empty slot before each.",
        "mm/highmem.c, KM_INCR", ("source",),
    ),
    Rule("words_push", (2, 4), "kernel BUG at panic.c!", "A bug in a header is told by a function of its own.",
         "kernel/panic.c, out_of_line_bug", ("source",)),
    Rule("words_push", (2, 6), "kernel BUG at arch/i386/mm/highmem.c!", "BUG() tells file and line.",
         "arch/i386/mm/highmem.c, kmap_atomic", ("source",)),
    Rule("words_push", (2, 6, 37), "kernel BUG at include/linux/highmem.h!",
         "With CONFIG_DEBUG_HIGHMEM no cpu may have more mappings than slots.",
         "include/linux/highmem.h, kmap_atomic_idx_push", ("source",)),
    Rule("words_push", (5, 11), "kernel BUG at mm/highmem.c!", "No task may have more mappings than slots.",
         "mm/highmem.c, kmap_local_idx_push", ("source",)),
    Rule("words_map", (2, 4), "kernel BUG at panic.c!", "A bug in a header is told by a function of its own.",
         "kernel/panic.c, out_of_line_bug", ("source",)),
    Rule("words_map", (2, 6), "kernel BUG at arch/i386/mm/highmem.c!",
         "With CONFIG_DEBUG_HIGHMEM a slot that is mapped must not be mapped again.",
         "arch/i386/mm/highmem.c, kmap_atomic", ("source",)),
    Rule("words_map", (2, 6, 37), "kernel BUG at arch/x86/mm/highmem_32.c!",
         "A slot must be empty before it is mapped.",
         "arch/x86/mm/highmem_32.c, kmap_atomic_prot", ("source",)),
    Rule("words_map", (5, 11), "kernel BUG at mm/highmem.c!", "A slot must be empty before it is mapped.",
         "mm/highmem.c, __kmap_local_pfn_prot", ("source",)),
    Rule("words_unmap", (2, 4), "kernel BUG at arch/i386/mm/highmem.c!",
         "With CONFIG_DEBUG_HIGHMEM the address given up must be the slot's.", "arch/i386/mm/highmem.c, kunmap_atomic",
         ("source",)),
    Rule("words_unmap", (2, 6, 37), "WARNING: at arch/x86/mm/highmem_32.c __kunmap_atomic",
         "With CONFIG_DEBUG_HIGHMEM the address given up must be the newest.",
         "arch/x86/mm/highmem_32.c, __kunmap_atomic", ("source",)),
    Rule("words_unmap", (5, 11), "WARNING: at mm/highmem.c kunmap_local_indexed",
         "The address given up must be the newest.", "mm/highmem.c, kunmap_local_indexed", ("source",)),
)  # fmt: skip
