"""Areas of an address space: complete, ascending, innermost first."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets import Capture, Machine
from kmemwidgets.records import BadInput, Region, Snapshot
from kmemwidgets.widgets.addressmap import AddressMap
from kmemwidgets.widgets.addressmap.areas import areas, kind_of, layout_of

REGIONS = (
    Region(0xC0000000, 0xF7800000, "lowmem", space="virtual"),
    Region(0xC1000000, 0xC1800000, "kernel text", space="virtual"),
    Region(0xF8000000, 0xFF000000, "vmalloc", space="virtual"),
)
SNAPSHOT = Snapshot("a <b>box</b>", "x86_32", (6, 1, 176), layout=REGIONS)


def test_gaps_become_holes_and_inner_areas_cut_outer_ones():
    found = [(area.start, area.name) for area in areas(REGIONS, 32)]
    assert found == [
        (0, "hole"),
        (0xC0000000, "lowmem"),
        (0xC1000000, "kernel text"),
        (0xC1800000, "lowmem"),
        (0xF7800000, "hole"),
        (0xF8000000, "vmalloc"),
        (0xFF000000, "hole"),
    ]


@given(
    st.lists(
        st.tuples(st.integers(0, 2**32 - 2), st.integers(1, 2**32), st.sampled_from("abc")).map(
            lambda t: Region(t[0], min(t[0] + t[1], 2**32), t[2], space="virtual")
        ),
        max_size=12,
    )
)
def test_areas_cover_the_space_without_overlap(regions):
    found = areas(regions, 32)
    assert found[0].start == 0
    assert found[-1].end == 2**32
    for before, after in itertools.pairwise(found):
        assert before.end == after.start
    for area in found:
        middle = (area.start + area.end) // 2
        inside = [region for region in regions if region.start <= middle < region.end]
        if inside:
            assert area.name in {region.name for region in inside}
        else:
            assert area.name == "hole"


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5), (-1, 4), (0, 2**32 + 1)])
def test_a_region_outside_the_space_is_refused(start, end):
    with pytest.raises(BadInput, match="empty or outside 32 bits"):
        areas([Region(start, end, "odd", space="virtual")], 32)


def test_kinds_follow_the_kernels_names():
    assert kind_of("vmalloc/ioremap space") == ("vmalloc", "vmalloc")
    assert kind_of("guard hole, also reserved for hypervisor")[0] == "hole"
    assert kind_of("something new") == ("other", "")


def test_a_snapshot_without_layout_says_what_to_do():
    with pytest.raises(BadInput, match="doesn't show its address layout; give AddressMap a Machine"):
        layout_of(Snapshot("x", "x86_64", (6, 1)))


def test_the_widget_finds_zooms_and_refuses():
    widget = AddressMap(SNAPSHOT)
    assert widget.area(0xC1000004).name == "kernel text"
    assert widget.area("VMALLOC").start == 0xF8000000
    assert widget.area("c").name == "kernel text" or widget.area("c").name == "vmalloc"
    widget.zoom_to("vmalloc")
    start, count = (int(word, 16) for word in widget.window)
    assert start < 0xF8000000
    assert start + count > 0xFF000000
    assert widget.focus.address == 0xF8000000
    widget.zoom_out()
    assert widget.window == ["0x0", hex(2**32)]
    with pytest.raises(KeyError):
        widget.area("pkmap")
    with pytest.raises(ValueError, match="not inside 32 bits"):
        widget.zoom(2**32, 1)


def test_summary_and_picture_show_every_area_and_no_markup():
    widget = AddressMap(SNAPSHOT, beside=SNAPSHOT)
    assert "00000000f8000000"[8:] in repr(widget)
    assert repr(widget).count("kernel text") == 2
    picture = widget.picture()
    assert "<b>" not in picture
    assert "&lt;b&gt;box" in picture
    assert picture.count("<rect") == 1 + len(areas(REGIONS, 32))


def test_addresses_lead_to_memory_and_to_struct_pages():
    machine = Machine.boot(arch="arm64", memory="1G", cpus=1)
    space = AddressMap(machine).data()["spaces"][0]
    (direct,) = (each for each in space["maps"] if not each["image"])
    address = int(direct["start"], 16) + 0x5000
    assert machine.pa(address) == int(direct["to"], 16) + 0x5000
    (memmap,) = space["memmaps"]
    pfn = machine.pa(address) // 4096
    shown = int(memmap["start"], 16) + (pfn - int(memmap["pfn"], 16)) * int(memmap["size"], 16)
    assert shown == machine.virt_to_page(address)


@pytest.mark.parametrize("name", ["amd64-512m", "amd64-2g-numa2", "arm64-1g", "i386-pae-2g"])
def test_a_recordings_addresses_lead_to_its_memory(name):
    capture = Capture.bundled(name)
    space = AddressMap(capture).data()["spaces"][0]
    usable = [(entry.start, entry.end) for entry in capture.spec().memory if entry.kind == "usable"]
    direct = [each for each in space["maps"] if not each["image"]]
    assert direct
    for each in direct:
        size, to = int(each["end"], 16) - int(each["start"], 16), int(each["to"], 16)
        assert any(start <= to and to + size <= end + 4096 for start, end in usable) or name.startswith("i386")
    # Each piece's struct pages begin with that of its first frame.
    firsts = [int(each["pfn"], 16) for each in space["memmaps"]]
    assert [first // 64 for first in firsts] == [int(each["to"], 16) // 4096 // 64 for each in direct][: len(firsts)]


def test_holes_have_the_kernels_answer():
    space = AddressMap(Machine.boot(memory="1G")).data()["spaces"][0]
    answers = {region["name"]: region["answer"] for region in space["regions"]}
    assert answers["non-canonical"].startswith(
        "general protection fault, probably for non-canonical address 0x{address}"
    )
    assert answers["hypervisor hole"] == "BUG: unable to handle page fault for address: {address}"
    assert answers["direct map"] == ""
