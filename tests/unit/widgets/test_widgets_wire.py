"""What is lost on the wire is noticed, and in the end both ends know the same."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from fake_machine import FakeMachine
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_reader import Reader, connected

from kmemwidgets.widgets import FrameMap
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
    time = [0.0]
    machine = FakeMachine(4096, start)
    widget, line = connected(machine, lambda: time[0])
    for at, code, count, what in steps:
        time[0] += 0.0 if what == "wait" else 1.0
        line.lose = what == "lose"
        machine.put(start + at, code, min(count, 4096 - at))
        line.lose = False
        if line.seen[-1] == "gap":
            widget._receive(widget, {"kmem": "ask", "epoch": line.reader.epoch, "seq": line.reader.seq}, [])
    time[0] += 1.0
    widget._pace._go(time[0])
    if "lost" in line.seen:
        # The next message shows the gap; the reader asks.
        machine.put(start, 3)
        time[0] += 1.0
        widget._pace._go(time[0])
        if line.seen[-1] == "gap":
            widget._receive(widget, {"kmem": "ask", "epoch": line.reader.epoch, "seq": line.reader.seq}, [])
    assert bytes(line.reader.codes or b"") == bytes(machine.codes)
    widget.close()


def test_a_change_sends_what_changed_and_no_more() -> None:
    for frames in (10_000, 4_000_000):
        machine = FakeMachine(frames)
        widget, line = connected(machine)
        line.bytes = 0
        taken = machine.snapshots
        machine.put(4096, 1, 4096)
        assert line.seen[-1] == "delta"
        assert line.bytes == 8 + 4096
        assert machine.snapshots == taken, "a change must not cost a snapshot"
        widget.close()


def test_a_full_state_of_runs_is_small() -> None:
    machine = FakeMachine(codes=b"".join(bytes([i % 6]) * 512 for i in range(2048)))
    widget, line = connected(machine)
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
    time = [100.0]
    machine = FakeMachine(65536)
    widget, line = connected(machine, lambda: time[0])

    async def cell() -> None:
        for i in range(100_000):
            time[0] += 2 / 100_000
            machine.put(i % 65536, 1 + i % 5)
            machine.codes[i % 65536] = 1 + i % 5
            if i == 99_999:
                machine.put(9, 5)
            else:
                machine.history.append((i % 65536, b"\0"))
                for reader in machine.readers:
                    reader()
        sent = line.seen.count("delta") + line.seen.count("full")
        assert sent <= 2 * RATE + 2
        assert sent >= 2 * RATE - 2, "a running cell is followed as well"
        assert line.reader.codes != machine.codes
        while line.reader.codes != machine.codes:  # a timer brings the rest once the cell is over
            await asyncio.sleep(0)
            time[0] += 1

    asyncio.run(asyncio.wait_for(cell(), 20))
    widget.close()


def test_what_nobody_looks_at_costs_nothing() -> None:
    machine = FakeMachine()
    widget = FrameMap(machine)
    assert machine.readers == []
    machine.put(1, 1)
    widget.close()


def test_closing_ends_the_subscription() -> None:
    machine = FakeMachine()
    widget, _line = connected(machine)
    assert len(machine.readers) == 1
    widget.close()
    assert machine.readers == []


def test_a_flush_that_fails_tells_the_user_and_not_the_cell() -> None:
    machine = FakeMachine()
    widget, _line = connected(machine)
    machine.changes = lambda since: 1 // 0  # type: ignore[method-assign, assignment]
    machine.put(1, 1)
    assert widget.error.startswith("ZeroDivisionError")
    widget.close()


def test_pace_waits_without_an_event_loop() -> None:
    time, calls = [5.0], []
    pace = Pace(lambda: calls.append(time[0]), lambda: time[0])
    pace.poke()
    pace.poke()
    assert calls == [5.0]
    time[0] += 1 / RATE
    pace.poke()
    assert len(calls) == 2


@pytest.mark.parametrize("gesture", ["undo"])
def test_a_verb_comes_back_as_a_change(gesture: str) -> None:
    time = [0.0]
    machine = FakeMachine()
    widget, line = connected(machine, lambda: time[0])
    machine.put(7, 2)
    time[0] += 1
    widget._receive(widget, {"kmem": "do", "gesture": gesture, "args": {}}, [])
    assert widget.error == ""
    assert line.reader.codes is not None
    assert line.reader.codes[7] == 0
    widget.close()
