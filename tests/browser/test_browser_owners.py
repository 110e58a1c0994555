"""FrameMap of a machine by owner and by age, in a real JupyterLab: chosen in the list, painted, told on hover."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from harness import expect

SETUP = """
from kmemwidgets import FrameMap, Machine
m = Machine.boot(memory="32M", cpus=1)
first = m.alloc_pages("GFP_HIGHUSER_MOVABLE", 9)
w = FrameMap(m)
"""


@pytest.fixture
def shown(lab: Any, lab_session: Any) -> Iterator[tuple[Any, Any]]:
    book = lab_session.open("owners.ipynb", "")
    book.execute(SETUP)
    root = book.run("w").locator(".kmem-framemap")
    root.and_(lab.page.locator("[data-painted][data-counted]")).wait_for()
    root.scroll_into_view_if_needed()
    yield root, book
    book.execute("w.close()")


def test_a_map_is_coloured_by_owner_and_by_age(lab: Any, shown: tuple[Any, Any]) -> None:
    root, book = shown
    said = root.locator(".kmem-live")
    chosen = root.get_by_label("Colour by")
    assert chosen.locator("option").all_inner_texts() == ["flags", "order", "migrate type", "owner", "age"]
    host = root.locator(".kmem-framemap-host")

    chosen.select_option("owner")
    book.wait_python("w.color_by", "'owner'")
    legend = root.locator("[data-kind]")
    expect(legend.filter(has_text="alloc_pages, movable")).to_have_count(1)
    expect(legend.filter(has_text="boot: kernel image")).to_have_count(1)
    book.execute("w.cursor = first + 64")
    # Once the page knows; well inside the block, as a step from afar is more than a frame.
    expect(said).to_contain_text(f"frame {int(book.python('int(first)')) + 64:#x},")
    host.focus()
    lab.page.keyboard.press("ArrowLeft")
    expect(said).to_contain_text("alloc_pages, movable")
    # Why here? answers for the frame under the cursor, by key and by mouse.
    told = root.locator(".kmem-said p")
    lab.page.keyboard.press("w")
    expect(told.last).to_have_text(f"so it got pfn {int(book.python('int(first)')):#x}, 512 pages (order 9)")
    book.execute("w.said = ''; w.select(0)")
    root.locator("[data-gesture='why']").click()
    expect(told).to_contain_text("no command and no event took it")
    book.execute("w.clear_selection(); w.cursor = first + 64")

    chosen.select_option("age")
    book.wait_python("w.color_by", "'age'")
    expect(legend.filter(has_text="the last command")).to_have_count(1)
    host.focus()
    lab.page.keyboard.press("ArrowRight")
    expect(said).to_contain_text("the last command")
    # An age changes where the frame does not.
    book.execute("for _ in range(4): m.alloc_pages('GFP_KERNEL', 3)")
    expect(legend.filter(has_text="4 to 7 commands ago")).to_have_count(1)
    lab.page.keyboard.press("ArrowRight")
    expect(said).to_contain_text("4 to 7 commands ago")
