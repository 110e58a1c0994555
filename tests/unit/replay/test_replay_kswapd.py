"""When a round of kswapd is over, as a trace tells it: by who wakes it, and by who finds it at work."""

from __future__ import annotations

from typing import Any

import pytest

from kmemwidgets.replay.kswapd import DIRECT_BEGIN, DIRECT_END, SLEEP, WAKE, WAKEUP, round_ends

KSWAPD, TASK = 30, 5


def row(name: str, pid: int = TASK, node: int = 0) -> tuple[Any, ...]:
    return (name, "", pid, 0, "0", "", (node,))


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


def test_a_round_goes_on_while_kswapd_is_put_off_the_cpu() -> None:
    for last in (
        ("mm_vmscan_lru_shrink_inactive", "", KSWAPD, 0, "0", ".N...", (0,)),
        ("mm_shrink_slab_start", "", KSWAPD, 0, "0", ".....", ("",)),
    ):
        rows = [row(WAKE, KSWAPD), last, ALLOC, ALLOC, row(WAKEUP), row(WAKE, KSWAPD), row(SLEEP, KSWAPD)]
        # It slept when it was woken, so it came to its end before that.
        assert round_ends(rows) == {4: 0, 6: 0}
        rows[1] = ("mm_shrink_slab_end", *last[1:5], ".....", ("",))
        assert round_ends(rows) == {2: 0, 6: 0}


def test_a_reclaimer_says_nothing_of_rounds_that_begin_later() -> None:
    rows = [row(DIRECT_BEGIN), row(WAKE, KSWAPD), FREE, ALLOC, row(DIRECT_END), row(WAKEUP), row(WAKE, KSWAPD)]
    assert round_ends(rows) == {3: 0, 7: 0}


@pytest.mark.parametrize(
    ("rounds", "progress", "end"),
    [
        (16, None, 16),  # nobody has woken it since
        (15, None, 21),  # one round is left to it
        (16, FREE, 22),  # it has reclaimed a page
        (16, row(DIRECT_END, node=1), 22),  # somebody else has
        (16, ("mm_page_free", "", KSWAPD, 0, "0", "..s..", (0, 0)), 17),  # an interrupt has, which is not its merit
    ],
)
def test_one_that_reclaims_nothing_gives_up(rounds: int, progress: tuple[Any, ...] | None, end: int) -> None:
    rows = [row(WAKE, KSWAPD)] * rounds
    if progress is not None:
        rows.insert(12, progress)
    rows += [row(DIRECT_BEGIN), ALLOC, row(DIRECT_END), ALLOC, ALLOC]
    over = round_ends([*rows, row(WAKEUP), row(WAKE, KSWAPD)])
    assert max(row for row in over if row < len(rows) + 2) == min(end, len(rows) - 2)
    assert max(round_ends(rows)) == (end if end < 20 else len(rows))


def test_one_that_was_woken_waits_for_the_cpu_though_somebody_reclaims() -> None:
    rows = [row(WAKE, KSWAPD), FREE, row(WAKEUP), ALLOC, row(DIRECT_BEGIN), row(DIRECT_END), row(WAKE, KSWAPD)]
    assert round_ends(rows) == {2: 0, 7: 0}
