"""SlabPanel and the views of slabs: places, states of objects, bytes, totals of a recording."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmemwidgets import Capture, Machine, SlabPanel
from kmemwidgets.records import BadInput, SlabCacheInfo, SlabPlaces, Snapshot
from kmemwidgets.records.slabs import ARRAY, FREE, IN_USE, NEXT, UNKNOWN
from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.widgets.slabpanel.view import flag_name, recorded_slabs

sys.path.insert(0, str(Path(__file__).parent))

from slab_source import SlabBox


def test_the_cpus_slab_comes_first_then_full_ones():
    box = SlabBox()
    slabs = box.slabs(box.cache.name)
    assert [slab.place for slab in slabs] == ["cpu slab", "cpu partial"]
    assert (slabs[0].cpu, slabs[1].cpu) == (0, 0)
    assert sum(slab.objects.count(IN_USE) for slab in slabs) == 29
    assert box.slabs(box.cache.name, 1) == slabs[:1]


def test_the_marked_object_is_the_next_to_go_out():
    box = SlabBox()
    slab = box.slabs(box.cache.name)[0]
    expected = slab.first + slab.objects.index(NEXT) * slab.size
    assert box.slub.kmem_cache_alloc(box.cache) == expected


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=60), st.sampled_from([(6, 1, 192), (6, 18, 35)]))
def test_states_agree_with_what_was_handed_out(steps, kernel):
    box = SlabBox(kernel=kernel, size=600)
    held = set(box.taken) - {box.taken[3]}
    for step in steps:
        if step < 25 or not held:
            held.add(box.slub.kmem_cache_alloc(box.cache))
        else:
            address = sorted(held)[step % len(held)]
            held.remove(address)
            box.slub.kmem_cache_free(box.cache, address)
    used = {
        slab.first + i * slab.size
        for slab in box.slabs(box.cache.name, 1000)
        for i, state in enumerate(slab.objects)
        if state == IN_USE
    }
    assert used == held


def test_an_object_is_found_from_any_of_its_bytes_and_parts_cover_it():
    box = SlabBox(flags=("red_zone", "store_user", "poison"))
    opened = box.slab_object(box.taken[0] + 17)
    assert opened.address == box.taken[0]
    covered = sorted((start, end) for _, start, end in opened.parts)
    assert covered[0][0] == 0
    assert covered[-1][1] == len(opened.data)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(covered))
    names = [name for name, *_ in opened.parts]
    assert names[:3] == ["left red zone", "object", "right red zone"]
    assert {"free pointer", "tracks"} <= set(names)
    start, end = next((start, end) for name, start, end in opened.parts if name == "left red zone")
    assert set(opened.data[start:end]) == {0xCC}


def test_the_free_pointer_lies_inside_where_nothing_is_debugged():
    opened = SlabBox().slab_object(SlabBox().taken[3])
    assert opened.state in (FREE, NEXT)
    assert ("free pointer, while it is free", 96, 104) in opened.parts


def test_an_address_outside_every_slab_faults():
    box = SlabBox()
    with pytest.raises(KernelBug, match="unable to handle page fault"):
        box.slab_object(0xFFFF888000000000)


def test_the_panel_allocates_frees_and_shows():
    box = SlabBox()
    panel = SlabPanel(box, cache=box.cache.name)
    address = panel.allocate()
    assert panel.focus.address == address
    assert panel.focus.cache == box.cache.name
    panel.free()
    assert panel.data()["opened"]["state"] == NEXT
    assert panel.show("big").name == "big"
    assert panel.data()["slabs"] == []
    with pytest.raises(KeyError):
        panel.show("none")
    panel.cache = "none"
    assert "no cache 'none'" in panel.error


def test_a_recording_shows_totals_only():
    panel = SlabPanel(Capture.bundled("amd64-512m"))
    data = panel.data()
    assert not data["live"]
    assert data["slabs"] == []
    with pytest.raises(ValueError, match="doesn't tell its objects apart"):
        panel.open_object(0)
    info = panel.info(panel.cache)
    assert sum(group["many"] for group in data["totals"]) == info.places.slabs
    assert info.name in repr(panel)
    assert recorded_slabs(SlabCacheInfo("x")) is None
    assert recorded_slabs(SlabCacheInfo("x", slabs=3)) == [{"place": "all", "many": 3, "state": UNKNOWN, "used": None}]


@pytest.mark.parametrize(
    ("places", "cpus", "expected"),
    [
        # The cpu's own slab and two that it put aside; of full slabs all objects are in use.
        (
            (9, 1, 5, 3, 2),
            1,
            {"cpu": (1, UNKNOWN), "cpu_partial": (2, UNKNOWN), "partial": (1, UNKNOWN), "full": (5, IN_USE)},
        ),
        # Nobody's slab; those on the node's list hold nothing.
        ((4, 2, 0, 0, 0), 2, {"partial": (2, FREE), "full": (2, IN_USE)}),
        # Both cpus have one: none can hide a list.
        ((6, 0, 0, 4, 2), 2, {"cpu": (2, UNKNOWN), "cpu_partial": (2, UNKNOWN), "full": (2, IN_USE)}),
        # Four cpus, and one without a slab may hide its list: what is full can't be told.
        ((6, 0, 0, 4, 2), 4, {"cpu_partial": (2, UNKNOWN), "cpu or full": (4, UNKNOWN)}),
    ],
)
def test_a_recording_tells_where_slabs_were(places, cpus, expected):
    groups = recorded_slabs(SlabCacheInfo("x", slabs=3, places=SlabPlaces(*places)), cpus)
    assert {group["place"]: (group["many"], group["state"]) for group in groups} == expected
    assert sum(group["many"] for group in groups) == places[0]
    assert [group["used"] for group in groups if group["place"] == "partial"] == [places[2]] * bool(places[1])


def test_a_free_object_tells_which_one_follows():
    box = SlabBox()
    slab = box.slabs(box.cache.name)[0]
    at = slab.first + slab.objects.index(NEXT) * slab.size
    way = []
    while at:
        way.append(at)
        at = box.slab_object(at).follows
    assert len(way) == len(set(way)) == slab.objects.count(FREE) + 1
    assert box.slab_object(box.taken[0]).follows is None


def test_flags_have_the_kernel_s_names():
    assert flag_name("sanity_checks") == "SLAB_CONSISTENCY_CHECKS"
    assert flag_name("red_zone") == flag_name("SLAB_RED_ZONE") == "SLAB_RED_ZONE"


def test_a_source_without_caches_is_refused():
    with pytest.raises(BadInput, match="doesn't show its slab caches"):
        SlabPanel(Snapshot("x", "x86_64", (6, 1)))


@pytest.mark.parametrize("kernel", ["2.4", "2.6.11"])
def test_a_machine_with_slab(kernel: str) -> None:
    machine = Machine.boot(arch="x86_32", memory="64M", kernel=kernel, cpus=2)
    panel = SlabPanel(machine, cache="size-512(DMA)")
    address = panel.allocate()
    shown = panel.data()
    assert shown["opened"]["address"] == hex(address)
    assert {slab["place"] for slab in shown["slabs"]} <= {"slabs_full", "slabs_partial", "slabs_free"}
    states = [state for slab in shown["slabs"] for state in slab["objects"]]
    assert states.count(IN_USE) == 1
    assert states.count(NEXT) == 1
    assert ARRAY in states, "the cpu fetched a batch"
    assert ["sharedavail", "0"] in shown["facts"]
    panel.free()
    assert IN_USE not in [state for slab in panel.data()["slabs"] for state in slab["objects"]]
    assert f"SlabPanel of {machine.spec().name}" in panel.summary()
    assert "<svg" in panel.picture()


def test_what_each_cpu_did_is_shown_where_the_kernel_counts() -> None:
    machine = Machine.boot(memory="256M", cpus=2, kernel="6.1", config={"CONFIG_SLUB_STATS": "y"})
    cache = machine.kmem_cache_create("thing", 256, flags="no_merge")
    held = [machine.kmem_cache_alloc(cache) for _ in range(3)]
    machine.kmem_cache_free(cache, held[0], 1)
    panel = SlabPanel(machine, cache="thing")
    shown = dict(panel.data()["facts"])
    assert (shown["alloc_fastpath"], shown["free_frozen"]) == ("2 C0=2", "1 C1=1")
    assert "free_slab" not in shown, "what never happened is left out"


def test_damage_is_marked_until_the_kernel_mends_it():
    machine = Machine.boot(memory="64M", kernel="6.1", cpus=1, cmdline="slub_debug=FZPU")
    panel = SlabPanel(machine, cache="kmalloc-64")

    def marked(address):
        panel.open_object(address)
        opened = panel.data()["opened"]
        return [int(opened["start"], 16) + at - address for at in opened["damaged"]]

    used, freed = machine.kmalloc(64), machine.kmalloc(64)
    machine.kfree(freed)
    assert marked(used) == marked(freed) == []
    machine.write_memory(used - 1, b"\x00")
    machine.write_memory(used + 3, b"\x00")
    machine.write_memory(used + 64, b"\x00\xcc\x01")
    assert marked(used) == [-1, 64, 66], "its owner may write into the object itself"
    machine.write_memory(freed + 63, b"\x6b")
    assert marked(freed) == [63]
    machine.kfree(used)
    assert marked(used) == [64, 66], "6.1 mends the first zone that it finds damaged, and looks no further"
    # Without debugging nothing is known to be wrong.
    plain = Machine.boot(memory="64M", kernel="6.1", cpus=1)
    panel = SlabPanel(plain, cache="kmalloc-64")
    address = plain.kmalloc(64)
    plain.write_memory(address, b"\x01" * 64)
    plain.kfree(address)
    assert marked(address) == []
