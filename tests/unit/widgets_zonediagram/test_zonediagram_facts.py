"""What ZoneDiagram says of zones, and what Python can do with it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from casefinder import DATA
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.records import KPF, BadInput, FrameTable, FreeArea, NodeInfo, PerCpuPages, Snapshot, ZoneInfo
from kmemwidgets.widgets.zonediagram import ZoneDiagram
from kmemwidgets.widgets.zonediagram.facts import PIECES, answers, diagram, summary_lines, uses, zone_names
from kmemwidgets.widgets.zonediagram.widget import _piece

DMA = ZoneInfo(
    0, "DMA", free=3000, boost=0, min=100, low=125, high=150, spanned=4095, present=3998, managed=3840,
    protection=(0, 500, 2900, 2900), start_pfn=1,
)  # fmt: skip
DMA32 = ZoneInfo(
    0, "DMA32", free=5000, boost=0, min=2000, low=2500, high=3000, spanned=100_000, present=100_000, managed=99_000,
    protection=(0, 0, 600, 600), start_pfn=4096, pagesets=(PerCpuPages(0, 7, 100, 31),),
    free_area=(FreeArea(0, 8), FreeArea(1, 2)),
)  # fmt: skip
NORMAL = ZoneInfo(0, "Normal", free=0, min=0, low=0, high=0, spanned=0, present=0, managed=0, start_pfn=0)
MOVABLE = ZoneInfo(0, "Movable", free=0, min=0, low=0, high=0, spanned=0, present=0, managed=0, start_pfn=0)
SNAP = Snapshot(
    name="a <b>machine</b>", arch="x86_64", kernel=(6, 1, 192), zones=(DMA, DMA32, NORMAL, MOVABLE),
    nodes=(NodeInfo(0, cpus=(0, 1, 2, 5), distance=(10,)),),
)  # fmt: skip
NAMES = ("DMA", "DMA32", "Normal", "Movable")


def verdicts(zone: ZoneInfo) -> dict[str, str]:
    return {each.gfp: each.verdict for each in answers(zone, NAMES)}


def test_a_zone_above_its_marks_gives_pages_to_all_that_may_use_it() -> None:
    assert verdicts(DMA32) == {
        "GFP_DMA": "never", "GFP_DMA32": "yes", "GFP_KERNEL": "yes", "GFP_HIGHUSER_MOVABLE": "yes",
    }  # fmt: skip


def test_lowmem_reserve_keeps_a_zone_for_those_who_need_it() -> None:
    # 3000 > 125 + 0 and > 125 + 500; but 100 + 2900 < 3000 <= 125 + 2900 + 0
    assert verdicts(DMA) == {
        "GFP_DMA": "yes", "GFP_DMA32": "yes", "GFP_KERNEL": "no", "GFP_HIGHUSER_MOVABLE": "no",
    }  # fmt: skip
    assert verdicts(replace(DMA, free=3001))["GFP_KERNEL"] == "reserve"
    assert verdicts(replace(DMA, free=3025))["GFP_KERNEL"] == "reserve"
    assert verdicts(replace(DMA, free=3026))["GFP_KERNEL"] == "yes"


def test_the_arithmetic_is_told_with_its_numbers() -> None:
    kernel = next(each for each in answers(DMA32, NAMES) if each.gfp == "GFP_KERNEL")
    assert kernel.says == "free 5,000 > low 2,500 + protection[Normal] 600 = 3,100, so it may take a page here"
    boosted = next(each for each in answers(replace(DMA32, boost=100), NAMES) if each.gfp == "GFP_KERNEL")
    assert "+ boost 100" in boosted.says
    assert "= 3,200" in boosted.says


@given(st.integers(0, 10_000), st.integers(0, 3000), st.integers(0, 500), st.integers(0, 3000), st.integers(0, 400))
def test_verdicts_follow_the_watermark_test(free: int, least: int, gap: int, kept: int, boost: int) -> None:
    zone = replace(DMA, free=free, min=least, low=least + gap, boost=boost, protection=(0, 0, kept, kept))
    verdict = verdicts(zone)["GFP_KERNEL"]
    assert (verdict == "yes") == (free > least + gap + boost + kept)
    assert (verdict == "no") == (free <= least + boost + kept)


def test_empty_and_unknown_zones() -> None:
    assert set(verdicts(NORMAL).values()) == {"never", "no"}
    assert verdicts(ZoneInfo(0, "Normal", present=5))["GFP_KERNEL"] == "unknown"


def test_zone_names_fill_up_to_the_protection_array() -> None:
    only = (ZoneInfo(0, "DMA", protection=(0, 1, 2, 3)), ZoneInfo(0, "Normal"), ZoneInfo(0, "HighMem"))
    assert zone_names(only) == ("DMA", "Normal", "HighMem", "Movable")


def test_frames_are_counted_in_pieces() -> None:
    table = FrameTable(0, bytes([0] * 10 + [1] * 990), (KPF["BUDDY"], KPF["SLAB"]))
    found = uses(table, 0, 1000)
    assert found is not None
    assert sum(found["free"]) == 10
    assert sum(found["slab"]) == 990
    assert len(found["slab"]) == PIECES
    assert uses(table, 5, 1000) is None
    assert uses(replace(table, kind="order"), 0, 1000) is None


@given(st.binary(min_size=1, max_size=2000))
def test_every_frame_is_counted_once(raw: bytes) -> None:
    codes = bytes(byte % 3 for byte in raw)
    found = uses(FrameTable(0, codes, (KPF["BUDDY"], KPF["SLAB"], KPF["ANON"])), 0, len(codes))
    assert found is not None
    totals = {name: sum(counts) for name, counts in found.items()}
    assert {name: total for name, total in totals.items() if total} == {
        name: codes.count(code) for code, name in enumerate(("free", "slab", "anon")) if code in codes
    }
    assert all(min(counts) >= 0 for counts in found.values())


@given(st.integers(1, 5000), st.data())
def test_a_frame_lies_in_its_piece(spanned: int, data: st.DataObject) -> None:
    zone = ZoneInfo(0, "DMA", start_pfn=7, spanned=spanned)
    offset = data.draw(st.integers(0, spanned - 1))
    pieces = min(PIECES, spanned)
    piece = _piece(zone, 7 + offset)
    assert spanned * piece // pieces <= offset < spanned * (piece + 1) // pieces


def test_summary_and_picture_say_what_is_there() -> None:
    widget = ZoneDiagram(SNAP)
    assert repr(widget).splitlines() == [
        "ZoneDiagram of a <b>machine</b>",
        "  node 0: cpus 0-2,5, 401.7 MiB",
        "    node 0 DMA: 15 MiB managed, 11.7 MiB free (78.1 %), watermarks 100 / 125 / 150 pages",
        "    node 0 DMA32: 386.7 MiB managed, 19.5 MiB free (5.1 %), watermarks 2,000 / 2,500 / 3,000 pages",
        "    node 0 Normal: empty",
        "    node 0 Movable: empty",
    ]
    root = ET.fromstring(widget.picture())
    said = " ".join(text for text in root.itertext())
    assert "a <b>machine</b>" in said
    assert "empty: Normal, Movable" in said
    assert widget.picture() == ZoneDiagram(SNAP).picture()


def test_a_zone_of_an_old_kernel_is_as_large_as_what_is_present() -> None:
    # Linux before 3.10 prints no managed pages: its marks are shares of the present ones.
    text = (DATA / "procfs/zoneinfo-2.6.14-i386.txt").read_text(encoding="utf-8")
    shown = ZoneDiagram(text)
    lines = shown.summary().splitlines()
    assert "node 0: 1014.5 MiB" in lines[1], lines
    assert "16 MiB present" in lines[2]
    zones = diagram(shown.source.snapshot())["nodes"][0]["zones"]
    assert [zone["pages"] for zone in zones] == [4096, 225280, 30342]
    ET.fromstring(shown.picture())


def test_a_node_says_how_far_the_others_are_and_in_which_order_it_asks_them() -> None:
    node = NodeInfo(1, cpus=(4,), distance=(21, 10, 31), fallback=(1, 0, 2))
    assert summary_lines(replace(SNAP, zones=(), nodes=(node,))) == [
        "node 1: cpus 4, size unknown at distances 21, 10, 31; falling back to 0, 2",
    ]


def test_data_is_plain_json_with_all_zones() -> None:
    told = diagram(SNAP)
    assert [zone["name"] for zone in told["nodes"][0]["zones"]] == list(NAMES)
    zone = told["nodes"][0]["zones"][1]
    assert zone["pcp"] == [[0, 7, 100, 31]]
    assert zone["free_area"] == [[0, 8, None], [1, 2, None]]
    assert zone["uses"] is None


def test_walking_the_floors() -> None:
    widget = ZoneDiagram(SNAP)
    widget.down()
    assert (widget.focus.node, widget.focus.zone) == (0, None)
    widget.down()
    assert widget.focus.zone == "DMA"
    widget.across(1)
    assert widget.focus.zone == "DMA32"
    widget.across(99)
    assert widget.focus.zone == "Movable"
    widget.select_zone(0, "DMA32")
    widget.down()
    assert widget.focus.frames == range(4096, 4096 + 100_000 // PIECES)
    widget.across(1)
    assert widget.focus.frame == 4096 + 100_000 // PIECES
    widget.up()
    assert (widget.focus.zone, widget.focus.frame) == ("DMA32", None)
    widget.up()
    widget.up()
    assert widget.focus.place == {}


def test_what_is_not_there_is_refused() -> None:
    widget = ZoneDiagram(SNAP)
    with pytest.raises(ValueError, match="no node 3"):
        widget.select_node(3)
    with pytest.raises(KeyError):
        widget.select_zone(0, "HighMem")
    with pytest.raises(TypeError, match="did you mean 'width'"):
        ZoneDiagram(SNAP, widht=3)
    with pytest.raises(BadInput):
        ZoneDiagram("nonsense")


def test_the_plot_of_marks() -> None:
    plot = ZoneDiagram(SNAP).plot()
    assert plot is not None
    assert plot.x == ("DMA", "DMA32")
    assert [series.values for series in plot.series] == [(100, 2000), (25, 500), (25, 500), (2900, 600)]
    assert ZoneDiagram(replace(SNAP, zones=(NORMAL,))).plot() is None
