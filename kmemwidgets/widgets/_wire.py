"""The sending end of the wire (`_front/wire.js` is the receiving end).

A view that is new, or that has missed something, asks and gets all: JSON data and,
where the widget has them, bytes, deflated. Changes follow as ranges with their
bytes. Every message has the number of the state it leads to, so that the
receiver sees a loss; a new epoch means that older numbers say nothing any more.
"""

from __future__ import annotations

import sys
import threading
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

#: For every second that flushing takes, this many are left to the cell that makes the changes.
REST = 25

#: The same where no cell runs, but messages or tasks make the changes: then someone waits for the picture.
IDLE_REST = 3


class Send(Protocol):
    """How a message leaves: `ipywidgets.Widget.send`."""

    def __call__(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        """Send `content` and its binary `buffers`."""


class Wire:
    """Numbers the states of one widget and sends them.

    Attributes
    ----------
    epoch, seq : int
        Number of the state that was sent last.
    known : dict
        The JSON data that the other end has then.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.known: dict[str, Any] = {}
        self.epoch = 1
        self.seq = 0

    def renew(self) -> None:
        """Begin a new epoch: what was sent before is no base for changes any more."""
        self.epoch += 1
        self.seq = 0

    def full(self, data: Mapping[str, Any], codes: bytes | bytearray | memoryview | None = None) -> None:
        """Send everything."""
        self.seq += 1
        self.known = dict(data)
        message = {"kmem": "full", "epoch": self.epoch, "seq": self.seq, "data": self.known, "packed": True}
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
            self.known = {**self.known, **data}
        if not ranges:
            self._send(message)
            return
        pairs = array("I", [number for pair in ranges for number in pair])
        if sys.byteorder == "big":
            pairs.byteswap()
        self._send(message, [pairs.tobytes(), zlib.compress(codes, 1) if packed else codes])


class Pace:
    """Flushes after changes: soon after the first, `RATE` times a second at most, and always after the last.

    Changes may come by the hundred thousand, and a source that is listened to is slower. So between two
    flushes nobody listens at all: the first change after a pause ends the subscription and has the event loop flush
    when the cell is over, and an alarm takes the subscription up again. In a long cell the loop doesn't get
    its turn, hence the alarm is a thread's; all it does is to subscribe. A change that is heard while the loop
    still waits flushes at once.

    Parameters
    ----------
    subscribe : callable
        `Source.subscribe`.
    flush : callable
        Sends what changed, if anything.
    clock : callable
        Seconds.
    alarm : callable
        ``alarm(seconds, function)`` calls `function` later, from wherever it likes.
    """

    def __init__(
        self,
        subscribe: Callable[[Callable[[], None]], Callable[[], None]],
        flush: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        alarm: Callable[[float, Callable[[], None]], None] | None = None,
    ) -> None:
        self._subscribe = subscribe
        self._flush = flush
        self._clock = clock
        self._alarm = _thread_alarm if alarm is None else alarm
        self._lock = threading.Lock()
        self._unsubscribe: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._next = self._soon = clock()
        self._over = False
        self.listen()

    def listen(self) -> None:
        """Hear of the next change."""
        with self._lock:
            if self._unsubscribe is None and not self._over:
                self._unsubscribe = self._subscribe(self.changed)

    def changed(self) -> None:
        """Have it flushed, and don't listen for a while."""
        self._deafen()
        now = self._clock()
        wait = self._next - now
        if self._timer is None and self._look_in(max(0.0, self._soon - now)):
            wait = 1 / RATE
        elif wait <= 0:  # the loop has not had its turn since the last change, or there is none
            wait = self._go()
        self._alarm(wait, self.listen)

    def stop(self) -> None:
        """Never flush again."""
        self._over = True
        self._deafen()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _deafen(self) -> None:
        with self._lock:
            unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is not None:
            unsubscribe()

    def _look_in(self, seconds: float) -> bool:
        """Have the event loop look; False where there is none."""
        import asyncio  # only here: whoever has a loop has loaded it, and others need not

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a plain script: no page looks
            return False
        self._timer = loop.call_later(seconds, self._look)
        return True

    def _look(self) -> None:
        """Listen and flush; what comes after is heard."""
        self._timer = None
        if self._over:
            return
        wait = self._soon - self._clock()
        if wait > 0:
            self._look_in(wait)
            return
        self.listen()
        self._go()

    def _go(self) -> float:
        """Flush, and return how long there shall be no other while a cell runs."""
        began = self._clock()
        self._flush()
        end = self._clock()
        wait = max(1 / RATE, REST * (end - began))
        self._next = end + wait
        self._soon = end + max(1 / RATE, IDLE_REST * (end - began))
        return wait


def _thread_alarm(seconds: float, function: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError:  # no threads in Pyodide: the loop's timer has to do
        return
