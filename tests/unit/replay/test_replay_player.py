"""A trace's player: any moment is the same whichever way it was reached, and a decision is told with its request."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from kmemwidgets.capture import Capture
from kmemwidgets.records import TraceEvent
from kmemwidgets.replay.compare import compare_lists
from kmemwidgets.replay.player import RowsOfEvents, TracePlayer, open_player
from kmemwidgets.replay.start import load_lists
from kmemwidgets.tracefs import LOST

SAME = "the recorded kernel gave cpu 0 the same frame"


@pytest.fixture(scope="module")
def capture() -> Capture:
    return Capture.bundled("amd64-512m")


@pytest.fixture(scope="module")
def opened(capture: Capture) -> TracePlayer:
    player = open_player(capture, "t_quiet")
    assert isinstance(player, TracePlayer)
    return player


@pytest.fixture
def player(opened: TracePlayer) -> Iterator[TracePlayer]:
    opened.goto(0)
    yield opened
    opened.goto(0)


def state(player: TracePlayer) -> object:
    allocator = player.allocator
    lists = [
        (live.free_area.lists(), [pcp.save() for pcp in live.pcps], live.nr_free_pages) for live in allocator.zones
    ]
    return bytes(allocator.state), bytes(allocator.memmap.types), str(lists)


def rows_of(player: TracePlayer, name: str) -> list[int]:
    return [number for number, row in enumerate(player.rows, 1) if row[0] == name]


def test_any_moment_is_the_same_whichever_way_it_was_reached(player: TracePlayer) -> None:
    chance = Random(3)
    moments = sorted({*chance.sample(range(len(player.rows)), 12), 2047, 2048, 2049, len(player.rows)})
    straight = {}
    for row in moments:
        player.goto(row)
        straight[row] = state(player)
    assert len({str(each) for each in straight.values()}) > len(moments) // 2
    for row in chance.sample(moments, len(moments)):
        player.goto(row)
        assert state(player) == straight[row], row


def test_the_end_is_what_was_recorded(player: TracePlayer, capture: Capture) -> None:
    player.goto(len(player.rows))
    after = load_lists(capture, "t_quiet/freelists.after")
    assert after is not None
    result = player.replay.result
    result.free_lists = None
    compare_lists(player.allocator, after, result)
    assert result.free_lists is not None
    assert result.free_lists.exact == result.free_lists.of
    assert result.allocs.exact == result.allocs.of > 2000


def test_an_allocation_is_told_from_request_to_what_the_kernel_gave(player: TracePlayer) -> None:
    for row in rows_of(player, "mm_page_alloc")[::400]:
        told = player.why(row)
        assert "asks for" in told[0]
        assert f"so it got pfn {player.rows[row - 1][6][0]:#x}" in told[-2]
        assert told[-1] == SAME


def test_a_decision_is_told_with_its_request(player: TracePlayer) -> None:
    for name in ("mm_page_alloc_zone_locked", "mm_page_alloc_extfrag", "mm_page_pcpu_drain"):
        row = rows_of(player, name)[-1]
        told = player.why(row)
        what = "free" if name == "mm_page_pcpu_drain" else "allocation"
        assert told[0].startswith(f"decided for the {what} of pfn 0x")
        assert len(told) > 2


def test_a_free_is_told_to_its_list(player: TracePlayer) -> None:
    orders: dict[int, int] = {}
    for row in rows_of(player, "mm_page_free"):
        orders.setdefault(player.rows[row - 1][6][1], row)
    told = player.why(orders[0])
    assert told[0] == f"pfn {player.rows[orders[0] - 1][6][0]:#x}, 1 page, is given back"
    assert "goes to the head of the cpu's list (order 0" in told[1]
    large = player.why(orders[max(orders)])
    assert "goes from the cpu's list back to the buddy lists" in large[2]
    assert "goes onto the Unmovable list, at its" in large[-1]


def test_to_ask_changes_nothing(player: TracePlayer) -> None:
    player.goto(5000)
    before = state(player)
    for row in (1, 4999, 5000, 5001, len(player.rows)):
        player.why(row)
        assert player.row == 5000
        assert state(player) == before
    # And going on from there is as if nobody had asked.
    player.goto(5200)
    asked = state(player)
    player.goto(0)
    player.goto(5200)
    assert state(player) == asked


def test_a_moment_that_never_was(player: TracePlayer) -> None:
    with pytest.raises(ValueError, match="no row -1; there are 0 to"):
        player.goto(-1)


def event(name: str) -> TraceEvent:
    return TraceEvent(0, "kmem", name, {})


def test_events_are_found_among_rows() -> None:
    row = ("mm_page_free", "work", 1, 0, 0, "", (1, 0))
    lost = (LOST, "", -1, 0, 0, "", (3,))
    events = [event("kfree"), event("mm_page_free"), event("kfree"), event("mm_page_free")]
    found = RowsOfEvents(events, [row, lost, row])
    assert [found.over(number) for number in range(5)] == [0, 0, 1, 1, 3]
    assert [found.row(number) for number in range(1, 5)] == [None, 1, None, 3]
    with pytest.raises(ValueError, match="1 rows are not 2 events"):
        RowsOfEvents(events, [row])
