"""What zones keep back: min_free_kbytes, watermarks, lowmem_reserve and the limits of the per-CPU lists.

Pure arithmetic on zones with their page counts. The functions carry the names that
they have in mm/page_alloc.c, mm/khugepaged.c and mm/vmstat.c, and run in the order of a boot in
`init_reserves`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isqrt
from typing import Any

from .mmzone import Zone
from .rules.mmzone import ZoneRules
from .rules.pcp_size import MIN_HIGH_FRACTION, PcpSizeRules

#: Zones that a GFP_USER request may use.
USER_ZONES = ("DMA", "DMA32", "Normal")

#: Below this much memory the kernel starts with transparent huge pages off.
THP_LEAST_BYTES = 512 << 20

#: Types of pages that the page allocator keeps apart per page block (MIGRATE_PCPTYPES).
PCP_TYPES = 3

MIN_FREE_LEAST_KBYTES = 128

#: Sysctls of vm/ that the reserves follow.
WRITABLE = ("watermark_scale_factor", "min_free_kbytes", "lowmem_reserve_ratio", "percpu_pagelist_high_fraction")

#: Attributes of a zone that are set here.
_SET = (
    "wmark_min", "wmark_low", "wmark_high", "wmark_promo", "watermark_boost", "lowmem_reserve", "pcp_batch", "pcp_high",
    "pcp_high_max", "stat_threshold",
)  # fmt: skip


@dataclass(slots=True)
class ReserveSettings:
    """What the reserves depend on besides the zones.

    Attributes
    ----------
    page_size : int
    pageblock_order : int
    zone_names : tuple of str
        The kernel's zones in index order.
    movable_zone : str
        The zone that ZONE_MOVABLE is cut from.
    online_cpus : int
    node_cpus : mapping of int to int
        Online cpus of each node; a node that is missing has none.
    thp : str or None
        ``"always"``, ``"madvise"``, ``"never"``; None where the kernel has no transparent huge pages.
    user_min_free_kbytes : int or None
        What the user wrote to min_free_kbytes.
    watermark_scale_factor : int
    lowmem_reserve_ratio : tuple of int or None
        By zone index; None: the kernel's default.
    percpu_pagelist_high_fraction : int
    """

    zone_names: tuple[str, ...]
    page_size: int = 4096
    pageblock_order: int = 9
    movable_zone: str = "Normal"
    online_cpus: int = 1
    node_cpus: Mapping[int, int] = field(default_factory=dict)
    thp: str | None = "always"
    user_min_free_kbytes: int | None = None
    watermark_scale_factor: int = 10
    lowmem_reserve_ratio: tuple[int, ...] | None = None
    percpu_pagelist_high_fraction: int = 0
    min_free_kbytes: int = 0


class Reserves:
    """The reserves of a machine's zones, and the sysctls that change them.

    Parameters
    ----------
    zones : sequence of Zone
        All zones of all nodes, empty ones too; they are changed in place.
    settings : ReserveSettings
    rules : ZoneRules
    pcp_rules : PcpSizeRules
    """

    def __init__(
        self, zones: Sequence[Zone], settings: ReserveSettings, rules: ZoneRules, pcp_rules: PcpSizeRules
    ) -> None:
        self.zones = zones
        self.settings = settings
        self.rules = rules
        self.pcp_rules = pcp_rules
        self.totalreserve_pages = 0

    # What a boot does, in its order.

    def init_per_zone_wmark_min(self) -> None:
        """Set all reserves for the first time (a postcore initcall)."""
        self.calculate_min_free_kbytes()
        self.setup_per_zone_wmarks()
        self.refresh_zone_stat_thresholds()
        self.setup_per_zone_lowmem_reserve()

    def start_stop_khugepaged(self) -> None:
        """Raise min_free_kbytes for huge pages, or take it back, when their mode is set."""
        settings = self.settings
        if settings.thp is None or not self.rules.thp_raises_min_free:
            return
        if settings.thp == "never":
            if self.rules.without_thp_again:
                self.calculate_min_free_kbytes()
                self.setup_per_zone_wmarks()
            return
        settings.min_free_kbytes = max(settings.min_free_kbytes, self.recommended_min_free_kbytes())
        self.setup_per_zone_wmarks()

    # min_free_kbytes

    def size(self, zone: Zone) -> int:
        """Return the counter of a zone that stands for its size in this kernel."""
        return zone.managed if self.rules.sized_by == "managed" else zone.present

    def nr_free_buffer_pages(self) -> int:
        """Return the pages that GFP_USER requests may use, without the high marks."""
        return sum(
            max(self.size(zone) - zone.wmark_high - zone.watermark_boost, 0)
            for zone in self.zones
            if zone.name in USER_ZONES
        )

    def calculate_min_free_kbytes(self) -> None:
        """Choose min_free_kbytes as the square root of 16 times low memory, unless the user's is larger."""
        most = self.rules.min_free_max_kbytes
        if not most:
            return
        lowmem_kbytes = self.nr_free_buffer_pages() * (self.settings.page_size >> 10)
        chosen = isqrt(lowmem_kbytes * 16)
        user = self.settings.user_min_free_kbytes
        if user is None or chosen > user:
            self.settings.min_free_kbytes = min(max(chosen, MIN_FREE_LEAST_KBYTES), most)

    def recommended_min_free_kbytes(self) -> int:
        """Return what khugepaged asks for: page blocks of each type to fall back to in every populated zone."""
        populated = sum(1 for zone in self.zones if zone.present and zone.name in USER_ZONES)
        blocks = populated * (2 + PCP_TYPES * PCP_TYPES)
        pages = min(blocks << self.settings.pageblock_order, self.nr_free_buffer_pages() // 20)
        return pages * (self.settings.page_size >> 10)

    # Watermarks

    def is_capped(self, zone: Zone) -> bool:
        """Tell whether a zone's minimum is capped, because the kernel's own needs don't depend on it."""
        if zone.name == "HighMem":
            return True
        return zone.name == "Movable" and (self.rules.movable_is_capped or self.settings.movable_zone == "HighMem")

    def setup_per_zone_wmarks(self) -> None:
        """Share min_free_kbytes among the zones and set their marks; then the per-CPU limits that follow."""
        pages_min = self.settings.min_free_kbytes // (self.settings.page_size >> 10)
        lowmem = sum(self.size(zone) for zone in self.zones if not self.is_capped(zone))
        for zone in self.zones:
            size = self.size(zone)
            share = pages_min * size // lowmem if lowmem else 0
            zone.watermark_boost = 0
            zone.wmark_min, zone.wmark_low, zone.wmark_high, zone.wmark_promo = self.rules.marks(
                share, size, self.is_capped(zone), self.settings.watermark_scale_factor
            )
        self.calculate_totalreserve_pages()
        self.zone_pcp_update()

    # lowmem_reserve

    def ratios(self) -> tuple[int, ...]:
        """Return lowmem_reserve_ratio by zone index."""
        if self.settings.lowmem_reserve_ratio is not None:
            return self.settings.lowmem_reserve_ratio
        return tuple(self.rules.reserve_ratio.get(name, 0) for name in self.settings.zone_names)

    def setup_per_zone_lowmem_reserve(self) -> None:
        """Make every zone keep a part of what lies above it from requests that could use that."""
        ratios = self.ratios()
        for nid in sorted({zone.nid for zone in self.zones}):
            zones = sorted((zone for zone in self.zones if zone.nid == nid), key=lambda zone: zone.index)
            rows = self.rules.lowmem_reserve([self.size(zone) for zone in zones], ratios)
            for zone, row in zip(zones, rows, strict=True):
                zone.lowmem_reserve = row
        self.calculate_totalreserve_pages()

    def calculate_totalreserve_pages(self) -> None:
        """Add up what is out of reach of ordinary requests (part of MemAvailable)."""
        self.totalreserve_pages = sum(
            min(max(zone.lowmem_reserve, default=0) + zone.wmark_high, self.size(zone)) for zone in self.zones
        )

    # Per-CPU lists and counters

    def zone_pcp_update(self) -> None:
        """Set batch and high of every populated zone's per-CPU lists."""
        settings = self.settings
        for zone in self.zones:
            if not zone.present:
                continue
            cpus = settings.node_cpus.get(zone.nid, 0) or settings.online_cpus
            limits = self.pcp_rules.limits(
                self.size(zone), zone.wmark_low, cpus, settings.percpu_pagelist_high_fraction, settings.page_size
            )
            zone.pcp_batch, zone.pcp_high, zone.pcp_high_max = limits.batch, limits.high, limits.high_max

    def refresh_zone_stat_thresholds(self) -> None:
        """Set how far a cpu's own part of a counter may drift before it is added to the zone's."""
        page_shift = self.settings.page_size.bit_length() - 1
        for zone in self.zones:
            if zone.present:
                units = self.size(zone) >> (27 - page_shift)
                threshold = 2 * self.settings.online_cpus.bit_length() * (1 + units.bit_length())
                zone.stat_threshold = min(threshold, self.pcp_rules.threshold_max)

    # Saving

    def save(self) -> tuple[Any, ...]:
        """Copy settings and what follows from them."""
        return (
            replace(self.settings),
            self.totalreserve_pages,
            tuple(tuple(getattr(z, n) for n in _SET) for z in self.zones),
        )

    def load(self, saved: tuple[Any, ...]) -> None:
        """Bring back what `save` copied, in place."""
        settings, self.totalreserve_pages, zones = saved
        self.settings = replace(settings)
        for zone, values in zip(self.zones, zones, strict=True):
            for name, value in zip(_SET, values, strict=True):
                setattr(zone, name, value)

    # What the user may write later

    def read(self, name: str) -> str:
        """Read a sysctl of vm/ that `write` takes."""
        if name == "lowmem_reserve_ratio":
            return "\t".join(map(str, self.ratios()))
        return str(getattr(self.settings, name))

    def write(self, name: str, value: str) -> None:
        """Write a sysctl of vm/, with what the kernel computes from it.

        Raises
        ------
        ValueError
            For a name that none of the reserves depends on, or a value that the kernel refuses.
        """
        settings = self.settings
        try:
            numbers = tuple(int(word) for word in value.split())
        except ValueError:
            raise ValueError(f"vm.{name}: {value!r} is no number") from None
        if not numbers or min(numbers) < 0 or (len(numbers) > 1 and name != "lowmem_reserve_ratio"):
            raise ValueError(f"vm.{name}: invalid value {value!r}")
        if name == "min_free_kbytes":
            settings.min_free_kbytes = settings.user_min_free_kbytes = numbers[0]
            self.setup_per_zone_wmarks()
        elif name == "watermark_scale_factor":
            if not 1 <= numbers[0] <= self.rules.scale_factor_max:
                raise ValueError(f"vm.watermark_scale_factor: {numbers[0]} is not in 1..{self.rules.scale_factor_max}")
            settings.watermark_scale_factor = numbers[0]
            self.setup_per_zone_wmarks()
        elif name == "lowmem_reserve_ratio":
            old = self.ratios()
            settings.lowmem_reserve_ratio = numbers[: len(old)] + old[len(numbers) :]
            self.setup_per_zone_lowmem_reserve()
        elif name == "percpu_pagelist_high_fraction":
            if numbers[0] and numbers[0] < MIN_HIGH_FRACTION:
                raise ValueError(f"vm.{name}: {numbers[0]} is below {MIN_HIGH_FRACTION}")
            settings.percpu_pagelist_high_fraction = numbers[0]
            self.zone_pcp_update()
        else:
            raise ValueError(f"vm.{name} changes no reserve")


def boot_thp_mode(built_in: str | None, cmdline_mode: str | None, total_bytes: int) -> str | None:
    """Return the mode of huge pages after boot: the command line's or the built-in one, off in small RAM."""
    if built_in is None:
        return None
    if total_bytes < THP_LEAST_BYTES:
        return "never"
    return cmdline_mode or built_in


def init_reserves(reserves: Reserves, *, builtin_thp: str | None, cmdline_thp: str | None) -> None:
    """Set everything as a boot does: first from low memory alone, then for huge pages."""
    settings = reserves.settings
    total = sum(reserves.size(zone) for zone in reserves.zones) * settings.page_size
    settings.thp = boot_thp_mode(builtin_thp, cmdline_thp, total)
    reserves.init_per_zone_wmark_min()
    if total >= THP_LEAST_BYTES:
        reserves.start_stop_khugepaged()
