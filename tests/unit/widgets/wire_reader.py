"""The receiving end of the wire in Python: the same rules as _front/wire.js."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable
from typing import Any

from fake_machine import FakeMachine

from kmemwidgets.widgets import FrameMap
from kmemwidgets.widgets._wire import Pace, Wire


class Reader:
    """What a view knows."""

    def __init__(self) -> None:
        self.epoch = 0
        self.seq = 0
        self.data: dict[str, Any] | None = None
        self.codes: bytearray | None = None

    def take(self, message: dict[str, Any], buffers: list[bytes] | None = None) -> str:
        """Take in a message; return "full", "delta", "old" or "gap"."""
        buffers = buffers or []
        epoch, seq = message["epoch"], message["seq"]
        if epoch < self.epoch or (epoch == self.epoch and seq <= self.seq):
            return "old"
        if message["kmem"] == "full":
            self.epoch, self.seq, self.data = epoch, seq, message["data"]
            self.codes = bytearray(zlib.decompress(buffers[0])) if buffers else None
            return "full"
        if epoch != self.epoch or message["prev"] != self.seq:
            return "gap"
        if buffers:
            pairs = array("I", buffers[0])
            codes = zlib.decompress(buffers[1]) if message["packed"] else bytes(buffers[1])
            at = 0
            for start, length in zip(pairs[::2], pairs[1::2], strict=True):
                assert self.codes is not None
                self.codes[start : start + length] = codes[at : at + length]
                at += length
        self.data = {**(self.data or {}), **message.get("data", {})}
        self.seq = seq
        return "delta"


class Line:
    """Carries messages to a reader, and loses those it is told to."""

    def __init__(self) -> None:
        self.reader = Reader()
        self.lose = False
        self.bytes = 0
        self.seen: list[str] = []

    def __call__(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        if self.lose:
            self.seen.append("lost")
            return
        self.bytes += sum(len(memoryview(each).cast("B")) for each in buffers or [])
        self.seen.append(self.reader.take(content, buffers))


class Time:
    """A clock that stands, and alarms that go off when it is put forward."""

    def __init__(self) -> None:
        self.now = 100.0
        self.alarms: list[tuple[float, Callable[[], None]]] = []

    def alarm(self, seconds: float, function: Callable[[], None]) -> None:
        self.alarms.append((self.now + seconds, function))

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        due = [function for at, function in self.alarms if at <= self.now]
        self.alarms = [(at, function) for at, function in self.alarms if at > self.now]
        for function in due:
            function()


def connected(machine: FakeMachine) -> tuple[FrameMap, Line, Time]:
    """Return a map that a page watches, the line between them, and the clock by which it sends."""
    widget = FrameMap(machine)
    line, time = Line(), Time()
    widget.send = line  # type: ignore[method-assign]
    widget._wire = Wire(line)
    widget._pace = Pace(machine.subscribe, widget._flush, lambda: time.now, time.alarm)
    widget._receive(widget, {"kmem": "ask", "epoch": 0, "seq": 0}, [])
    assert widget.error == ""
    return widget, line, time
