"""When a round of kswapd is over, as a trace tells it: by who wakes it, and by who finds it at work."""

from __future__ import annotations

from typing import Any

from kmemwidgets.replay.kswapd import DIRECT_BEGIN, DIRECT_END, SLEEP, WAKE, WAKEUP, round_ends

KSWAPD, TASK = 30, 5


def row(name: str, pid: int = TASK, node: int = 0) -> tuple[Any, ...]:
    return (name, "", pid, 0, 0, "", (node,))


FREE = row("mm_page_free", KSWAPD)
ALLOC = row("mm_page_alloc")


def test_who_is_woken_had_slept() -> None:
    rows = [row(WAKE, KSWAPD), FREE, ALLOC, ALLOC, row(WAKEUP), ALLOC, row(WAKE, KSWAPD), FREE]
    # The second round ends with the trace.
    assert round_ends(rows) == {2: 0, 8: 0}


def test_a_round_may_follow_the_last_without_sleep() -> None:
    rows = [row(WAKE, KSWAPD), FREE, ALLOC, ALLOC, row(WAKE, KSWAPD), FREE, row(SLEEP, KSWAPD)]
    assert round_ends(rows) == {4: 0, 6: 0}


def test_a_wakeup_of_another_node_says_nothing() -> None:
    rows = [row(WAKE, KSWAPD), FREE, ALLOC, row(WAKEUP, node=1), row(WAKE, KSWAPD), FREE, row(SLEEP, KSWAPD)]
    assert round_ends(rows) == {4: 0, 6: 0}


def test_who_reclaims_without_waking_it_found_it_at_work() -> None:
    rows = [
        row(WAKE, KSWAPD), FREE, ALLOC, row(DIRECT_BEGIN), row("mm_page_free"), row(DIRECT_END), ALLOC, row(WAKEUP),
        row(WAKE, KSWAPD), row(SLEEP, KSWAPD),
    ]  # fmt: skip
    assert round_ends(rows) == {6: 0, 9: 0}
    # Here the same task had to wake it first.
    rows.insert(3, row(WAKEUP))
    assert round_ends(rows) == {2: 0, 10: 0}
