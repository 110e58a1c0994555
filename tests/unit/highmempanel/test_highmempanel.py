"""HighmemPanel: where low memory ends, the three ways pressed, and what a recording can't tell."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmemwidgets import BadInput, Capture, HighmemPanel, KernelBug, Machine
from kmemwidgets.widgets.highmempanel import GESTURES


@pytest.fixture
def panel():
    return HighmemPanel(Machine.boot(arch="x86_32", memory="2G", cpus=2))


def test_the_first_high_frame_is_picked_and_has_no_address(panel):
    assert panel.pfn == panel.ram.first_high == panel.source.highmem().max_low_pfn
    assert panel.ways() == ()
    assert [str(way) for way in panel.pick(5)] == ["direct map 0xc0005000"]
    assert panel.focus.frame == 5


def test_each_way_maps_the_picked_frame_and_gives_it_up(panel):
    address = panel.kmap()
    assert panel.kmap() == address
    brief = panel.kmap_local()
    assert [(way.kind, way.address, way.users) for way in panel.ways()] == [("pkmap", address, 2), ("fixmap", brief, 1)]
    panel.kunmap_local()
    panel.kunmap()
    panel.kunmap()
    assert [way.users for way in panel.ways()] == [0]
    area = panel.vmalloc()
    assert [(way.kind, way.address) for way in panel.ways()] == [("vmalloc", area)]
    panel.vfree()
    assert panel.ways() == ()
    panel.reset()
    assert panel.source.highmem().pkmap_count[1] == 0


def test_until_the_flush(panel):
    panel.kmap()
    panel.kunmap()
    slots = len(panel.info.pkmap_count)
    assert panel.wrap() == slots - 1
    assert panel.info.flushes == 1
    assert panel.info.last == 0
    assert panel.ways() == (), "nobody used it, so the flush took its slot"
    # One more than there are slots: the frame in slot 0 still has its address, and takes no other.
    assert panel.wrap() == slots + 1
    assert panel.info.flushes == 2


def test_a_full_window_is_told(panel):
    for pfn in range(panel.ram.first_high, panel.ram.first_high + len(panel.info.pkmap_count)):
        panel.pick(pfn)
        panel.kmap()
    panel.pick(pfn + 1)
    assert panel.kmap() is None
    assert "sleeps" in panel.error
    panel.error = ""
    assert panel.wrap() == 1
    assert "sleeps" in panel.error


def test_what_is_wrong_is_refused(panel):
    for wrong in (panel.kunmap_local, panel.vfree):
        with pytest.raises(ValueError, match="picked frame"):
            wrong()
    with pytest.raises(KernelBug):
        panel.kunmap()
    with pytest.raises(ValueError, match="no frame 0x80000; the last is 0x7ffff"):
        panel.pick(0x80000)
    with pytest.raises(ValueError, match="no frame"):
        HighmemPanel(panel.source, pfn=-1)
    first = panel.pfn
    panel.kmap_local()
    panel.pick(first + 1)
    panel.kmap_local()
    panel.pick(first)
    with pytest.raises(KernelBug, match="not the newest"):
        panel.kunmap_local()


def test_a_recording_shows_its_bounds_and_has_no_verbs():
    panel = HighmemPanel(Capture.bundled("i386-pae-2g"))
    zone = panel.snapshot.zone(0, "HighMem")
    assert (panel.ram.first_high, panel.ram.end) == (zone.start_pfn, zone.start_pfn + zone.spanned)
    assert [(each.kind, each.start) for each in panel._windows] == [("direct", 0xC0000000), ("vmalloc", 0xF77FE000)]
    assert "a recording doesn't tell" in repr(panel)
    assert panel.data()["live"] is None
    off = {each["name"] for each in panel.about["gestures"] if each["off"]}
    assert off == {gesture.name for gesture in GESTURES if gesture.verb}
    with pytest.raises(ValueError, match="a recording doesn't tell"):
        panel.vfree()


@pytest.mark.parametrize(
    "what", [{"memory": "256M"}, {"arch": "x86_32", "memory": "512M"}, {"arch": "arm", "memory": "256M"}]
)
def test_without_high_memory_there_is_nothing_to_show(what):
    with pytest.raises(BadInput, match="no high memory"):
        HighmemPanel(Machine.boot(**what))


def test_summary_and_picture_are_the_same_each_time(panel):
    panel.kmap()
    again = HighmemPanel(Machine.boot(arch="x86_32", memory="2G", cpus=2))
    again.kmap()
    assert repr(again) == repr(panel)
    assert again.picture() == panel.picture()
    assert panel.picture().count("0xc0000000  direct map") == 1
    assert "kmap: 1 of 1,024 slots in use" in repr(panel)


def test_older_kernels_have_kmap_atomic():
    panel = HighmemPanel(Machine.boot(arch="x86_32", memory="2G", kernel="5.6"))
    assert panel.data()["local_name"] == "kmap_atomic"
    assert (panel.km_type, panel.next_type()) == ("", "")
    address = panel.kmap_local()
    assert panel.source.history.commands[-1][0] == "kmap_atomic"
    assert [way.address for way in panel.ways()] == [address]
    panel.kunmap_local()
    assert panel.ways() == ()


def test_each_kind_of_user_has_a_slot_on_2_4():
    panel = HighmemPanel(Machine.boot(arch="x86_32", memory="2G", kernel="2.4"))
    assert panel.km_type == "KM_USER0"
    first = panel.kmap_local()
    assert panel.next_type() == "KM_USER1"
    assert panel.kmap_local() == first - 4096
    assert "2 slots in use (KM_USER0, KM_USER1), a cpu may have 8; 2 pages flushed" in repr(panel)
    panel.kunmap_local()
    assert "1 given up but still mapped" in repr(panel)
    rows = panel.data()["live"]["local"]
    assert [(slot, state) for _owner, slot, _pfn, _address, _cpu, state in rows] == [(3, "used"), (4, "left")]
    with pytest.raises(ValueError, match="no KM_NONE; there are KM_BOUNCE_READ"):
        panel.km_type = "KM_NONE"


def test_what_another_task_pushed_out_is_no_way():
    panel = HighmemPanel(Machine.boot(arch="x86_32", memory="2G"))
    panel.kmap_local()
    panel.source.kmap_local(panel.pfn + 1, task=1)
    assert panel.ways() == ()
    assert "1 taken out while another task runs" in repr(panel)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=40))
def test_what_is_shown_is_what_python_would_find(steps):
    panel = HighmemPanel(Machine.boot(arch="x86_32", memory="1G"))
    users = dict.fromkeys(range(7), 0)
    for number, take in steps:
        panel.pick(panel.ram.first_high + number)
        if take:
            panel.kmap()
            users[number] += 1
        elif users[number]:
            panel.kunmap()
            users[number] -= 1
    live = panel.data()["live"]
    for number, many in users.items():
        way = panel.pick(panel.ram.first_high + number)
        if many:
            assert way[0].users == many
            slot = live["pfns"].index(panel.pfn)
            assert int(live["base"], 16) + 4096 * slot == way[0].address
            assert live["counts"][slot] == many + 1
