"""Between which bounds a kernel tunes the per-CPU lists: no file that was recorded needs to show them.

A recorded `high` is what the tuning made of it so far. What it may become follows from the zone's low mark and from
the pages that the zone managed when its lists got their sizes (mm/page_alloc.c zone_set_pageset_high_and_batch).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kmemwidgets.capture import Capture
from kmemwidgets.records import MachineSpec, ZoneInfo
from kmemwidgets.sim.rules import pcp_size, pick
from kmemwidgets.sim.zone_lists import ZoneLists

_FRACTION = re.compile(r"^percpu_pagelist_high_fraction=(\d+)$", re.MULTILINE)


def set_bounds(capture: Capture, spec: MachineSpec, zones: Sequence[ZoneLists], infos: Sequence[ZoneInfo]) -> None:
    """Give every cpu's tuned lists their bounds; where nothing tunes them `high` is what it is.

    Parameters
    ----------
    capture : Capture
        Its sysctls tell whether a user set the size of the lists.
    spec : MachineSpec
    zones : sequence of ZoneLists
        With their marks and the recorded `high` of their lists.
    infos : sequence of ZoneInfo
        What /proc/zoneinfo showed of them at the same time.
    """
    rules = pick(pcp_size.PcpSizeRules, pcp_size.TABLE, spec.kernel)
    found = _FRACTION.search(capture.text_or_none("sys/vm_sysctl") or "")
    fraction = int(found[1]) if found else 0
    returned = _returned(spec, zones)
    node_cpus = spec.cpu_node or (0,) * spec.cpus
    by_zone = {(info.nid, info.name): info for info in infos}
    for live in zones:
        zone = live.zone
        info = by_zone.get((zone.nid, zone.name))
        if info is None or not rules.starts_at_zero:
            continue
        managed = zone.managed - (0 if fraction else returned.get((zone.nid, zone.name), 0))
        cpus = node_cpus.count(zone.nid) or spec.cpus
        limits = rules.limits(managed, zone.wmark_low, cpus, fraction, spec.page_size)
        for shown in info.pagesets:
            pcp = live.pcps[shown.cpu]
            pcp.high_min = limits.high if shown.high_min is None else shown.high_min
            pcp.high_max = max(limits.high_max, pcp.high_min) if shown.high_max is None else shown.high_max
            # The size of a cpu's cache is known to x86 kernels from cpuid; arm64 ones know it only from firmware that
            # tells it, which virtual machines' doesn't (drivers/base/cacheinfo.c, zone_pcp_update_cacheinfo).
            pcp.free_high_batch = spec.arch != "arm64"


def _returned(spec: MachineSpec, zones: Sequence[ZoneLists]) -> dict[tuple[int, str], int]:
    """Share among the zones what boot gave back after the lists had their sizes: by where image and initrd lay."""
    largest = max((live.zone for live in zones), key=lambda zone: zone.managed)
    returned: dict[tuple[int, str], int] = {}
    for name, pages in spec.freed:
        part = "initrd" if name == "initrd" else "kernel"
        start = next((entry.start // spec.page_size for entry in spec.reserved if entry.name == part), -1)
        zone = next((live.zone for live in zones if live.zone.start_pfn <= start < live.zone.end_pfn), largest)
        returned[zone.nid, zone.name] = returned.get((zone.nid, zone.name), 0) + pages
    return returned
