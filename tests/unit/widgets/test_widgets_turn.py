"""What a page says is carried out in the thread that made the widget, and never while its code runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from kmemwidgets import FrameMap
from kmemwidgets.sim import Machine
from kmemwidgets.widgets import _turn
from kmemwidgets.widgets.focus import Focus


def update(**state: Any) -> dict[str, Any]:
    """Return a page's message that sets traits."""
    return {"content": {"data": {"method": "update", "state": state}}, "buffers": []}


def told_from_a_thread(make: Callable[[], Any], name: str, value: Any) -> list[tuple[Any, int]]:
    """Make a widget in a loop, let another thread bring a page's message, and return the changes and their threads."""
    seen: list[tuple[Any, int]] = []

    async def cell() -> None:
        widget = make()
        widget.observe(lambda change: seen.append((change["new"], threading.get_ident())), name)
        page = threading.Thread(target=widget._handle_msg, args=(update(**{name: value}),))
        page.start()
        # A cell that doesn't give way: nothing of the message may be seen meanwhile.
        page.join(0.05)
        assert not seen
        while not seen:
            await asyncio.sleep(0)
        page.join()

    asyncio.run(asyncio.wait_for(cell(), 20))
    return seen


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [(lambda: FrameMap(Machine.boot(memory="16M")), "cursor", 7), (Focus, "place", {"node": 0})],
    ids=["widget", "focus"],
)
def test_a_message_of_another_thread_waits_for_its_turn(make: Callable[[], Any], name: str, value: Any) -> None:
    assert told_from_a_thread(make, name, value) == [(value, threading.get_ident())]


def test_the_other_thread_waits_until_it_is_done() -> None:
    """So a page, which sends the next message when the one before is done, can't run ahead."""
    order: list[str] = []

    async def cell() -> None:
        turn = _turn.Turn()

        def page() -> None:
            turn.take(order.append, "carried out")
            order.append("page goes on")

        thread = threading.Thread(target=page)
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(cell(), 20))
    assert order == ["carried out", "page goes on"]


def test_a_long_cell_does_not_hold_up_the_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_turn, "PATIENCE", 0.01)
    done: list[int] = []

    async def cell() -> None:
        turn = _turn.Turn()
        thread = threading.Thread(target=turn.take, args=(done.append, 1))
        thread.start()
        thread.join()
        assert not done
        await asyncio.sleep(0)
        assert done == [1]

    asyncio.run(cell())


def test_without_a_loop_it_is_carried_out_at_once() -> None:
    widget = FrameMap(Machine.boot(memory="16M"))
    widget._handle_msg(update(cursor=9))
    assert widget.cursor == 9


def test_a_closed_loop_is_no_error() -> None:
    made: list[_turn.Turn] = []

    async def cell() -> None:
        made.append(_turn.Turn())

    asyncio.run(cell())
    done: list[int] = []
    thread = threading.Thread(target=made[0].take, args=(done.append, 1))
    thread.start()
    thread.join()
    assert not done
