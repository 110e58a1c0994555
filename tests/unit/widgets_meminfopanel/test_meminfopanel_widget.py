"""MeminfoPanel from Python: what it says, draws and does; the treemap is to scale."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.records import BadInput, MemInfo, Snapshot
from kmemwidgets.widgets.meminfopanel import MeminfoPanel
from kmemwidgets.widgets.meminfopanel.treemap import squarify

SVG = "{http://www.w3.org/2000/svg}"
VALUES = {
    "MemTotal": 1000, "MemFree": 500, "Buffers": 0, "Cached": 200, "Active": 90, "Active(anon)": 60, "Active(file)": 30,
    "AnonPages": 150, "Shmem": 50, "Slab": 30, "SReclaimable": 10, "SUnreclaim": 20,
}  # fmt: skip


def panel(**values: int) -> MeminfoPanel:
    info = MemInfo({**VALUES, **values})
    return MeminfoPanel(Snapshot(name="<b>m</b>", arch="x86_64", kernel=(6, 1, 192), meminfo=info))


@given(st.lists(st.integers(0, 10**9), max_size=30), st.floats(0.5, 4))
def test_boxes_are_to_scale_and_fill_the_picture(sizes: list[int], aspect: float) -> None:
    boxes = squarify(sizes, aspect)
    whole = sum(sizes)
    for size, (x, y, w, h) in zip(sizes, boxes, strict=True):
        if whole:
            assert w * h == pytest.approx(size / whole, abs=1e-9)
        assert -1e-9 <= x <= x + w <= 1 + 1e-9
        assert -1e-9 <= y <= y + h <= 1 + 1e-9


def test_boxes_do_not_overlap() -> None:
    boxes = [box for box in squarify([50, 30, 10, 5, 3, 2, 0]) if box[2]]
    for i, (x, y, w, h) in enumerate(boxes):
        for u, v, s, t in boxes[:i]:
            apart = x >= u + s - 1e-9 or u >= x + w - 1e-9 or y >= v + t - 1e-9 or v >= y + h - 1e-9
            assert apart


def test_summary_says_parts_and_the_chosen_field() -> None:
    widget = panel()
    widget.select_field("Active")
    assert repr(widget).splitlines() == [
        "MeminfoPanel of <b>m</b>: MemTotal 1,000 kB",
        "  MemFree: 500 kB, 50.0 %",
        "  AnonPages: 150 kB, 15.0 %",
        "  files: 150 kB, 15.0 %",
        "  Shmem: 50 kB, 5.0 %",
        "  SReclaimable: 10 kB, 1.0 %",
        "  SUnreclaim: 20 kB, 2.0 %",
        "  unaccounted: 120 kB, 12.0 %",
        "  Active 90 kB: Pages used lately: the active lists.",
        "    Active(anon) + Active(file) (fs/proc/meminfo.c: meminfo_proc_show)",
        "    Active(anon) 60 kB + Active(file) 30 kB = 90 kB, as printed",
    ]


def test_the_picture_has_the_same_areas() -> None:
    root = ET.fromstring(panel().picture())
    rects = [rect for rect in root.iter(f"{SVG}rect") if rect.get("stroke")]
    areas = sorted(float(rect.get("width", 0)) * float(rect.get("height", 0)) for rect in rects)
    whole = sum(areas)
    assert [round(1000 * area / whole) for area in areas] == [10, 20, 50, 120, 150, 150, 500]
    hatched = [rect for rect in rects if rect.get("fill") == "url(#hatch)"]
    assert len(hatched) == 1
    assert "<b>m</b>" in "".join(root.itertext())


def test_counted_too_much_is_said_in_the_picture() -> None:
    assert "more than MemTotal" in panel(AnonPages=900).picture()


def test_a_figure_that_does_not_agree_is_marked() -> None:
    rows = {row["name"]: row for row in panel(Active=91).data()["fields"]}
    assert not rows["Active"]["agrees"]
    assert "printed: 91 kB" in rows["Active"]["verdict"]
    assert rows["Slab"]["agrees"]


def test_moving_and_searching() -> None:
    widget = panel()
    widget.step(1)
    assert widget.field == "MemTotal"
    widget.step(1)
    assert widget.field == "MemFree"
    widget.step(99)
    assert widget.field == "SUnreclaim"
    widget.search_for("ANON")
    assert [figure.field.name for figure in widget.found()] == ["Active(anon)", "AnonPages"]
    widget.step(1)
    assert widget.field == "Active(anon)"
    widget.clear()
    assert (widget.field, widget.search) == ("", "")
    widget.step_part(1)
    assert widget.field == "MemFree"
    widget.toggle_free()
    widget.step_part(1)
    assert widget.field == "AnonPages"
    widget.search_for("no such thing")
    widget.step(1)
    assert widget.field == "AnonPages"


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no field 'Magic'"):
        panel().select_field("Magic")
    with pytest.raises(BadInput, match="has no meminfo"):
        MeminfoPanel(Snapshot(name="x", arch="x86_64", kernel=(6, 1)))
    with pytest.raises(BadInput):
        MeminfoPanel("MemTotal: nonsense\n")


def test_pasted_text() -> None:
    widget = MeminfoPanel("MemTotal:         100 kB\nMemFree:           40 kB\n", field="MemFree")
    assert widget.parts[-1].kb == 60
    assert "MemFree 40 kB" in repr(widget)
