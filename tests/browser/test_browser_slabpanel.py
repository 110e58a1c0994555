"""SlabPanel in a real JupyterLab: slabs drawn, objects chosen, taken and given back by mouse and by key."""

from __future__ import annotations

from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "unit" / "slabpanel"
SETUP = f"""
import sys
sys.path.insert(0, {str(SOURCE)!r})
from slab_source import SlabBox
from kmemwidgets import Capture, SlabPanel
"""


@pytest.fixture(scope="module")
def opened(lab_session):
    book = lab_session.open("slabpanel.ipynb", SETUP)
    book.execute(SETUP)
    return book


@pytest.fixture
def book(lab, opened):
    lab.page.evaluate(
        "name => { for (const panel of jupyterapp.shell.widgets('main')) "
        "if (panel.title.label === name) jupyterapp.shell.activateById(panel.id); }",
        "slabpanel.ipynb",
    )
    return opened


def test_objects_are_drawn_chosen_and_opened(book):
    out = book.run("box = SlabBox(); s = SlabPanel(box, cache='<i>cred</i>'); s")
    cells = out.locator(".kmem-slab-stage .kmem-slab-cell")
    cells.first.wait_for()
    book.wait_python("sum(len(slab.objects) for slab in box.slabs('<i>cred</i>'))", str(cells.count()))
    states = book.python("[bytes(slab.objects).count(0) for slab in box.slabs('<i>cred</i>')]")
    assert str([out.locator(".kmem-slab-slab").nth(i).locator(".kmem-slab-used").count() for i in range(2)]) == states
    assert out.locator("i:text('cred')").count() == 0
    cells.nth(4).click()
    book.wait_python("s.focus.address == box.slabs('<i>cred</i>')[0].first + 4 * 192", "True")
    hexes = out.locator(".kmem-slab-hex .kmem-slab-byte")
    hexes.nth(191).wait_for()
    assert hexes.count() == 192


def test_keys_walk_allocate_and_free(book):
    out = book.run("box = SlabBox(); s = SlabPanel(box, cache='<i>cred</i>'); s")
    stage = out.locator(".kmem-slab-stage")
    stage.locator(".kmem-slab-cell").first.wait_for()
    stage.focus()
    stage.press("ArrowRight")
    book.wait_python("s.focus.address == box.slabs('<i>cred</i>')[0].first", "True")
    stage.press("ArrowDown")
    book.wait_python("s.focus.address == box.slabs('<i>cred</i>')[1].first", "True")
    before = book.python("sum(slab.objects.count(0) for slab in box.slabs('<i>cred</i>'))")
    stage.press("a")
    book.wait_python("sum(slab.objects.count(0) for slab in box.slabs('<i>cred</i>'))", str(int(before) + 1))
    out.locator(".kmem-slab-opened h4", has_text="in use").wait_for()
    stage.press("Delete")
    book.wait_python("sum(slab.objects.count(0) for slab in box.slabs('<i>cred</i>'))", before)
    out.locator(".kmem-slab-opened h4", has_text="the next to go out").wait_for()


def test_a_recording_lists_caches_and_says_what_is_unknown(book):
    out = book.run("r = SlabPanel(Capture.bundled('amd64-512m')); r")
    rows = out.locator(".kmem-slab-cache")
    rows.first.wait_for()
    assert rows.count() == int(book.python("len(r.caches)"))
    out.locator("input[type=search]").fill("dentry")
    rows.locator("visible=true").filter(has_text="dentry").first.click()
    book.wait_python("r.cache", "'dentry'")
    out.locator(".kmem-slab-heading", has_text="dentry").wait_for()
    out.locator(".kmem-slab-faint", has_text="no file tells").wait_for()
    assert out.locator(".kmem-button", has_text="kmem_cache_alloc").is_disabled()


def test_a_recorded_slab_answers_and_the_list_is_one_stop(book):
    out = book.run("r = SlabPanel(Capture.bundled('amd64-512m'), cache='kmalloc-1k'); r")
    slabs = out.locator(".kmem-slab-recorded")
    slabs.last.click()
    out.locator(".kmem-slab-opened", has_text="All of its objects are in use").wait_for()
    slabs.first.click()
    out.locator(".kmem-slab-opened", has_text="the recording doesn't tell").wait_for()
    assert out.locator(".kmem-slab-cache[tabindex='0']").count() == 1
    out.locator(".kmem-slab-cache[aria-pressed=true]").focus()
    book.page.keyboard.press("Home")
    book.page.keyboard.press("ArrowDown")
    book.page.keyboard.press("Enter")
    book.wait_python("r.cache == r.data()['caches'][1]['name']", "True")


def test_a_byte_says_what_it_is_for_and_a_free_object_leads_to_the_next(book):
    out = book.run("box = SlabBox(); s = SlabPanel(box, cache='<i>cred</i>'); s")
    cells = out.locator(".kmem-slab-grid .kmem-slab-next")
    cells.first.click()
    out.locator(".kmem-slab-byte").nth(100).click()
    out.locator(".kmem-slab-part[aria-pressed=true]", has_text="free pointer").wait_for()
    link = out.locator(".kmem-slab-link")
    to = link.inner_text()
    link.click()
    book.wait_python("hex(s.focus.address)", repr(to))
