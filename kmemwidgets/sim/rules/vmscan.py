"""kswapd: when it wakes, when it gives up, what it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

from kmemwidgets.records import Version

from .table import Rule


@dataclass(frozen=True, slots=True)
class KswapdRules:
    """What differs between kernels in kswapd, as far as the page allocator feels it.

    Attributes
    ----------
    sleeps_on : str
        What a request that wakes it must find for it to sleep on: "nothing", "low" (its zone above the low mark),
        "balanced" (a zone of the node above the high mark, and no boost).
    hopeless_after : int
        So many runs in a row without a page reclaimed, and it is not woken any more; 0: it always is.
    wakes_kcompactd : bool
        It asks kcompactd for large blocks; else it compacts itself, if at all.
    takes_boost_back : bool
        The boost that there was when it woke is taken back when it is done.
    counts_boosted_failure : bool
        A run without progress counts even if it was for a boost.
    """

    sleeps_on: str
    hopeless_after: int
    wakes_kcompactd: bool
    takes_boost_back: bool
    counts_boosted_failure: bool


def _rule(name: str, since: Version, value: object, says: str, function: str) -> Rule:
    return Rule(name, since, value, says, f"mm/vmscan.c {function}", ("source",))


TABLE: tuple[Rule, ...] = (
    _rule("sleeps_on", (2, 4), "nothing", "Kswapd is woken whenever it sleeps.", "wakeup_kswapd"),
    _rule("sleeps_on", (2, 6), "low", "Kswapd sleeps on while the zone is above its low mark.", "wakeup_kswapd"),
    _rule("sleeps_on", (4, 12), "balanced", "Kswapd sleeps on while a zone of the node is above its high mark.",
          "wakeup_kswapd, pgdat_balanced"),
    _rule("hopeless_after", (2, 4), 0, "Kswapd never gives up.", "balance_pgdat"),
    _rule("hopeless_after", (4, 12), 16, "Kswapd gives a node up after 16 runs without progress.",
          "balance_pgdat, wakeup_kswapd"),
    _rule("wakes_kcompactd", (2, 4), False, "Kswapd works alone.", "balance_pgdat"),
    _rule("wakes_kcompactd", (4, 6), True, "Kswapd asks kcompactd for large blocks before it sleeps.",
          "kswapd_try_to_sleep"),
    _rule("takes_boost_back", (2, 4), False, "There is no boost.", "balance_pgdat"),
    Rule("takes_boost_back", (5, 0), True, "Kswapd takes the boost that it found back when it is done.",
         "mm/vmscan.c balance_pgdat", ("recording:6.1",)),
    _rule("counts_boosted_failure", (2, 4), True, "Every run without progress counts.", "balance_pgdat"),
    _rule("counts_boosted_failure", (6, 19), False, "A run for a boost may end without progress, and does not count.",
          "balance_pgdat"),
)  # fmt: skip
