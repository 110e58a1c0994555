"""The slow path: when a request is tried again, and what is tried before it fails."""

from __future__ import annotations

from dataclasses import dataclass

from kmemwidgets.records import Version

from .table import Rule


@dataclass(frozen=True, slots=True)
class SlowpathRules:
    """What differs between kernels in the slow path.

    Attributes
    ----------
    compaction_needs_io : bool
        A request without __GFP_IO is known to compact nothing: no attempt is made for it, and a costly one isn't
        repeated.
    gives_back_highatomic : bool
        Page blocks kept for high-order atomic requests are given back before any request gives up; else only after
        `MAX_RECLAIM_RETRIES` attempts in vain.
    looks_after_skipped : bool
        A request that no zone was compacted for counts as stalled all the same, and looks at the lists again.
    """

    compaction_needs_io: bool
    gives_back_highatomic: bool
    looks_after_skipped: bool


def _rule(name: str, since: Version, value: object, says: str, function: str) -> Rule:
    return Rule(name, since, value, says, f"mm/page_alloc.c {function}", ("source",))


TABLE: tuple[Rule, ...] = (
    _rule("compaction_needs_io", (2, 4), False, "Compaction itself refuses requests without __GFP_IO.",
          "__alloc_pages_slowpath"),
    _rule("compaction_needs_io", (6, 8), True, "A request without __GFP_IO does not count on compaction.",
          "__alloc_pages_slowpath, gfp_compaction_allowed"),
    _rule("gives_back_highatomic", (2, 4), False,
          "High-atomic page blocks are given back after 16 attempts without progress.", "should_reclaim_retry"),
    _rule("gives_back_highatomic", (6, 8), True,
          "High-atomic page blocks are given back before a task is killed or a request fails.",
          "should_reclaim_retry"),
    _rule("looks_after_skipped", (2, 4), True, "A request counts as stalled even if no zone was compacted for it.",
          "__alloc_pages_direct_compact"),
    _rule("looks_after_skipped", (5, 13), False, "A request that no zone was compacted for goes on at once.",
          "__alloc_pages_direct_compact"),
)  # fmt: skip
