"""BootTimeline in a real JupyterLab: steps by key and by mouse, memory drawn as Python has it."""

from __future__ import annotations

from harness import expect


def test_steps_by_key_and_mouse(lab):
    book = lab.open("boot.ipynb", "1")
    out = book.run(
        "from kmemwidgets import BootTimeline, Machine\nb = BootTimeline(Machine.boot(memory='256M', kernel='6.18')); b"
    )
    steps = out.locator(".kmem-boot-step")
    steps.first.wait_for()
    book.wait_python("len(b.steps)", str(steps.count()))
    listbox = out.locator(".kmem-boot-list")
    listbox.focus()
    listbox.press("ArrowDown")
    book.wait_python("b.step", "1")
    out.locator(".kmem-boot-title", has_text="setup_arch").wait_for()
    assert out.locator(".kmem-boot-strip .kmem-boot-memory").count() > 0
    assert out.locator(".kmem-boot-strip .kmem-boot-handed").count() == 0
    listbox.press("End")
    book.wait_python("b.step == len(b.steps)", "True")
    listbox.press("PageUp")
    book.wait_python("b.steps[b.step - 1].name", "'mm_core_init: memblock_free_all'")
    rows = out.locator(".kmem-boot-table tbody tr")
    expect(rows).to_have_count(int(book.python("len(b.steps[b.step - 1].calls)")))
    first = book.python("hex(b.steps[b.step - 1].calls[0].start)").strip("'")
    expect(rows.first.locator("code")).to_contain_text(first + " ")
    out.locator(".kmem-boot-strip .kmem-boot-handed").first.wait_for()
    steps.nth(2).click()
    book.wait_python("b.step", "3")
    book.execute("_ = b.go('mem_init')")
    out.locator(".kmem-boot-title", has_text="mem_init").wait_for()
