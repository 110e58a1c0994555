"""Sections min_free_kbytes, watermarks, protection and pcp: what zones keep back, of /proc/zoneinfo.

All of them follow from the pages that the zones managed when the reserves were set: before boot gave back the initrd
and its own init sections. A user who writes a sysctl later has them computed again, from what is managed then.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kmemwidgets.capture import Capture
from kmemwidgets.records import MachineSpec
from kmemwidgets.sim.cmdline import parameter
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.reserves import WRITABLE, Reserves, ReserveSettings, init_reserves
from kmemwidgets.sim.rules import mmzone, pcp_size, pick
from kmemwidgets.sim.zone_sizes import (
    cpus_by_node,
    movable_starts,
    movable_zone,
    node_memory,
    pageblock_order,
    spans_of,
    zone_names,
    zone_ranges,
)

from .section import AtLeast, Figures, OnceUsed, Section
from .zones import label, recorded_zones

_DEFAULTS = {"watermark_scale_factor": "10", "percpu_pagelist_high_fraction": "0"}
_NAMED = re.compile(r"\b(?:vm[./])?(" + "|".join(WRITABLE) + r""")["']?\s*[=:\s]\s*["']?(\d[\d ,\t]*)""")
_ECHOED = re.compile(r"""\becho +["']?(\d[\d \t]*?)["']? *> */proc/sys/vm/(""" + "|".join(WRITABLE) + r")\b")
_THP_STEP = re.compile(
    r"\bthp[:=](always|madvise|never)\b|\becho +\w+ *> */sys/kernel/mm/transparent_hugepage/enabled\b"
)


@dataclass(frozen=True, slots=True)
class ReserveInputs:
    """What the four sections may read.

    Attributes
    ----------
    managed : mapping of (int, str) to int
        Pages that each zone manages now.
    returned : mapping of (int, str) to int
        Pages of it that boot gave back after the reserves were set.
    thp : str or None
        Mode of transparent huge pages now; None where the kernel has none.
    thp_written : bool
        Whether the mode is known to have been written after boot.
    sysctls : mapping of str to str
        Sysctls that the user is known to have set.
    min_free_kbytes : int or None
        The sysctl as it stands. The section of that name never looks at it; for the others a value that the kernel
        would not have chosen is one that the user set.
    """

    managed: Mapping[tuple[int, str], int]
    returned: Mapping[tuple[int, str], int]
    thp: str | None
    thp_written: bool
    sysctls: Mapping[str, str]
    min_free_kbytes: int | None = None


def read_inputs(capture: Capture, spec: MachineSpec) -> ReserveInputs:
    """Read managed pages, what boot gave back, huge pages' mode and the user's sysctls."""
    zones = recorded_zones(capture)
    managed = {(zone.nid, zone.name): zone.managed or 0 for zone in zones}
    told = " ".join(str(value) for key, value in capture.meta.items() if key not in ("config", "qemu"))
    thp = dict(spec.extra).get("transparent_hugepage")
    return ReserveInputs(
        managed=managed,
        returned=returned_pages(spec, managed),
        thp=thp,
        thp_written=_THP_STEP.search(told) is not None,
        sysctls=user_sysctls(spec, told),
    )


def read_inputs_and_min_free(capture: Capture, spec: MachineSpec) -> ReserveInputs:
    """Read the same, and min_free_kbytes as it stands."""
    return replace(read_inputs(capture, spec), min_free_kbytes=_min_free(capture))


def _min_free(capture: Capture) -> int | None:
    found = re.search(r"^min_free_kbytes=(\d+)$", capture.text_or_none("sys/vm_sysctl") or "", re.MULTILINE)
    return int(found[1]) if found else None


def returned_pages(spec: MachineSpec, managed: Mapping[tuple[int, str], int]) -> dict[tuple[int, str], int]:
    """Share what boot gave back among the zones: the initrd's where it lies, all else where the image lies."""
    spans = _spans(spec)
    fallback = max(managed, key=lambda key: managed[key], default=(0, "Normal"))
    returned: dict[tuple[int, str], int] = {}
    for name, pages in spec.freed:
        part = "initrd" if name == "initrd" else "kernel"
        start = next((entry.start // spec.page_size for entry in spec.reserved if entry.name == part), None)
        key = next(
            (
                (span.nid, span.name)
                for span in spans
                if start is not None and span.start_pfn <= start < span.start_pfn + span.spanned
            ),
            fallback,
        )
        returned[key] = returned.get(key, 0) + pages
    return returned


def user_sysctls(spec: MachineSpec, told: str = "") -> dict[str, str]:
    """Collect what the user set: by the command line, by what the recording says, or to other than the default."""
    rules = pick(mmzone.ZoneRules, mmzone.TABLE, spec.kernel)
    ratios = tuple(rules.reserve_ratio.get(name, 0) for name in zone_names(spec))
    found = {name: value for name, value in spec.sysctl if name in WRITABLE and value.split() != [_DEFAULTS.get(name)]}
    if found.get("lowmem_reserve_ratio", "").split() == [str(ratio) for ratio in ratios]:
        del found["lowmem_reserve_ratio"]
    for name, value in [*_NAMED.findall(told), *((name, value) for value, name in _ECHOED.findall(told))]:
        words = value.replace(",", " ").split()
        found.setdefault(name, " ".join(words if name == "lowmem_reserve_ratio" else words[:1]))
    for name in WRITABLE:
        if (value := parameter(spec.cmdline, f"sysctl.vm.{name}")) is not None:
            found.setdefault(name, value)
    return found


def _spans(spec: MachineSpec) -> list[Zone]:
    memory = node_memory(spec)
    ranges = zone_ranges(spec, memory)
    names = zone_names(spec)
    zones = []
    for span in spans_of(spec, memory, ranges, movable_starts(spec, memory, ranges)):
        zone = Zone(span.nid, names.index(span.name), span.name, span.start_pfn, span.spanned)
        zone.present = span.present
        zones.append(zone)
    return zones


def predict_reserves(spec: MachineSpec, inputs: ReserveInputs) -> Reserves:
    """Set the reserves as boot did, then as the user's writes did."""
    zones = _spans(spec)
    for zone in zones:
        key = (zone.nid, zone.name)
        zone.managed = inputs.managed.get(key, 0) - inputs.returned.get(key, 0)
    memory = node_memory(spec)
    reserves = Reserves(
        zones,
        ReserveSettings(
            zone_names=zone_names(spec),
            page_size=spec.page_size,
            pageblock_order=pageblock_order(spec),
            movable_zone=movable_zone(zone_ranges(spec, memory)),
            online_cpus=spec.cpus,
            node_cpus=cpus_by_node(spec),
        ),
        pick(mmzone.ZoneRules, mmzone.TABLE, spec.kernel),
        pick(pcp_size.PcpSizeRules, pcp_size.TABLE, spec.kernel),
    )
    built_in = built_in_thp(spec, inputs.thp)
    chosen = parameter(spec.cmdline, "transparent_hugepage")
    init_reserves(reserves, builtin_thp=built_in, cmdline_thp=chosen)
    # From here on the user acts, and finds what boot gave back among the managed pages.
    after_boot = reserves.settings.thp
    for zone in zones:
        zone.managed = inputs.managed.get((zone.nid, zone.name), 0)
    if grew_after_boot(spec, zones):
        for zone in zones:
            zone.present = max(zone.present, zone.managed)
        reserves.init_per_zone_wmark_min()
        reserves.start_stop_khugepaged()
    if inputs.thp is not None and (inputs.thp_written or inputs.thp != after_boot):
        reserves.settings.thp = inputs.thp
        reserves.start_stop_khugepaged()
    for name in WRITABLE:
        if name in inputs.sysctls:
            # What the kernel refuses changes nothing.
            with contextlib.suppress(ValueError):
                reserves.write(name, inputs.sysctls[name])
    if inputs.min_free_kbytes not in (None, reserves.settings.min_free_kbytes):
        reserves.write("min_free_kbytes", str(inputs.min_free_kbytes))
    return reserves


def grew_after_boot(spec: MachineSpec, zones: Sequence[Zone]) -> bool:
    """Tell whether zones got memory after boot, whereupon the kernel sets all reserves anew.

    It does where memory is added to a running machine (mm/memory_hotplug.c, online_pages): then a zone manages more
    than the firmware's map gave it. A vendor's kernel with ``deferred_init=lazy`` gives struct pages to its zones as
    they are needed, and was seen to set the reserves whenever a zone grows; there is no published source.
    """
    added = any(zone.managed > zone.present for zone in zones)
    return added or parameter(spec.cmdline, "deferred_init") == "lazy"


def built_in_thp(spec: MachineSpec, now: str | None) -> str | None:
    """Return the mode that the kernel is built with; None where it has no transparent huge pages."""
    if now is None or spec.option("CONFIG_TRANSPARENT_HUGEPAGE") == "n":
        return None
    for mode in ("always", "madvise", "never"):
        if spec.option(f"CONFIG_TRANSPARENT_HUGEPAGE_{mode.upper()}") == "y":
            return mode
    return now


def predict_min_free_kbytes(spec: MachineSpec, inputs: ReserveInputs) -> Figures:
    """Predict the sysctl."""
    return {"vm.min_free_kbytes": predict_reserves(spec, inputs).settings.min_free_kbytes}


def predict_watermarks(spec: MachineSpec, inputs: ReserveInputs) -> Figures:
    """Predict min, low, high and promo of every zone."""
    figures: dict[str, int] = {}
    for zone in predict_reserves(spec, inputs).zones:
        where = label(zone.nid, zone.name)
        figures[f"{where} min"] = zone.wmark_min
        figures[f"{where} low"] = zone.wmark_low
        figures[f"{where} high"] = zone.wmark_high
        figures[f"{where} promo"] = zone.wmark_promo
    return figures


def predict_protection(spec: MachineSpec, inputs: ReserveInputs) -> Figures:
    """Predict the protection array of every zone."""
    return {
        f"{label(zone.nid, zone.name)} protection": zone.lowmem_reserve for zone in predict_reserves(spec, inputs).zones
    }


def predict_pcp(spec: MachineSpec, inputs: ReserveInputs) -> Figures:
    """Predict batch and high of every cpu's lists of every populated zone.

    Where `high` is tuned it is 0 until the lists are used. A boot uses the highest zone of every node; what lies below
    is kept for those who can use nothing else, but there is given back what boot needs no longer, on whatever cpu the
    first task and the worker run that unpacked the initrd (do_populate_rootfs, init/initramfs.c). Once used, refills
    and frees raise it and the vmstat timer brings it down to its least value again (6.12 mm/page_alloc.c,
    nr_pcp_alloc, nr_pcp_high, decay_pcp_high). A fraction that the user sets ends the tuning, but each cpu's value
    stands as it was tuned until that cpu uses its lists again.
    """
    reserves = predict_reserves(spec, inputs)
    used = {zone.nid: zone.index for zone in reserves.zones if zone.present and zone.name != "Movable"}
    tuned = reserves.pcp_rules.starts_at_zero
    set_later = tuned and reserves.settings.percpu_pagelist_high_fraction > 0
    figures: dict[str, int] = {}
    for zone in reserves.zones:
        if not zone.present:
            continue
        low = tuned and zone.index < used.get(zone.nid, 0)
        returned = inputs.returned.get((zone.nid, zone.name), 0)
        for cpu in range(spec.cpus):
            where = f"{label(zone.nid, zone.name)} cpu {cpu}"
            figures[f"{where} batch"] = zone.pcp_batch
            raised = set_later or zone.pcp_high_max > zone.pcp_high
            high = AtLeast(zone.pcp_high) if raised else zone.pcp_high
            if low and (spec.cpus > 1 or not returned):
                high = OnceUsed(zone.pcp_high) if returned else 0
            figures[f"{where} high"] = high
            figures[f"{where} high_min"] = zone.pcp_high
            figures[f"{where} high_max"] = zone.pcp_high_max
    return figures


def _recorded_min_free(capture: Capture) -> Figures:
    value = _min_free(capture)
    return {} if value is None else {"vm.min_free_kbytes": value}


def _recorded_watermarks(capture: Capture) -> Figures:
    figures: dict[str, int | None] = {}
    for zone in recorded_zones(capture):
        where = label(zone.nid, zone.name)
        boost = zone.boost or 0
        for name, value in (("min", zone.min), ("low", zone.low), ("high", zone.high), ("promo", zone.promo)):
            if value is not None:
                # The file prints the marks with the boost that is in force on top.
                figures[f"{where} {name}"] = value - boost
    return figures


def _recorded_protection(capture: Capture) -> Figures:
    return {f"{label(zone.nid, zone.name)} protection": zone.protection for zone in recorded_zones(capture)}


def _recorded_pcp(capture: Capture) -> Figures:
    figures: dict[str, int | None] = {}
    for zone in recorded_zones(capture):
        for lists in zone.pagesets:
            where = f"{label(zone.nid, zone.name)} cpu {lists.cpu}"
            figures[f"{where} batch"] = lists.batch
            figures[f"{where} high"] = lists.high
            for name, value in (("high_min", lists.high_min), ("high_max", lists.high_max)):
                if value is not None:
                    figures[f"{where} {name}"] = value
    return figures


SECTIONS = (
    Section("min_free_kbytes", read_inputs, predict_min_free_kbytes, _recorded_min_free),
    Section("watermarks", read_inputs_and_min_free, predict_watermarks, _recorded_watermarks),
    Section("protection", read_inputs_and_min_free, predict_protection, _recorded_protection),
    Section("pcp", read_inputs_and_min_free, predict_pcp, _recorded_pcp),
)
