"""ZoneDiagram in a real JupyterLab: painted, by mouse, by key, in both themes, as Python says it."""

from __future__ import annotations

from ast import literal_eval
from typing import Any

import pytest
from axe_check import serious
from harness import expect, wait_in, wait_theme

MACHINE = """
from dataclasses import replace
from kmemwidgets.records import *
from kmemwidgets.widgets.zonediagram import ZoneDiagram

def zone(nid, name, start, spanned, free, **more):
    marks = dict(min=spanned // 40, low=spanned // 32, high=spanned // 25, boost=0, protection=(0, 0, 900, 900))
    return ZoneInfo(nid, name, start_pfn=start, spanned=spanned, present=spanned, managed=spanned, free=free,
                    pagesets=(PerCpuPages(0, 5, 60, 31),), free_area=(FreeArea(0, 4), FreeArea(1, 3)), **marks, **more)

empty = ZoneInfo(0, "Normal", free=0, min=0, low=0, high=0, spanned=0, present=0, managed=0, protection=(0, 0, 0, 0))
movable = replace(empty, name="Movable")
flags = FrameTable(0, bytes([0] * 4096 + [1] * 12288 + [2] * 16384), (KPF["RESERVED"], KPF["BUDDY"], KPF["SLAB"]))
snap = Snapshot(
    name="<img src=x onerror=alert(1)>", arch="x86_64", kernel=(6, 1, 192), frames=flags,
    zones=(zone(0, "DMA", 0, 4096, 3000), zone(0, "DMA32", 4096, 12288, 8000), empty, movable,
           zone(1, "DMA32", 16384, 16384, 100), replace(empty, nid=1), replace(movable, nid=1)),
    nodes=(NodeInfo(0, (0, 1), (10, 20), fallback=(0, 1)), NodeInfo(1, (2,), (20, 10), fallback=(1, 0))))
chosen = []
w = ZoneDiagram(snap, on_select=chosen.append)
w
"""


@pytest.fixture(scope="module")
def shown(lab_session: Any) -> Any:
    book = lab_session.open("zonediagram.ipynb")
    book.run(MACHINE)
    book.panel.locator(".kmem-zd-svg").wait_for()
    return book


@pytest.fixture
def diagram(lab: Any, shown: Any) -> Any:
    shown.execute("w.clear_selection()")
    diagram = shown.panel.locator(".kmem-zonediagram").first
    wait_in(diagram, "diagram => !diagram.querySelector('.kmem-zd-chip[aria-pressed=true]')")
    return diagram


def test_floors_are_painted_to_scale(lab: Any, shown: Any, diagram: Any) -> None:
    bands = diagram.locator(".kmem-zd-nodeband").evaluate_all("nodes => nodes.map(n => +n.getAttribute('width'))")
    assert bands[0] / bands[1] == pytest.approx(4096 / 12288, rel=0.02)
    assert bands[2] / (bands[0] + bands[1]) == pytest.approx(1, rel=0.02)
    level = diagram.locator(".kmem-zd-svg .kmem-zd-level").nth(1)
    band = diagram.locator(".kmem-zd-zoneband").nth(1)
    share = float(level.get_attribute("height")) / float(band.get_attribute("height"))
    assert share == pytest.approx(8000 / 12288, rel=0.01)
    diagram.locator(".kmem-chart-holder .bqplot rect.bar").nth(2).wait_for(state="attached")


def test_markup_in_a_name_is_text(lab: Any, shown: Any, diagram: Any) -> None:
    assert "<img src=x onerror=alert(1)>" in diagram.locator(".kmem-subtitle").inner_text()
    assert diagram.locator("img").count() == 0


def test_a_click_on_each_floor_tells_python(lab: Any, shown: Any, diagram: Any) -> None:
    diagram.locator(".kmem-zd-chip[data-node='1']").click()
    shown.wait_python("w.focus.place.get('node'), w.focus.zone", "(1, None)")
    diagram.locator(".kmem-zd-chip[data-node='0']").click()
    shown.wait_python("w.focus.node", "0")
    diagram.locator(".kmem-zd-zoneband[data-zone='DMA32']").click(position={"x": 40, "y": 70})
    shown.wait_python("w.focus.zone", "'DMA32'")
    diagram.locator(".kmem-zd-chip[data-zone='Movable']").click()
    shown.wait_python("w.focus.zone", "'Movable'")
    diagram.locator(".kmem-zd-chip[data-zone='DMA32']").click()
    shown.wait_python("w.focus.zone", "'DMA32'")
    diagram.locator(".kmem-zd-hit").click(position={"x": 1, "y": 20})
    shown.wait_python("w.focus.frame", "4096")
    shown.wait_python("chosen[-1] is w.focus", "True")
    for floor, place in (
        ("pages", "(0, 'DMA32', None)"),
        ("zones", "(0, None, None)"),
        ("nodes", "(None, None, None)"),
    ):
        diagram.locator(f".kmem-zd-caption[data-floor='{floor}']").click()
        shown.wait_python("w.focus.node, w.focus.zone, w.focus.frame", place)


def test_every_key_tells_python(lab: Any, shown: Any, diagram: Any) -> None:
    diagram.locator(".kmem-zd-stage").focus()
    place = "w.focus.node, w.focus.zone, w.focus.frame"
    for key, value in (
        ("ArrowDown", "(0, None, None)"), ("ArrowRight", "(1, None, None)"), ("Home", "(0, None, None)"),
        ("Enter", "(0, 'DMA', None)"), ("l", "(0, 'DMA32', None)"), ("End", "(0, 'Movable', None)"),
        ("ArrowLeft", "(0, 'Normal', None)"), ("h", "(0, 'DMA32', None)"), ("j", "(0, 'DMA32', 4096)"),
        ("ArrowRight", "(0, 'DMA32', 4147)"), ("k", "(0, 'DMA32', None)"), ("Escape", "(0, None, None)"),
        ("ArrowUp", "(None, None, None)"),
    ):  # fmt: skip
        lab.page.keyboard.press(key)
        shown.wait_python(place, value)


def test_what_is_read_aloud_is_what_python_says(lab: Any, shown: Any, diagram: Any) -> None:
    shown.execute("w.select_zone(1, 'DMA32')")
    live = diagram.locator(".kmem-live")
    expect(live).to_have_text(literal_eval(shown.python("w.data()['nodes'][1]['zones'][0]['says']")))
    diagram.locator(".kmem-zd-answers").wait_for()
    verdicts = diagram.locator(".kmem-zd-answers tr").evaluate_all(
        "rows => rows.map(r => [r.dataset.gfp, r.querySelector('.kmem-zd-says').textContent])"
    )
    assert verdicts == literal_eval(shown.python("[[a.gfp, a.says] for a in w.answers(1, 'DMA32')]"))
    labels = diagram.locator(".kmem-zd-chip[data-zone='DMA32']").get_attribute("aria-label")
    assert labels == live.inner_text()
    cells = diagram.locator(".kmem-chart-table td").all_text_contents()
    shown.execute("from kmemwidgets.widgets.plots import table")
    assert literal_eval(shown.python("[cell for row in table(w.plot())['rows'] for cell in row[1:]]")) == cells


def test_a_word_is_explained_on_focus(lab: Any, shown: Any, diagram: Any) -> None:
    shown.execute("w.select_zone(0, 'DMA')")
    word = diagram.locator(".kmem-zd-figures [data-term='managed']")
    word.focus()
    expect(diagram.locator(".kmem-tip")).to_have_text(literal_eval(shown.python("w.terms()['managed']")))


def test_dark_follows_the_page(lab: Any, shown: Any, diagram: Any) -> None:
    def color() -> str:
        return diagram.locator(".kmem-zd-ticktext").first.evaluate("e => getComputedStyle(e).fill")

    light = color()
    lab.theme("JupyterLab Dark")
    wait_theme(diagram, "dark")
    try:
        assert color() != light
        label = diagram.locator(".bqplot text.axislabel").first.evaluate("e => getComputedStyle(e).fill")
        assert label != "rgb(255, 165, 0)"
    finally:
        lab.theme("JupyterLab Light")
        wait_theme(diagram, "light")


def test_pasted_zoneinfo_and_a_second_view(lab: Any, shown: Any, diagram: Any) -> None:
    text = (
        "Node 0, zone      DMA\\n  pages free     3840\\n        min      11\\n        low      13\\n"
        "        high     15\\n        spanned  4095\\n        present  3998\\n        managed  3840\\n"
        "        protection: (0, 100)\\n  start_pfn:           1\\n"
    )
    output = shown.run(f"p = ZoneDiagram('''{text}'''); p")
    output.locator(".kmem-zd-zoneband").wait_for()
    assert output.locator(".kmem-zd-unknown").text_content().startswith("Positions unknown")
    output = shown.run("w")
    output.locator(".kmem-zd-chip[data-node='1']").click()
    shown.wait_python("w.focus.node", "1")
    expect(shown.panel.locator(".kmem-zd-chip[data-node='1'][aria-pressed=true]")).to_have_count(2)


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_axe_finds_nothing_serious(lab: Any, shown: Any, diagram: Any, theme: str) -> None:
    shown.execute("w.select_zone(0, 'DMA32')")
    diagram.locator(".kmem-zd-answers").wait_for()
    lab.theme(f"JupyterLab {theme}")
    try:
        wait_theme(diagram, theme.lower())
        diagram.locator("[data-gesture='help']").click()
        assert serious(lab.page, diagram) == []
    finally:
        lab.page.keyboard.press("Escape")
        lab.theme("JupyterLab Light")
