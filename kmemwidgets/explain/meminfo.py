"""Section meminfo: every field of /proc/meminfo that follows from others, and from zoneinfo, vmstat and swaps.

A set of files is of one instant if its zoneinfo and vmstat tell the same of what both count. Fields then follow from
counters. Of other sets, as of the files under proc/, only those fields are predicted that follow from other fields of
the same meminfo, or from what doesn't change while a machine runs. A field that follows from nothing else (Buffers,
Committed_AS, VmallocUsed, Percpu ...) is no figure of this section, but may be what others follow from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kmemwidgets import arch as arch_constants
from kmemwidgets.capture import Capture
from kmemwidgets.procfs import meminfo, swaps, vmstat, zoneinfo
from kmemwidgets.records import MachineSpec, ZoneInfo
from kmemwidgets.sim.cmdline import memparse, options_of, parameter
from kmemwidgets.sim.direct_map import ISA_END, counted_bytes
from kmemwidgets.sim.meminfo import commit_limit, si_mem_available, totalreserve_pages
from kmemwidgets.sim.rules.layout import vmalloc_bytes
from kmemwidgets.sim.zone_sizes import highmem_zones, lowmem_end, max_pfn_limit, node_memory, usable_memory, zone_ranges

from .section import Figures, Section

#: Fields that are one counter of vmstat, in pages.
COUNTERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "SwapCached": ("nr_swapcached",),
        "Active": ("nr_active_anon", "nr_active_file"),
        "Inactive": ("nr_inactive_anon", "nr_inactive_file"),
        "Active(anon)": ("nr_active_anon",),
        "Inactive(anon)": ("nr_inactive_anon",),
        "Active(file)": ("nr_active_file",),
        "Inactive(file)": ("nr_inactive_file",),
        "Unevictable": ("nr_unevictable",),
        "Mlocked": ("nr_mlock",),
        "Dirty": ("nr_dirty",),
        "Writeback": ("nr_writeback",),
        "AnonPages": ("nr_anon_pages",),
        "Mapped": ("nr_mapped",),
        "Shmem": ("nr_shmem",),
        "KReclaimable": ("nr_slab_reclaimable", "nr_kernel_misc_reclaimable"),
        "Slab": ("nr_slab_reclaimable", "nr_slab_unreclaimable"),
        "SReclaimable": ("nr_slab_reclaimable",),
        "SUnreclaim": ("nr_slab_unreclaimable",),
        "PageTables": ("nr_page_table_pages",),
        "SecPageTables": ("nr_sec_page_table_pages",),
        "Bounce": ("nr_bounce",),
        "WritebackTmp": ("nr_writeback_temp",),
        "CmaFree": ("nr_free_cma",),
        "Unaccepted": ("nr_unaccepted",),
        "Balloon": ("nr_balloon_pages",),
    }
)
#: Fields that are one counter of vmstat, in huge pages.
HUGE_COUNTERS: Mapping[str, str] = MappingProxyType(
    {
        "AnonHugePages": "nr_anon_transparent_hugepages",
        "ShmemHugePages": "nr_shmem_hugepages",
        "ShmemPmdMapped": "nr_shmem_pmdmapped",
        "FileHugePages": "nr_file_hugepages",
        "FilePmdMapped": "nr_file_pmdmapped",
    }
)
#: Fields of meminfo that no other follows from and that follow from no other, but that others may follow from.
GIVEN = (
    "Buffers", "Zswap", "Zswapped", "Committed_AS", "VmallocUsed", "Percpu", "HardwareCorrupted",
    "DirectMap2M", "DirectMap4M", "DirectMap1G",
)  # fmt: skip
#: Fields of the same file that the fields of a set without one instant follow from.
SAME_FILE = (
    "MemFree", "HighFree", "Active(anon)", "Inactive(anon)", "Active(file)", "Inactive(file)",
    "SReclaimable", "SUnreclaim", "KReclaimable",
)  # fmt: skip
#: Fields that are the sum of two others; before 2.6.28 lists and slabs are not told apart.
SUMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "Active": ("Active(anon)", "Active(file)"),
        "Inactive": ("Inactive(anon)", "Inactive(file)"),
        "Slab": ("SReclaimable", "SUnreclaim"),
    }
)
#: Always 0 in kernels that still print them.
EMPTY = ("NFS_Unstable", "VmallocChunk")


@dataclass(frozen=True, slots=True)
class MeminfoSet:
    """What one set of files gives besides the fields to predict.

    Attributes
    ----------
    name : str
        ``"proc"``, ``"snap"``, ``"t_fork/before"``.
    given : mapping of str to int
        Fields of meminfo that others follow from, kB.
    zones : tuple of ZoneInfo
    vmstat : mapping of str to int, or None
        Counters; None where the set isn't of one instant.
    swap : tuple of int
        Size and use of all swap areas, kB.
    swap_moves : bool
        Whether the use is of another moment.
    """

    name: str
    given: Mapping[str, int]
    zones: tuple[ZoneInfo, ...]
    vmstat: Mapping[str, int] | None
    swap: tuple[int, int]
    swap_moves: bool


def read_sets(capture: Capture, _spec: MachineSpec) -> tuple[MeminfoSet, ...]:
    """Read every set that has a meminfo and a zoneinfo."""
    return tuple(
        _read_set(capture, name, paths) for name, paths in set_paths(capture).items() if capture.has(paths["zoneinfo"])
    )


def set_paths(capture: Capture) -> dict[str, dict[str, str]]:
    """Find the sets: name to the paths of their files."""
    found: dict[str, dict[str, str]] = {}
    for path in capture.files():
        folder, _, file = path.rpartition("/")
        base, _, when = file.partition(".")
        if base != "meminfo":
            continue
        if folder in ("proc", "snap"):
            name = folder
        elif folder.startswith("t_") and when in ("before", "after"):
            name = f"{folder}/{when}"
        else:
            continue
        end = f".{when}" if when else ""
        found[name] = {kind: f"{folder}/{kind}{end}" for kind in ("meminfo", "zoneinfo", "vmstat")}
    return found


def _read_set(capture: Capture, name: str, paths: Mapping[str, str]) -> MeminfoSet:
    info = meminfo.parse(capture.text(paths["meminfo"]), f"{capture.name}/{paths['meminfo']}").info
    zones = zoneinfo.parse(capture.text(paths["zoneinfo"]), f"{capture.name}/{paths['zoneinfo']}")
    text = capture.text_or_none(paths["vmstat"])
    counters = vmstat.parse(text, f"{capture.name}/{paths['vmstat']}").stat.values if text else None
    instant = name != "proc" and counters is not None and _agree(zones, counters)
    given = {key: info[key] for key in (GIVEN if instant else (*GIVEN, *SAME_FILE)) if key in info.values}
    folder, _, when = name.partition("/")
    after = capture.text_or_none(f"{folder}/swaps_after") if when == "after" else None
    text = after or capture.text_or_none("proc/swaps")
    areas = swaps.parse(text, f"{capture.name}/proc/swaps").areas if text else ()
    return MeminfoSet(
        name=name,
        given=given,
        zones=zones.zones,
        vmstat=counters if instant else None,
        swap=(sum(area.size for area in areas), sum(area.used for area in areas)),
        swap_moves=bool(areas) and (not instant or after is None),
    )


def _agree(zones: zoneinfo.ZoneInfoFile, counters: Mapping[str, int]) -> bool:
    """Tell whether two files tell the same of what both count."""
    per_node: dict[str, int] = {}
    for stats in zones.node_stats.values():
        for key, value in stats.items():
            per_node[key] = per_node.get(key, 0) + value
    free = sum(zone.stats.get("nr_free_pages", zone.free or 0) for zone in zones.zones)
    return free == counters.get("nr_free_pages", free) and all(
        counters.get(key, value) == value for key, value in per_node.items() if key.startswith("nr_")
    )


def predict_meminfo(spec: MachineSpec, sets: tuple[MeminfoSet, ...]) -> Figures:
    """Predict the fields of every set."""
    figures: dict[str, int] = {}
    for entry in sets:
        for field, pages in _predict_set(spec, entry).items():
            figures[f"{entry.name} {field}"] = pages
    return figures


def _predict_set(spec: MachineSpec, entry: MeminfoSet) -> dict[str, int]:
    """Predict one set's fields in kB."""
    unit = spec.page_size >> 10
    given = entry.given
    size, used = entry.swap
    managed = sum(zone.managed or 0 for zone in entry.zones)
    values = {"MemTotal": managed * unit, "SwapTotal": size, **_constants(spec, given)}
    if not entry.swap_moves:
        values["SwapFree"] = size - used
    if entry.vmstat is not None:
        values.update(_from_counters(spec, entry, entry.vmstat))
    else:
        values.update({field: given[a] + given[b] for field, (a, b) in SUMS.items() if a in given and b in given})
    names = highmem_zones(zone_ranges(spec, node_memory(spec))) if spec.memory else ("HighMem",)
    high = [zone for zone in entry.zones if zone.name in names]
    if any(zone.name == "HighMem" for zone in high):
        values["HighTotal"] = sum(zone.managed or 0 for zone in high) * unit
        values["LowTotal"] = values["MemTotal"] - values["HighTotal"]
        if entry.vmstat is not None:
            values["HighFree"] = sum(zone.free or 0 for zone in high) * unit
            values["LowFree"] = values["MemFree"] - values["HighFree"]
        elif "HighFree" in given:
            values["LowFree"] = given["MemFree"] - given["HighFree"]
    file = _file_pages(spec, entry)
    free = values.get("MemFree", given.get("MemFree", 0)) // unit
    reclaimable = values.get("KReclaimable", given.get("KReclaimable", 0)) // unit
    values["MemAvailable"] = unit * si_mem_available(
        free,
        # The reserve was added up when the marks were set, before anything boosted them; the low marks are read now.
        totalreserve_pages(
            (max(zone.protection or (0,)), (zone.high or 0) - (zone.boost or 0), zone.managed or 0)
            for zone in entry.zones
        ),
        sum(zone.low or 0 for zone in entry.zones),
        file,
        reclaimable,
    )
    sysctl = dict(spec.sysctl)
    hugetlb = _hugetlb_bytes(spec) // spec.page_size
    values["CommitLimit"] = unit * commit_limit(
        managed,
        hugetlb,
        size // unit,
        int(sysctl.get("overcommit_ratio", "50")),
        int(sysctl.get("overcommit_kbytes", "0")),
        spec.page_size,
    )
    return values


def _file_pages(spec: MachineSpec, entry: MeminfoSet) -> int:
    if entry.vmstat is not None:
        return entry.vmstat.get("nr_active_file", 0) + entry.vmstat.get("nr_inactive_file", 0)
    return (entry.given.get("Active(file)", 0) + entry.given.get("Inactive(file)", 0)) // (spec.page_size >> 10)


def _from_counters(spec: MachineSpec, entry: MeminfoSet, counters: Mapping[str, int]) -> dict[str, int]:
    """Return the fields that are counters."""
    unit = spec.page_size >> 10
    values = {"MemFree": unit * sum(zone.free or 0 for zone in entry.zones)}
    for field, names in COUNTERS.items():
        if names[0] in counters:
            values[field] = unit * sum(counters.get(name, 0) for name in names)
    huge = unit << arch_constants.huge_page_order(spec.arch, page_size=spec.page_size, pae=spec.pae)
    values.update({field: huge * counters[name] for field, name in HUGE_COUNTERS.items() if name in counters})
    if "nr_kernel_stack" in counters:
        values["KernelStack"] = counters["nr_kernel_stack"]
    values["CmaTotal"] = unit * sum(zone.cma or 0 for zone in entry.zones)
    if "nr_file_pages" in counters and "Buffers" in entry.given:
        values["Cached"] = unit * counters["nr_file_pages"] - values.get("SwapCached", 0) - entry.given["Buffers"]
    return values


def _huge_page_bytes(spec: MachineSpec) -> int:
    """Return the size of the huge pages of the default pool."""
    chosen = parameter(spec.cmdline, "default_hugepagesz")
    if chosen:
        return memparse(chosen)
    return spec.page_size << arch_constants.huge_page_order(spec.arch, page_size=spec.page_size, pae=spec.pae)


def _hugetlb_bytes(spec: MachineSpec) -> int:
    """Return what the pools of every size hold: the sysctl tells of one, of the others the command line.

    ``hugepages=`` speaks of the size named before it, else of the default (mm/hugetlb.c, hugepages_setup).
    """
    default = size = _huge_page_bytes(spec)
    others: dict[int, int] = {}
    for name, value in options_of(spec.cmdline, ("hugepagesz", "hugepages")):
        if name == "hugepagesz":
            size = memparse(value)
        elif size != default:
            # Node by node ("0:2,1:1"), or as many as there are to be.
            shares = [part.rpartition(":")[2] for part in value.split(",")]
            others[size] = sum(int(share) for share in shares if share.isdecimal())
    pool = int(dict(spec.sysctl).get("nr_hugepages", "0"))
    return pool * default + sum(size * pages for size, pages in others.items())


def _constants(spec: MachineSpec, given: Mapping[str, int]) -> dict[str, int]:
    """Return the fields that follow from the machine alone, kB and huge pages."""
    huge_kb = _huge_page_bytes(spec) >> 10
    pool = int(dict(spec.sysctl).get("nr_hugepages", "0"))
    values = dict.fromkeys((*EMPTY, "HugePages_Rsvd", "HugePages_Surp"), 0)
    # Nothing in a recording's files shows that anybody maps huge pages of the pool.
    values.update(Hugepagesize=huge_kb, HugePages_Total=pool, HugePages_Free=pool, Hugetlb=_hugetlb_bytes(spec) >> 10)
    if not spec.memory:
        # Somebody recorded who may not read the firmware's map; the rest still follows.
        return values
    values["VmallocTotal"] = vmalloc_bytes(spec, usable_memory(spec)) >> 10
    if spec.arch.startswith("x86"):
        # Splitting a large entry moves memory between the sizes; what is mapped stays the same.
        values["DirectMap4k"] = _mapped_bytes(spec, gbpages="DirectMap1G" in given) // 1024 - sum(
            given.get(field, 0) for field in ("DirectMap2M", "DirectMap4M", "DirectMap1G")
        )
    return values


def _mapped_bytes(spec: MachineSpec, *, gbpages: bool) -> int:
    """Return the sum of the direct map's counters."""
    page = spec.page_size
    ram = [(-(-start // page) * page, end // page * page) for start, end in usable_memory(spec)]
    top = max_pfn_limit(spec) * page
    ram = [(start, min(end, top)) for start, end in ram if start < min(end, top)]
    if spec.arch == "x86_64":
        return counted_bytes(ram, spec.reserved, gbpages=gbpages)
    memory = node_memory(spec)
    limit = lowmem_end(spec, memory[0].start_pfn, memory[-1].end_pfn) * page
    return ISA_END + sum(min(end, limit) - max(start, ISA_END) for start, end in ram if start < limit and end > ISA_END)


def _recorded(capture: Capture) -> Figures:
    figures: dict[str, int] = {}
    spec = capture.spec()
    for entry in read_sets(capture, spec):
        path = set_paths(capture)[entry.name]["meminfo"]
        info = meminfo.parse(capture.text(path), f"{capture.name}/{path}").info
        for field, value in info.values.items():
            if field in figures_of(entry):
                figures[f"{entry.name} {field}"] = value
    return figures


def figures_of(entry: MeminfoSet) -> frozenset[str]:
    """Return the fields that the section speaks of in a set."""
    always = {
        "MemTotal", "MemAvailable", "HighTotal", "LowTotal", "LowFree", "SwapTotal", "CommitLimit", "VmallocTotal",
        "Active", "Inactive", "Slab", "Hugepagesize", "HugePages_Total", "HugePages_Free", "HugePages_Rsvd",
        "HugePages_Surp", "Hugetlb", "DirectMap4k", *EMPTY,
    }  # fmt: skip
    if not entry.swap_moves:
        always.add("SwapFree")
    if entry.vmstat is None:
        return frozenset(always)
    counted = {"MemFree", "HighFree", "Cached", "KernelStack", "CmaTotal", *COUNTERS, *HUGE_COUNTERS}
    return frozenset(always | counted)


SECTIONS = (Section("meminfo", read_sets, predict_meminfo, _recorded),)
