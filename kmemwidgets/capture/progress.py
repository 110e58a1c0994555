"""A progress bar on a terminal, for work over a second."""

from __future__ import annotations

import sys
from types import TracebackType

WIDTH = 30


class Progress:
    """Shows on a terminal's standard error how many of a number of steps are done.

    Parameters
    ----------
    steps : int
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.done = -1
        self.shown = sys.stderr.isatty()

    def step(self, name: str) -> None:
        """Begin the next step."""
        self.done += 1
        if self.shown:
            bar = "#" * (WIDTH * self.done // max(self.steps, 1))
            sys.stderr.write(f"\r\x1b[K[{bar:<{WIDTH}}] {name}")
            sys.stderr.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
