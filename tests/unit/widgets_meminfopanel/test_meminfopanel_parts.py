"""MemTotal cut into parts, and formulas with a machine's numbers, on every recording there is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from casefinder import capture_id, captures
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.capture import Capture
from kmemwidgets.records import BadInput, MemInfo, PerCpuPages, Snapshot, VmStat, ZoneInfo
from kmemwidgets.widgets.meminfopanel.catalogue import CATALOGUE, unknown_field
from kmemwidgets.widgets.meminfopanel.figures import figures, number
from kmemwidgets.widgets.meminfopanel.parts import INSIDE, parts


def meminfo(text: str) -> MemInfo:
    return MemInfo({name: int(value) for name, value in re.findall(r"^(\S+):\s+(\d+)", text, re.MULTILINE)})


def snapshot(text: str, *, arch: str = "x86_64", **more: object) -> Snapshot:
    return Snapshot(name="test", arch=arch, kernel=(6, 1), meminfo=meminfo(text), **more)  # type: ignore[arg-type]


def recorded(path: Path) -> dict[str, tuple[str, str | None]]:
    """Return each meminfo of a recording, with the vmstat of the same instant where there is one."""
    capture = Capture.load(path)
    found = {}
    for name in capture.files():
        file = name.rpartition("/")[2]
        if file.startswith("meminfo"):
            beside = name.replace("meminfo", "vmstat")
            same = file.endswith((".after", ".before")) and capture.has(beside)
            found[name] = (capture.text(name), capture.text(beside) if same else None)
    return found


SMALL = """MemTotal: 1000 kB
MemFree: 400 kB
Buffers: 10 kB
Cached: 100 kB
Shmem: 40 kB
AnonPages: 200 kB
KReclaimable: 60 kB
SReclaimable: 50 kB
SUnreclaim: 20 kB
KernelStack: 16 kB
PageTables: 8 kB
VmallocTotal: 34359738367 kB
VmallocUsed: 30 kB
"""


def as_table(snap: Snapshot) -> dict[str, int]:
    return {part.name: part.kb for part in parts(snap)}


def test_no_page_is_counted_twice() -> None:
    table = as_table(snapshot(SMALL))
    assert table == {
        "MemFree": 400, "AnonPages": 200, "files": 60, "Shmem": 40, "Buffers": 10, "SReclaimable": 50, "SUnreclaim": 20,
        "other reclaimable": 10, "KernelStack": 16, "vmalloc": 14, "PageTables": 8, "unaccounted": 172,
    }  # fmt: skip


def test_stacks_are_apart_from_vmalloc_on_32_bit() -> None:
    table = as_table(snapshot(SMALL.replace("34359738367", "122880")))
    assert table["vmalloc"] == 30
    assert table["unaccounted"] == 156


def test_pages_on_cpu_lists_are_not_unaccounted() -> None:
    zone = ZoneInfo(0, "Normal", pagesets=(PerCpuPages(0, 20, 100, 10), PerCpuPages(1, 5, 100, 10)))
    table = as_table(snapshot(SMALL, zones=(zone,)))
    assert table["per-CPU lists"] == 100
    assert table["unaccounted"] == 72


def test_too_much_counted_is_shown_as_negative_not_scaled() -> None:
    table = as_table(snapshot(SMALL.replace("AnonPages: 200", "AnonPages: 900")))
    assert table["unaccounted"] == 172 - 700
    assert sum(table.values()) == 1000


@given(st.dictionaries(st.sampled_from(sorted(CATALOGUE)), st.integers(0, 1 << 40)), st.integers(0, 1 << 40))
def test_the_sum_is_always_the_total(values: dict[str, int], total: int) -> None:
    info = MemInfo({"MemFree": 0, **values, "MemTotal": total})
    found = parts(Snapshot(name="", arch="x86_64", kernel=(6, 1), meminfo=info))
    assert sum(part.kb for part in found) == total
    assert found[-1].name == "unaccounted"


def test_every_field_is_a_part_or_lies_in_one() -> None:
    shown = {name for part in parts(snapshot("".join(f"{name}: 8 kB\n" for name in CATALOGUE))) for name in part.fields}
    other = {
        entry.name for entry in CATALOGUE.values() if entry.group in ("swap", "commitment", "addresses", "hugetlb")
    }
    assert set(CATALOGUE) - shown - set(INSIDE) <= other
    assert not shown & set(INSIDE) - {"Slab", "KReclaimable"}


@pytest.mark.parametrize("text", ["", "MemTotal: 4 kB\n", "MemFree: 4 kB\n"])
def test_nothing_to_cut(text: str) -> None:
    with pytest.raises(BadInput):
        parts(snapshot(text))


@pytest.mark.parametrize("path", captures(), ids=capture_id)
def test_recorded_parts_make_up_the_total(path: Path) -> None:
    files = recorded(path)
    assert files
    for name, (text, _) in files.items():
        snap = snapshot(text)
        assert snap.meminfo is not None
        found = parts(snap)
        assert sum(part.kb for part in found) == snap.meminfo["MemTotal"], name
        assert all(part.kb >= 0 for part in found), (name, found)
        assert all(figure.field.group != "other" for figure in figures(snap)), name


@pytest.mark.parametrize("path", captures(), ids=capture_id)
def test_formulas_give_what_the_kernel_printed(path: Path) -> None:
    """Of the files of one instant: meminfo.X and vmstat.X."""
    arch = Capture.load(path).spec().arch
    for name, (text, beside) in recorded(path).items():
        if beside is None:
            continue
        stat = VmStat({key: int(value) for key, value in (line.split() for line in beside.splitlines())})
        told = figures(replace(snapshot(text, arch=arch), vmstat=stat))
        wrong = {f.field.name: f.verdict for f in told if f.result is not None and f.result != f.value}
        worked = {f.field.name for f in told if f.result is not None}
        # While killed processes are torn down, the two files can't be read at one instant.
        dying = capture_id(path).startswith(("oom-", "pressure-"))
        assert len(wrong) <= (1 if dying else 0), (name, wrong)
        assert worked >= {"Cached", "Active", "Slab", "KReclaimable", "AnonPages", "Mapped", "Shmem", "CommitLimit"}


def test_the_numbers_are_put_in() -> None:
    snap = snapshot(SMALL + "Slab: 70 kB\n")
    by_name = {figure.field.name: figure for figure in figures(snap)}
    assert by_name["Slab"].worked == "SReclaimable 50 kB + SUnreclaim 20 kB = 70 kB"
    assert by_name["Slab"].verdict == "as printed"
    assert by_name["Cached"].worked == ""
    assert by_name["Cached"].result is None


def test_a_field_nobody_knows_is_said_to_be_unknown() -> None:
    figure = figures(snapshot("MemTotal: 4 kB\nMagic: 7 kB\n"))[1]
    assert figure.field == unknown_field("Magic")
    assert figure.value == 7


def test_available_is_worked_out_as_the_kernel_does() -> None:
    zones = (
        ZoneInfo(0, "DMA", low=10, high=12, managed=100, protection=(0, 30)),
        ZoneInfo(0, "Normal", low=20, high=25, managed=1000, protection=(0, 0)),
    )
    text = (
        "MemTotal: 4400 kB\nMemFree: 2000 kB\nMemAvailable: 0 kB\n"
        "Active(file): 80 kB\nInactive(file): 320 kB\nKReclaimable: 40 kB\n"
    )
    figure = figures(snapshot(text, zones=zones))[2]
    # 500 - (42 + 25) + (100 - min(50, 30)) + (10 - min(5, 30)) = 508 pages
    assert figure.result == 508 * 4


def test_number() -> None:
    assert (number(1234567), number(-5), number(0)) == ("1,234,567", "\N{MINUS SIGN}5", "0")


@pytest.mark.parametrize("field", CATALOGUE.values(), ids=lambda field: field.name)
def test_each_field_is_told_in_full(field) -> None:
    assert field.meaning.endswith(".")
    assert field.formula
    assert re.match(r"[\w./-]+\.[ch]: \w+", field.source)
