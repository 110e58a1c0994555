"""AddressMap, KmallocPanel, VmallocPanel, SlabPanel, BootTimeline and HighmemPanel alike, in a real JupyterLab.

Each key of each gesture table, two views, both themes at two widths, a second device pixel ratio.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from axe_check import serious
from harness import box_of, wait_in

from kmemwidgets.widgets import AddressMap, BootTimeline, HighmemPanel, KmallocPanel, SlabPanel, VmallocPanel

SETUP = """
from kmemwidgets import *
from kmemwidgets.widgets import link
high = Machine.boot(arch="x86_32", memory="1G")
small = Machine.boot(memory="128M")
panels = dict(
    address=AddressMap(small), kmalloc=KmallocPanel(small), vmalloc=VmallocPanel(small),
    slab=SlabPanel(small, cache="kmalloc-cg-64"), boot=BootTimeline(small), high=HighmemPanel(high),
)
a, k, v, s, b, h = panels.values()
first = [small.vmalloc(pages * 4096) for pages in (1, 2, 3)]
s.allocate()
"""


@dataclass(frozen=True)
class Panel:
    """What is walked: the widget, where its keys are heard, and for each gesture a key, what it changes, and to what.

    A step is (gesture, key, Python expression, its value after the key); an expression that begins with "js:" is asked
    of the page, with the widget's root as `root`, until it is true.
    """

    cls: type
    stage: str
    steps: tuple[tuple[str, str, str, str], ...]


HELP = ("help", "?", "js: !root.querySelector('.kmem-help').hidden", "True")
FOLLOWED = "js: root.querySelector('.kmem-boot-picked')?.dataset.piece === '{}'"
FIELD = "js: document.activeElement.tagName === 'INPUT'"
#: The block of the fourth area of vmalloc.
FOURTH = "root.querySelectorAll('.kmem-vmalloc-block.kmem-vmalloc-vmalloc')[3]"

PANELS = {
    "address": Panel(AddressMap, ".kmem-address-stage", (
        ("higher", "ArrowUp", "a.area(a.focus.address).name", "'user space'"),
        ("higher", "ArrowUp", "a.focus.address > 0", "True"),
        ("lower", "ArrowDown", "a.focus.address", "0"),
        ("open", "Enter", "int(a.window[1], 16) < 1 << 50", "True"),
        ("back", "Escape", "int(a.window[1], 16) == 1 << 64", "True"),
        ("closer", "+", "int(a.window[1], 16) == 1 << 63", "True"),
        ("closer", "=", "int(a.window[1], 16) == 1 << 62", "True"),
        ("pan_up", "PageUp", "int(a.window[0], 16) == 1 << 61", "True"),
        ("pan_down", "PageDown", "int(a.window[0], 16)", "0"),
        ("farther", "-", "int(a.window[1], 16) == 1 << 63", "True"),
        ("back", "Backspace", "int(a.window[1], 16) == 1 << 62", "True"),
        ("whole", "Home", "int(a.window[1], 16) == 1 << 64", "True"),
        ("find", "/", FIELD, "True"),
        ("translate", "t", "js: document.activeElement === root.querySelector('[data-field=physical]')", "True"),
        HELP,
    )),
    "kmalloc": Panel(KmallocPanel, ".kmem-kmalloc-stage", (
        ("more", "ArrowUp", "k.size", "101"),
        ("less", "ArrowDown", "k.size", "100"),
        ("next_class", "PageUp", "k.size", "128"),
        ("next_class", "ArrowRight", "k.size", "192"),
        ("previous_class", "PageDown", "k.size", "128"),
        ("previous_class", "ArrowLeft", "k.size", "96"),
        ("type", "/", FIELD, "True"),
        HELP,
    )),
    "vmalloc": Panel(VmallocPanel, ".kmem-vmalloc-band", (
        ("first", "Home", "v.focus.address == first[0]", "True"),
        ("next", "ArrowRight", "v.focus.address == first[1]", "True"),
        ("next", "ArrowDown", "v.focus.address == first[2]", "True"),
        ("previous", "ArrowLeft", "v.focus.address == first[1]", "True"),
        ("previous", "ArrowUp", "v.focus.address == first[0]", "True"),
        ("next_page", "PageDown", "v.focus.address - first[0]", "4096"),
        ("previous_page", "PageUp", "v.focus.address - first[0]", "0"),
        ("last", "End", "v.focus.address == first[2]", "True"),
        ("allocate", "a", f"js: {FOURTH}?.getAttribute('aria-selected') === 'true'", "True"),
        ("free", "Delete", "sum('unpurged' in str(each.flags) for each in v.areas)", "1"),
        ("find", "/", FIELD, "True"),
        ("clear", "Escape", "v.caller", "''"),
        HELP,
    )),
    "slab": Panel(SlabPanel, ".kmem-slab-stage", (
        ("next", "ArrowRight", "s.focus.address is not None", "True"),
        ("previous", "ArrowLeft", "s.focus.address >= small.slabs('kmalloc-cg-64')[0].first", "True"),
        ("down", "ArrowDown", "s.focus.address == small.slabs('kmalloc-cg-64')[0].first", "True"),
        ("up", "ArrowUp", "s.focus.address == small.slabs('kmalloc-cg-64')[0].first", "True"),
        ("allocate", "a", "small.slabs('kmalloc-cg-64')[0].objects.count(0)", "2"),
        ("free", "Delete", "small.slabs('kmalloc-cg-64')[0].objects.count(0)", "1"),
        ("next_cache", "PageDown", "s.cache != 'kmalloc-cg-64'", "True"),
        ("previous_cache", "PageUp", "s.cache", "'kmalloc-cg-64'"),
        ("find", "/", FIELD, "True"),
        HELP,
    )),
    "boot": Panel(BootTimeline, ".kmem-boot-list", (
        ("next", "ArrowDown", "b.step", "1"),
        ("next", "ArrowRight", "b.step", "2"),
        ("previous", "ArrowUp", "b.step", "1"),
        ("previous", "ArrowLeft", "b.step", "0"),
        ("last", "End", "b.step == len(b.steps)", "True"),
        ("previous_change", "PageUp", "bool(b.steps[b.step - 1].calls)", "True"),
        ("first", "Home", "b.step", "0"),
        ("next_change", "PageDown", "bool(b.step and b.steps[b.step - 1].calls)", "True"),
        ("next_piece", "]", FOLLOWED.format(0), "True"),
        ("next_piece", "]", FOLLOWED.format(1), "True"),
        ("previous_piece", "[", FOLLOWED.format(0), "True"),
        HELP,
    )),
    "high": Panel(HighmemPanel, ".kmem-high-stage", (
        ("next", "ArrowRight", "h.pfn - h.ram.first_high", "1"),
        ("previous", "ArrowLeft", "h.pfn - h.ram.first_high", "0"),
        ("higher", "ArrowUp", "h.pfn > h.ram.first_high + 500", "True"),
        ("lower", "ArrowDown", "h.pfn - h.ram.first_high", "0"),
        ("higher", "PageUp", "h.pfn > h.ram.first_high + 500", "True"),
        ("lower", "PageDown", "h.pfn - h.ram.first_high", "0"),
        ("last", "End", "h.pfn - h.ram.end", "-1"),
        ("first", "Home", "h.focus.frame - h.ram.first_high", "0"),
        ("kmap", "k", "h.info.pkmap_count[1]", "2"),
        ("kunmap", "Shift+K", "h.info.pkmap_count[1]", "1"),
        ("wrap", "w", "h.info.flushes", "1"),
        ("map_local", "l", "len(h.info.local)", "1"),
        ("unmap_local", "Shift+L", "len(h.info.local)", "0"),
        ("next_type", "t", "h.km_type", "''"),
        ("allocate", "v", "len(h.info.areas)", "1"),
        ("free", "Shift+V", "len(h.info.areas)", "0"),
        ("undo", "u", "len(h.info.areas)", "1"),
        ("reset", "r", "h.source.now", "0"),
        ("type", "/", FIELD, "True"),
        HELP,
    )),
}  # fmt: skip


#: Whether each drawing has its place's width.
WIDE_ENOUGH = """root => [...root.querySelectorAll('svg[width]')].every(svg =>
    svg.getBoundingClientRect().width >= Math.min(svg.parentElement.clientWidth - 8, 540))"""


@pytest.fixture(scope="module")
def opened(lab_session: Any) -> Any:
    book = lab_session.open("panels.ipynb", "")
    book.execute(SETUP)
    for name in PANELS:
        book.run(f"panels['{name}']")
    return book


@pytest.fixture
def book(lab: Any, opened: Any) -> Any:
    lab.page.evaluate(
        "name => { for (const panel of jupyterapp.shell.widgets('main')) "
        "if (panel.title.label === name) jupyterapp.shell.activateById(panel.id); }",
        "panels.ipynb",
    )
    return opened


def root_of(book: Any, name: str) -> Any:
    root = book.panel.locator(f".kmem-{PANELS[name].cls.NAME}").first
    root.locator(PANELS[name].stage).wait_for()
    return root


@pytest.mark.parametrize("name", PANELS)
def test_the_walk_knows_every_gesture_and_key(name: str) -> None:
    panel = PANELS[name]
    walked = {(gesture, key.removeprefix("Shift+")) for gesture, key, *_ in panel.steps}
    assert walked == {(gesture.name, key) for gesture in panel.cls.GESTURES for key in gesture.keys}


@pytest.mark.parametrize("name", PANELS)
def test_every_key_is_heard(book: Any, name: str) -> None:
    root = root_of(book, name)
    stage = root.locator(PANELS[name].stage)
    for _gesture, key, asked, value in PANELS[name].steps:
        stage.focus()
        stage.press(key)
        if asked.startswith("js:"):
            book.page.wait_for_function(f"root => {asked[3:]}", arg=root.element_handle())
        else:
            book.wait_python(asked, value)
    book.page.keyboard.press("Escape")
    assert root.locator(".kmem-help").is_hidden()
    # For the tests below: each has something chosen.
    stage.press("ArrowRight")


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
@pytest.mark.parametrize("width", [700, 1280])
def test_both_themes_and_widths(book: Any, lab: Any, theme: str, width: int) -> None:
    """Axe finds nothing serious, nothing sticks out, and what is drawn has the page's width."""
    lab.page.set_viewport_size({"width": width, "height": 900})
    try:
        lab.theme(theme)
        dark = "dark" if "Dark" in theme else "light"
        for name in PANELS:
            root = root_of(book, name)
            root.and_(lab.page.locator(f"[data-theme={dark}]")).wait_for()
            # After the size has come through to what is drawn.
            wait_in(root, "root => root.scrollWidth === root.clientWidth")
            wait_in(root, WIDE_ENOUGH)
            assert serious(lab.page, root) == [], name
    finally:
        lab.page.set_viewport_size({"width": 1280, "height": 900})
        lab.theme("JupyterLab Light")


@pytest.mark.parametrize("name", PANELS)
def test_two_views_agree(book: Any, name: str) -> None:
    first = root_of(book, name)
    output = book.run(f"panels['{name}']")
    second = output.locator(".kmem")
    second.locator(PANELS[name].stage).wait_for()
    stage = second.locator(PANELS[name].stage)
    stage.focus()
    stage.press("ArrowRight")
    stage.press("ArrowDown")
    same = (
        "([first, second]) => first.querySelector('.kmem-live').textContent !== '' &&"
        " first.querySelector('.kmem-live').textContent === second.querySelector('.kmem-live').textContent"
    )
    book.page.wait_for_function(same, arg=[first.element_handle(), second.element_handle()])


def test_device_pixel_ratio_of_two(book: Any, lab: Any) -> None:
    """What is drawn is vectors and text, so nothing is to be drawn anew: only its place must stay."""
    session = lab.page.context.new_cdp_session(lab.page)
    before = {name: root_of(book, name).evaluate("root => root.clientWidth") for name in PANELS}
    metrics = {"width": 1280, "height": 900, "deviceScaleFactor": 2, "mobile": False}
    session.send("Emulation.setDeviceMetricsOverride", metrics)
    try:
        lab.page.wait_for_function("() => devicePixelRatio === 2")
        for name in PANELS:
            root = root_of(book, name)
            assert root.locator("canvas").count() == 0
            wait_in(root, "(root, width) => root.clientWidth === width", before[name])
    finally:
        session.send("Emulation.clearDeviceMetricsOverride")
        session.detach()
        lab.page.set_viewport_size({"width": 1280, "height": 900})


def test_high_memory_by_mouse(book: Any, lab: Any) -> None:
    book.execute("high.reset(); h.pick(h.ram.first_high)")
    root = root_of(book, "high")
    svg = root.locator(".kmem-high-stage svg")
    box = box_of(svg)
    lab.page.mouse.click(box["x"] + 40, box["y"] + 24)
    book.wait_python("h.pfn > h.ram.end - 4000", "True")
    for gesture, asked, value in (
        ("kmap", "h.info.pkmap_count[1]", "2"),
        ("map_local", "h.info.local[0].pfn == h.pfn", "True"),
        ("allocate", "h.ways()[0].kind", "'vmalloc'"),
    ):
        root.locator(f"[data-gesture={gesture}]").click()
        book.wait_python(asked, value)
    root.locator(".kmem-high-slot-used").first.click()
    book.wait_python("h.ways()[0].kind", "'pkmap'")
    root.locator(".kmem-high-said", has_text="kmap slot 1 at").wait_for()
    for gesture, asked, value in (
        ("kunmap", "h.info.pkmap_count[1]", "1"),
        ("unmap_local", "h.info.local", "()"),
        ("reset", "h.source.now", "0"),
        # Last, as it maps hundreds of frames, and the buttons are drawn anew meanwhile. Undo is walked by key.
        ("wrap", "h.info.flushes", "1"),
    ):
        root.locator(f"[data-gesture={gesture}]").click()
        book.wait_python(asked, value)
    field = root.locator(".kmem-high-field")
    field.fill("0x123")
    field.press("Enter")
    book.wait_python("h.focus.frame", str(0x123))
    root.locator(".kmem-high-said", has_text="low memory: always at 0xc0123000").wait_for()


def test_a_new_line_is_drawn_in_motion_unless_less_motion_is_wanted(book: Any, lab: Any) -> None:
    root = root_of(book, "high")
    lab.page.evaluate(
        "() => { window.moves = 0; const animate = Element.prototype.animate;"
        " Element.prototype.animate = function (...all) { window.moves += 1; return animate.apply(this, all); }; }"
    )
    book.execute("high.reset(); h.pick(h.ram.first_high + 9)")
    root.locator(".kmem-high-said", has_text="no address just now").wait_for()
    book.execute("_ = h.kmap()")
    root.locator(".kmem-high-said", has_text="kmap slot 1").wait_for()
    lab.page.wait_for_function("() => window.moves > 0")
    lab.page.emulate_media(reduced_motion="reduce")
    try:
        lab.page.evaluate("() => { window.moves = 0; }")
        book.execute("_ = h.kmap_local()")
        root.locator(".kmem-high-said", has_text="for a moment at").wait_for()
        assert lab.page.evaluate("() => window.moves") == 0
    finally:
        lab.page.emulate_media(reduced_motion="no-preference")
