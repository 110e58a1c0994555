"""Zones and nodes of a running machine, and the arithmetic of their reserves.

The records here are the live ones, changed in place; what leaves the simulation
is copied into the frozen records of ``kmemwidgets.records``.
"""

from __future__ import annotations


class Zone:
    """struct zone. All sizes in pages.

    Attributes
    ----------
    nid, index : int
        Node, and the zone's number in its node (enum zone_type of the machine's configuration).
    name : str
        As /proc/zoneinfo prints it.
    start_pfn, spanned, present, managed : int
    wmark_min, wmark_low, wmark_high, wmark_promo, watermark_boost : int
        The marks without the boost (``_watermark[]``).
    boost_factor : int
        vm.watermark_boost_factor: the most that a boost adds, in 1/10000 of the high mark; 0 for none.
    lowmem_reserve : tuple of int
        Indexed by the highest zone that a request may use.
    pcp_batch, pcp_high, pcp_high_max : int
    stat_threshold : int
        Per-cpu counter differences beyond this are folded into the zone's counters.
    """

    __slots__ = (
        "boost_factor", "index", "lowmem_reserve", "managed", "name", "nid", "pcp_batch", "pcp_high", "pcp_high_max",
        "present", "spanned", "start_pfn", "stat_threshold", "watermark_boost", "wmark_high", "wmark_low",
        "wmark_min", "wmark_promo",
    )  # fmt: skip

    def __init__(self, nid: int, index: int, name: str, start_pfn: int = 0, spanned: int = 0) -> None:
        self.nid = nid
        self.index = index
        self.name = name
        self.start_pfn = start_pfn
        self.spanned = spanned
        self.present = 0
        self.managed = 0
        self.wmark_min = 0
        self.wmark_low = 0
        self.wmark_high = 0
        self.wmark_promo = 0
        self.watermark_boost = 0
        self.boost_factor = 15000
        self.lowmem_reserve: tuple[int, ...] = ()
        self.pcp_batch = 1
        self.pcp_high = 0
        self.pcp_high_max = 0
        self.stat_threshold = 0

    @property
    def end_pfn(self) -> int:
        """First pfn behind the zone's span."""
        return self.start_pfn + self.spanned
