"""MeminfoPanel in a real JupyterLab: painted, by mouse, by key, in both themes, as Python says it."""

from __future__ import annotations

from ast import literal_eval
from typing import Any

import pytest
from axe_check import serious
from harness import expect, wait_in, wait_theme

PANEL = """
from kmemwidgets.records import *
from kmemwidgets.widgets.meminfopanel import MeminfoPanel
values = {"MemTotal": 1000, "MemFree": 500, "Buffers": 0, "Cached": 200, "Active": 90, "Active(anon)": 60,
          "Active(file)": 30, "AnonPages": 150, "Shmem": 50, "Slab": 30, "SReclaimable": 10, "SUnreclaim": 20,
          "<img src=x onerror=alert(1)>": 7}
w = MeminfoPanel(Snapshot(name="<i>m</i>", arch="x86_64", kernel=(6, 1, 192), meminfo=MemInfo(values)))
w
"""


@pytest.fixture(scope="module")
def shown(lab_session: Any) -> Any:
    book = lab_session.open("meminfopanel.ipynb")
    book.run(PANEL)
    book.panel.locator(".kmem-mi-part").first.wait_for()
    return book


@pytest.fixture
def panel(lab: Any, shown: Any) -> Any:
    shown.execute("w.clear(); w.without_free = False")
    panel = shown.panel.locator(".kmem-meminfopanel").first
    wait_in(panel, "panel => !panel.querySelector('.kmem-mi-row.kmem-on, .kmem-mi-part.kmem-on')")
    wait_in(panel, "panel => panel.querySelector('[data-gesture=used]').ariaPressed === 'false'")
    return panel


def areas(panel: Any) -> dict[str, float]:
    found = panel.locator(".kmem-mi-part").evaluate_all(
        "parts => parts.map(p => { const r = p.querySelector('rect');"
        " return [p.dataset.part, (+r.getAttribute('width') + 2) * (+r.getAttribute('height') + 2)]; })"
    )
    return dict(found)


def test_the_treemap_is_to_scale(lab: Any, shown: Any, panel: Any) -> None:
    seen = areas(panel)
    whole = sum(seen.values())
    for name, kb in literal_eval(shown.python("[(p.name, p.kb) for p in w.parts if p.kb > 0]")):
        assert seen[name] / whole == pytest.approx(kb / 1000, rel=0.02), name


def test_markup_is_text(lab: Any, shown: Any, panel: Any) -> None:
    assert "<i>m</i>" in panel.locator(".kmem-subtitle").inner_text()
    assert panel.locator("img").count() == 0
    panel.locator(".kmem-mi-row", has_text="<img src=x").click()
    shown.wait_python("w.field", "'<img src=x onerror=alert(1)>'")
    expect(panel.locator(".kmem-mi-detail")).to_contain_text("not known here")


def test_clicks_tell_python(lab: Any, shown: Any, panel: Any) -> None:
    panel.locator(".kmem-mi-part[data-part='unaccounted']").click()
    shown.wait_python("w.field", "'unaccounted'")
    panel.locator(".kmem-mi-row[data-field='Slab']").click()
    shown.wait_python("w.field", "'Slab'")
    panel.locator("[data-gesture='used']").click()
    shown.wait_python("w.without_free", "True")
    panel.locator(".kmem-mi-part[data-part=MemFree]").wait_for(state="detached")
    assert sum(areas(panel).values()) > 0
    box = panel.locator(".kmem-mi-search")
    box.fill("anon")
    shown.wait_python("w.search", "'anon'")
    expect(panel.locator(".kmem-mi-row")).to_have_count(int(shown.python("len(w.found())")))
    box.fill("")
    shown.wait_python("w.search", "''")


def test_every_key_tells_python(lab: Any, shown: Any, panel: Any) -> None:
    panel.locator(".kmem-mi-list").focus()
    state = "w.field, w.search, w.without_free"
    for key, value in (
        ("ArrowDown", "('MemTotal', '', False)"), ("j", "('MemFree', '', False)"),
        ("ArrowUp", "('MemTotal', '', False)"),
        ("End", "('<img src=x onerror=alert(1)>', '', False)"), ("k", "('SUnreclaim', '', False)"),
        ("Home", "('MemTotal', '', False)"), ("ArrowRight", "('MemFree', '', False)"),
        ("l", "('AnonPages', '', False)"), ("h", "('MemFree', '', False)"), ("ArrowLeft", "('MemFree', '', False)"),
        ("z", "('MemFree', '', True)"), ("z", "('MemFree', '', False)"), ("/", "('MemFree', '', False)"),
        ("b", "('MemFree', 'b', False)"), ("u", "('MemFree', 'bu', False)"), ("Enter", "('Buffers', 'bu', False)"),
        ("Escape", "('', '', False)"),
    ):  # fmt: skip
        lab.page.keyboard.press(key)
        shown.wait_python(state, value)


def test_what_is_read_is_what_python_says(lab: Any, shown: Any, panel: Any) -> None:
    shown.execute("w.select_field('Active')")
    worked = panel.locator(".kmem-mi-worked")
    worked.wait_for()
    shown.execute("active = next(f for f in w.figures if f.field.name == 'Active')")
    assert worked.text_content() == literal_eval(shown.python("active.worked"))
    assert panel.locator(".kmem-mi-verdict").text_content() == "as printed"
    said = literal_eval(shown.python("f'Active {active.value} kB. {active.field.meaning}'"))
    expect(panel.locator(".kmem-live")).to_have_text(said)
    rows = panel.locator(".kmem-mi-row").evaluate_all(
        "rows => rows.map(r => [r.dataset.field, r.children[1].textContent])"
    )
    assert rows == literal_eval(shown.python("[[f.field.name, f'{f.value:,} {f.field.unit}'] for f in w.figures]"))
    chosen = panel.locator(".kmem-mi-list").get_attribute("aria-activedescendant")
    assert lab.page.evaluate("id => document.getElementById(id).dataset.field", chosen) == "Active"
    told = literal_eval(shown.python("[p['told'] for p in w.data()['parts'] if p['kb']]"))
    assert all(line in panel.locator(".kmem-mi-map").get_attribute("aria-label") for line in told)


def test_dark_follows_the_page(lab: Any, shown: Any, panel: Any) -> None:
    def colors() -> list[str]:
        return panel.locator(".kmem-mi-part").first.evaluate(
            "p => [getComputedStyle(p.querySelector('rect')).fill, getComputedStyle(p.querySelector('text')).fill]"
        )

    light = colors()
    lab.theme("JupyterLab Dark")
    try:
        wait_theme(panel, "dark")
        assert all(a != b for a, b in zip(light, colors(), strict=True))
    finally:
        lab.theme("JupyterLab Light")
        wait_theme(panel, "light")


def test_pasted_text(lab: Any, shown: Any, panel: Any) -> None:
    output = shown.run("MeminfoPanel('MemTotal:  100 kB\\nMemFree:  40 kB\\n')")
    output.locator(".kmem-mi-part[data-part='unaccounted']").wait_for()
    assert set(areas(output)) == {"MemFree", "unaccounted"}


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_axe_finds_nothing_serious(lab: Any, shown: Any, panel: Any, theme: str) -> None:
    shown.execute("w.select_field('Active')")
    panel.locator(".kmem-mi-worked").wait_for()
    lab.theme(f"JupyterLab {theme}")
    try:
        wait_theme(panel, theme.lower())
        panel.locator("[data-gesture='help']").click()
        assert serious(lab.page, panel) == []
    finally:
        lab.page.keyboard.press("Escape")
        lab.theme("JupyterLab Light")
