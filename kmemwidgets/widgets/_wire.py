"""The sending end of the wire (`_front/wire.js` is the receiving end).

A view that is new, or that has missed something, asks and gets all: JSON data and,
where the widget has them, bytes, deflated. Changes follow as ranges with their
bytes. Every message has the number of the state it leads to, so that the
receiver sees a loss; a new epoch means that older numbers say nothing any more.
"""

from __future__ import annotations

import sys
import time
import zlib
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio

#: Changed bytes beyond this go deflated; below, deflating costs more than it saves.
PACK_BEYOND = 4096

#: Messages a second that a screen can show.
RATE = 30

#: For every second that flushing takes, this many are left to whoever makes the changes.
REST = 25


class Send(Protocol):
    """How a message leaves: `ipywidgets.Widget.send`."""

    def __call__(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        """Send `content` and its binary `buffers`."""


class Wire:
    """Numbers the states of one widget and sends them."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.epoch = 1
        self.seq = 0

    def renew(self) -> None:
        """Begin a new epoch: what was sent before is no base for changes any more."""
        self.epoch += 1
        self.seq = 0

    def full(self, data: Mapping[str, Any], codes: bytes | bytearray | memoryview | None = None) -> None:
        """Send everything."""
        self.seq += 1
        message = {"kmem": "full", "epoch": self.epoch, "seq": self.seq, "data": dict(data), "packed": True}
        self._send(message, None if codes is None else [zlib.compress(codes, 1)])

    def delta(
        self, data: Mapping[str, Any] | None = None, ranges: Sequence[tuple[int, int]] = (), codes: bytes = b""
    ) -> None:
        """Send what changed: entries of `data`, and the `codes` of `ranges` (start, length), one after the other."""
        before, self.seq = self.seq, self.seq + 1
        packed = len(codes) > PACK_BEYOND
        message: dict[str, Any] = {
            "kmem": "delta", "epoch": self.epoch, "seq": self.seq, "prev": before, "packed": packed,
        }  # fmt: skip
        if data:
            message["data"] = dict(data)
        if not ranges:
            self._send(message)
            return
        pairs = array("I", [number for pair in ranges for number in pair])
        if sys.byteorder == "big":
            pairs.byteswap()
        self._send(message, [pairs.tobytes(), zlib.compress(codes, 1) if packed else codes])


class Pace:
    """Calls `flush` after changes, at once where it can, `RATE` times a second at most, and always after the last.

    While a cell runs no timer fires, so the changes themselves look at the clock;
    the timer then brings the last state when the cell is over. Changes may come by the
    hundred thousand, so not each of them looks: about `LOOKS` between two flushes do.
    """

    LOOKS = 32

    def __init__(self, flush: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._flush = flush
        self._clock = clock
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._skip = 0
        self._looks = 0
        self._stride = 0

    def poke(self) -> None:
        """Note that something changed. Called after every single change, so it is short."""
        if self._skip:
            self._skip -= 1
            return
        now = self._clock()
        if now >= self._due:
            self._go(now)
            return
        if self._timer is None:
            self._wait(self._due - now)
        self._looks += 1
        self._skip = self._stride

    def stop(self) -> None:
        """Forget what is waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, seconds: float) -> None:
        import asyncio  # only here: whoever has a loop has loaded it, and others need not

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a plain script: no page listens
            return
        self._timer = loop.call_later(seconds, self._late)

    def _late(self) -> None:
        self._timer = None
        self._skip = 0
        now = self._clock()
        if now < self._due:
            self._wait(self._due - now)
        else:
            self._go(now)

    def _go(self, now: float) -> None:
        # The last time between two flushes tells how many changes the next one may let pass unlooked.
        self._stride = self._looks * (self._stride + 1) // self.LOOKS
        self._looks = 0
        self._flush()
        end = max(now, self._clock())
        self._due = end + max(1 / RATE, REST * (end - now))
