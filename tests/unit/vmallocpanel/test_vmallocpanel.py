"""VmallocPanel: areas and holes in order, callers added up, verbs where the source has them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets import Machine
from kmemwidgets.records import BadInput, Changes, Snapshot, VmallocArea
from kmemwidgets.widgets.vmallocpanel import VmallocPanel
from kmemwidgets.widgets.vmallocpanel.rows import by_caller, kind_of, places

TEXT = """\
0xffffc90000000000-0xffffc90000005000   20480 irq_init_percpu_irqstack+0xf0/0x120 vmap
0xffffc90000005000-0xffffc90000007000    8192 acpi_os_map_iomem+0x1b6/0x1d0 phys=0x000000001ffe1000 ioremap
0xffffc90000008000-0xffffc9000000b000   12288 acpi_os_map_iomem+0x1b6/0x1d0 phys=0x000000001ffe0000 ioremap
0xffffc9000000d000-0xffffc9000000f000    8192 gen_pool_add_owner+0x3a/0xc0 pages=1 vmalloc N0=1
"""


def test_holes_stand_between_the_areas():
    found = [(place.kind, place.end - place.start) for place in places(VmallocPanel(TEXT).areas)]
    assert found == [
        ("vmap", 0x5000),
        ("ioremap", 0x2000),
        ("hole", 0x1000),
        ("ioremap", 0x3000),
        ("hole", 0x2000),
        ("vmalloc", 0x2000),
    ]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=20))
def test_places_touch_and_hold_every_area(steps):
    areas, at = [], 0
    for gap, length in steps:
        start = at + gap
        areas.append(VmallocArea(start, start + length, length))
        at = start + length
    found = places(reversed(areas))
    assert [place.area for place in found if place.area] == areas
    assert all(before.end == after.start for before, after in itertools.pairwise(found))
    assert not any(before.kind == after.kind == "hole" for before, after in itertools.pairwise(found))


def test_hashed_addresses_give_no_holes():
    areas = [VmallocArea(0x900, 0x100, 8192), VmallocArea(0x50, 0x20, 4096)]
    assert [place.area for place in places(areas)] == areas


def test_kinds_and_callers():
    assert kind_of(VmallocArea(0, 1, 1, flags=("unpurged vm_area",))) == "unpurged"
    assert kind_of(VmallocArea(0, 1, 1, flags=("vmalloc", "user"))) == "user"
    assert kind_of(VmallocArea(0, 1, 1)) == "other"
    assert by_caller(VmallocPanel(TEXT).areas) == [
        ("acpi_os_map_iomem", 2, 20480),
        ("irq_init_percpu_irqstack", 1, 20480),
        ("gen_pool_add_owner", 1, 8192),
    ]


def test_summary_picture_and_find():
    panel = VmallocPanel(TEXT)
    assert repr(panel).splitlines()[0] == "VmallocPanel of pasted: 4 areas, 48 KiB, 2 holes between them"
    assert len(panel.find("acpi")) == 2
    assert panel.caller == "acpi"
    # The paper, six places, eight swatches of the legend.
    assert panel.picture().count("<rect") == 1 + 6 + 8


def test_what_shows_no_areas_is_refused():
    with pytest.raises(BadInput, match="doesn't show vmalloc's areas"):
        VmallocPanel(Snapshot("x", "x86_64", (6, 1)))
    with pytest.raises(BadInput, match=r"can't show /proc/meminfo; it takes the text of /proc/vmallocinfo"):
        VmallocPanel("MemTotal:       16000 kB\nMemFree:        8000 kB\nMemAvailable:   9000 kB\n")


class Busy:
    """A source that can vmalloc."""

    def __init__(self):
        self.areas = [VmallocArea(0x1000, 0x3000, 0x2000, "f+0x1/0x2", flags=("vmalloc",))]
        self.verbs = {"vmalloc": self.vmalloc, "vfree": self.vfree}

    def vmalloc(self, size):
        start = self.areas[-1].end if self.areas else 0x1000
        self.areas.append(VmallocArea(start, start + size + 0x1000, size + 0x1000, "g+0x1/0x2", flags=("vmalloc",)))
        return start

    def vfree(self, address):
        self.areas = [area for area in self.areas if area.start != address]

    def snapshot(self):
        return Snapshot("busy", "x86_64", (6, 1, 192), vmalloc=tuple(self.areas))

    def changes(self, since):
        return Changes(since, ())

    def frame(self, pfn):
        raise IndexError(pfn)

    def subscribe(self, callback):
        return lambda: None


def test_allocating_chooses_the_area_and_freeing_takes_the_chosen_one():
    source = Busy()
    panel = VmallocPanel(source)
    assert panel.vmalloc(4) == 0x3000
    assert panel.focus.address == 0x3000
    panel.vfree()
    assert [area.start for area in panel.areas] == [0x1000]
    panel.vfree("0x1000")
    panel.clear_selection()
    with pytest.raises(ValueError, match="choose the area"):
        panel.vfree()


def test_the_way_through_the_page_tables_is_shown_page_by_page():
    machine = Machine.boot(memory="256M", cpus=1)
    area = machine.vmalloc(3 * 4096)
    panel = VmallocPanel(machine)
    assert panel.walked == {}
    panel.select(address=area + 4096)
    shown = panel.walked
    assert [step["level"] for step in shown["steps"]] == ["pgd", "pud", "pmd", "pte"]
    assert [step["kind"] for step in shown["steps"]] == ["table", "table", "table", "leaf"]
    assert shown["pfn"] == hex(machine.walk(area + 4096).physical // 4096)
    assert "pte[1] → physical" in panel.summary()
    panel.select(address=area + 3 * 4096)
    assert (panel.walked["pfn"], panel.walked["steps"][-1]["kind"]) == (None, "none"), "the guard page"
    machine.vfree(area)
    panel.send_changes()
    assert panel.walked["pfn"] is None
    panel.select(address=0)
    assert panel.walked == {}
    assert VmallocPanel(TEXT).walked == {}
