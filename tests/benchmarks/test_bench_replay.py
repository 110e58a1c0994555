"""Replaying the page events of a trace, beside reading the same lines and splitting them.

CPU time of the process, medians of three runs, in turn; decompression apart. Run by path: pytest -s tests/benchmarks
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from kmemwidgets.capture import Capture
from kmemwidgets.replay.pages import REPLAYED, PageReplay
from kmemwidgets.replay.start import start_allocator
from kmemwidgets.tracefs import scan

sys.path.insert(0, str(Path(__file__).parents[1]))

from casefinder import captures

RUNS = 3


def timed(work: Callable[[], object]) -> float:
    """Return the CPU time that something takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def split(raw: bytes) -> int:
    """Read a trace's lines and split them; return how many words of page events there are."""
    return sum(len(words) for words in (line.split() for line in raw.decode().splitlines()) if len(words) > 4)


def replayed(capture: Capture, name: str, raw: bytes) -> float:
    """Return the CPU time of reading a trace's page events and replaying them; the state before it is there already."""
    spec = capture.spec()
    allocator = start_allocator(capture, name)
    assert allocator is not None
    replay = PageReplay(
        allocator,
        spec.kernel,
        4 if spec.arch in ("x86_32", "arm") else 8,
        counts_preemption=spec.option("CONFIG_PREEMPT_COUNT") == "y",
    )
    return timed(lambda: replay.run(scan(raw, REPLAYED)))


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name.removesuffix(".tar.xz"))
def test_replay_against_splitting(path: Path) -> None:
    capture = Capture.load(path)
    # Without a state before the trace it begins at boot, whose stages are no page events.
    needed = ("zoneinfo.before", "freelists.before")
    names = [name for name in capture.traces() if all(capture.has(f"{name}/{file}") for file in needed)]
    compared = 0
    for name in names:
        raw = capture.bytes(f"{name}/trace")
        if b"mm_page_alloc:" not in raw or b"mm_compaction_begin:" in raw:
            continue
        reading, replaying = [], []
        for _ in range(RUNS):
            reading.append(timed(lambda: split(raw)))  # noqa: B023
            replaying.append(replayed(capture, name, raw))
        lines = raw.count(b"\n")
        compared += lines
        print(f"\n{capture.name}/{name}: {lines} lines, {median(replaying) / median(reading):.1f} times splitting them")
    if not compared:
        pytest.skip("no trace of it has pages to replay")
