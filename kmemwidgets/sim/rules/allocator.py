"""All that the page allocator has to know of a kernel, picked once."""

from __future__ import annotations

from dataclasses import dataclass

from kmemwidgets.records import Version

from . import bugs, gfp, page_alloc, pcp, slowpath, watermark
from .bugs import BugRules
from .gfp import GfpRules
from .page_alloc import BuddyRules
from .pcp import PcpRules
from .slowpath import SlowpathRules
from .table import pick
from .watermark import WatermarkRules


@dataclass(frozen=True, slots=True)
class AllocatorRules:
    """The rules of one kernel version."""

    version: Version
    buddy: BuddyRules
    pcp: PcpRules
    watermark: WatermarkRules
    slowpath: SlowpathRules
    gfp: GfpRules
    bugs: BugRules


def allocator_rules(version: Version) -> AllocatorRules:
    """Pick the page allocator's rules of a kernel."""
    return AllocatorRules(
        version,
        pick(BuddyRules, page_alloc.TABLE, version),
        pick(PcpRules, pcp.TABLE, version),
        pick(WatermarkRules, watermark.TABLE, version),
        pick(SlowpathRules, slowpath.TABLE, version),
        pick(GfpRules, gfp.TABLE, version),
        pick(BugRules, bugs.TABLE, version),
    )
