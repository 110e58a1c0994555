"""Every recorded trace is understood to the last line, and written back byte for byte."""

from __future__ import annotations

import io
import lzma
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from kmemwidgets import tracefs
from tests.casefinder import capture_id, captures


def traces() -> list[tuple[str, Path, str]]:
    found = []
    for capture in captures():
        if capture.is_dir():
            names = [str(path.relative_to(capture)) for path in sorted(capture.glob("t_*/trace*"))]
        else:
            with tarfile.open(capture) as archive:
                names = sorted(name for name in archive.getnames() if "/t_" in name and "/trace" in name)
        found += [
            (f"{capture_id(capture)}/{name}", capture, name) for name in names if name.endswith(("trace", "trace.xz"))
        ]
    return found


def read(capture: Path, name: str) -> bytes:
    if capture.is_dir():
        raw = (capture / name).read_bytes()
    else:
        with tarfile.open(capture) as archive:
            member = archive.extractfile(name)
            assert member is not None
            raw = member.read()
    return lzma.decompress(raw) if name.endswith(".xz") else raw


def events_of(text: str) -> list[str]:
    # some events print a line feed of their own: an empty line follows
    return [line for line in io.StringIO(text) if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize(("capture", "name"), [entry[1:] for entry in traces()], ids=[entry[0] for entry in traces()])
def test_trace(capture, name):
    text = read(capture, name).decode()
    trace = tracefs.parse(text)
    assert (trace.unknown, trace.unreadable, trace.cut, trace.lost) == ({}, 0, False, ())

    recorded = events_of(text)
    written = events_of(tracefs.format(trace))
    assert len(written) == len(recorded) == len(trace.events)
    assert [pair for pair in zip(written, recorded, strict=True) if pair[0] != pair[1]][:3] == []

    rows = tracefs.scan(text)
    kinds = Counter(row[0] for row in rows)
    assert kinds == Counter(event.name for event in trace.events if event.name in tracefs.KMEM_EVENTS)
    assert rows.unreadable == 0
    for row, event in zip(rows, (e for e in trace.events if e.name in tracefs.KMEM_EVENTS), strict=True):
        fields = [event.fields.get(key) for key in tracefs.SCAN_FIELDS[event.name]]
        if event.fields.get("page") == 0:
            fields[0] = None
        assert (*row[:4], tracefs.read_time(row[4]), row[5], *row[6]) == (
            event.name, event.comm, event.pid, event.cpu, event.time_ns, event.flags, *fields
        )  # fmt: skip
