"""Traces by name, by path, packed and damaged: the same figures, or a clear word."""

from __future__ import annotations

import gzip
import json
import lzma
import re
from pathlib import Path

import pytest

from kmemwidgets.capture import Capture
from kmemwidgets.cli import main
from kmemwidgets.records import BadInput
from kmemwidgets.replay.find import find_trace
from kmemwidgets.replay.flags import GfpFlags
from kmemwidgets.replay.trace import TraceAnswer, replay_trace

NAME = "t_quiet"
_LINE = re.compile(r"\s*(.{1,16}?)-(\d+)\s+\[(\d+)\]\s+(\S{5})\s+([\d.]+): (\w+): (.*)")


@pytest.fixture(name="capture", scope="module")
def capture_fixture() -> Capture:
    return Capture.bundled("amd64-512m")


@pytest.fixture(name="text", scope="module")
def text_fixture(capture: Capture) -> str:
    return capture.text(f"{NAME}/trace")


def figures(answer: TraceAnswer) -> dict[str, object]:
    """Return what a replay found, without names and times."""
    found = answer.as_dict()
    kept = ("events", "allocs", "refills", "drains", "steals", "free_lists", "pcp_lists", "pageblocks")
    return {key: found[key] for key in kept}


def as_perf(text: str) -> str:
    """Write a trace as ``perf script`` does."""
    rows = (_LINE.fullmatch(line) for line in text.split("\n"))
    return "".join(
        f"{row[1]:>16} {row[2]:>6} [{row[3]}] {row[5]}: kmem:{row[6]}: {row[7]}\n" for row in rows if row is not None
    )


def as_trace_cmd(text: str) -> str:
    """Write a trace as ``trace-cmd report`` does, with latency flags."""
    rows = (_LINE.fullmatch(line) for line in text.split("\n"))
    return "cpus=1\n" + "".join(
        f"{row[1]:>16}-{row[2]:<5} [{row[3]}] {row[4]} {row[5]}: {row[6]}:{'':>12}{row[7]}\n"
        for row in rows
        if row is not None
    )


def with_unknown_lines(text: str) -> str:
    """Put events that nobody knows between a trace's."""
    lines = text.split("\n")
    for at in range(len(lines) - 1, 0, -50):
        lines.insert(at, "  foo-12  [000] d..1.    13.000001: sched_switch: prev_comm=a prev_pid=1 ==> next_comm=b")
    return "\n".join(lines)


@pytest.mark.parametrize("change", [as_perf, as_trace_cmd, with_unknown_lines])
def test_every_tools_text_gives_the_same_figures(change, capture: Capture, text: str, tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.txt"
    path.write_text(change(text))
    expected = figures(replay_trace(capture, NAME, extras=False))
    assert figures(replay_trace(capture, str(path), extras=False)) == expected


def test_packed_files_folders_and_foreign_line_ends(capture: Capture, text: str, tmp_path: Path) -> None:
    raw = text.encode()
    folder = tmp_path / NAME
    folder.mkdir()
    (tmp_path / f"{NAME}.gz").write_bytes(gzip.compress(raw, 1))
    (folder / "trace.xz").write_bytes(lzma.compress(raw, preset=0))
    crlf = tmp_path / f"{NAME}.crlf"
    crlf.write_bytes(raw.replace(b"\n", b"\r\n"))
    for path in (tmp_path / f"{NAME}.gz", folder, folder / "trace.xz"):
        assert find_trace(capture, str(path)) == (raw, NAME)
    expected = figures(replay_trace(capture, NAME, extras=False))
    assert figures(replay_trace(capture, str(crlf), extras=False)) == expected


def test_a_cut_trace_is_replayed_as_far_as_it_goes(capture: Capture, text: str, tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.txt"
    path.write_text(text[: len(text) // 2 - 7])
    answer = replay_trace(capture, str(path), extras=False)
    assert answer.pages is not None
    assert answer.pages.allocs.exact == answer.pages.allocs.of > 1000


def test_after_lost_events_the_replay_finds_its_way_back(capture: Capture, text: str, tmp_path: Path) -> None:
    lines = text.split("\n")
    half = len(lines) // 2
    path = tmp_path / f"{NAME}.txt"
    path.write_text("\n".join([*lines[:half], "CPU:0 [LOST 20 EVENTS]", *lines[half + 20 :]]))
    answer = replay_trace(capture, str(path), extras=False)
    assert answer.pages is not None
    assert any("lost" in note for note in answer.notes)
    assert answer.pages.allocs.exact > 0.95 * answer.pages.allocs.of


def test_what_cannot_be_read_is_told(capture: Capture, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, word in ((tmp_path / "empty", "can't be read"), (tmp_path / "no", "can't be read")):
        with pytest.raises(BadInput, match=word):
            find_trace(capture, str(path))
    broken = tmp_path / f"{NAME}.xz"
    broken.write_bytes(b"\xfd7zXZ\0 and no more")
    with pytest.raises(BadInput, match="unpacked"):
        find_trace(capture, str(broken))
    other = tmp_path / "other.txt"
    other.write_text("no trace\n")
    answer = replay_trace(capture, str(other), extras=False)
    assert answer.pages is None
    assert "holds no mm_page_alloc" in answer.why_not


def test_the_command_takes_a_folder(tmp_path: Path, text: str) -> None:
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "trace").write_text(text)
    assert main(["replay", "amd64-512m", str(folder), "--json", str(tmp_path / "answer.json")]) == 0
    (answer,) = json.loads((tmp_path / "answer.json").read_text())
    assert answer["trace"] == NAME
    assert answer["allocs"]["exact"] == answer["allocs"]["of"] == 2480


def test_flags_of_another_kernel_are_told() -> None:
    notes: list[str] = []
    flags = GfpFlags((6, 1, 192), notes)
    assert flags["GFP_KERNEL|__GFP_ZERO|__GFP_LATER"] == flags["GFP_KERNEL|__GFP_ZERO"] == 0xDC0
    assert flags["__GFP_LATER"] == 0
    assert notes == ["unknown GFP flag '__GFP_LATER' was left out"]
