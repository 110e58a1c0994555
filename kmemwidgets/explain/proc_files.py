"""The files under /proc and /sys that a simulated machine has, as text that real tools read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from kmemwidgets.arch import ARCHES
from kmemwidgets.procfs import (
    buddyinfo,
    iomem,
    meminfo,
    node_meminfo,
    numastat,
    pagetypeinfo,
    slabinfo,
    swaps,
    vmallocinfo,
    vmstat,
    zoneinfo,
)
from kmemwidgets.records import (
    MIGRATETYPES,
    BadInput,
    MachineSpec,
    MemInfo,
    NodeInfo,
    Region,
    SlabCacheInfo,
    Snapshot,
    VmallocArea,
    VmStat,
    ZoneInfo,
    format_list,
)
from kmemwidgets.sim import Machine
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.layout import vmalloc_bytes
from kmemwidgets.sim.rules.proc import TABLE, ProcRules
from kmemwidgets.sim.rules.slub import is_tiny
from kmemwidgets.sim.zone_sizes import usable_memory

NODES = "sys/devices/system/node"
SLAB = "sys/kernel/slab"

#: Events that never happen to a machine without disks, swap and processes.
QUIET = (
    "pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault", "pgmajfault", "pgsteal_kswapd", "pgsteal_direct",
    "pgscan_kswapd", "pgscan_direct", "oom_kill", "compact_stall", "swap_ra", "thp_fault_alloc",
)  # fmt: skip
#: A node's hits and misses.
NUMASTAT = ("numa_hit", "numa_miss", "numa_foreign", "interleave_hit", "local_node", "other_node")
#: What the firmware's kinds of memory are called in /proc/iomem.
KINDS = {
    "usable": "System RAM",
    "reserved": "Reserved",
    "ACPI data": "ACPI Tables",
    "ACPI NVS": "ACPI Non-volatile Storage",
}


def proc_files(machine: Machine) -> dict[str, str]:
    """Return a machine's files: path below the root, and text.

    The slab allocator is booted if it isn't up, where its kernel's rules are known.
    """
    with contextlib.suppress(BadInput):
        machine.kmem_cache_init()
    shown = machine.snapshot()
    spec = machine.spec()
    files = {
        "proc/meminfo": meminfo.format(meminfo.MemInfoFile(_meminfo(shown, spec))),
        "proc/zoneinfo": zoneinfo.format(zoneinfo.ZoneInfoFile(tuple(_printed(zone, spec) for zone in shown.zones))),
        "proc/buddyinfo": buddyinfo.format(buddyinfo.BuddyInfo(tuple(_buddy_rows(shown)))),
        "proc/pagetypeinfo": pagetypeinfo.format(_page_types(shown, spec)),
        "proc/vmstat": vmstat.format(vmstat.VmStatFile(VmStat(_counters(shown)))),
        "proc/iomem": iomem.format(iomem.IoMem(tuple(_physical(spec)))),
        "proc/swaps": swaps.format(swaps.Swaps(shown.swaps or ())),
        "proc/cmdline": spec.cmdline + "\n",
        # vmstat and free want to see these, whatever they say.
        "proc/stat": "".join(f"cpu{cpu} 0 0 0 0 0 0 0 0 0 0\n" for cpu in (" ", *range(spec.cpus)))
        + "intr 0\nctxt 0\nbtime 0\nprocesses 0\nprocs_running 0\nprocs_blocked 0\nsoftirq 0\n",
        "proc/uptime": "0.00 0.00\n",
        f"{NODES}/online": format_list(node.nid for node in shown.nodes) + "\n",
        f"{NODES}/has_memory": format_list({zone.nid for zone in shown.zones if zone.present}) + "\n",
    }
    if shown.vmalloc and pick(ProcRules, TABLE, spec.kernel).vmallocinfo:
        files["proc/vmallocinfo"] = vmallocinfo.format(_vmallocinfo(shown.vmalloc, spec))
    if shown.slabs and not is_tiny(spec):
        files["proc/slabinfo"] = _slabinfo(shown.slabs, spec)
    for cache, texts in machine.objects.sysfs().items():
        files.update({f"{SLAB}/{cache}/{name}": text for name, text in texts.items()})
    for node in shown.nodes:
        files.update(_node_files(node, shown))
    return files


def _vmallocinfo(areas: tuple[VmallocArea, ...], spec: MachineSpec) -> vmallocinfo.VmallocInfo:
    """Return the rows as this kernel writes them; a caller is told only where it is known to the byte."""
    digits = 16 if ARCHES[spec.arch].bits == 64 else 8
    rows = tuple(area if "+" in area.caller else replace(area, caller="") for area in areas)
    return vmallocinfo.VmallocInfo(rows, digits, 16 if spec.pae else digits)


def _meminfo(shown: Snapshot, spec: MachineSpec) -> MemInfo:
    """Add slabs, the vmalloc area, and what the tools ask for and the machine has none of."""
    assert shown.meminfo is not None
    values = dict(shown.meminfo.values)
    values.update(dict.fromkeys(("Dirty", "Writeback", "AnonPages", "Mapped", "Shmem"), 0))
    slabs = {True: 0, False: 0}
    for cache in shown.slabs or ():
        slabs["reclaim_account" in cache.flags] += ((cache.slabs or 0) << (cache.order or 0)) * (shown.page_size >> 10)
    values.update(KReclaimable=slabs[True], Slab=sum(slabs.values()), SReclaimable=slabs[True], SUnreclaim=slabs[False])
    values["VmallocTotal"] = vmalloc_bytes(spec, usable_memory(spec)) >> 10
    used = sum(area.pages or 0 for area in shown.vmalloc or () if "vmalloc" in area.flags)
    values["VmallocUsed"] = used * (shown.page_size >> 10)
    return MemInfo(values)


def _printed(zone: ZoneInfo, spec: MachineSpec) -> ZoneInfo:
    """Leave out what this kernel doesn't print."""
    rules = pick(ProcRules, TABLE, spec.kernel)
    pagesets = zone.pagesets
    if not rules.pcp_bounds:
        pagesets = tuple(replace(entry, high_min=None, high_max=None) for entry in pagesets)
    return replace(
        zone,
        boost=zone.boost if rules.boost else None,
        promo=zone.promo if rules.promo else None,
        pagesets=pagesets,
    )


def _buddy_rows(shown: Snapshot) -> Iterator[buddyinfo.BuddyZone]:
    for zone in shown.zones:
        if zone.free_area is not None:
            yield buddyinfo.BuddyZone(zone.nid, zone.name, tuple(area.nr_free for area in zone.free_area))


def _page_types(shown: Snapshot, spec: MachineSpec) -> pagetypeinfo.PageTypeInfo:
    kinds = [kind for kind in MIGRATETYPES if kind != "CMA" or spec.option("CONFIG_CMA") == "y"]
    order = shown.pageblock_order or 0
    free: dict[tuple[int, str, str], tuple[int, ...]] = {}
    blocks: dict[tuple[int, str], dict[str, int]] = {}
    for zone in shown.zones:
        if zone.free_area is None or zone.pageblock_types is None:
            continue
        for kind in kinds:
            free[zone.nid, zone.name, kind] = tuple((area.by_type or {}).get(kind, 0) for area in zone.free_area)
        blocks[zone.nid, zone.name] = {kind: zone.pageblock_types.count(MIGRATETYPES.index(kind)) for kind in kinds}
    return pagetypeinfo.PageTypeInfo(order, 1 << order, free, blocks)


def _counters(shown: Snapshot) -> dict[str, int]:
    values = {"nr_free_pages": sum(zone.free or 0 for zone in shown.zones)}
    for name in ("nr_zone_inactive_anon", "nr_zone_active_anon", "nr_zone_inactive_file", "nr_zone_active_file"):
        values[name] = 0
    values["nr_free_cma"] = sum(zone.cma or 0 for zone in shown.zones)
    return {**values, **dict.fromkeys(QUIET, 0), **(shown.vmstat.values if shown.vmstat else {})}


def _physical(spec: MachineSpec) -> Iterator[Region]:
    """Yield the firmware's map with the kernel's image in it."""
    for entry in sorted(spec.memory, key=lambda row: row.start):
        yield Region(entry.start, entry.end, KINDS.get(entry.kind, entry.kind))
        for taken in spec.reserved:
            if taken.name == "kernel" and entry.start <= taken.start and taken.end <= entry.end:
                yield Region(taken.start, taken.end, "Kernel code", depth=1)


def _slabinfo(caches: tuple[SlabCacheInfo, ...], spec: MachineSpec) -> str:
    """Write /proc/slabinfo; what SLUB doesn't have or count, it prints as 0, and all its slabs are active."""
    version = pick(ProcRules, TABLE, spec.kernel).slabinfo
    tunables = tuple(cache.tunables or (0, 0, 0) for cache in caches)
    slabdata: list[tuple[int, ...]] = []
    extra: tuple[str, ...] = ()
    for cache in caches:
        slabs = cache.slabs or 0
        active = slabs if cache.active_slabs is None else cache.active_slabs
        slabdata.append((active, slabs, 1 << (cache.order or 0) if version == "1.1" else cache.sharedavail or 0))
    if version == "1.1" and (spec.cpus > 1 or spec.option("CONFIG_SMP") == "y"):
        extra = tuple(f" : {limit:4} {batchcount:4}" for limit, batchcount, _shared in tunables)
    return slabinfo.format(slabinfo.SlabInfo(version, caches, tunables, tuple(slabdata), extra=extra))


def _node_files(node: NodeInfo, shown: Snapshot) -> dict[str, str]:
    folder = f"{NODES}/node{node.nid}"
    unit = shown.page_size >> 10
    zones = [zone for zone in shown.zones if zone.nid == node.nid]
    total = unit * sum(zone.managed or 0 for zone in zones)
    free = unit * sum(zone.free or 0 for zone in zones)
    values = {"MemTotal": total, "MemFree": free, "MemUsed": total - free}
    return {
        f"{folder}/meminfo": node_meminfo.format(node_meminfo.NodeMeminfo(node.nid, values)),
        f"{folder}/numastat": numastat.format(numastat.NumaStat(node.numastat or dict.fromkeys(NUMASTAT, 0))),
        f"{folder}/distance": " ".join(map(str, node.distance)) + "\n",
        f"{folder}/cpulist": format_list(node.cpus) + "\n",
    }
