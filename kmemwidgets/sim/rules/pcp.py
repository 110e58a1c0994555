"""The per-CPU page lists: which there are, how much moves at once. Their size: pcp_size."""

from __future__ import annotations

from dataclasses import dataclass

from .table import Rule


@dataclass(frozen=True, slots=True)
class PcpRules:
    """What differs between kernels in the per-CPU lists.

    Attributes
    ----------
    lists : int
        How many lists a cpu has of a zone; 0 for none.
    largest_order : int
        Highest order kept on lists (the huge-page order comes on top if there are lists for it).
    scheme : str
        How much moves: "none", "hot_cold" (2.6), "fixed" (a batch), "free_factor" (5.14), "tuned" (6.7).
    drains_by_block_type : bool
        A drained page goes to the list of its page block's type now, not of the type noted when it came.
    starts_with_used_list : bool
        A drain begins with the list just used and empties it before the next; else it takes 1, 2, 3 ... in turn.
    counts_by_page : bool
        NR_FREE_PAGES is lowered for each block of a refill, not once at its end.
    free_high_share : int
        Share of high_min, as 1/n, that consecutive frees must exceed besides a batch for free_high; 0 for none.
    interruptible : bool
        Interrupts may come while the lists are locked; what they ask for then goes past the lists.
    """

    lists: int
    largest_order: int
    scheme: str
    drains_by_block_type: bool
    starts_with_used_list: bool
    counts_by_page: bool
    free_high_share: int
    interruptible: bool


def _rule(name: str, since: tuple[int, ...], value: object, says: str, source: str, *by: str) -> Rule:
    return Rule(name, since, value, says, f"mm/page_alloc.c {source}", by or ("source",))


R61, R612 = "recording:6.1", "recording:6.12"

TABLE: tuple[Rule, ...] = (
    _rule("lists", (2, 4), 0, "There are no per-CPU lists.", "__alloc_pages"),
    _rule("lists", (2, 6, 11), 2, "A hot and a cold list.", "free_hot_cold_page"),
    _rule("lists", (2, 6, 24), 3, "A list for each migrate type.", "free_unref_page_commit"),
    _rule("lists", (5, 14), 14, "Lists for orders 0 to 3 and for huge pages.", "order_to_pindex", R61, R612),
    _rule("largest_order", (2, 4), 0, "Single pages only.", "buffered_rmqueue"),
    _rule("largest_order", (5, 14), 3, "Orders 0 to 3.", "pcp_allowed_order", R61, R612),
    _rule("scheme", (2, 4), "none", "Nothing moves.", "__alloc_pages"),
    _rule("scheme", (2, 6, 11), "hot_cold", "A batch at the low and the high mark.", "buffered_rmqueue"),
    _rule("scheme", (2, 6, 24), "fixed", "A batch whenever a list is empty or full.", "rmqueue_bulk"),
    _rule("scheme", (5, 14), "free_factor", "Drains double while nothing is allocated.", "nr_pcp_free", R61),
    _rule("scheme", (6, 7), "tuned", "Refills, drains and high follow what was done last.", "nr_pcp_alloc", R612),
    _rule("drains_by_block_type", (2, 4), False, "As the type noted on the page.", "free_pcppages_bulk", R61),
    _rule("drains_by_block_type", (6, 10), True, "As the page block's type.", "free_pcppages_bulk", R612),
    _rule("starts_with_used_list", (2, 4), False, "In turn, more each round.", "free_pcppages_bulk"),
    _rule("starts_with_used_list", (5, 18), True, "The list just used comes first.", "free_pcppages_bulk", R61, R612),
    _rule("counts_by_page", (2, 4), False, "Once a refill.", "rmqueue_bulk", R61),
    _rule("counts_by_page", (6, 10), True, "Each block by itself.", "account_freepages", R612),
    _rule("free_high_share", (2, 4), 0, "A batch suffices.", "free_unref_page_commit", R612),
    _rule("interruptible", (2, 4), False, "Interrupts wait until the lists are free.", "free_unref_page"),
    _rule("interruptible", (6, 1), True, "Interrupts find the lists locked (6.2, and 6.1.y).", "free_unref_page", R61),
    _rule("free_high_share", (6, 16), 2, "A batch and half of high_min.", "free_frozen_page_commit"),
)
