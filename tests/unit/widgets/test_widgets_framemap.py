"""FrameMap without a browser: kinds, layout, counts, words, picture, messages."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from fake_machine import PALETTE, FakeMachine
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_reader import connected

from kmemwidgets.records import KPF, KPF_NAMES, FrameTable, FreeArea, Snapshot, ZoneInfo
from kmemwidgets.widgets import FrameMap
from kmemwidgets.widgets.framemap.cells import by_rarity, cells_of, count_codes
from kmemwidgets.widgets.framemap.kinds import FLAG_KINDS, kind_of_flags, kinds_of
from kmemwidgets.widgets.framemap.layout import LIMIT, lay_out
from kmemwidgets.widgets.framemap.picture import downsample


def snapshot(codes: bytes, *, start: int = 0, palette: tuple[int, ...] = PALETTE) -> Snapshot:
    zone = ZoneInfo(nid=0, name="Normal", start_pfn=start, spanned=len(codes), present=1)
    return Snapshot(name="m", arch="x86_64", kernel=(6, 1), zones=(zone,), frames=FrameTable(start, codes, palette))


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ("BUDDY", "free"), ("", "kernel"), ("RESERVED PRIVATE", "reserved"), ("SLAB COMPOUND_HEAD", "slab"),
        ("COMPOUND_TAIL", "kernel"), ("UPTODATE LRU MMAP ANON SWAPBACKED", "anon"), ("MMAP ANON THP", "anon"),
        ("REFERENCED UPTODATE DIRTY LRU SWAPBACKED", "shmem"), ("UPTODATE LRU ACTIVE", "file"), ("UPTODATE", "file"),
        ("PGTABLE", "pgtable"), ("HUGE COMPOUND_HEAD", "huge"), ("NOPAGE", "hole"), ("HWPOISON RESERVED", "bad"),
        ("OFFLINE", "bad"), ("ZERO_PAGE RESERVED", "reserved"),
    ],
)  # fmt: skip
def test_kind_of_flags(flags: str, kind: str) -> None:
    assert kind_of_flags(sum(KPF[name] for name in flags.split())) == kind


def luminance(color: str) -> float:
    def linear(part: int) -> float:
        v = part / 255
        return v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4

    r, g, b = (linear(int(color[i : i + 2], 16)) for i in (1, 3, 5))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_kinds_in_use_stand_out_from_the_ground(theme: str) -> None:
    colors = {kind.name: getattr(kind, theme) for kind in FLAG_KINDS}
    assert len(set(colors.values())) == len(colors)
    ground = luminance(colors["free"])
    for name, color in colors.items():
        if name not in ("free", "hole"):
            high, low = sorted((luminance(color), ground), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 1.4, f"{name} in {theme}"


def test_counts_and_summary() -> None:
    codes = bytes([0] * 50 + [1] * 30 + [2] * 15 + [3] * 5)
    widget = FrameMap(snapshot(codes))
    assert {name: number for name, number in widget.counts.items() if number} == {
        "free": 50, "slab": 30, "reserved": 15, "hole": 5,
    }  # fmt: skip
    assert widget.summary().splitlines() == [
        "FrameMap of m: 95 frames, 380 KiB", "  free: 50, 52.6 %", "  slab: 30, 31.6 %", "  reserved: 15, 15.8 %",
    ]  # fmt: skip


@given(
    start=st.integers(0, 1 << 30),
    count=st.integers(1, 1 << 28),
    holes=st.lists(st.tuples(st.integers(0, 1 << 28), st.integers(1, 1 << 27)), max_size=3),
)
def test_layout_places_every_frame_once(start: int, count: int, holes: list[tuple[int, int]]) -> None:
    ends = sorted({start + a for pair in holes for a in (pair[0] % count, min(count, pair[0] % count + pair[1]))})
    gaps = list(zip(ends[::2], ends[1::2], strict=False))
    layout = lay_out(start, start + count, gaps)
    assert layout.columns & (layout.columns - 1) == 0
    assert layout.first % (layout.columns * layout.step) == 0
    assert -(-count // layout.step) <= LIMIT
    assert layout.step == 1 or count > LIMIT
    rows = [row for at, _first, number in layout.bands for row in (at, at + number)]
    assert rows == sorted(rows)
    assert all(row <= layout.height for row in rows)
    for pfn in {start, start + count - 1, start + count // 2, *(gap[0] - 1 for gap in gaps if gap[0] > start)}:
        place = layout.place(pfn)
        if place is None:
            assert any(low <= pfn < high for low, high in gaps), "only a hole may be left out"
        else:
            found = layout.pfn(*place)
            assert found is None or found <= pfn < found + layout.step
    assert layout.place(start - 1) is None
    assert layout.place(start + count) is None


def test_a_long_hole_is_shortened_and_a_short_one_is_not() -> None:
    layout = lay_out(0, 1 << 20, [(1 << 18, 1 << 19)])
    assert len(layout.bands) == 2
    assert layout.height < (1 << 20) // layout.columns
    assert layout.place(1 << 18) is None
    assert layout.place(1 << 19) is not None
    assert len(lay_out(0, 1 << 20, [(1 << 18, (1 << 18) + 4096)]).bands) == 1


def test_a_terabyte_is_laid_out_in_aggregates() -> None:
    layout = lay_out(0, 1 << 28)
    assert layout.step == 16
    assert layout.columns * layout.height == LIMIT


def decode(widget: FrameMap) -> dict[tuple[int, int], str]:
    """Read the cells of the fallback picture back."""
    html = widget._repr_mimebundle_()[0]["text/html"]
    svg = ET.fromstring(base64.b64decode(re.search(r"base64,([^\"]+)", html)[1]))
    cells = {}
    for path in svg.iter("{http://www.w3.org/2000/svg}path"):
        kind = path.get("class").removeprefix("kind-")
        by_name = {each.name: each for each in FLAG_KINDS}
        assert path.get("stroke") == by_name[kind].light
        for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)", path.get("d")):
            for i in range(int(length)):
                assert (int(x) + i, int(y)) not in cells
                cells[int(x) + i, int(y)] = kind
    return cells


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3000), st.randoms(use_true_random=False), st.sampled_from([0, 3, 512, 0x1003]))
def test_the_picture_shows_the_snapshot(count: int, rng, start: int) -> None:
    codes = bytes(rng.randrange(6) for _ in range(count))
    widget = FrameMap(snapshot(codes, start=start))
    layout = widget.layout_of_frames
    assert layout.height <= 64
    wide = max(1, layout.columns // 128)
    assert wide == 1, "small enough that each frame is a cell"
    expected = {}
    for i, code in enumerate(codes):
        kind = kind_of_flags(PALETTE[code])
        if kind != "hole":
            expected[layout.place(start + i)] = kind
    assert decode(widget) == expected


def test_a_cell_of_the_picture_has_the_kind_of_most_of_its_frames() -> None:
    codes = bytes((0, 1)[i % 8 == 0] for i in range(1 << 18))
    widget = FrameMap(snapshot(codes))
    assert Counter(decode(widget).values()) == {"free": 128 * 64}
    table = widget.snapshot.frames
    kinds, of_code = kinds_of(table)
    cells = downsample(table, widget.layout_of_frames, of_code, len(kinds) - 1)
    assert (len(cells), len(cells[0])) == (64, 128)


def test_one_wrong_palette_entry_is_seen() -> None:
    codes = bytes(range(6)) * 10
    right = FrameMap(snapshot(codes))
    wrong = FrameMap(snapshot(codes, palette=(*PALETTE[:5], KPF["BUDDY"])))
    assert decode(right) != decode(wrong)


def test_unknown_positions_show_totals_and_no_frame() -> None:
    areas = tuple(FreeArea(order, 10 - order) for order in range(11))
    zone = ZoneInfo(nid=0, name="DMA32", free=1234, free_area=areas, managed=5000)
    widget = FrameMap(Snapshot(name="m", arch="x86_64", kernel=(6, 1), zones=(zone,)))
    assert widget.summary() == "FrameMap of m: positions unknown; 1,234 frames free"
    data = widget.data()
    assert data["known"] is False
    assert data["totals"] == [
        {"node": 0, "zone": "DMA32", "free": 1234, "managed": 5000, "orders": [10 - order for order in range(11)]}
    ]
    assert "kind" not in data
    assert "Positions unknown" in widget.picture()
    assert "<path" not in widget.picture()
    with pytest.raises(ValueError, match="not on this map"):
        widget.go_to(0)


def test_colour_by_another_table() -> None:
    base = snapshot(bytes(64))
    order = FrameTable(0, bytes(i % 3 for i in range(64)), (0, 3, 10), kind="order")
    label = FrameTable(0, bytes(i % 2 for i in range(64)), (0, 1), kind="owner", labels=("<i>a</i>", "b"))
    both = Snapshot(
        name="m", arch="x86_64", kernel=(6, 1), zones=base.zones, frames=base.frames,
        frame_tables={"order": order, "owner": label},
    )  # fmt: skip
    widget = FrameMap(both, color_by="order")
    assert widget.tables == ("flags", "order", "owner")
    assert [kind.label for kind in widget.kinds] == ["order 0", "order 3", "order 10"]
    assert [kind["term"] for kind in widget.data()["kinds"]] == ["order"] * 3
    widget.only = ["order-1"]
    widget.color("owner")
    assert widget.only == [], "a filter is of one legend"
    assert widget.data()["words"] == [["<i>a</i>"], ["b"]]
    assert [kind["term"] for kind in widget.data()["kinds"]] == ["", ""]
    assert "<i>" not in widget.picture()
    assert widget.frame(5).owner == "b"


def test_python_does_what_the_gestures_do() -> None:
    widget = FrameMap(FakeMachine(1 << 16))
    layout = widget.layout_of_frames
    widget.move(5)
    widget.move(-100)
    assert widget.cursor == 0
    widget.move(1 << 20)
    assert widget.cursor == (1 << 16) - 1
    widget.go_to(layout.columns * 3 + 7, scale=30)
    assert widget.camera == [7.5, 3.5, 30.0]
    widget.zoom(0.5)
    widget.pan(1, -2)
    assert widget.camera == [8.5, 1.5, 15.0]
    widget.fit()
    assert widget.camera == []
    widget.zoom(2)
    assert widget.camera == [layout.columns / 2, layout.height / 2, 2.0]
    widget.toggle_kind("slab")
    widget.toggle_kind("free")
    widget.toggle_kind("slab")
    assert widget.only == ["free"]
    widget.show_all()
    assert widget.only == []
    with pytest.raises(ValueError, match="no kind 'slub'"):
        widget.toggle_kind("slub")
    with pytest.raises(ValueError, match="above 0"):
        widget.zoom(0)


def test_save_writes_the_picture(tmp_path: Path) -> None:
    widget = FrameMap(FakeMachine(4096))
    path = widget.save(tmp_path / "map.svg")
    assert path.read_text("utf-8") == widget.picture()
    ET.fromstring(path.read_text("utf-8"))


def test_every_flag_has_its_meaning() -> None:
    terms = FrameMap(FakeMachine(64)).about["terms"]
    assert {name.lower() for name in KPF_NAMES if name} <= set(terms)
    assert {kind.name for kind in FLAG_KINDS} <= set(terms)


def test_beyond_the_limit_a_cell_shows_the_rarest_kind_until_a_part_is_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kmemwidgets.widgets.framemap.layout.lay_out.__kwdefaults__", {"limit": 1024})
    machine = FakeMachine(codes=bytes(5 if i == 4001 else i // 7 % 5 for i in range(5000)))
    widget, line, time = connected(machine)
    layout = widget.layout_of_frames
    assert layout.step == 8
    order = by_rarity(count_codes(bytes(machine.codes)))
    assert order[-1] == 5

    def rarest() -> bytes:
        return bytes(max(machine.codes[at : at + 8], key=order.index) for at in range(0, 5000, 8))

    assert bytes(line.reader.codes) == rarest()
    assert line.reader.codes[4001 // 8] == 5
    assert widget.data()["counts"][5] == 1
    time.pass_by(1)
    machine.put(803, 5, 30)
    assert line.seen[-1] == "delta"
    assert bytes(line.reader.codes) == rarest()
    widget.show_part(2000, 3000)
    assert widget.layout_of_frames.step == 1
    assert bytes(line.reader.codes) == bytes(machine.codes[2000:3000])
    time.pass_by(1)
    machine.put(1990, 4, 20)
    assert bytes(line.reader.codes) == bytes(machine.codes[2000:3000])
    widget.fit()
    order = by_rarity(count_codes(bytes(machine.codes)))
    assert bytes(line.reader.codes) == rarest()
    with pytest.raises(ValueError, match="no frames"):
        widget.show_part(4000, 6000)


def test_what_the_source_calls_its_frames_is_what_the_legend_says() -> None:
    labels = ("free", "in use", "on a per-CPU list", "reserved at boot")
    table = FrameTable(0, bytes([0, 1, 2, 3]), (KPF["BUDDY"], 0, 0, KPF["RESERVED"]), labels=labels)
    widget = FrameMap(Snapshot(name="m", arch="x86_64", kernel=(6, 1), frames=table))
    assert {name for name, number in widget.counts.items() if number} == {"free", "state-1", "state-2", "reserved"}
    assert "  in use: 1, 25.0 %" in widget.summary()
    assert widget.data()["words"] == [["BUDDY"], ["in use"], ["on a per-CPU list"], ["RESERVED"]]
    assert widget.kinds[-1].name == "hole"


def test_a_frame_of_a_snapshot_in_all_its_tables() -> None:
    labels = ("not free", "free, order 2")
    order = FrameTable(0, bytes([0, 1, 1, 1, 1]), (-1, 2), kind="order", labels=labels)
    base = snapshot(bytes([1, 0, 0, 0, 0]))
    frame = FrameMap(replace(base, frame_tables={"order": order})).frame(2)
    assert (frame.pfn, frame.nid, frame.zone, frame.flags) == (2, 0, "Normal", KPF["BUDDY"])
    assert frame.order == 2


@given(
    st.lists(st.tuples(st.integers(0, 11), st.integers(1, 40)), min_size=1, max_size=30),
    st.sampled_from((2, 4, 16)),
)
def test_cells_show_the_rarest_kind_and_counts_are_exact(runs: list[tuple[int, int]], step: int) -> None:
    codes = b"".join(bytes((code,)) * length for code, length in runs)
    counts = count_codes(codes)
    assert counts == {code: codes.count(code) for code in set(codes)}
    order = by_rarity(counts)
    cells = cells_of(codes, step, order)
    assert len(cells) == -(-len(codes) // step)
    for number, shown in enumerate(cells):
        cell = codes[number * step : (number + 1) * step]
        rarest = max(cell, key=order.index)
        # Seven kinds have a bit each; among the more common ones a cell shows its first frame's.
        assert shown == rarest if rarest in order[-7:] else shown in cell
