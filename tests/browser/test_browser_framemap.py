"""FrameMap in a real JupyterLab: by mouse and by key, in every situation of a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_check import serious
from harness import Notebook, Watch, box_of, expect, notebook, until, wait_in

from kmemwidgets.widgets.framemap.kinds import FLAG_KINDS
from kmemwidgets.widgets.framemap.layout import lay_out
from kmemwidgets.widgets.framemap.widget import FrameMap

HELPERS = Path(__file__).parents[1] / "unit" / "widgets"

FRAMES = 8192
GUTTER = 84

#: Blocks of 256 frames: free, slab, reserved, hole, anonymous, page tables, over and over.
BLOCK = 256
NAMES = ["free", "slab", "reserved", "hole", "anon", "pgtable"]

SETUP = f"""
import sys; sys.path.insert(0, {str(HELPERS)!r})
from fake_machine import FakeMachine
from kmemwidgets.widgets import FrameMap, link
codes = b"".join(bytes([i % 6]) * {BLOCK} for i in range({FRAMES // BLOCK}))
m = FakeMachine(codes=codes, name="<b>box</b> & co")
heard = []
w = FrameMap(m, on_select=lambda focus: heard.append(focus.frame))
"""

LAYOUT = lay_out(0, FRAMES)


def kind_at(pfn: int) -> str:
    return NAMES[pfn // BLOCK % 6]


def color_of(kind: str, theme: str = "light") -> list[int]:
    found = next(getattr(each, theme) for each in FLAG_KINDS if each.name == kind)
    return [int(found[i : i + 2], 16) for i in (1, 3, 5)]


class View:
    """A FrameMap on the page."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.page = root.page
        root.wait_for()
        self.painted()

    def painted(self) -> None:
        self.root.and_(self.page.locator("[data-painted][data-counted]")).wait_for()

    @property
    def host(self) -> Any:
        return self.root.locator(".kmem-framemap-host")

    @property
    def said(self) -> Any:
        return self.root.locator(".kmem-live")

    def point(self, pfn: int, box: dict[str, float] | None = None) -> tuple[float, float]:
        """Return where a frame is on the page while the whole map is shown."""
        box = box or box_of(self.host)
        column, row = LAYOUT.place(pfn)
        scale = min((box["width"] - GUTTER) / LAYOUT.columns, box["height"] / LAYOUT.height)
        left = GUTTER + (box["width"] - GUTTER - LAYOUT.columns * scale) / 2
        top = (box["height"] - LAYOUT.height * scale) / 2
        return box["x"] + left + (column + 0.5) * scale, box["y"] + top + (row + 0.5) * scale

    def pixel(self, pfn: int) -> list[int]:
        """Return the colour painted at a frame while the whole map is shown."""
        x, y = self.point(pfn, self.host.bounding_box())
        return self.host.evaluate(
            """(host, [x, y]) => {
                const canvas = host.querySelector("canvas");
                const box = canvas.getBoundingClientRect();
                const ratio = canvas.width / box.width;
                const context = canvas.getContext("2d");
                return [...context.getImageData((x - box.left) * ratio, (y - box.top) * ratio, 1, 1).data].slice(0, 3);
            }""",
            [x, y],
        )

    def wait_pixel(self, pfn: int, color: list[int]) -> None:
        """Wait for a colour, frame by frame of the screen."""
        self.host.scroll_into_view_if_needed()
        until(self.page, lambda: self.pixel(pfn), color, f"frame {pfn}")

    def key(self, *keys: str) -> None:
        self.host.focus()
        for key in keys:
            self.page.keyboard.press(key)


@pytest.fixture(scope="module")
def book(lab_session: Any) -> Iterator[Any]:
    return lab_session.open("framemap.ipynb", "")


@pytest.fixture
def shown(lab: Any, book: Any) -> Iterator[View]:
    """A fresh machine, and a fresh widget in a cell of its own."""
    lab.page.evaluate("() => { jupyterapp.shell.activateById(jupyterapp.shell.currentWidget.id) }")
    book.execute(SETUP)
    output = book.run("w")
    view = View(output.locator(".kmem-framemap"))
    view.root.scroll_into_view_if_needed()
    yield view
    book.execute("w.close()")
    lab.page.evaluate(
        """() => {
            const shared = jupyterapp.shell.currentWidget.content.model.sharedModel;
            while (shared.cells.length > 1) shared.deleteCell(shared.cells.length - 1);
        }"""
    )


def test_every_colour_and_number_is_python_s(shown: View, book: Any) -> None:
    for kind in NAMES:
        pfn = NAMES.index(kind) * BLOCK + 17
        shown.wait_pixel(pfn, color_of(kind))
    counts = json.loads(book.python("__import__('json').dumps(w.counts)").strip("'"))
    for name, number in counts.items():
        row = shown.root.locator(f"[data-kind={name}]")
        if number and name != "hole":
            expect(row.locator(".kmem-framemap-number")).to_have_text(f"{number:,}")
        else:
            assert row.is_hidden()
    real = sum(number for name, number in counts.items() if name != "hole")
    assert f" {real:,} frames " in shown.root.locator(".kmem-subtitle").inner_text()
    assert shown.root.locator("[data-zone='0/Normal']").inner_text().split("\n")[0] == "node 0 Normal"


def test_the_frame_in_words(shown: View, book: Any) -> None:
    shown.key("Home")
    expect(shown.said).to_have_text("frame 0x0, address 0x0, node 0 Normal, free, BUDDY")
    shown.key("n")
    expect(shown.said).to_have_text("frame 0x100, address 0x100000, node 0 Normal, slab, SLAB")
    chip = shown.root.locator(".kmem-framemap-detail span")
    expect(chip).to_have_text("SLAB")
    chip.focus()
    expect(shown.root.locator(".kmem-tip")).to_contain_text("SLAB: ")
    shown.page.keyboard.press("Escape")
    assert shown.root.locator(".kmem-tip").is_hidden()


def test_markup_in_a_name_is_text(shown: View) -> None:
    assert "<b>box</b> & co" in shown.root.locator(".kmem-subtitle").inner_text()
    assert shown.root.locator("b").count() == 0


#: Gesture -> keys before it, a Python expression, and its value after the gesture's first key.
BY_KEY: dict[str, tuple[list[str], str, str]] = {
    "left": (["Home", "l", "l"], "w.cursor", "1"),
    "right": (["Home"], "w.cursor", "1"),
    "up": (["Home", "j", "j"], "w.cursor", str(LAYOUT.columns)),
    "down": (["Home"], "w.cursor", str(LAYOUT.columns)),
    "page_up": (["+", "+", "End"], f"w.cursor < {FRAMES - 2 * LAYOUT.columns}", "True"),
    "page_down": (["+", "+", "Home"], f"w.cursor > {2 * LAYOUT.columns}", "True"),
    "home": (["End"], "w.cursor", "0"),
    "end": ([], "w.cursor", str(FRAMES - 1)),
    "next_kind": (["Home", "n"], "w.cursor", str(2 * BLOCK)),
    "zoom_in": ([], "len(w.camera)", "3"),
    "zoom_out": (["+"], "w.camera", "[]"),
    "fit": (["+", "+", "+"], "w.camera", "[]"),
    "part": (["+", "+", "Home"], "w.part[:1], w.part[1:] < [8192]", "([0], True)"),
    "select": (["Home", "l"], "(w.focus.frame, w.focus.zone, heard)", "(1, 'Normal', [1])"),
    "clear": (["Home", "Enter"], "w.focus", "Focus()"),
    "filter": (["Home", "n"], "w.only", "['slab']"),
    "all": (["Home", "f"], "w.only", "[]"),
    "undo": ([], "len(m.history)", "2"),
}

#: Gestures that only concern the screen, or that are off here; they have tests of their own.
BY_KEY_ELSEWHERE = {"color", "png", "svg", "help", "reset", "why"}


def test_every_gesture_has_a_test() -> None:
    assert set(BY_KEY) | BY_KEY_ELSEWHERE == {gesture.name for gesture in FrameMap.GESTURES}


def test_every_key_reaches_python(shown: View, book: Any) -> None:
    for gesture in FrameMap.GESTURES:
        if gesture.name not in BY_KEY:
            continue
        before, expression, value = BY_KEY[gesture.name]
        for key in gesture.keys:
            shown.key("0", "a", "Escape")
            book.wait_python("(w.camera, w.part, w.only, w.focus)", "([], [], [], Focus())")
            book.execute("heard.clear(); m.history.clear(); m.put(0, 0)")
            shown.key(*before, key)
            try:
                book.wait_python(expression, value)
            except AssertionError as error:
                raise AssertionError(f"{gesture.name} by {key}: {error}") from None


def test_a_map_that_is_laid_out_anew_keeps_the_keyboard(shown: View, book: Any) -> None:
    shown.key("+", "+", "Home", "m")
    book.wait_python("w.part[:1]", "[0]")
    wait_in(shown.root, "root => !root.dataset.painted.startsWith('1.')")
    shown.page.keyboard.press("0")
    book.wait_python("w.part", "[]")


def test_a_verb_that_is_not_there_says_so(shown: View, book: Any) -> None:
    shown.key("r")
    expect(shown.said).to_contain_text("not possible here")
    button = shown.root.locator("[data-gesture=reset]")
    assert button.get_attribute("aria-disabled") == "true"
    assert book.python("(w.error, len(m.history))") == "('', 0)"


def test_click_chooses_and_click_again_lets_go(shown: View, book: Any) -> None:
    pfn = 3 * LAYOUT.columns + 40
    shown.page.mouse.click(*shown.point(pfn))
    book.wait_python("(w.focus.frame, w.focus.node, w.cursor, heard)", f"({pfn}, 0, {pfn}, [{pfn}])")
    expect(shown.said).to_contain_text(f"frame {pfn:#x}, ")
    shown.page.mouse.click(*shown.point(pfn))
    book.wait_python("w.focus", "Focus()")


def test_a_range_is_chosen_by_dragging_with_shift(shown: View, book: Any) -> None:
    low, high = 2 * LAYOUT.columns + 10, 4 * LAYOUT.columns + 20
    shown.page.mouse.move(*shown.point(low))
    shown.page.keyboard.down("Shift")
    shown.page.mouse.down()
    shown.page.mouse.move(*shown.point(low + 8))
    shown.page.mouse.move(*shown.point(high))
    shown.page.mouse.up()
    shown.page.keyboard.up("Shift")
    book.wait_python("w.focus.frames", f"range({low}, {high + 1})")


def test_wheel_drag_and_double_click_move_the_view(shown: View, book: Any) -> None:
    middle = LAYOUT.columns * (LAYOUT.height // 2) + LAYOUT.columns // 2
    shown.page.mouse.dblclick(*shown.point(middle))
    book.wait_python("len(w.camera)", "3")
    book.execute("w.fit()")
    book.wait_python("w.camera", "[]")
    shown.host.focus()
    shown.page.mouse.move(*shown.point(middle))
    shown.page.mouse.wheel(0, -480)
    book.wait_python("len(w.camera)", "3")
    before = json.loads(book.python("w.camera"))
    x, y = shown.point(middle)
    shown.page.mouse.move(x, y)
    shown.page.mouse.down()
    shown.page.mouse.move(x + 30, y, steps=3)
    shown.page.mouse.move(x + 60, y, steps=3)
    shown.page.mouse.up()
    # Where the last step of the drag brought it.
    book.wait_python(f"round((w.camera[0] - {before[0]}) * {before[2]})", "-60")
    after = json.loads(book.python("w.camera"))
    assert after[2] == before[2]
    box = box_of(shown.root.locator(".kmem-framemap-overview"))
    shown.page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] - 3)
    book.wait_python(f"w.camera[1] > {after[1]}", "True")


def test_without_the_focus_the_wheel_scrolls_the_notebook(shown: View, book: Any) -> None:
    shown.page.evaluate("() => document.activeElement.blur()")
    shown.page.mouse.move(*shown.point(100))
    shown.page.mouse.wheel(0, -200)
    shown.page.evaluate("() => new Promise(requestAnimationFrame)")
    assert shown.root.locator(".kmem-framemap-overview").is_hidden()
    assert book.python("w.camera") == "[]"


def test_hovering_tells_the_frame(shown: View) -> None:
    pfn = BLOCK + 9
    shown.page.mouse.move(*shown.point(pfn))
    card = shown.root.locator(".kmem-framemap-card")
    card.wait_for()
    expect(card.locator("strong")).to_have_text("slab")
    expect(card).to_contain_text(f"frame {pfn:#x}")
    shown.page.mouse.move(0, 0)
    card.wait_for(state="hidden")


def test_the_legend_filters(shown: View, book: Any) -> None:
    shown.root.locator("[data-kind=slab]").click()
    book.wait_python("w.only", "['slab']")
    shown.root.locator("[data-kind=slab][aria-pressed=true]").wait_for()
    shown.wait_pixel(BLOCK + 3, color_of("slab"))
    until(shown.page, lambda: shown.pixel(4 * BLOCK + 3) != color_of("anon"), True, "anon is dimmed")
    shown.root.get_by_role("button", name="Show all").click()
    book.wait_python("w.only", "[]")
    shown.wait_pixel(4 * BLOCK + 3, color_of("anon"))


def test_zones_buttons_downloads_and_help(shown: View, book: Any) -> None:
    shown.root.locator("[data-zone='0/Normal']").click()
    book.wait_python("(w.focus.node, w.focus.zone)", "(0, 'Normal')")
    for gesture, expression, value in [("zoom_in", "len(w.camera)", "3"), ("fit", "w.camera", "[]")]:
        shown.root.locator(f"[data-gesture={gesture}]").click()
        book.wait_python(expression, value)
    for gesture, start in [("png", b"\x89PNG"), ("svg", b"<svg ")]:
        with shown.page.expect_download() as download:
            shown.root.locator(f"[data-gesture={gesture}]").click()
        assert Path(download.value.path()).read_bytes().startswith(start)
        with shown.page.expect_download():
            shown.key(gesture[0])
    shown.key("?")
    rows = shown.root.locator(".kmem-help tbody tr")
    assert rows.count() == len(FrameMap.GESTURES)
    assert rows.locator("th").all_inner_texts() == [gesture.says for gesture in FrameMap.GESTURES]
    shown.page.keyboard.press("Escape")
    assert shown.root.locator(".kmem-help").is_hidden()
    assert shown.host.evaluate("host => host === document.activeElement")


def test_python_moves_the_screen(shown: View, book: Any) -> None:
    book.execute("w.go_to(700, scale=100)")
    shown.root.locator(".kmem-framemap-overview").wait_for()
    book.execute("w.fit()")
    shown.root.locator(".kmem-framemap-overview").wait_for(state="hidden")
    book.execute("w.select(5)")
    expect(shown.said).to_contain_text("frame 0x5,")
    book.execute("w.toggle_kind('anon')")
    expect(shown.root.locator("[data-kind=anon]")).to_have_attribute("aria-pressed", "true")


def test_changes_are_painted(shown: View, book: Any) -> None:
    book.execute(f"m.put({4 * BLOCK}, 0, {BLOCK})")
    shown.wait_pixel(4 * BLOCK + 5, color_of("free"))
    book.execute("[m.put(i, i % 3) for i in range(3000)]")
    shown.wait_pixel(4, color_of("slab"))
    for pfn in (2997, 2998, 2999):
        shown.wait_pixel(pfn, color_of(NAMES[pfn % 3]))
    counts = json.loads(book.python("__import__('json').dumps(w.counts)").strip("'"))
    expect(shown.root.locator("[data-kind=slab] .kmem-framemap-number")).to_have_text(f"{counts['slab']:,}")


def test_an_error_of_on_select_is_shown_and_can_be_put_away(shown: View, book: Any) -> None:
    book.execute("w.on_select = lambda focus: 1 // 0")
    shown.key("Home", "Enter")
    error = shown.root.locator(".kmem-error")
    error.wait_for()
    assert "ZeroDivisionError" in error.inner_text()
    error.get_by_role("button").click()
    error.wait_for(state="hidden")
    book.wait_python("w.error", "''")


def test_light_and_dark_followed_live(shown: View, lab: Any, book: Any) -> None:
    lab.theme("JupyterLab Dark")
    try:
        shown.wait_pixel(BLOCK + 17, color_of("slab", "dark"))
        shown.wait_pixel(17, color_of("free", "dark"))
        book.execute("w.theme = 'light'")
        shown.wait_pixel(17, color_of("free", "light"))
        assert shown.root.evaluate("root => getComputedStyle(root).backgroundColor") == "rgb(255, 255, 255)"
    finally:
        lab.theme("JupyterLab Light")


def test_two_views_agree(shown: View, book: Any) -> None:
    second = View(book.run("w").locator(".kmem-framemap"))
    for pfn in (5, BLOCK + 5):
        shown.wait_pixel(pfn, color_of(kind_at(pfn)))
        second.wait_pixel(pfn, color_of(kind_at(pfn)))
    second.key("Home", "n", "f", "+")
    shown.root.locator(".kmem-framemap-overview").wait_for()
    expect(shown.root.locator("[data-kind=slab]")).to_have_attribute("aria-pressed", "true")
    second.key("0", "a")
    book.execute("m.put(0, 5, 64)")
    shown.wait_pixel(3, color_of("pgtable"))
    second.wait_pixel(3, color_of("pgtable"))


def test_linked_widgets_follow_also_when_the_kernel_is_dead(shown: View, book: Any, lab: Any) -> None:
    second = View(book.run("v = FrameMap(m)\nlink(w, v)\nv").locator(".kmem-framemap"))
    shown.key("Home", "l", "Enter")
    book.wait_python("v.focus.frame", "1")
    expect(second.said).to_contain_text("frame 0x1,")
    restart(lab)
    second.key("End", "Enter")
    expect(shown.said).to_contain_text(f"frame {FRAMES - 1:#x},")
    assert shown.pixel(BLOCK + 5) == color_of("slab"), "what was on screen stays"
    book.execute(SETUP)
    again = View(book.run("w").locator(".kmem-framemap"))
    again.wait_pixel(BLOCK + 5, color_of("slab"))


def restart(lab: Any) -> None:
    lab.page.evaluate(
        """async () => {
            const context = jupyterapp.shell.currentWidget.sessionContext;
            await context.session.kernel.restart();
            await context.session.kernel.info;
        }"""
    )


def test_closed_and_shown_again(shown: View, book: Any) -> None:
    book.run("from IPython.display import clear_output; clear_output()")
    book.execute("w.cursor = 300; w.only = ['slab']")
    cells = shown.page.evaluate(
        """() => {
            const shared = jupyterapp.shell.currentWidget.content.model.sharedModel;
            shared.deleteCellRange(1, shared.cells.length);
            return shared.cells.length;
        }"""
    )
    assert cells == 1
    book.execute("m.put(0, 2, 64)")
    again = View(book.run("w").locator(".kmem-framemap"))
    expect(again.root.locator("[data-kind=slab]")).to_have_attribute("aria-pressed", "true")
    book.execute("w.show_all()")
    again.wait_pixel(3, color_of("reserved"))


def test_a_hidden_tab_paints_when_it_is_shown(shown: View, lab: Any, book: Any) -> None:
    other = lab.open("other.ipynb", "1", beside=True)
    expect(other.page.locator(".kmem-framemap:visible")).to_have_count(0)
    first = "() => [...jupyterapp.shell.widgets('main')].find(each => each.title.label === 'framemap.ipynb')"
    lab.page.evaluate(
        f"""async () => {{
            const panel = ({first})();
            const kernel = panel.sessionContext.session.kernel;
            await kernel.requestExecute({{code: "m.put(0, 5, 64)", store_history: false}}).done;
            const now = jupyterapp.shell.currentWidget;
            jupyterapp.shell.activateById(panel.id);
            now.dispose();
        }}"""
    )
    shown.wait_pixel(3, color_of("pgtable"))


def test_resizing_keeps_the_whole_map(shown: View, lab: Any) -> None:
    lab.page.set_viewport_size({"width": 760, "height": 900})
    try:
        wait_in(shown.host, "host => host.clientWidth < 700")
        shown.wait_pixel(FRAMES - 5, color_of(kind_at(FRAMES - 5)))
    finally:
        lab.page.set_viewport_size({"width": 1280, "height": 900})
    wait_in(shown.host, "host => host.clientWidth > 700")
    shown.wait_pixel(FRAMES - 5, color_of(kind_at(FRAMES - 5)))


def test_device_pixel_ratio_of_two(shown: View, lab: Any) -> None:
    session = lab.page.context.new_cdp_session(lab.page)
    metrics = {"width": 1280, "height": 900, "deviceScaleFactor": 2, "mobile": False}
    session.send("Emulation.setDeviceMetricsOverride", metrics)
    try:
        wait_in(
            shown.root.locator("canvas").first,
            f"canvas => canvas.width === Math.round((canvas.clientWidth - {GUTTER}) * 2) + {2 * GUTTER}",
        )
        shown.wait_pixel(BLOCK + 17, color_of("slab"))
    finally:
        session.send("Emulation.clearDeviceMetricsOverride")
        session.detach()
        lab.page.set_viewport_size({"width": 1280, "height": 900})


def test_positions_unknown_shows_totals(lab: Any, book: Any) -> None:
    text = "Node 0, zone   Normal      1      0      2      0      0      0      0      0      0      0      3\n"
    output = book.run(f"from kmemwidgets import FrameMap\nFrameMap({text!r})")
    table = output.locator(".kmem-framemap-totals")
    table.wait_for()
    assert "Positions unknown" in table.inner_text()
    expect(table.locator("tbody td")).to_have_text(["3,081", "1", "0", "2", *["0"] * 7, "3"])
    assert output.locator("canvas").count() == 0


def test_a_terabyte_counts_every_frame(lab: Any, book: Any) -> None:
    out = book.run("from kmemwidgets import FrameMap, Machine\nbig = FrameMap(Machine.boot('server-1t')); big")
    free = int(book.python("big.counts['free']"))
    out.locator(".kmem-framemap", has_text=f"≈ {free:,}").wait_for()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_axe_finds_nothing_serious(shown: View, lab: Any, theme: str) -> None:
    lab.theme(theme)
    try:
        shown.wait_pixel(17, color_of("free", "dark" if "Dark" in theme else "light"))
        shown.key("Home", "n", "f", "?")
        assert serious(lab.page, shown.root) == []
    finally:
        lab.theme("JupyterLab Light")


def test_another_page_and_a_reload_show_the_kernel_s_state(shown: View, lab: Any, book: Any) -> None:
    book.execute("m.put(0, 5, 64); w.toggle_kind('slab'); w.toggle_kind('pgtable')")
    shown.wait_pixel(3, color_of("pgtable"))
    lab.page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    page = lab.page.context.new_page()
    watch = Watch(page)
    try:
        again = Notebook.at(page, f"{lab.server.url}/lab/tree/{book.name}?reset", book.name)
        for reload in (False, True):
            if reload:
                page.reload()
                again.ready()
            view = View(again.panel.locator(".kmem-framemap"))
            view.wait_pixel(3, color_of("pgtable"))
            expect(view.root.locator("[data-kind=slab]")).to_have_attribute("aria-pressed", "true")
        again.execute("m.put(0, 1, 64)")
        view.wait_pixel(3, color_of("slab"))
        shown.wait_pixel(3, color_of("slab"))
        assert watch.take() == []
    finally:
        page.close()


def test_notebook_7_paints_and_answers(server: Any, apart: Watch) -> None:
    page = apart.page
    (server.root / "seven.ipynb").write_text(json.dumps(notebook(SETUP, "w")))
    book = Notebook.at(page, f"{server.url}/notebooks/seven.ipynb", "seven.ipynb")
    page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells')")
    view = View(page.locator(".kmem-framemap"))
    for pfn in (17, BLOCK + 17):
        view.wait_pixel(pfn, color_of(kind_at(pfn)))
    page.mouse.click(*view.point(7))
    book.wait_python("(w.focus.frame, heard)", "(7, [7])")
    view.key("l", "Enter")
    book.wait_python("w.focus.frame", "8")
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")


def test_after_a_kernel_restart_the_cell_shows_a_map_that_answers(lab: Any) -> None:
    book = lab.open("restart.ipynb", "1", beside=True)
    code = "from kmemwidgets import FrameMap, Machine\nmap = FrameMap(Machine.boot(memory='64M', cpus=1)); map"
    first = book.run(code)
    first.locator("[data-painted]").first.wait_for()
    lab.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    again = book.run(code)
    again.locator("[data-painted]").first.wait_for()
    again.locator(".kmem-framemap-host").press("Home")
    book.wait_python("map.cursor is not None", "True")
