"""The difference of two snapshots names each figure with both values."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from casefinder import DATA
from hypothesis import given, settings
from hypothesis import strategies as st

from kmemwidgets import cli
from kmemwidgets.capture import Capture
from kmemwidgets.records import (
    KPF,
    Difference,
    FrameTable,
    FreeArea,
    MemInfo,
    SlabCacheInfo,
    Snapshot,
    ZoneInfo,
    diff,
)

BASE = Snapshot(
    "a",
    "x86_64",
    (6, 1, 192),
    zones=(ZoneInfo(0, "DMA", free=5, stats={"nr_mlock": 1}, free_area=(FreeArea(0, 3, {"Movable": 3}),)),),
    meminfo=MemInfo({"MemTotal": 10, "MemFree": 4}),
    slabs=(SlabCacheInfo("dentry", slabs=2), SlabCacheInfo("same"), SlabCacheInfo("same")),
    frames=FrameTable(0, b"\0\1\1\0", (0, KPF["BUDDY"])),
)


def paths(a: Snapshot, b: Snapshot) -> dict[str, tuple[object, object]]:
    return {entry.path: (entry.a, entry.b) for entry in diff(a, b)}


def test_equal_snapshots_do_not_differ_whatever_they_are_called() -> None:
    other = replace(BASE, name="b", files=("x",), notes=("y",), instant=True, time_ns=5)
    assert diff(BASE, other) == ()


def test_unknown_and_zero_are_different() -> None:
    b = replace(BASE, zones=(replace(BASE.zones[0], cma=0),))
    assert diff(BASE, b) == (Difference("zones[0,DMA].cma", None, 0),)
    assert diff(b, BASE) == (Difference("zones[0,DMA].cma", 0, None),)


def test_figures_within_records_are_named() -> None:
    zone = replace(
        BASE.zones[0], free=6, stats={"nr_mlock": 2, "nr_new": 0}, free_area=(FreeArea(0, 3, {"Movable": 2}),)
    )
    b = replace(
        BASE,
        zones=(zone,),
        meminfo=MemInfo({"MemTotal": 10, "MemFree": 5}),
        slabs=(SlabCacheInfo("dentry", slabs=3), SlabCacheInfo("same"), SlabCacheInfo("new")),
    )
    assert paths(BASE, b) == {
        "zones[0,DMA].free": (5, 6),
        "zones[0,DMA].stats[nr_mlock]": (1, 2),
        "zones[0,DMA].stats[nr_new]": (None, 0),
        "zones[0,DMA].free_area[0].by_type[Movable]": (3, 2),
        "meminfo[MemFree]": (4, 5),
        "slabs[dentry].slabs": (2, 3),
        "slabs[same,#2]": ("is there", None),
        "slabs[new]": (None, "is there"),
    }


def test_a_whole_part_that_one_side_lacks_is_one_difference() -> None:
    b = replace(BASE, slabs=None, frames=None, meminfo=None)
    assert paths(BASE, b) == {
        "frames": ("4 frames", None),
        "meminfo": ("2 values", None),
        "slabs": ("3 rows", None),
    }


def test_frames_are_compared_as_counts_and_the_first_that_differs() -> None:
    b = replace(BASE, frames=FrameTable(0, b"\0\0\0\1", (KPF["BUDDY"], KPF["SLAB"])))
    assert paths(BASE, b) == {
        "frames.count[none]": (2, 0),
        "frames.count[SLAB]": (0, 1),
        "frames.count[BUDDY]": (2, 3),
        "frames.first_pfn[0x0]": ("none", "BUDDY"),
    }


def test_equal_frames_in_another_palette_do_not_differ() -> None:
    b = replace(BASE, frames=FrameTable(0, b"\1\0\0\1", (KPF["BUDDY"], 0)))
    assert diff(BASE, b) == ()


def test_frames_of_other_ranges_are_compared_where_both_are_known() -> None:
    b = replace(BASE, frames=FrameTable(2, b"\1\1\1", (0, KPF["BUDDY"])))
    assert paths(BASE, b) == {
        "frames.pfns": ((0, 4), (2, 5)),
        "frames.count[none]": (2, 0),
        "frames.count[BUDDY]": (2, 3),
        "frames.first_pfn[0x3]": ("none", "BUDDY"),
    }


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 4), max_size=60),
    st.lists(st.integers(0, 4), max_size=60),
    st.integers(0, 9),
    st.integers(0, 9),
    st.permutations(range(5)),
)
def test_the_first_difference_is_the_first(
    a: list[int], b: list[int], start_a: int, start_b: int, palette: list[int]
) -> None:
    left = FrameTable(start_a, bytes(a), (0, 1, 2, 3, 4))
    right = FrameTable(start_b, bytes(map(palette.index, b)), tuple(palette))
    both = range(max(start_a, start_b), min(left.end_pfn, right.end_pfn))
    expected = next((pfn for pfn in both if left[pfn] != right[pfn]), None)
    differences = diff(replace(BASE, frames=left), replace(BASE, frames=right))
    found = [entry.path for entry in differences if "first" in entry.path]
    assert found == ([] if expected is None else [f"frames.first_pfn[{expected:#x}]"])


def test_a_recording_before_and_after_a_trace() -> None:
    capture = Capture.load(DATA / "captures" / "amd64-512m.tar.xz")
    found = paths(capture.snapshot("t_fork/before"), capture.snapshot("t_fork/after"))
    assert found["vmstat[pgfault]"] == (
        capture.snapshot("t_fork/before").vmstat.get("pgfault"),  # type: ignore[union-attr]
        capture.snapshot("t_fork/after").vmstat.get("pgfault"),  # type: ignore[union-attr]
    )
    assert "zones[0,DMA32].managed" not in found


def test_the_command_prints_a_table_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diff", "amd64-512m", "amd64-512m"]) == 0
    assert "show the same in every figure" in capsys.readouterr().out
    assert cli.main(["diff", "amd64-512m", "amd64-512m@t_quiet/before", "--json", "-"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["a"] == "amd64-512m"
    assert {"path", "a", "b"} == set(answer["differences"][0])
    out = tmp_path / "d.json"
    assert cli.main(["diff", "amd64-512m", "amd64-512m@proc", "--json", str(out)]) == 0
    table = capsys.readouterr().out
    assert len(json.loads(out.read_text())["differences"]) == len(table.splitlines()) - 2


def test_a_recording_against_the_machine_that_its_description_boots(capsys: pytest.CaptureFixture[str]) -> None:
    # What boot set; reading vm.lowmem_reserve_ratio, as the recorder did later, works the protection out anew.
    assert cli.main(["diff", "amd64-512m@proc", "amd64-512m@boot", "--json", "-"]) == 0
    differ = {entry["path"] for entry in json.loads(capsys.readouterr().out)["differences"]}
    same = {f"zones[0,{name}].{figure}" for name in ("DMA", "DMA32") for figure in ("min", "low", "high", "protection")}
    assert not same & differ
    assert "zones[0,DMA32].free" in differ


def test_the_command_names_what_it_can_t_find(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diff", "amd64-512m", "nonesuch"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("kmem diff: 'nonesuch' is no folder")
    assert error.count("\n") == 1
