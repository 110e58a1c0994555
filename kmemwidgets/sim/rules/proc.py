"""What /proc/zoneinfo and /proc/slabinfo look like, by kernel version."""

from __future__ import annotations

from dataclasses import dataclass

from .table import Rule


@dataclass(frozen=True, slots=True)
class ProcRules:
    """What a kernel prints.

    Attributes
    ----------
    boost, promo : bool
        Whether a zone has a line of that name.
    pcp_bounds : bool
        Whether high_min and high_max of the per-CPU lists are printed.
    slabinfo : str
        The version that /proc/slabinfo says it has.
    vmallocinfo : bool
        Whether there is a /proc/vmallocinfo.
    """

    boost: bool
    promo: bool
    pcp_bounds: bool
    slabinfo: str
    vmallocinfo: bool


_EARLIEST = (2, 4)
_SHOW = "mm/vmstat.c zoneinfo_show_print"

TABLE: tuple[Rule, ...] = (
    Rule("boost", _EARLIEST, False, "zoneinfo doesn't tell the boost.", _SHOW, ("source",)),
    Rule("boost", (5, 16), True, "zoneinfo tells the boost.", _SHOW, ("recording:6.1", "recording:6.12")),
    Rule("promo", _EARLIEST, False, "zoneinfo doesn't tell the promo mark.", _SHOW, ("recording:6.1",)),
    Rule("promo", (6, 12), True, "zoneinfo tells the promo mark.", _SHOW, ("recording:6.12",)),
    Rule("pcp_bounds", _EARLIEST, False, "zoneinfo tells only the present high.", _SHOW,
         ("recording:6.1", "recording:6.12")),
    Rule("pcp_bounds", (6, 14), True, "zoneinfo tells between what high is tuned.", _SHOW,
         ("oracle:real_kernel_zoneinfo",)),
    Rule("slabinfo", _EARLIEST, "1.1", "/proc/slabinfo has no heading, and objects before slabs.",
         "mm/slab.c, s_show", ("source",)),
    Rule("slabinfo", (2, 6), "2.1", "/proc/slabinfo has a heading, and tells how the allocator is tuned.",
         "mm/slab.c, s_start; mm/slab_common.c, print_slabinfo_header", ("recording:6.1", "recording:6.12")),
    Rule("vmallocinfo", _EARLIEST, False, "Nothing tells of vmalloc's areas.", "fs/proc/proc_misc.c", ("source",)),
    Rule("vmallocinfo", (2, 6, 27), True, "/proc/vmallocinfo has a row for each area.", "mm/vmalloc.c s_show",
         ("recording:6.1",)),
)  # fmt: skip
