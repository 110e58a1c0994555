"""FrameMap by owner and by age: legend, colours, words, and what is sent when they change without the frame."""

from __future__ import annotations

from typing import Any

import pytest
from wire_reader import connected

from kmemwidgets import FrameMap, Machine
from kmemwidgets.widgets.framemap.cells import differences
from kmemwidgets.widgets.framemap.kinds import FLAG_KINDS


@pytest.fixture
def machine() -> Machine:
    return Machine.boot(memory="64M", cpus=1)


def shown(widget: FrameMap, line: Any, pfn: int) -> str:
    """Return the label of the kind that a page paints a frame with."""
    data = widget.data()
    return data["kinds"][data["kind"][line.reader.codes[pfn - data["start"]]]]["label"]


def test_free_reserved_and_missing_look_alike_in_every_colouring(machine: Machine) -> None:
    plain = {kind.name: kind for kind in FLAG_KINDS}
    for color_by in ("owner", "age"):
        kinds = {kind.name: kind for kind in FrameMap(machine, color_by=color_by).kinds}
        assert [kinds[name] for name in ("free", "reserved", "hole")] == [
            plain[name] for name in ("free", "reserved", "hole")
        ]


def test_the_summary_and_the_picture_tell_the_owners(machine: Machine) -> None:
    machine.alloc_pages("GFP_KERNEL", 10)
    machine.kmem_cache_init()
    widget = FrameMap(machine, color_by="owner")
    text = widget.summary()
    assert "  alloc_pages: 1,024, " in text
    assert "  boot: kernel image: " in text
    assert "  slab: kmem_cache: " in text
    assert "no memory" not in text
    assert "boot: kernel image" in widget.picture()


def test_ages_go_from_loud_to_calm(machine: Machine) -> None:
    machine.alloc_pages()
    kinds = FrameMap(machine, color_by="age").kinds
    by_label = {kind.label: kind.light for kind in kinds}
    assert by_label["the last command"] == "#8c1d18"
    assert kinds[-1].light == "#a9cdea"
    # Each doubling has a colour of its own; what has no age looks as it does among the owners.
    assert len({kind.light for kind in kinds if "command" in kind.label and "before" not in kind.label}) == 15
    owners = {kind.label: kind.light for kind in FrameMap(machine, color_by="owner").kinds}
    assert by_label["on a per-CPU list"] == owners["on a per-CPU list"]
    assert by_label["before the first command"] not in owners.values()


@pytest.mark.parametrize("color_by", ["owner", "age"])
def test_a_page_hears_of_changes_of_owner_and_age(machine: Machine, color_by: str) -> None:
    first = machine.alloc_pages("GFP_KERNEL", 3)
    assert first is not None
    widget, line, time = connected(machine)  # type: ignore[arg-type]
    widget.color(color_by)
    time.pass_by(1)
    for number in range(4):
        page = machine.alloc_pages("GFP_HIGHUSER_MOVABLE", 4)
        assert page is not None
        time.pass_by(1)
        # Whatever changed: a page's colours are those of a fresh look.
        table = machine.frame_table(color_by)
        assert table is not None
        assert bytes(line.reader.codes) == bytes(table.codes)
        if color_by == "age":
            expected = ["1 command ago", "2 to 3 commands ago", "2 to 3 commands ago", "4 to 7 commands ago"]
            assert shown(widget, line, page) == "the last command"
            assert shown(widget, line, first) == expected[number]
        else:
            assert shown(widget, line, page) == "alloc_pages, movable"
    assert line.seen[-1] == "delta"


def test_a_new_owner_makes_a_new_legend(machine: Machine) -> None:
    widget, line, time = connected(machine)  # type: ignore[arg-type]
    widget.color("owner")
    time.pass_by(1)
    machine.kmem_cache_init()
    time.pass_by(1)
    assert line.seen[-1] == "full"
    address = machine.kmalloc(100)
    assert address is not None
    slub = machine.objects.slub
    assert slub is not None
    assert line.seen[-1] == "delta"
    assert shown(widget, line, (address - slub.page_offset) >> 12) == "slab: kmalloc-128"


def test_differences_are_told_in_grains() -> None:
    before = bytes(200_000)
    after = bytearray(before)
    assert differences(before, bytes(after)) == []
    after[0] = after[130] = after[199_999] = 1
    assert differences(before, bytes(after)) == [(0, 64), (128, 64), (199_936, 64)]
    after[64] = 1
    assert differences(before, memoryview(after)) == [(0, 192), (199_936, 64)]
