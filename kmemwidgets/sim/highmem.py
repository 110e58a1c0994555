"""High memory: frames beyond the direct map of a 32-bit kernel, and the three ways to reach them (mm/highmem.c).

kmap gives a page an address that all cpus see until somebody needs it for another page; kmap_atomic and
kmap_local give it one of a few addresses of a cpu for a moment (`kmap_local`); and vmalloc can map it for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kmemwidgets.records import BadInput, HighmemInfo, MachineSpec, format_version

from .errors import KernelBug
from .kmap_local import USUAL_TYPE, LocalMappings
from .rules import pick
from .rules.highmem import TABLE, HighmemRules
from .rules.layout import debugs_kmap, has_highmem, page_offset_32, rules_for

PAGE = 4096
#: CONFIG_PAGE_OFFSET of each way to split 4 GiB between user space and kernel (arch/x86/Kconfig, VMSPLIT_*).
SPLITS = {
    "3G/1G": 0xC0000000,
    "2.75G/1.25G": 0xB0000000,
    "2G/2G": 0x80000000,
    "1.875G/2.125G": 0x78000000,
    "1G/3G": 0x40000000,
}


@dataclass(frozen=True, slots=True)
class Split:
    """Low memory of one split. Bytes."""

    name: str
    page_offset: int
    lowmem: int


def splits(spec: MachineSpec) -> tuple[Split, ...]:
    """Return how much memory has a place in the direct map, for each split that a kernel can be built with."""
    lowmem = rules_for(spec).x86_32_lowmem
    return tuple(Split(name, offset, lowmem(spec, offset)) for name, offset in SPLITS.items())


class Highmem:
    """The high memory of one machine.

    Parameters
    ----------
    spec : MachineSpec
        An x86-32 machine.
    max_low_pfn : int, optional
        First frame without an address; what the split leaves if not given.

    Attributes
    ----------
    pkmap_count : list of int
        Of each slot of kmap: 0 free; 1 free, but perhaps still in a TLB; n used n - 1 times.
    pkmap_pfn : list of int
        The frame in each slot, -1 for none.
    last : int
        Slot that was given last (last_pkmap_nr).
    flushes : int
        How often slots were taken back and the TLBs flushed.
    local : LocalMappings
        The mappings for a moment.
    """

    def __init__(self, spec: MachineSpec, max_low_pfn: int | None = None) -> None:
        if not has_highmem(spec):
            raise ValueError("this kernel is built without high memory")
        self._kernel = spec.kernel
        self.rules = pick(HighmemRules, TABLE, spec.kernel)
        self._splits = tuple((split.name, split.lowmem) for split in splits(spec))
        layout = rules_for(spec)
        self.cpus = spec.cpus
        self.page_offset = page_offset_32(spec)
        low = layout.x86_32_lowmem(spec, self.page_offset) // PAGE
        self.max_low_pfn = low if max_low_pfn is None else max_low_pfn
        self.kmap_slots = layout.kmap_slots(debugs_kmap(spec))
        self.areas = layout.x86_32_areas(spec)
        # CONFIG_DEBUG_KMAP_LOCAL_FORCE_MAP: low pages are mapped like high ones, so that mistakes show on any machine.
        self._forced = spec.option("CONFIG_DEBUG_KMAP_LOCAL_FORCE_MAP") == "y" and self.rules.slots_of_task
        self.pkmap_base = self.areas.pkmap_base
        slots = self.rules.pkmap_slots(spec.pae)
        self.pkmap_count = [0] * slots
        self.pkmap_pfn = [-1] * slots
        self.last = 0
        self.flushes = 0
        self.local = LocalMappings(self.rules, self.kmap_slots, debugs_kmap(spec), self._local_address)

    def page_address(self, pfn: int) -> int:
        """Return a page's address: the direct map's, or kmap's while it has one; 0 for none."""
        if pfn < self.max_low_pfn:
            return self.page_offset + pfn * PAGE
        return self._pkmap_address(self.pkmap_pfn.index(pfn)) if pfn in self.pkmap_pfn else 0

    def _pkmap_address(self, slot: int) -> int:
        return self.pkmap_base + slot * PAGE

    # --- kmap -----------------------------------------------------------------------------------

    def kmap(self, pfn: int) -> int:
        """Give a page an address (kmap_high); returns 0 where the task would sleep until somebody calls kunmap."""
        address = self.page_address(pfn)
        if pfn < self.max_low_pfn:
            return address
        if not address:
            slot = self._free_slot()
            if slot < 0:
                return 0
            self.pkmap_count[slot], self.pkmap_pfn[slot] = 1, pfn
            address = self._pkmap_address(slot)
        self.pkmap_count[(address - self.pkmap_base) // PAGE] += 1
        return address

    def _free_slot(self) -> int:
        """Look for a slot behind the last one; with each wrap unused ones are taken back (map_new_virtual)."""
        slots = len(self.pkmap_count)
        left = slots
        while left:
            self.last = (self.last + 1) % slots
            if self.last == 0:
                self.flush_all_zero_pkmaps()
                left = slots
                if all(self.pkmap_count):
                    return -1
            if not self.pkmap_count[self.last]:
                return self.last
            left -= 1
        return -1

    def flush_all_zero_pkmaps(self) -> None:
        """Take back every slot that nobody uses, and flush it from the TLBs."""
        for slot, count in enumerate(self.pkmap_count):
            if count == 1:
                self.pkmap_count[slot], self.pkmap_pfn[slot] = 0, -1
        self.flushes += 1

    def kunmap(self, pfn: int) -> None:
        """Give an address of kmap up (kunmap_high); the page keeps it until the next flush.

        Raises
        ------
        KernelBug
            Where the page has none, or nobody uses it; nothing has changed then.
        """
        if pfn < self.max_low_pfn:
            return
        slot = self.pkmap_pfn.index(pfn) if pfn in self.pkmap_pfn else -1
        if slot < 0 or self.pkmap_count[slot] < 2:
            raise KernelBug("kernel BUG at mm/highmem.c! kunmap_high")
        self.pkmap_count[slot] -= 1

    # --- kmap_atomic and kmap_local ---------------------------------------------------------------

    def kmap_local(self, pfn: int, cpu: int = 0, task: int = 0) -> int:
        """Give a page an address of this cpu for a moment; the task may be preempted meanwhile.

        Raises
        ------
        KernelBug
            Where all slots are taken.
        BadInput
            Before 5.11.
        """
        self._need_local("kmap_local")
        if pfn < self.max_low_pfn and not self._forced:
            return self.page_offset + pfn * PAGE
        return self.local.map(pfn, cpu, task, atomic=False)

    def kunmap_local(self, address: int, cpu: int = 0, task: int = 0) -> None:
        """Give the newest short-lived mapping up; they must go in reverse order.

        Raises
        ------
        KernelBug
            For another one; nothing has changed then.
        """
        self._need_local("kunmap_local")
        if not self._is_low(address):
            self.local.unmap(address & -PAGE, cpu, task, atomic=False)

    def kmap_atomic(self, pfn: int, cpu: int = 0, task: int = 0, km_type: str = "") -> int:
        """Give a page an address of this cpu for a moment, in which the task can't sleep.

        Raises
        ------
        KernelBug
            Where all slots are taken, or the one of this kind of user is and the kernel looks.
        """
        kind = self._type(km_type)
        if pfn < self.max_low_pfn and not self._forced:
            self.local.pin(cpu, task, atomic=True)
            return self.page_offset + pfn * PAGE
        return self.local.map(pfn, cpu, task, km_type=kind, atomic=True)

    def kunmap_atomic(self, address: int, cpu: int = 0, task: int = 0, km_type: str = "") -> None:
        """Undo kmap_atomic.

        Raises
        ------
        KernelBug
            For a mapping that is not there, or not the newest, where the kernel looks; nothing has changed then.
        """
        kind = self._type(km_type)
        if self._is_low(address):
            self.local.unpin(cpu)
        else:
            self.local.unmap(address & -PAGE, cpu, task, km_type=kind, atomic=True)

    def _need_local(self, name: str) -> None:
        if not self.rules.slots_of_task:
            raise BadInput(f"Linux {format_version(self._kernel)} has no {name}", todo="take kmap_atomic")

    def _type(self, km_type: str) -> str:
        """Return the kind of user that kmap_atomic is for; kernels with stacks don't ask."""
        if self.rules.km_types:
            return km_type or USUAL_TYPE
        if km_type:
            raise ValueError(f"Linux {format_version(self._kernel)} has no {km_type}: its slots are a stack")
        return ""

    def _is_low(self, address: int) -> bool:
        return self.page_offset <= address < self.page_offset + self.max_low_pfn * PAGE

    def _local_address(self, slot: int) -> int:
        """Return the address of a slot for short-lived mappings, those of cpu 1 behind those of cpu 0."""
        return self.fix_to_virt(self.areas.kmap_begin + slot)

    def fix_to_virt(self, slot: int) -> int:
        """Return the address of a slot of the fixmap; they grow downward (__fix_to_virt)."""
        return self.areas.fixaddr_top - slot * PAGE

    # --- looking and keeping ------------------------------------------------------------------------

    def info(self, areas: tuple[tuple[int, tuple[int, ...]], ...] = ()) -> HighmemInfo:
        """Return the state for somebody who looks; `areas` are vmalloc's."""
        return HighmemInfo(
            page_offset=self.page_offset,
            max_low_pfn=self.max_low_pfn,
            lowmem=self._splits,
            pkmap_base=self.pkmap_base,
            pkmap_count=tuple(self.pkmap_count),
            pkmap_pfn=tuple(self.pkmap_pfn),
            last=self.last,
            flushes=self.flushes,
            local_slots=self.local.most,
            of_task=self.rules.slots_of_task,
            local=self.local.mappings(),
            km_types=self.rules.km_types,
            local_flushes=self.local.flushes,
            cpu_slots=self.kmap_slots,
            areas=areas,
        )

    def save(self) -> tuple[Any, ...]:
        """Return the state as plain tuples."""
        return (tuple(self.pkmap_count), tuple(self.pkmap_pfn), self.last, self.flushes, self.local.save())

    def load(self, saved: tuple[Any, ...]) -> None:
        """Go back to what `save` returned."""
        counts, pfns, self.last, self.flushes, local = saved
        self.pkmap_count, self.pkmap_pfn = list(counts), list(pfns)
        self.local.load(local)
