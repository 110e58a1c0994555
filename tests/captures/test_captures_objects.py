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
    answer = objects.extra_keys(capture, trace, capture.text(f"{trace}/trace"))["objects"]
    assert answer["determined"] > 1000
    missed = answer["determined"] - answer["exact"]
    if trace == "t_fork" or capture.spec().kernel >= (6, 6):
        # maple nodes are taken by kmem_cache_alloc_bulk, which leaves no event (6.6: tmpfs directories, too).
        percent = 95 if capture.spec().cpus > 1 else 96
        assert 100 * answer["exact"] >= percent * answer["determined"]
    else:
        assert missed <= 3


@pytest.mark.parametrize(("path", "trace"), traces(of="objects"), ids=trace_id)
def test_only_requests_without_events_cost_misses(path: Path, trace: str) -> None:
    capture = Capture.load(path)
    if capture.spec().cpus > 1:
        pytest.skip("what other cpus kept back before the trace is not known")
    rows = list(objects.scan(capture.text(f"{trace}/trace"), (*objects.SLAB_EVENTS, "mm_page_free")))
    result = objects.replay_objects(capture.spec(), rows, capture.text(f"{trace}/slabinfo.before"))
    others = {name: counts for name, counts in result.by_cache.items() if name != "maple_node"}
    assert sum(determined - exact for determined, exact in others.values()) <= 3
    assert all(determined >= exact for determined, exact in others.values())


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
