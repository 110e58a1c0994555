"""Timeline in a real JupyterLab: played, stepped and scrubbed; what is linked follows."""

from __future__ import annotations

import json
from ast import literal_eval
from typing import Any

import pytest
from axe_check import serious
from harness import box_of, expect, wait_in, wait_theme

LINE = """
from IPython.display import display
from kmemwidgets.records import *
from kmemwidgets.sim import Machine
from kmemwidgets.widgets import FrameMap, link
from kmemwidgets.widgets.timeline import Timeline
table = FrameTable(0, bytes(4096), (KPF["BUDDY"],))
zone = ZoneInfo(0, "Normal", spanned=4096, present=4096, managed=4096, start_pfn=0)
snap = Snapshot(name="<img src=x onerror=alert(1)>", arch="x86_64", kernel=(6, 1, 192), zones=(zone,), frames=table)
events = [TraceEvent(i, "kmem", ("mm_page_alloc", "mm_page_free")[i % 3 == 2],
                     {"page": 1, "pfn": i * 7 % 4096, "order": 0}, time_ns=i * 1000, pid=1,
                     comm="<b>task</b>") for i in range(100_000)]
w = Timeline(snap, trace=events)
f = FrameMap(w.source, height=200)
link(w, f)
display(w)
display(f)
"""


@pytest.fixture(scope="module")
def shown(lab_session: Any) -> Any:
    book = lab_session.open("timeline.ipynb")
    book.run(LINE)
    book.panel.locator(".kmem-tl-line").first.wait_for()
    return book


@pytest.fixture
def line(lab: Any, shown: Any) -> Any:
    shown.execute("w.pause(); w.speed = 16; w.go_to(0)")
    line = shown.panel.locator(".kmem-timeline").first
    expect(line.locator(".kmem-tl-scrub")).to_have_value("0")
    return line


def test_buttons_lines_and_scrubber_tell_python(lab: Any, shown: Any, line: Any) -> None:
    for gesture, position in (("next", 1), ("last", 100_000), ("previous", 99_999), ("first", 0)):
        line.locator(f"[data-gesture='{gesture}']").click()
        shown.wait_python("w.position, w.source.now", f"({position}, {position})")
    line.locator(".kmem-tl-line[data-number='5']").click()
    shown.wait_python("w.source.now", "5")
    box = box_of(line.locator(".kmem-tl-scrub"))
    lab.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    wait_in(line.locator(".kmem-tl-scrub"), "scrub => +scrub.value > 49000")
    shown.wait_python("45_000 < w.source.now < 55_000", "True")
    line.locator(".kmem-tl-speed").select_option("256")
    shown.wait_python("w.speed", "256")


def test_every_key_tells_python(lab: Any, shown: Any, line: Any) -> None:
    line.locator(".kmem-tl-lines").focus()
    for key, value in (
        ("ArrowRight", "(1, 16, False)"), ("l", "(2, 16, False)"), ("ArrowLeft", "(1, 16, False)"),
        ("n", "(2, 16, False)"), ("n", "(4, 16, False)"), ("h", "(3, 16, False)"), ("n", "(6, 16, False)"),
        ("PageDown", "(106, 16, False)"), ("PageUp", "(6, 16, False)"), ("End", "(100000, 16, False)"),
        ("Home", "(0, 16, False)"), ("+", "(0, 64, False)"), ("-", "(0, 16, False)"), ("=", "(0, 64, False)"),
    ):  # fmt: skip
        lab.page.keyboard.press(key)
        shown.wait_python("w.position, w.speed, w.playing", value)
    lab.page.keyboard.press("p")
    shown.wait_python("w.playing", "True")
    lab.page.keyboard.press(" ")
    shown.wait_python("w.playing", "False")
    line.locator(".kmem-tl-scrub").focus()
    before = int(shown.python("w.position"))
    lab.page.keyboard.press("ArrowRight")
    shown.wait_python("w.position", str(before + 1))
    lab.page.keyboard.press("PageDown")
    shown.wait_python("w.position", str(before + 101))


def test_it_plays_and_stops_at_the_end(lab: Any, shown: Any, line: Any) -> None:
    shown.execute("w.go_to(99_900); w.speed = 1024")
    line.locator("[data-gesture='play']").click()
    shown.wait_python("w.source.now, w.playing", "(100000, False)")
    expect(line.locator("[data-gesture='play']")).to_have_attribute("aria-label", "Play")


def test_what_is_linked_follows(lab: Any, shown: Any, line: Any) -> None:
    shown.execute("w.go_to(4)")
    shown.wait_python("f.focus.frame, f.focus.event", "(21, 4)")
    # Of four events one frees again: the map counts three frames in use, then after the next one four.
    taken = shown.panel.locator(".kmem-framemap [data-kind=kernel] .kmem-framemap-number")
    expect(taken).to_have_text("3")
    shown.execute("w.step()")
    expect(taken).to_have_text("4")
    shown.execute("f.focus.at(event=50_000)")
    shown.wait_python("w.source.now", "50000")
    expect(line.locator(".kmem-tl-scrub")).to_have_value("50000")


def test_what_is_read_is_what_python_says(lab: Any, shown: Any, line: Any) -> None:
    shown.execute("w.go_to(42)")
    expect(line.locator(".kmem-live")).to_have_text("42: " + literal_eval(shown.python("w.line(42)")))
    chosen = line.locator(".kmem-tl-line[aria-selected='true'] .kmem-tl-words")
    expect(chosen).to_have_text(literal_eval(shown.python("w.line(42)")))
    expect(chosen).to_contain_text("<b>task</b>")
    assert line.locator(".kmem-tl-scrub").get_attribute("aria-valuetext") == "42 of 100,000"
    assert "<img src=x onerror=alert(1)>" in line.locator(".kmem-subtitle").inner_text()
    assert line.locator("img").count() == 0
    kinds = line.locator(".kmem-chart-key").all_inner_texts()
    assert kinds == literal_eval(shown.python("[k[0] for k in w.data()['kinds']]"))
    bars = line.locator(".kmem-tl-picture path").evaluate_all("p => p.map(e => e.dataset.kind)")
    assert bars == kinds


def test_a_recorded_trace_has_lists_and_answers(lab: Any, shown: Any) -> None:
    output = shown.run(
        "from kmemwidgets import BuddyPanel, Capture, link\n"
        "t = Timeline(Capture.bundled('amd64-512m'), trace='t_quiet'); b = BuddyPanel(t.source)\n"
        "link(t, b); display(t); display(b)"
    )
    line, panel = output.locator(".kmem-timeline"), output.locator(".kmem-buddypanel")
    line.locator("[data-number='12']").click()
    shown.wait_python("t.position", "12")
    line.locator("[data-gesture='why']").click()
    said = line.locator(".kmem-said p")
    expect(said.last).to_have_text("the recorded kernel gave cpu 0 the same frame")
    assert said.all_text_contents() == literal_eval(shown.python("list(t.source.why(12))"))
    # Press in the picture, and drag on.
    box = box_of(line.locator(".kmem-tl-picture"))
    lab.page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    lab.page.mouse.up()
    shown.wait_python("abs(2 * t.position - t.length) < t.length // 50", "True")
    rows = json.dumps(literal_eval(shown.python("[row['says'] for row in b.data()['rows']]")))
    wait_in(
        panel,
        """(panel, rows) => JSON.stringify([...panel.querySelectorAll('.kmem-bp-row')]
        .map(row => row.getAttribute('aria-label'))) === JSON.stringify(JSON.parse(rows))""",
        rows,
    )
    shown.execute("t.close(); b.close()")


def test_a_run_is_played_and_two_views_agree(lab: Any, shown: Any, line: Any) -> None:
    output = shown.run(
        "m = Machine.boot(memory='64M', cpus=1)\n"
        "pages = [m.alloc_pages('GFP_KERNEL', i % 4) for i in range(50)]\n"
        "r = Timeline(m); display(r); display(r)"
    )
    views = output.locator(".kmem-timeline")
    views.nth(1).locator(".kmem-tl-line").first.wait_for()
    views.nth(0).locator("[data-gesture='first']").click()
    shown.wait_python("m.now", "0")
    for i in range(2):
        expect(views.nth(i).locator(".kmem-tl-scrub")).to_have_value("0")
    views.nth(1).locator("[data-gesture='last']").click()
    shown.wait_python("m.now", "50")
    shown.execute("m.goto(20)")
    shown.wait_python("r.position", "20")
    views.nth(0).locator("[data-gesture='why']").click()
    views.nth(1).locator(".kmem-said p", has_text="so it got pfn").wait_for()
    told = views.nth(1).locator(".kmem-said p").all_text_contents()
    assert told == literal_eval(shown.python("list(m.verbs['why'](20))"))
    views.nth(0).locator(".kmem-tl-lines").focus()
    lab.page.keyboard.press("ArrowLeft")
    shown.wait_python("r.said", "''")
    lab.page.keyboard.press("w")
    shown.wait_python("r.said.splitlines() == list(m.verbs['why'](19))", "True")
    shown.execute("m.goto(20)")
    shown.wait_python("r.position", "20")
    shown.execute("m.alloc_pages('GFP_ATOMIC'); r.send_changes()")
    shown.wait_python("r.length, r.position", "(21, 21)")


def test_dark_follows_the_page(lab: Any, shown: Any, line: Any) -> None:
    def color() -> str:
        return line.locator(".kmem-tl-words").first.evaluate("e => getComputedStyle(e).color")

    light = color()
    lab.theme("JupyterLab Dark")
    try:
        wait_theme(line, "dark")
        assert color() != light
    finally:
        lab.theme("JupyterLab Light")
        wait_theme(line, "light")


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_axe_finds_nothing_serious(lab: Any, shown: Any, line: Any, theme: str) -> None:
    shown.execute("w.go_to(42)")
    line.locator(".kmem-tl-line.kmem-on").wait_for()
    lab.theme(f"JupyterLab {theme}")
    try:
        wait_theme(line, theme.lower())
        line.locator("[data-gesture='help']").click()
        assert serious(lab.page, line) == []
    finally:
        lab.page.keyboard.press("Escape")
        lab.theme("JupyterLab Light")
