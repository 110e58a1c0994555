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
    slots_of_task : bool
        Whether short-lived mappings are a stack of the task, so that it may be moved to another cpu with them
        (kmap_local), or of the cpu (kmap_atomic).
    """

    pkmap_slots: Callable[[bool], int]
    slots_of_task: bool


TABLE: tuple[Rule, ...] = (
    Rule(
        "pkmap_slots", (2, 4), lambda pae: 512 if pae else 1024,
        "kmap has a slot for each entry of one page table: 1024, with PAE 512.",
        "arch/x86/include/asm/highmem.h, LAST_PKMAP", ("source",),
    ),
    Rule(
        "slots_of_task", (2, 4), False,
        "Mappings for a moment belong to the cpu, and the task that made one may not be moved.",
        "mm/highmem.c, kmap_atomic", ("source",),
    ),
    Rule(
        "slots_of_task", (5, 11), True, "Mappings for a moment belong to the task and go where it goes.",
        "mm/highmem.c, __kmap_local_pfn_prot", ("source",),
    ),
)  # fmt: skip
