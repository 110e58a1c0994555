"""BuddyPanel in a real JupyterLab: painted, allocating and freeing by mouse and by key, as Python says it."""

from __future__ import annotations

import json
from ast import literal_eval
from typing import Any

import pytest
from axe_check import serious
from harness import expect, wait_in, wait_theme

PANEL = """
from kmemwidgets.records import *
from kmemwidgets.sim import Machine
from kmemwidgets.widgets.buddypanel import BuddyPanel
m = Machine.boot(memory="64M", cpus=2)
w = BuddyPanel(m)
w
"""


@pytest.fixture(scope="module")
def shown(lab_session: Any) -> Any:
    book = lab_session.open("buddypanel.ipynb")
    book.run(PANEL)
    book.panel.locator(".kmem-bp-row").first.wait_for()
    return book


@pytest.fixture
def panel(lab: Any, shown: Any) -> Any:
    shown.execute("m.reset(); w.order = 0; w.cpu = 0; w.gfp = 'GFP_KERNEL'; w.time = False; w.show_zone(0, 'DMA32')")
    panel = shown.panel.locator(".kmem-buddypanel").first
    # The start is on the screen, whatever the test before left.
    wait_in(panel, "panel => !panel.querySelector('.kmem-bp-mine')")
    wait_in(panel, "panel => panel.querySelector('[data-select=cpu]').value === '0'")
    wait_drawn(shown, panel)
    return panel


#: Order, migrate type and pfns of each list as they stand on the page, as JSON.
DRAWN = """(panel, wanted) => JSON.stringify([...panel.querySelectorAll('.kmem-bp-list')].map(list => [
    +list.closest('.kmem-bp-row').dataset.row, list.dataset.type,
    [...list.querySelectorAll('.kmem-bp-block')].map(block => +block.dataset.pfn)])) === wanted"""


def wait_drawn(shown: Any, panel: Any) -> None:
    """Wait until the page shows the lists that Python has."""
    lists = literal_eval(shown.python("[[r['order'], t, p] for r in w.data()['rows'] for t, n, p in r['lists']]"))
    assert lists
    wait_in(panel, DRAWN, json.dumps(lists, separators=(",", ":")))


def test_the_lists_are_drawn_in_their_order(lab: Any, shown: Any, panel: Any) -> None:
    shown.execute("for _ in range(3): m.alloc_pages('GFP_KERNEL', 2)")
    wait_drawn(shown, panel)


def test_allocate_and_free_by_mouse(lab: Any, shown: Any, panel: Any) -> None:
    panel.locator(".kmem-bp-row[data-row='4'] .kmem-bp-order").click()
    shown.wait_python("w.order", "4")
    panel.locator("[data-select='gfp']").select_option("GFP_HIGHUSER_MOVABLE")
    shown.wait_python("w.gfp", "'GFP_HIGHUSER_MOVABLE'")
    panel.locator("[data-select='cpu']").select_option("1")
    shown.wait_python("w.cpu", "1")
    panel.locator("[data-gesture='allocate']").click()
    panel.locator(".kmem-bp-mine").first.wait_for()
    shown.wait_python("[b[1:] for b in w.held]", "[[4, 'GFP_HIGHUSER_MOVABLE']]")
    assert literal_eval(shown.python("m.frame(w.chosen).order")) == 4
    panel.locator("[data-gesture='allocate']").click()
    shown.wait_python("len(w.held)", "2")
    panel.locator(".kmem-bp-mine").first.click()
    shown.wait_python("w.chosen == w.held[0][0]", "True")
    panel.locator("[data-gesture='free']").click()
    shown.wait_python("len(w.held)", "1")
    panel.locator("[data-gesture='undo']").click()
    shown.wait_python("len(w.held), m.now", "(2, 2)")
    panel.locator("[data-gesture='reset']").click()
    shown.wait_python("len(w.held), m.now", "(0, 0)")


def test_every_key_tells_python(lab: Any, shown: Any, panel: Any) -> None:
    panel.locator(".kmem-bp-lists").focus()
    state = "w.order, w.gfp, w.cpu, len(w.held), w.time, w.zone.name"
    for key, value in (
        ("Home", "(10, 'GFP_KERNEL', 0, 0, False, 'DMA32')"),
        ("End", "(0, 'GFP_KERNEL', 0, 0, False, 'DMA32')"),
        ("ArrowUp", "(1, 'GFP_KERNEL', 0, 0, False, 'DMA32')"),
        ("k", "(2, 'GFP_KERNEL', 0, 0, False, 'DMA32')"),
        ("ArrowDown", "(1, 'GFP_KERNEL', 0, 0, False, 'DMA32')"),
        ("a", "(1, 'GFP_KERNEL', 0, 1, False, 'DMA32')"),
        ("g", "(1, 'GFP_HIGHUSER_MOVABLE', 0, 1, False, 'DMA32')"),
        ("c", "(1, 'GFP_HIGHUSER_MOVABLE', 1, 1, False, 'DMA32')"),
        ("Enter", "(1, 'GFP_HIGHUSER_MOVABLE', 1, 2, False, 'DMA32')"),
        ("f", "(1, 'GFP_HIGHUSER_MOVABLE', 1, 1, False, 'DMA32')"),
        ("u", "(1, 'GFP_HIGHUSER_MOVABLE', 1, 2, False, 'DMA32')"),
        ("t", "(1, 'GFP_HIGHUSER_MOVABLE', 1, 2, True, 'DMA32')"),
        ("t", "(1, 'GFP_HIGHUSER_MOVABLE', 1, 2, False, 'DMA32')"),
        ("z", "(1, 'GFP_HIGHUSER_MOVABLE', 1, 2, False, 'DMA')"),
        ("r", "(1, 'GFP_HIGHUSER_MOVABLE', 1, 0, False, 'DMA')"),
    ):
        lab.page.keyboard.press(key)
        shown.wait_python(state, value)
    shown.execute("w.show_zone(0, 'DMA32'); w.allocate(1); w.allocate(2)")
    shown.wait_python("w.chosen == w.held[1][0]", "True")
    lab.page.keyboard.press("ArrowLeft")
    shown.wait_python("w.chosen == w.held[0][0]", "True")
    lab.page.keyboard.press("ArrowRight")
    shown.wait_python("w.chosen == w.held[1][0]", "True")


def test_a_split_flies_unless_less_motion_is_wanted(lab: Any, shown: Any, panel: Any) -> None:
    count = "panel => panel.querySelectorAll('.kmem-bp-block').length"
    lab.page.evaluate(
        "() => { window.flights = 0; const fly = Element.prototype.animate;"
        " Element.prototype.animate = function (...a) { window.flights += 1; return fly.apply(this, a); }; }"
    )
    before = panel.evaluate(count)
    shown.execute("w.allocate(5)")
    wait_in(panel, f"(panel, n) => ({count})(panel) !== n && window.flights > 3", before)
    lab.page.emulate_media(reduced_motion="reduce")
    try:
        lab.page.evaluate("() => { window.flights = 0; }")
        before = panel.evaluate(count)
        shown.execute("w.free()")
        wait_in(panel, f"(panel, n) => ({count})(panel) !== n", before)
        assert lab.page.evaluate("() => window.flights") == 0
    finally:
        lab.page.emulate_media(reduced_motion="no-preference")


def test_what_is_read_is_what_python_says(lab: Any, shown: Any, panel: Any) -> None:
    rows = panel.locator(".kmem-bp-row").evaluate_all("rows => rows.map(r => r.getAttribute('aria-label'))")
    assert rows == literal_eval(shown.python("[row['says'] for row in w.data()['rows']]"))
    shown.execute("w.allocate(3)")
    expect(panel.locator(".kmem-said")).to_have_text(literal_eval(shown.python("w.said")))
    shown.execute("from kmemwidgets.widgets.plots import table")
    wanted = literal_eval(shown.python("[cell for row in table(w.plot())['rows'] for cell in row[1:]]"))
    cells = "[...panel.querySelectorAll('.kmem-chart-table td')].map(cell => cell.textContent)"
    wait_in(panel, f"(panel, wanted) => JSON.stringify({cells}) === JSON.stringify(wanted)", wanted)


def test_a_recording_can_only_be_looked_at(lab: Any, shown: Any, panel: Any) -> None:
    output = shown.run(
        "areas = (FreeArea(0, 2, {'Movable': 2}, {'Movable': (4, 2)}),)\n"
        "zone = ZoneInfo(0, '<b>Z</b>', free=2, present=9, managed=9, free_area=areas)\n"
        "p = BuddyPanel(Snapshot(name='<img src=x onerror=alert(1)>', arch='x86_64', kernel=(6, 1), zones=(zone,))); p"
    )
    output.locator(".kmem-bp-block").first.wait_for()
    assert output.locator("img, b:text('Z')").count() == 0
    assert "<img src=x onerror=alert(1)>" in output.locator(".kmem-subtitle").inner_text()
    button = output.locator("[data-gesture='allocate']")
    assert button.get_attribute("aria-disabled") == "true"
    assert "only looked at" in button.get_attribute("aria-label")
    output.locator(".kmem-bp-lists").focus()
    lab.page.keyboard.press("a")
    assert "only looked at" in output.locator(".kmem-live").inner_text()
    output.locator(".kmem-bp-block").first.click()
    shown.wait_python("p.focus.frame", "4")


def test_dark_follows_the_page(lab: Any, shown: Any, panel: Any) -> None:
    def color() -> str:
        return panel.locator(".kmem-bp-block").first.evaluate("e => getComputedStyle(e).borderTopColor")

    light = color()
    lab.theme("JupyterLab Dark")
    try:
        wait_theme(panel, "dark")
        assert color() != light
    finally:
        lab.theme("JupyterLab Light")
        wait_theme(panel, "light")


def test_why_here_is_told_in_sentences(lab: Any, shown: Any, panel: Any) -> None:
    shown.execute("w.allocate(3)")
    panel.locator("[data-gesture='why']").click()
    panel.locator(".kmem-said p", has_text="so it got pfn").wait_for()
    told = panel.locator(".kmem-said p").all_text_contents()
    assert told == literal_eval(shown.python("list(m.verbs['why']())"))
    shown.execute("w.allocate(0)")
    shown.wait_python("'asks for' in w.said", "False")
    panel.locator(".kmem-bp-lists").focus()
    lab.page.keyboard.press("w")
    shown.wait_python("w.said.splitlines() == list(m.verbs['why']())", "True")


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_axe_finds_nothing_serious(lab: Any, shown: Any, panel: Any, theme: str) -> None:
    shown.execute("w.allocate(3)")
    panel.locator(".kmem-bp-mine").wait_for()
    lab.theme(f"JupyterLab {theme}")
    try:
        wait_theme(panel, theme.lower())
        panel.locator("[data-gesture='help']").click()
        assert serious(lab.page, panel) == []
    finally:
        lab.page.keyboard.press("Escape")
        lab.theme("JupyterLab Light")
