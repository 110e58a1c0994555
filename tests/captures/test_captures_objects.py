"""Objects and vmalloc areas of recorded traces, replayed from their requests."""

from __future__ import annotations

from pathlib import Path

import pytest
from casefinder import capture_id, captures

from kmemwidgets.capture import Capture
from kmemwidgets.replay import objects, vmalloc


def traces(*, of: str) -> list[tuple[Path, str]]:
    """Name the traces that have a log of objects, or of areas."""
    found = []
    for path in captures():
        capture = Capture.load(path)
        for trace in capture.traces():
            if of == "vmalloc" and trace == "t_vmalloc":
                found.append((path, trace))
            if of == "objects" and trace in ("t_quiet", "t_tmpfs", "t_fork"):
                found.append((path, trace))
    return found


def trace_id(value: object) -> str:
    return capture_id(value) if isinstance(value, Path) else str(value)


@pytest.mark.parametrize(("path", "trace"), traces(of="objects"), ids=trace_id)
def test_determined_objects(path: Path, trace: str) -> None:
    capture = Capture.load(path)
    answer = objects.extra_keys(capture, trace, capture.text(f"{trace}/trace")).get("objects")
    if answer is None:
        pytest.skip("the recording's tool wrote no event of this trace")
    assert answer["determined"] > 300
    missed = answer["determined"] - answer["exact"]
    complete = answer["complete"]
    # In which order several cpus' requests met is not told everywhere.
    allowed = 3 if capture.spec().cpus == 1 else complete["determined"] // 100
    assert complete["determined"] - complete["exact"] <= allowed
    if trace == "t_fork" or capture.spec().kernel >= (6, 6):
        # maple nodes are taken by kmem_cache_alloc_bulk, which leaves no event (6.6: tmpfs directories, too).
        percent = 95 if capture.spec().cpus > 1 else 96
        assert 100 * answer["exact"] >= percent * answer["determined"]
    else:
        assert missed - answer["by_chance"] <= 3


@pytest.mark.parametrize(("path", "trace"), traces(of="vmalloc"), ids=trace_id)
def test_areas_and_rows(path: Path, trace: str) -> None:
    capture = Capture.load(path)
    answer = vmalloc.extra_keys(capture, trace, capture.text(f"{trace}/trace"))
    for key, right in (("vmalloc", "exact"), ("vmallocinfo", "equal")):
        assert answer[key]["of"] > 50
        assert 100 * answer[key][right] >= 99 * answer[key]["of"]


@pytest.mark.parametrize(("path", "trace"), traces(of="vmalloc"), ids=trace_id)
def test_no_area_is_told_by_its_answer(path: Path, trace: str) -> None:
    capture = Capture.load(path)
    events = vmalloc.read_events(capture.text(f"{trace}/trace"))
    first = vmalloc.read_series(capture.text(f"{trace}/series.txt"))[0]
    request = next(n for n, event in enumerate(events) if event.kind == "va_alloc" and event.time_ns > first.time_ns)
    answer = next(event for event in events[request:] if event.kind == "va_alloc_ret")

    def place(start: int) -> int:
        replay = vmalloc.VmallocReplay(capture.spec(), first.areas, (1, 1 << 48))
        replay.feed(events[request])
        blanked = vmalloc.AreaEvent(answer.kind, answer.time_ns, answer.cpu, answer.pid, {"start": start})
        replay.feed(blanked)
        return replay.result.exact

    assert place(answer.numbers["start"]) == 1
    assert place(answer.numbers["start"] + (1 << 30)) == 0
