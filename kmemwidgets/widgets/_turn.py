"""One thing at a time: what a page says waits until the code that made the widget has its turn over.

A kernel may take the messages of pages in a thread of their own (ipykernel 7 does, JupyterLab 4.4 asks for it),
while a cell runs in the main one. Sources and widgets are plain tables, with no lock around each request, so a
message that comes in another thread is handed to the loop of the thread in which the widget was made.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import ipywidgets

if TYPE_CHECKING:
    import asyncio

#: Seconds for which the other thread waits for a message to be carried out. A page sends the next one when
#: the one before is done, which keeps a drag from running ahead of a slow source; but a long cell
#: must not hold up what other widgets have to say.
PATIENCE = 1.0


class Turn:
    """The thread in which it was made, and that thread's event loop if one runs."""

    def __init__(self) -> None:
        import asyncio  # only here: whoever has a loop has loaded it, and others need not

        self._thread = threading.get_ident()
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:  # a plain script
            self._loop = None

    def take(self, function: Any, *args: Any) -> None:
        """Call ``function(*args)`` in that thread: at once, or when its loop has a moment."""
        if self._loop is None or threading.get_ident() == self._thread:
            function(*args)
            return
        done = threading.Event()

        def run() -> None:
            try:
                function(*args)
            finally:
                done.set()

        try:
            self._loop.call_soon_threadsafe(run)
        except RuntimeError:  # the loop is closed: the kernel is about to end
            return
        done.wait(PATIENCE)


class InTurn(ipywidgets.Widget):  # type: ignore[misc]
    """A widget that takes what a page says in the thread in which it was made."""

    _turn: Turn | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Before the page hears of it, and can answer.
        self._turn = Turn()
        super().__init__(*args, **kwargs)

    def _handle_msg(self, msg: Mapping[str, Any]) -> None:
        if self._turn is None:
            super()._handle_msg(msg)
        else:
            self._turn.take(super()._handle_msg, msg)
