"""AddressMap and KmallocPanel in a real JupyterLab: painted, used by mouse and by key, seen by Python."""

from __future__ import annotations

import pytest
from harness import box_of, expect

MAKE = """
from kmemwidgets.records import Region, Snapshot
from kmemwidgets.widgets import AddressMap, KmallocPanel
behind = {"direct map": 0, "vmemmap": 0}
layout = tuple(Region(start, end, name, space="virtual", physical=behind.get(name)) for start, end, name in (
    (0, 0x7ffffffff000, "user space"), (0x800000000000, 0xffff800000000000, "non-canonical"),
    (0xffff888000000000, 0xffffc88000000000, "direct map"), (0xffffc90000000000, 0xffffe90000000000, "vmalloc/ioremap"),
    (0xffffea0000000000, 0xffffeb0000000000, "vmemmap"), (0xffffffff80000000, 0xffffffffa0000000, "kernel text"),
    (0xffffffffa0000000, 0xffffffffff000000, "<img src=x onerror=alert(1)> modules")))
box = Snapshot("box", "x86_64", (6, 1, 192), cpus=2, layout=layout)
"""


@pytest.fixture(scope="module")
def opened(lab_session):
    """One notebook for all tests of this module."""
    return lab_session.open("addressmap.ipynb", MAKE)


@pytest.fixture
def book(lab, opened):
    lab.page.evaluate(
        "name => { for (const panel of jupyterapp.shell.widgets('main')) "
        "if (panel.title.label === name) jupyterapp.shell.activateById(panel.id); }",
        "addressmap.ipynb",
    )
    opened.execute(MAKE)
    return opened


def test_the_map_zooms_by_key_and_tells_python(book):
    out = book.run("m = AddressMap(box); m")
    stage = out.locator(".kmem-address-stage")
    out.locator(".kmem-address-label", has_text="direct map").click()
    book.wait_python("hex(m.focus.address)", "'0xffff888000000000'")
    stage.focus()
    stage.press("ArrowUp")
    book.wait_python("m.area(m.focus.address).name", "'hole'")
    stage.press("ArrowUp")
    book.wait_python("m.area(m.focus.address).name", "'vmalloc/ioremap'")
    stage.press("Enter")
    book.wait_python("int(m.window[0], 16) < 0xffffc90000000000 and int(m.window[1], 16) < 1 << 46", "True")
    stage.press("Escape")
    book.wait_python("m.window", "['0x0', '0x10000000000000000']")


def test_python_moves_the_map_and_markup_is_text(book):
    out = book.run("m = AddressMap(box); m")
    out.locator(".kmem-address-label", has_text="onerror=alert(1)").first.wait_for()
    assert out.locator("img").count() == 0
    book.execute("_ = m.zoom_to('kernel text')")
    out.locator(".kmem-address-trail", has_text="on screen").wait_for()
    out.locator(".kmem-address-card", has_text="The kernel image itself.").wait_for()
    out.locator(".kmem-address-trail", has_text="597.3 MiB").wait_for()


def test_the_search_finds_addresses_names_and_nothing(book):
    out = book.run("m = AddressMap(box); m")
    field = out.locator(".kmem-address-search")
    field.fill("ffff888012345678")
    field.press("Enter")
    card = out.locator(".kmem-address-card")
    expect(card.locator("[data-field=physical]")).to_have_value("0x12345678")
    expect(card.locator("[data-field=pfn]")).to_have_value("0x12345")
    expect(card.locator("[data-field=page]")).to_have_value("0xffffea000048d140")
    field.fill("0000900000000000")
    field.press("Enter")
    card.get_by_text("general protection fault, probably for non-canonical address 0x0000900000000000: 0000").wait_for()
    # And back: a frame, then a struct page, each to its address in the direct map.
    for name, words, address in (
        ("pfn", "0x100", 0xFFFF888000100000),
        ("page", "ffffea0000000080", 0xFFFF888000002000),
    ):
        card.locator(f"[data-field={name}]").fill(words)
        card.locator(f"[data-field={name}]").press("Enter")
        book.wait_python("m.focus.address", str(address))
        expect(card.locator("[data-field=virtual]")).to_have_value(hex(address))
    card.locator("[data-field=physical]").fill("7fffffffffffffff")
    card.locator("[data-field=physical]").press("Enter")
    said = "The direct map has no address for 0x7fffffffffffffff."
    out.locator(".kmem-live", has_text=said).wait_for(state="attached")
    expect(card.locator("[data-field=physical]")).to_have_value("0x2000")
    field.fill("vmemmap")
    field.press("Enter")
    book.wait_python("m.area(m.focus.address).name", "'vmemmap'")
    field.fill("no such area")
    field.press("Enter")
    out.locator(".kmem-live", has_text="Nothing found for no such area").wait_for(state="attached")


def test_two_machines_share_a_window_and_the_table_lists_all(book):
    out = book.run("m = AddressMap(box, beside=box); m")
    out.locator(".kmem-address-column").nth(1).wait_for()
    rows = out.locator(".kmem-address-table tbody tr")
    expect(rows).to_have_count(2 * int(book.python("len(m._spaces[0][1])")))


def test_the_wheel_zooms_and_a_drag_moves(book):
    out = book.run("m = AddressMap(box); m.zoom_to('direct map'); m")
    stage = out.locator(".kmem-address-stage")
    box = box_of(stage)
    before = book.python("m.window")
    book.page.mouse.move(box["x"] + 120, box["y"] + 200)
    book.page.mouse.wheel(0, -400)
    book.wait_python(f"int(m.window[1], 16) < int({before}[1], 16)", "True")
    low = book.python("int(m.window[0], 16)")
    book.page.mouse.down()
    book.page.mouse.move(box["x"] + 120, box["y"] + 260, steps=4)
    book.page.mouse.up()
    book.wait_python(f"int(m.window[0], 16) > {low}", "True")


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_the_map_follows_the_theme(book, lab, theme):
    lab.theme(theme)
    try:
        out = book.run("m = AddressMap(box); m")
        name = "dark" if "Dark" in theme else "light"
        out.locator(f".kmem-addressmap[data-theme={name}]").wait_for()
    finally:
        lab.theme("JupyterLab Light")


def test_kmalloc_answers_typing_keys_and_clicks(book):
    out = book.run("k = KmallocPanel(box); k")
    verdict = out.locator(".kmem-kmalloc-verdict")
    field = out.locator("input[type=number]")
    field.fill("129")
    verdict.get_by_text("kmalloc-192 gives 192 bytes, 63 of them wasted (32.8 %).").wait_for()
    book.wait_python("k.answer()", "'kmalloc(129, GFP_KERNEL): kmalloc-192, 192 bytes, 63 wasted (32.8 %)'")
    stage = out.locator(".kmem-kmalloc-stage")
    stage.focus()
    stage.press("ArrowDown")
    verdict.get_by_text("kmalloc-128 gives 128 bytes, 0 of them wasted (0.0 %).").wait_for()
    stage.press("PageUp")
    book.wait_python("k.size", "192")
    out.locator(".kmem-kmalloc-class", has_text="kmalloc-2k").click()
    book.wait_python("k.size", "2048")
    out.locator("select").select_option(label="GFP_KERNEL_ACCOUNT")
    book.wait_python("k.gfp", "1")
    verdict.get_by_text("kmalloc-cg-2k gives 2,048 bytes").wait_for()
    book.execute("_ = k.ask(20000, 0)")
    verdict.get_by_text("8 pages (order 3)").wait_for()


def test_vmalloc_areas_are_chosen_filtered_and_marked_off_without_verbs(book):
    rows = [
        "0xffffc90000000000-0xffffc90000005000   20480 stack+0xf0/0x120 pages=4 vmalloc N0=4",
        "0xffffc90000008000-0xffffc9000000a000    8192 <b>acpi+0x1b6/0x1d0 phys=0x000000001ffe1000 ioremap",
        "0xffffc9000000a000-0xffffc9000000f000   20480 stack+0xf0/0x120 pages=4 vmalloc N0=4",
    ]
    book.execute("from kmemwidgets import VmallocPanel")
    out = book.run(f"v = VmallocPanel({chr(10).join(rows).replace('<b>', '') + chr(10)!r}); v")
    band = out.locator(".kmem-vmalloc-band")
    out.locator(".kmem-vmalloc-block").nth(3).wait_for()
    band.focus()
    band.press("ArrowRight")
    band.press("ArrowRight")
    book.wait_python("hex(v.focus.address)", "'0xffffc90000005000'")
    out.locator(".kmem-vmalloc-card strong", has_text="hole").wait_for()
    out.locator(".kmem-vmalloc-block").nth(2).click()
    book.wait_python("hex(v.focus.address)", "'0xffffc90000008000'")
    out.locator("input[type=search]").fill("stack")
    book.wait_python("v.caller", "'stack'")
    expect(out.locator(".kmem-vmalloc-dim")).to_have_count(2)
    band.focus()
    band.press("Escape")
    book.wait_python("v.caller", "''")
    assert out.locator(".kmem-button", has_text="vfree").is_disabled()
