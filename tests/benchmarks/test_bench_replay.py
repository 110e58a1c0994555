"""Replaying the page events of a trace, beside reading the same lines and splitting them.

CPU time of the process, medians of several runs, in turn; decompression apart. What is read and split is once the whole
trace, once only the lines that a replay of pages asks for. A trace of memory policies has only allocations: there the
touched pages are replayed. Run by path: pytest -s tests/benchmarks
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import pytest

from kmemwidgets.capture import Capture
from kmemwidgets.replay.numa import NumaReplay, parse_touches, split_by_case
from kmemwidgets.replay.start import start_allocator
from kmemwidgets.replay.trace import prepare
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.mempolicy import TABLE, MempolicyRules
from kmemwidgets.tracefs import scan

sys.path.insert(0, str(Path(__file__).parents[1]))

from casefinder import captures

RUNS = 7
NEWLINE = b"\n"
TOUCHES = {"mm_page_alloc", "tracing_mark_write"}


def timed(work: Callable[[], object]) -> float:
    """Return the CPU time that something takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def split(raw: bytes) -> int:
    """Read a trace's lines and split them; return how many words of events there are."""
    return sum(len(words) for words in (line.split() for line in raw.decode().splitlines()) if len(words) > 4)


def replayed(capture: Capture, name: str, raw: bytes) -> float:
    """Return the CPU time of reading a trace's page events and replaying them; the state before it is there already."""
    replay, names = prepare(capture, name, raw)
    return timed(lambda: replay.run(scan(raw, names)))


def touched(capture: Capture, name: str, raw: bytes) -> float:
    """Return the CPU time of replaying the touches of a trace of memory policies; what was asked is read already."""
    version = capture.spec().kernel
    allocator = start_allocator(capture, name)
    assert allocator is not None
    replay = NumaReplay(allocator, pick(MempolicyRules, TABLE, version), version)
    cases = parse_touches(capture.text_or_none(f"{name}/touches.txt") or "")

    def run() -> None:
        for case, marked in zip(cases, split_by_case(list(scan(raw, TOUCHES))), strict=False):
            replay.run_case(case, marked[1:], marked[0][3] if case.cpu is None else case.cpu, marked[0][2])

    return timed(run)


def asked_lines(raw: bytes, names: Sequence[str]) -> bytes:
    """Return the lines of a trace's events that a replay asks for."""
    asked = re.compile(rb"^.*: (?:" + "|".join(names).encode() + rb"): .*\n", re.MULTILINE)
    return b"".join(asked.findall(raw))


def ratio(capture: Capture, name: str, raw: bytes, replay: Callable[[Capture, str, bytes], float]) -> float:
    """Return how many times splitting the lines a replay of them takes."""
    reading, replaying = [], []
    for _ in range(RUNS):
        reading.append(timed(lambda: split(raw)))
        replaying.append(replay(capture, name, raw))
    return median(replaying) / median(reading)


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name.removesuffix(".tar.xz"))
def test_replay_against_splitting(path: Path) -> None:
    capture = Capture.load(path)
    compared = 0
    for name in capture.traces():
        if not capture.has(f"{name}/freelists.before"):
            continue
        raw = capture.bytes(f"{name}/trace")
        if b"mm_page_alloc:" not in raw:
            continue
        lines = raw.count(NEWLINE)
        compared += lines
        if capture.has(f"{name}/touches.txt"):
            print(
                f"\n{capture.name}/{name}: {lines} lines, {ratio(capture, name, raw, touched):.1f} times splitting them"
            )
            continue
        told = f"{ratio(capture, name, raw, replayed):.1f} times splitting them"
        asked = asked_lines(raw, prepare(capture, name, raw)[1])
        told += f"; {asked.count(NEWLINE)} of them asked for, {ratio(capture, name, asked, replayed):.1f} times those"
        print(f"\n{capture.name}/{name}: {lines} lines, {told}")
    if not compared:
        pytest.skip("no trace of it has pages to replay")
