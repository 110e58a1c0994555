"""What boot does to the page allocator besides requests: a trace from early boot shows the stages by who allocates.

The lists' sizes, the marks and the late struct pages have no events of their own; each stage is known by the first
allocation that follows it (start_kernel and the initcalls of mm/, in link order).
"""

from __future__ import annotations

from typing import Any

from kmemwidgets.records import MachineSpec
from kmemwidgets.sim.memmap import UNKNOWN
from kmemwidgets.sim.migratetype import MOVABLE
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.reserves import THP_LEAST_BYTES, Reserves, ReserveSettings
from kmemwidgets.sim.rules import mmzone, pcp_size, pick

#: Events that show the stages.
BOOT_EVENTS = ("kmalloc", "kmem_cache_alloc")

#: Comm of the threads that give late struct pages to the allocator (deferred_init_memmap).
DEFERRED = "pgdatinit"

# Call sites, in their order: con_init makes a console and its screen, soon after which comes setup_per_cpu_pageset;
# bdi_class_init and init_per_zone_wmark_min are postcore initcalls of mm/; hugepage_init is a subsys initcall of mm/,
# just before mem_cgroup_init, and makes objects itself from 6.8 on (thpsize_create), before it starts khugepaged.
CON_INIT = "con_init+"
CLASS_CREATE = ("__class_create+", "class_create+")
MEM_CGROUP_INIT = "mem_cgroup_init+"
HUGEPAGE_INIT = "hugepage_init+"
KTHREAD_CREATE = ("__kthread_create_on_node+", "kthread_create_on_node+")


class BootStages:
    """Follows a boot through its stages.

    Parameters
    ----------
    allocator : PageAllocator
        As it was when the trace began: boot pagesets, no marks.
    spec : MachineSpec
    """

    def __init__(self, allocator: PageAllocator, spec: MachineSpec) -> None:
        self.allocator = allocator
        self.stage = 0
        self._in_hugepage_init = False
        zones = [live.zone for live in allocator.zones]
        node_cpus = {nid: list(allocator.cpu_node).count(nid) for nid in allocator.cpu_node}
        self.reserves = Reserves(
            zones,
            ReserveSettings(
                zone_names=allocator.zone_names,
                page_size=spec.page_size,
                pageblock_order=allocator.shift,
                online_cpus=1,
                node_cpus=node_cpus,
                thp=_thp(spec),
            ),
            pick(mmzone.ZoneRules, mmzone.TABLE, spec.kernel),
            pick(pcp_size.PcpSizeRules, pcp_size.TABLE, spec.kernel),
        )

    def see(self, values: tuple[Any, ...]) -> None:
        """Look whether an allocation shows that a stage was passed."""
        site = values[0]
        if self.stage == 0 and site.startswith(CON_INIT):
            self.stage = 1
        elif self.stage == 1 and site.startswith(CON_INIT):
            self.stage = 2
            self.reserves.zone_pcp_update()
            self.allocator.setup_per_cpu_pageset()
        elif self.stage == 2 and site.startswith(CLASS_CREATE):
            self.stage = 3
            self.reserves.init_per_zone_wmark_min()
            self.allocator.setup_per_cpu_pageset()
        elif self.stage == 3 and site.startswith(HUGEPAGE_INIT):
            self._in_hugepage_init = True
        elif self.stage == 3 and site.startswith(KTHREAD_CREATE if self._in_hugepage_init else MEM_CGROUP_INIT):
            self.stage = 4
            memory = sum(live.zone.managed for live in self.allocator.zones) * self.reserves.settings.page_size
            if memory >= THP_LEAST_BYTES:
                # Below that hugepage_init returns before it starts khugepaged.
                self.reserves.start_stop_khugepaged()
                self.allocator.setup_per_cpu_pageset()

    def free_reserved(self, pfn: int, order: int) -> None:
        """Count a block that no request gave: boot had reserved it (free_reserved_area)."""
        if self.allocator.state[pfn] == UNKNOWN:
            self.allocator.zone_of(pfn).zone.managed += 1 << order

    def free_deferred(self, pfn: int, order: int, cpu: int) -> None:
        """Take pages whose struct pages were made late: a movable page block, to the tail (deferred_free_range)."""
        live = self.allocator.zone_of(pfn)
        area = live.free_area
        block = 1 << self.allocator.shift
        if not pfn & (block - 1):
            area.set_types(pfn, 1 << order, MOVABLE)
        live.zone.managed += 1 << order
        area.state[pfn : pfn + (1 << order)] = bytes(1 << order)
        live.free_one(pfn, order, area.types[pfn >> self.allocator.shift], cpu, to_tail=True)


def _thp(spec: MachineSpec) -> str | None:
    """Return the mode of huge pages that the kernel is built with."""
    if spec.option("CONFIG_TRANSPARENT_HUGEPAGE") == "n":
        return None
    for mode in ("always", "madvise", "never"):
        if spec.option(f"CONFIG_TRANSPARENT_HUGEPAGE_{mode.upper()}") == "y":
            return mode
    return "never"
