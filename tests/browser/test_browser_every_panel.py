"""Each panel beside FrameMap, alike: every gesture by mouse, and every situation that a page can bring it into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from harness import Notebook, Watch, box_of, expect, until, wait_in, wait_theme

from kmemwidgets.widgets import (
    AddressMap,
    BootTimeline,
    BuddyPanel,
    HighmemPanel,
    KmallocPanel,
    MeminfoPanel,
    SlabPanel,
    Timeline,
    VmallocPanel,
    ZoneDiagram,
)

NAME = "<b>box</b> & co"

#: A machine each for what changes it, so that one panel's undo is not another's surprise.
SETUP = f"""
from dataclasses import replace
from IPython.display import display
from kmemwidgets import *
def boot(**told):
    return Machine.boot(spec=replace(Machine.boot(**told).spec(), name={NAME!r}))
box = boot(memory="64M", cpus=2)
ground = boot(memory="64M", cpus=2)
high = boot(arch="x86_32", memory="1G")
run = boot(memory="64M", cpus=1)
pages = [run.alloc_pages("GFP_KERNEL", n % 4) for n in range(300)]
first = [box.vmalloc(pages * 4096) for pages in (1, 2, 3)]
a, k, v, s = AddressMap(box), KmallocPanel(box), VmallocPanel(box), SlabPanel(box, cache="kmalloc-cg-64")
s.allocate()
b, i, z, h = BootTimeline(box), MeminfoPanel(box), ZoneDiagram(box), HighmemPanel(high)
w, t = BuddyPanel(ground), Timeline(run)
panels = dict(
    address=a, kmalloc=k, vmalloc=v, slab=s, boot=b, high=h, buddy=w, timeline=t, zone=z, meminfo=i,
)
"""

#: What a mouse does with a panel (its root, a locator).
Act = Callable[[Any], None]


def click(selector: str, words: str | None = None, *, nth: int = 0) -> Act:
    return lambda root: root.locator(selector, has_text=words).nth(nth).click()


def twice(selector: str, words: str) -> Act:
    return lambda root: root.locator(selector, has_text=words).first.dblclick()


def button(gesture: str) -> Act:
    return click(f"[data-gesture={gesture}]")


def choose(selector: str, value: str) -> Act:
    return lambda root: root.locator(selector).select_option(value)


def write(selector: str, words: str, *keys: str) -> Act:
    """Click a field, and fill it."""

    def act(root: Any) -> None:
        field = root.locator(selector)
        field.click()
        field.fill(words)
        for key in keys:
            field.press(key)

    return act


def drag(selector: str, start: tuple[float, float], end: tuple[float, float]) -> Act:
    """Drag within an element; both places are parts of its width and height."""

    def act(root: Any) -> None:
        box = box_of(root.locator(selector))
        (x1, y1), (x2, y2) = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
        root.page.mouse.move(x1, y1)
        root.page.mouse.down()
        root.page.mouse.move((x1 + x2) / 2, (y1 + y2) / 2)
        root.page.mouse.move(x2, y2)
        root.page.mouse.up()

    return act


def point(selector: str, x: float, y: float) -> Act:
    """Click an element at a place, in parts of its width and height."""

    def act(root: Any) -> None:
        box = box_of(root.locator(selector).first)
        root.page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])

    return act


@dataclass(frozen=True)
class Panel:
    """How a panel is walked and seen.

    Attributes
    ----------
    var : str
        Its name in the kernel.
    stage : str
        Where its keys are heard.
    walk : tuple
        Steps (gesture, what the mouse does, Python expression, its value after it); a step without a gesture prepares
        the next one. An expression that begins with "js:" is asked of the page, with the panel's root as `root`.
    shows : tuple of (str, str, str)
        Something to do in Python; where it is to be seen; the words to be seen there, as a Python expression.
    key : (str, str)
        A key, and what it changes in Python.
    """

    cls: type
    var: str
    stage: str
    shows: tuple[tuple[str, str, str], ...]
    key: tuple[str, str]
    walk: tuple[tuple[str, Act | str, str, str], ...] = ()


HELP = ("help", button("help"), "js: !root.querySelector('.kmem-help').hidden", "True")
LABEL, AREA, CELL = ".kmem-address-label", ".kmem-vmalloc-block.kmem-vmalloc-vmalloc", ".kmem-slab-grid .kmem-slab-cell"
ZONE, NODE, BAND = ".kmem-zd-chip[data-zone={}]", ".kmem-zd-chip[data-node='0']", ".kmem-zd-zoneband[data-zone=DMA32]"
HIDDEN = "js: root.querySelector('.kmem-slab-cache').hidden"
OBJECT = "(s.focus.address - box.slabs('kmalloc-cg-64')[0].first) // 64"
#: The last step of the walk through the page tables.
LAST = "v.walked['steps'][-1]['kind']"
PLACE = "(z.focus.node, z.focus.zone)"
FOLLOWED = "js: root.querySelector('.kmem-boot-picked')?.dataset.piece"
FOCUSED = "js: document.activeElement === root.querySelector('input[type={}]')"

PANELS = {
    "address": Panel(AddressMap, "a", ".kmem-address-stage", (
        ("a.zoom_to('vmemmap')", ".kmem-address-trail", "hex(int(a.window[0], 16))[2:]"),
        ("a.zoom_to('direct map')", ".kmem-address-trail", "hex(int(a.window[0], 16))[2:]"),
    ), ("+", "a.window"), (
        ("higher", click(LABEL, "direct map"), "a.area(a.focus.address).name", "'direct map'"),
        ("lower", click(LABEL, "user space"), "a.area(a.focus.address).name", "'user space'"),
        ("open", twice(LABEL, "direct map"), "bool(a.window) and int(a.window[1], 16) < 1 << 50", "True"),
        ("back", button("back"), "int(a.window[1], 16) == 1 << 64", "True"),
        ("closer", button("closer"), "int(a.window[1], 16) == 1 << 63", "True"),
        ("farther", button("farther"), "int(a.window[1], 16) == 1 << 64", "True"),
        ("", "a.zoom_to('direct map'); at = int(a.window[0], 16)", "int(a.window[1], 16) < 1 << 50", "True"),
        ("pan_up", drag(".kmem-address-stage", (0.3, 0.4), (0.3, 0.8)), "int(a.window[0], 16) > at", "True"),
        ("pan_down", drag(".kmem-address-stage", (0.3, 0.8), (0.3, 0.1)), "int(a.window[0], 16) < at", "True"),
        # The whole space stands at the left: its end is the top.
        ("pan_up", point(".kmem-address-stage", 0.01, 0.99), "a.area(a.focus.address).name", "'user space'"),
        ("whole", button("whole"), "int(a.window[1], 16) == 1 << 64", "True"),
        ("find", write("input[type=search]", "vmemmap", "Enter"), "a.area(a.focus.address).name", "'vmemmap'"),
        ("translate", write("[data-field=physical]", "0x1000", "Enter"), "a.focus.address == box.va(0x1000)", "True"),
        HELP,
    )),
    "kmalloc": Panel(KmallocPanel, "k", ".kmem-kmalloc-stage", (
        ("k.ask(129, 0)", ".kmem-kmalloc-verdict", "'kmalloc-192 gives 192 bytes'"),
        ("k.ask(2000, 0)", ".kmem-kmalloc-verdict", "'kmalloc-2k gives 2,048 bytes'"),
    ), ("ArrowUp", "k.size"), (
        ("more", write("input[type=number]", "101"), "k.size", "101"),
        ("less", write("input[type=number]", "99"), "k.size", "99"),
        ("next_class", click(".kmem-kmalloc-class", "kmalloc-128"), "k.size", "128"),
        ("previous_class", click(".kmem-kmalloc-class", "kmalloc-96"), "k.size", "96"),
        ("type", click("input[type=number]"), FOCUSED.format("number"), "True"),
        HELP,
    )),
    "vmalloc": Panel(VmallocPanel, "v", ".kmem-vmalloc-band", (
        ("v.select(address=first[1])", ".kmem-vmalloc-card", "hex(first[1])"),
        ("v.select(address=first[2])", ".kmem-vmalloc-card", "hex(first[2])"),
    ), ("Home", "v.focus.address"), (
        ("next", click(AREA, nth=1), "v.focus.address == first[1]", "True"),
        ("previous", click(AREA, nth=0), "v.focus.address == first[0]", "True"),
        ("last", click(AREA, nth=2), "v.focus.address == first[2]", "True"),
        ("first", click(AREA, nth=0), "v.focus.address == first[0]", "True"),
        ("next_page", button("next_page"), f"v.focus.address - first[0], {LAST}", "(4096, 'none')"),
        ("previous_page", button("previous_page"), "v.focus.address - first[0]", "0"),
        ("", "", LAST, "'leaf'"),
        ("find", write("input[type=search]", "x"), "v.caller", "'x'"),
        ("clear", write("input[type=search]", ""), "v.caller", "''"),
        ("", click(".kmem-vmalloc-callers summary"), "js: root.querySelector('.kmem-vmalloc-callers').open", "True"),
        ("find", click(".kmem-vmalloc-caller"), "bool(v.caller)", "True"),
        ("", write("input[type=search]", ""), "v.caller", "''"),
        ("", write("input[type=number]", "5"), "js: root.querySelector('input[type=number]').value === '5'", "True"),
        ("allocate", button("allocate"), "len(v.areas), v.areas[-1].pages", "(4, 5)"),
        ("", click(AREA, nth=3), "v.focus.address == v.areas[-1].start", "True"),
        ("free", button("free"), "sum('unpurged' in str(each.flags) for each in v.areas)", "1"),
        HELP,
    )),
    "slab": Panel(SlabPanel, "s", ".kmem-slab-stage", (
        ("s.cache = 'kmalloc-128'", ".kmem-slab-heading", "'kmalloc-128'"),
        ("s.cache = 'kmalloc-cg-64'", ".kmem-slab-heading", "'kmalloc-cg-64'"),
    ), ("PageDown", "s.cache"), (
        ("next", click(CELL, nth=3), OBJECT, "3"),
        ("previous", click(CELL, nth=1), OBJECT, "1"),
        ("down", click(CELL, nth=5), OBJECT, "5"),
        ("up", click(CELL, nth=2), OBJECT, "2"),
        ("", "s.cache = 'kmem_cache_node'", "len(box.slabs('kmem_cache_node')) > 0", "True"),
        ("", click(CELL), "s.focus.cache, s.focus.address == box.slabs('kmem_cache_node')[0].first",
         "('kmem_cache_node', True)"),
        ("previous_cache", click(".kmem-slab-cache", "kmem_cache"), "s.cache", "'kmem_cache'"),
        ("find", write("input[type=search]", "kmalloc-cg-64"), HIDDEN, "True"),
        ("next_cache", click(".kmem-slab-cache:visible", "kmalloc-cg-64"), "s.cache", "'kmalloc-cg-64'"),
        ("allocate", button("allocate"), "box.slabs('kmalloc-cg-64')[0].objects.count(0)", "2"),
        ("allocate", button("allocate"), "box.slabs('kmalloc-cg-64')[0].objects.count(0)", "3"),
        ("", click(CELL + ".kmem-slab-used"), f"box.slabs('kmalloc-cg-64')[0].objects[{OBJECT}]", "0"),
        ("free", button("free"), "box.slabs('kmalloc-cg-64')[0].objects.count(0)", "2"),
        HELP,
    )),
    "boot": Panel(BootTimeline, "b", ".kmem-boot-list", (
        ("b.go('mem_init')", ".kmem-boot-title", "'mem_init'"),
        ("b.go(0)", ".kmem-boot-title", "'Before start_kernel'"),
    ), ("ArrowDown", "b.step"), (
        ("first", button("first"), "b.step", "0"),
        ("next", button("next"), "b.step", "1"),
        ("next", click(".kmem-boot-step", nth=4), "b.step", "5"),
        ("previous", button("previous"), "b.step", "4"),
        ("previous", click(".kmem-boot-step", nth=0), "b.step", "1"),
        ("last", button("last"), "b.step == len(b.steps)", "True"),
        ("previous_change", button("previous_change"), "b.step < len(b.steps), bool(b.steps[b.step - 1].calls)",
         "(True, True)"),
        ("", button("first"), "b.step", "0"),
        ("next_piece", click(".kmem-boot-strip [data-piece='1']"), FOLLOWED, "'1'"),
        ("previous_piece", click(".kmem-boot-strip [data-piece='0']"), FOLLOWED, "'0'"),
        ("next_change", button("next_change"), "b.step > 0 and bool(b.steps[b.step - 1].calls)", "True"),
        HELP,
    )),
    "buddy": Panel(BuddyPanel, "w", ".kmem-bp-lists", (
        ("w.allocate(3)", ".kmem-bp-held .kmem-on", "hex(w.chosen)"),
        ("w.allocate(2)", ".kmem-bp-held .kmem-on", "hex(w.chosen)"),
    ), ("c", "w.cpu"), (
        ("higher", click(".kmem-bp-row[data-row='4'] .kmem-bp-order"), "w.order", "4"),
        ("highest", click(".kmem-bp-row[data-row='10'] .kmem-bp-order"), "w.order", "10"),
        ("lowest", click(".kmem-bp-row[data-row='0'] .kmem-bp-order"), "w.order", "0"),
        ("lower", click(".kmem-bp-row[data-row='2'] .kmem-bp-count"), "w.order", "2"),
        ("gfp", choose("[data-select=gfp]", "GFP_HIGHUSER_MOVABLE"), "w.gfp", "'GFP_HIGHUSER_MOVABLE'"),
        ("cpu", choose("[data-select=cpu]", "1"), "w.cpu", "1"),
        ("allocate", button("allocate"), "[b[1:] for b in w.held]", "[[2, 'GFP_HIGHUSER_MOVABLE']]"),
        ("allocate", button("allocate"), "len(w.held)", "2"),
        ("previous", click(".kmem-bp-mine", nth=0), "w.chosen == w.held[0][0]", "True"),
        ("next", click(".kmem-bp-mine", nth=1), "w.chosen == w.held[1][0]", "True"),
        ("why", button("why"), "w.said.splitlines() == list(ground.verbs['why']())", "True"),
        ("time", button("time"), "w.time", "True"),
        ("time", button("time"), "w.time", "False"),
        ("free", button("free"), "len(w.held), ground.now", "(1, 3)"),
        ("undo", button("undo"), "len(w.held), ground.now", "(2, 2)"),
        ("reset", button("reset"), "len(w.held), ground.now", "(0, 0)"),
        ("zone", choose("[data-select=zone]", '[0,"DMA"]'), "w.zone.name", "'DMA'"),
        HELP,
    )),
    "timeline": Panel(Timeline, "t", ".kmem-tl-lines", (
        ("t.go_to(42)", ".kmem-live", "'42: ' + t.line(42)"),
        ("t.go_to(7)", ".kmem-live", "'7: ' + t.line(7)"),
    ), ("ArrowRight", "t.position"), (
        ("first", button("first"), "t.position, run.now", "(0, 0)"),
        ("next", button("next"), "t.position, run.now", "(1, 1)"),
        ("", click(".kmem-tl-line[data-number='4']"), "t.position, run.now", "(4, 4)"),
        ("alike", click(".kmem-tl-key[data-kind='alloc_pages']"), "t.position, run.now", "(5, 5)"),
        ("previous", button("previous"), "t.position, run.now", "(4, 4)"),
        ("why", button("why"), "t.said.splitlines() == list(run.verbs['why'](4))", "True"),
        ("forward", drag(".kmem-tl-scrub", (0.02, 0.5), (0.7, 0.5)), "run.now == t.position > 150", "True"),
        ("back", drag(".kmem-tl-scrub", (0.7, 0.5), (0.3, 0.5)), "run.now == t.position < 150", "True"),
        ("faster", choose(".kmem-tl-speed", "64"), "t.speed", "64"),
        ("slower", choose(".kmem-tl-speed", "4"), "t.speed", "4"),
        ("play", button("play"), "t.playing", "True"),
        ("play", button("play"), "t.playing", "False"),
        ("last", button("last"), "t.position, run.now", "(300, 300)"),
        HELP,
    )),
    "zone": Panel(ZoneDiagram, "z", ".kmem-zd-stage", (
        ("z.select_zone(0, 'DMA')", ".kmem-live", "z.data()['nodes'][0]['zones'][0]['says']"),
        ("z.select_zone(0, 'DMA32')", ".kmem-live", "z.data()['nodes'][0]['zones'][1]['says']"),
    ), ("ArrowRight", PLACE), (
        ("down", click(NODE), PLACE, "(0, None)"),
        ("down", click(BAND), PLACE, "(0, 'DMA32')"),
        ("first", click(ZONE.format("DMA")), PLACE, "(0, 'DMA')"),
        ("next", click(ZONE.format("DMA32")), PLACE, "(0, 'DMA32')"),
        ("last", click(ZONE.format("Device")), PLACE, "(0, 'Device')"),
        ("previous", click(ZONE.format("Movable")), PLACE, "(0, 'Movable')"),
        ("", click(ZONE.format("DMA32")), PLACE, "(0, 'DMA32')"),
        ("down", point(".kmem-zd-hit", 0.5, 0.5), "4096 < z.focus.frame < 16384", "True"),
        ("up", click(".kmem-zd-caption[data-floor=pages]"), "(*" + PLACE + ", z.focus.frame)", "(0, 'DMA32', None)"),
        ("up", click(".kmem-zd-caption[data-floor=zones]"), PLACE, "(0, None)"),
        ("up", click(".kmem-zd-caption[data-floor=nodes]"), PLACE, "(None, None)"),
        HELP,
    )),
    "meminfo": Panel(MeminfoPanel, "i", ".kmem-mi-list", (
        ("i.select_field('Active')", ".kmem-mi-detail h4", "'Active'"),
        ("i.select_field('Cached')", ".kmem-mi-detail h4", "'Cached'"),
    ), ("ArrowDown", "i.field"), (
        ("first", click(".kmem-mi-row", nth=0), "i.field", "'MemTotal'"),
        ("next", click(".kmem-mi-row[data-field=Cached]"), "i.field", "'Cached'"),
        ("previous", click(".kmem-mi-row[data-field=Buffers]"), "i.field", "'Buffers'"),
        ("last", lambda root: root.locator(".kmem-mi-row").last.click(), "i.field == i.figures[-1].field.name", "True"),
        ("next_part", click(".kmem-mi-part[data-part=MemFree]"), "i.field", "'MemFree'"),
        ("used", button("used"), "i.without_free", "True"),
        ("used", button("used"), "i.without_free", "False"),
        ("previous_part", click(".kmem-mi-part", nth=0), "i.field == i.parts[0].name", "True"),
        ("search", write(".kmem-mi-search", "anon"), "i.search", "'anon'"),
        ("clear", write(".kmem-mi-search", ""), "i.search", "''"),
        HELP,
    )),
    "high": Panel(HighmemPanel, "h", ".kmem-high-stage", (
        ("h.pick(h.ram.first_high + 5)", ".kmem-high-said", "hex(h.ram.first_high + 5)"),
        ("h.pick(h.ram.first_high + 9)", ".kmem-high-said", "hex(h.ram.first_high + 9)"),
    ), ("ArrowRight", "h.pfn")),
}  # fmt: skip

#: Those whose walk is here; that of HighmemPanel is in test_browser_panels, that of FrameMap in test_browser_framemap.
WALKED = [name for name, panel in PANELS.items() if panel.walk]
SHOW = "for each in panels.values(): display(each)"


@pytest.fixture(scope="module")
def opened(lab_session: Any) -> Iterator[Notebook]:
    book = lab_session.open("every.ipynb")
    # What glides is on its way for a while; that it does is tested elsewhere.
    lab_session.page.emulate_media(reduced_motion="reduce")
    book.execute(SETUP)
    book.run(SHOW)
    yield book
    lab_session.page.emulate_media(reduced_motion="no-preference")


@pytest.fixture
def book(lab: Any, opened: Notebook) -> Notebook:
    return opened


def root_of(book: Notebook, name: str, nth: int = 0) -> Any:
    panel = PANELS[name]
    root = book.panel.locator(f".kmem-{panel.cls.NAME}").nth(nth)
    root.locator(panel.stage).wait_for()
    return root


def see(book: Notebook, name: str, *roots: Any, which: int = 0) -> None:
    """Do something in Python, and see it in each of the views."""
    doing, where, words = PANELS[name].shows[which]
    book.execute(f"_ = {doing}" if "=" not in doing.split("(")[0] else doing)
    wanted = eval(book.python(f"str({words})"))
    for root in roots:
        expect(root.locator(where).first).to_contain_text(wanted)


def touch(book: Notebook, name: str, root: Any) -> None:
    """Press a key, and wait until Python has heard of it."""
    key, state = PANELS[name].key
    before = book.python(state)
    root.locator(PANELS[name].stage).press(key)
    book.wait_python(f"({state}) != {before}", "True")


@pytest.mark.parametrize("name", WALKED)
def test_the_walk_knows_every_gesture(name: str) -> None:
    walked = {gesture for gesture, *_ in PANELS[name].walk} - {""}
    assert walked == {gesture.name for gesture in PANELS[name].cls.GESTURES}


@pytest.mark.parametrize("name", WALKED)
def test_every_gesture_by_mouse(book: Notebook, name: str) -> None:
    root = root_of(book, name)
    for gesture, act, asked, value in PANELS[name].walk:
        if isinstance(act, str):
            book.execute(act)
        else:
            act(root)
        try:
            if asked.startswith("js:"):
                wait_in(root, f"root => {asked[3:]}")
            else:
                book.wait_python(asked, value)
        except AssertionError as error:
            raise AssertionError(f"{gesture or 'preparing'}: {error}") from None
    book.page.keyboard.press("Escape")
    expect(root.locator(".kmem-help")).to_be_hidden()


#: Those that say the machine's name; what the others take from files is text in tests of their own.
NAMED = [name for name in PANELS if name not in ("address", "vmalloc")]


@pytest.mark.parametrize("name", NAMED)
def test_markup_in_a_name_is_text(book: Notebook, name: str) -> None:
    root = root_of(book, name)
    expect(root.locator(".kmem-subtitle")).to_contain_text(NAME)
    expect(root.locator("b:text-is('box')")).to_have_count(0)


def test_two_views_agree(book: Notebook) -> None:
    book.run(SHOW)
    for name in PANELS:
        views = [root_of(book, name, nth) for nth in range(2)]
        see(book, name, *views)
        touch(book, name, views[1])
        expect(views[0].locator(".kmem-live")).to_have_text(views[1].locator(".kmem-live").inner_text())
    shared = "jupyterapp.shell.currentWidget.content.model.sharedModel"
    book.page.evaluate(f"() => {shared}.deleteCell({shared}.cells.length - 1)")
    expect(book.panel.locator("section.kmem")).to_have_count(len(PANELS))


def test_what_changes_in_a_hidden_tab_is_seen_when_it_is_shown(lab: Any, book: Notebook) -> None:
    # Not the first panel: there may be a launcher.
    panel = f"[...jupyterapp.shell.widgets('main')].find(each => each.context?.path === '{book.name}')"
    doing = "\n".join(panel.shows[1][0] for panel in PANELS.values())
    lab.open("other.ipynb", beside=True)
    try:
        expect(lab.page.locator("section.kmem:visible")).to_have_count(0)
        ask = "sessionContext.session.kernel.requestExecute({ code, store_history: false }).done"
        lab.page.evaluate(f"async (code) => {{ await {panel}.{ask}; }}", doing)
    finally:
        show = f"jupyterapp.shell.activateById({panel}.id)"
        lab.page.evaluate(f"() => {{ const now = jupyterapp.shell.currentWidget; {show}; now.dispose(); }}")
    for name, each in PANELS.items():
        _, where, words = each.shows[1]
        expect(root_of(book, name).locator(where).first).to_contain_text(eval(book.python(f"str({words})")))


#: What sticks out, or is narrower than its place; empty if nothing.
FITS = """root => [
    ...(root.scrollWidth === root.clientWidth ? [] : [`${root.scrollWidth} in ${root.clientWidth}`]),
    ...[...root.querySelectorAll('svg[width]')].filter(svg => svg.getBoundingClientRect().width
        < Math.min(svg.parentElement.clientWidth - 8, 540)).map(svg => svg.outerHTML.slice(0, 100)),
].join()"""


@pytest.mark.parametrize(("width", "ratio"), [(700, 1), (700, 2), (1280, 2)])
def test_sizes_and_pixel_ratios(lab: Any, book: Notebook, width: int, ratio: int) -> None:
    """Vectors and text need no drawing anew for more pixels, but their places must stay."""
    session = lab.page.context.new_cdp_session(lab.page)
    metrics = {"width": width, "height": 900, "deviceScaleFactor": ratio, "mobile": False}
    session.send("Emulation.setDeviceMetricsOverride", metrics)
    try:
        lab.page.wait_for_function("([w, r]) => innerWidth === w && devicePixelRatio === r", arg=[width, ratio])
        for name in PANELS:
            root = root_of(book, name)
            until(lab.page, lambda root=root: root.evaluate(FITS), "", name)
            see(book, name, root)
            touch(book, name, root)
    finally:
        session.send("Emulation.clearDeviceMetricsOverride")
        session.detach()
        lab.page.set_viewport_size({"width": 1280, "height": 900})


def test_both_themes(lab: Any, book: Notebook) -> None:
    """While JupyterLab changes its theme, places have no width for a moment."""
    for theme in ("Dark", "Light"):
        lab.theme(f"JupyterLab {theme}")
        for name in PANELS:
            root = root_of(book, name)
            wait_theme(root, theme.lower())
            until(lab.page, lambda root=root: root.evaluate(FITS), "", name)
            see(book, name, root, which=theme == "Dark")
            until(lab.page, lambda root=root: root.evaluate(FITS), "", name)


def test_closed_and_shown_again(book: Notebook) -> None:
    shared = "jupyterapp.shell.currentWidget.content.model.sharedModel"
    book.page.evaluate(f"() => {shared}.deleteCellRange(0, {shared}.cells.length)")
    expect(book.panel.locator("section.kmem")).to_have_count(0)
    for name in PANELS:
        see(book, name)
    book.run(SHOW)
    for name, panel in PANELS.items():
        _, where, words = panel.shows[0]
        root = root_of(book, name)
        expect(root.locator(where).first).to_contain_text(eval(book.python(f"str({words})")))
        touch(book, name, root)


def test_a_reload_shows_the_kernel_s_state(lab: Any, book: Notebook, apart: Watch) -> None:
    book.page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    again = Notebook.at(apart.page, f"{lab.server.url}/lab/tree/{book.name}?reset", book.name)
    apart.page.reload()
    again.ready()
    for name in PANELS:
        root = root_of(again, name)
        see(again, name, root, root_of(book, name), which=1)
        touch(again, name, root)


def test_a_new_kernel_shows_them_again(lab: Any, book: Notebook) -> None:
    lab.page.evaluate(
        """async () => {
            const context = jupyterapp.shell.currentWidget.sessionContext;
            await context.session.kernel.restart();
            await context.session.kernel.info;
        }"""
    )
    book.execute(SETUP)
    book.run(SHOW)
    for name in PANELS:
        root = root_of(book, name, 1)
        see(book, name, root)
        touch(book, name, root)
