"""What is lost on the wire is noticed, and in the end both ends know the same."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any, ClassVar

import pytest
from fake_machine import FakeMachine
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_reader import Line, Reader, Time, connected

from kmemwidgets.widgets import FrameMap
from kmemwidgets.widgets._base import KmemWidget
from kmemwidgets.widgets._wire import RATE, Pace, Wire


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 4095), st.integers(0, 5), st.integers(1, 300), st.sampled_from(["", "lose", "wait"])),
        max_size=40,
    ),
    start=st.sampled_from([0, 1, 0x1000, 777]),
)  # fmt: skip
def test_random_changes_with_losses_end_in_the_same_state(steps: list[tuple[int, int, int, str]], start: int) -> None:
    machine = FakeMachine(4096, start)
    widget, line, time = connected(machine)
    for at, code, count, what in steps:
        time.pass_by(0.0 if what == "wait" else 1.0)
        line.lose = what == "lose"
        machine.put(start + at, code, min(count, 4096 - at))
        line.lose = False
        ask_if_gap(widget, line)
    for _ in range(2):  # what was waiting; and what shows the last loss
        time.pass_by(1.0)
        machine.put(start, 3)
        ask_if_gap(widget, line)
    assert bytes(line.reader.codes or b"") == bytes(machine.codes)
    widget.close()


def ask_if_gap(widget: FrameMap, line: Line) -> None:
    if line.seen[-1] == "gap":
        widget._receive(widget, {"kmem": "ask", "epoch": line.reader.epoch, "seq": line.reader.seq}, [])


def test_a_change_sends_what_changed_and_no_more() -> None:
    for frames in (10_000, 4_000_000):
        machine = FakeMachine(frames)
        widget, line, _time = connected(machine)
        line.bytes = 0
        taken = machine.snapshots
        machine.put(4096, 1, 4096)
        assert line.seen[-1] == "delta"
        assert line.bytes == 8 + 4096
        assert machine.snapshots == taken, "a change must not cost a snapshot"
        widget.close()


def test_a_full_state_of_runs_is_small() -> None:
    machine = FakeMachine(codes=b"".join(bytes([i % 6]) * 512 for i in range(2048)))
    widget, line, _time = connected(machine)
    assert line.reader.codes == machine.codes
    assert line.bytes * 20 < len(machine.codes)
    widget.close()


def test_an_old_message_changes_nothing() -> None:
    kept: list[Any] = []
    wire = Wire(lambda content, buffers=None: kept.append((content, buffers)))
    wire.full({"a": 1}, b"\0" * 8)
    wire.delta(None, [(2, 2)], b"\1\2")
    wire.full({"a": 2}, b"\3" * 8)
    wire.delta(None, [(0, 1)], b"\4")
    reader = Reader()
    assert [reader.take(*kept[i]) for i in (0, 2, 1, 3, 3)] == ["full", "full", "old", "delta", "old"]
    assert (reader.data, bytes(reader.codes or b"")) == ({"a": 2}, b"\4" + b"\3" * 7)
    wire.renew()
    wire.full({"a": 3})
    assert reader.take(*kept[-1]) == "full"
    assert reader.take(*kept[3]) == "old"


def test_many_ranges_come_packed() -> None:
    rng = random.Random(7)
    codes = bytearray(rng.randbytes(100_000))
    reader = Reader()
    wire = Wire(lambda content, buffers=None: reader.take(content, buffers) and None)
    wire.full({}, codes)
    ranges = [(start, 50) for start in range(0, 100_000, 100)]
    for start, length in ranges:
        codes[start : start + length] = bytes([start % 251]) * length
    wire.delta(None, ranges, b"".join(bytes(codes[start : start + length]) for start, length in ranges))
    assert reader.codes == codes


def test_no_more_messages_than_a_screen_shows_and_the_last_state_arrives() -> None:
    """100,000 changes in a cell of two seconds."""
    machine = FakeMachine(65536)
    widget, line, time = connected(machine)

    async def cell() -> None:
        heard = 0
        for i in range(100_000):
            time.pass_by(2 / 100_000)
            heard += len(machine.readers)
            machine.put(i % 65536, 1 + i % 5)
        sent = line.seen.count("delta") + line.seen.count("full")
        assert sent <= 2 * RATE + 2
        assert sent >= 2 * RATE - 2, "a running cell is followed as well"
        assert heard <= sent + 1, "between two messages the source calls nobody"
        assert line.reader.codes != machine.codes
        while line.reader.codes != machine.codes:  # a timer brings the rest once the cell is over
            time.pass_by(0.01)
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(cell(), 20))
    assert machine.readers, "and then it listens again"
    widget.close()
    assert not machine.readers


def test_what_nobody_looks_at_costs_nothing() -> None:
    machine = FakeMachine()
    widget = FrameMap(machine)
    assert machine.readers == []
    machine.put(1, 1)
    widget.close()


def test_closing_ends_the_subscription() -> None:
    machine = FakeMachine()
    widget, _line, _time = connected(machine)
    assert len(machine.readers) == 1
    widget.close()
    assert machine.readers == []


def test_a_flush_that_fails_tells_the_user_and_not_the_cell() -> None:
    machine = FakeMachine()
    widget, _line, _time = connected(machine)
    machine.changes = lambda since: 1 // 0  # type: ignore[method-assign, assignment]
    machine.put(1, 1)
    assert widget.error.startswith("ZeroDivisionError")
    widget.close()


def test_in_a_plain_script_an_alarm_is_enough() -> None:
    machine, time, calls = FakeMachine(), Time(), []
    pace = Pace(machine.subscribe, lambda: calls.append(time.now), lambda: time.now, time.alarm)
    machine.put(1, 1)
    machine.put(1, 1)
    assert calls == [100.0]
    time.pass_by(1 / RATE)
    machine.put(1, 1)
    assert len(calls) == 2
    pace.stop()
    time.pass_by(1)
    machine.put(1, 1)
    assert len(calls) == 2
    assert machine.readers == []


def test_a_short_cell_sends_once_and_a_steady_trickle_keeps_the_rate() -> None:
    machine = FakeMachine()
    _widget, line, time = connected(machine)

    async def cells() -> None:
        line.seen.clear()
        for i in range(50):
            machine.put(i, 1)
        assert line.seen == []
        await asyncio.sleep(0.001)
        assert line.seen == ["delta"]
        for i in range(1000):  # a second
            time.pass_by(0.001)
            machine.put(i, 2)
            await asyncio.sleep(0.001)
        assert RATE * 0.5 <= len(line.seen) <= RATE + 2
        while line.reader.codes != machine.codes:
            time.pass_by(0.01)
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(cells(), 30))


def test_a_slow_flush_leaves_time_to_those_who_make_changes() -> None:
    machine, time, calls = FakeMachine(), Time(), []

    def flush() -> None:
        time.now += 0.1
        calls.append(time.now)

    Pace(machine.subscribe, flush, lambda: time.now, time.alarm)
    for _ in range(100):
        machine.put(1, 1)
        time.pass_by(0.1)
    assert len(calls) <= 5


def test_the_real_alarm_goes_off() -> None:
    machine, heard = FakeMachine(), threading.Event()
    pace = Pace(machine.subscribe, heard.set)
    machine.put(1, 1)
    heard.clear()
    for _ in range(10_000):
        machine.put(1, 1)
        if heard.wait(0.01):
            break
    assert heard.is_set()
    pace.stop()


@pytest.mark.parametrize("gesture", ["undo"])
def test_a_verb_comes_back_as_a_change(gesture: str) -> None:
    machine = FakeMachine()
    widget, line, time = connected(machine)
    machine.put(7, 2)
    time.pass_by(1)
    widget._receive(widget, {"kmem": "do", "gesture": gesture, "args": {}}, [])
    assert widget.error == ""
    assert line.reader.codes is not None
    assert line.reader.codes[7] == 0
    widget.close()


def test_a_widget_without_bytes_sends_what_differs_from_what_the_page_knows() -> None:
    class Plain(KmemWidget):
        NAME = "plain"
        shown: ClassVar[dict[str, int]] = {"a": 1, "b": 2}

        def data(self) -> dict[str, int]:
            return dict(self.shown)

    widget, line = Plain(FakeMachine()), Line()
    widget._wire = Wire(line)
    widget.send_all()
    widget.send_changes()
    assert line.seen == ["full"]
    widget.shown["b"] = 3
    widget._wire.delta({"b": 7})  # a direct answer to a gesture
    widget.send_changes()
    assert (line.seen, line.reader.data) == (["full", "delta", "delta"], {"a": 1, "b": 3})
