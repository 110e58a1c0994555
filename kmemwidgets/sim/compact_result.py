"""How a run of compaction can end, and how hard a request lets it try (include/linux/compaction.h)."""

from __future__ import annotations

#: enum compact_result, as far as a run can end.
SKIPPED, DEFERRED, CONTINUE, COMPLETE, PARTIAL_SKIPPED, CONTENDED, SUCCESS = (
    "skipped", "deferred", "continue", "complete", "partial_skipped", "contended", "success",
)  # fmt: skip
#: Worst first, as direct compaction of several zones reports the best one.
RANK = (SKIPPED, DEFERRED, CONTINUE, COMPLETE, PARTIAL_SKIPPED, CONTENDED, SUCCESS)

#: enum compact_priority: the smaller, the harder it tries.
PRIO_SYNC_FULL, PRIO_SYNC_LIGHT, PRIO_ASYNC = 0, 1, 2


def feedback(result: str) -> str:
    """Name what a request makes of a result, as the event compact_retry has it (compact_result_to_feedback)."""
    if result == COMPLETE:
        return "failed"
    return "progress" if result == SUCCESS else "withdrawn"
