"""KmallocPanel: the right class, waste and cache by size, architecture, kernel and kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets import Machine
from kmemwidgets.records import MachineSpec, Snapshot
from kmemwidgets.widgets.kmallocpanel import KmallocPanel
from kmemwidgets.widgets.kmallocpanel.classes import kmalloc_of

X86 = Snapshot("box", "x86_64", (6, 1, 192), cpus=2)
MODEL = kmalloc_of(MachineSpec(arch="x86_64", kernel=(6, 1, 192), cpus=2))


@pytest.mark.parametrize(
    ("size", "taken"),
    [(0, 0), (1, 8), (70, 96), (100, 128), (129, 192), (8192, 8192), (8193, 16384), (1 << 22, 1 << 22)],
)
def test_a_size_gets_the_smallest_class_that_holds_it(size, taken):
    assert MODEL.gets(size) == taken


def test_more_than_the_largest_block_is_refused():
    assert MODEL.gets((1 << 22) + 1) is None
    panel = KmallocPanel(X86)
    assert panel.ask((1 << 22) + 1) is None
    assert "NULL, above KMALLOC_MAX_SIZE (4,194,304 bytes)" in panel.answer()


def test_arm64_begins_at_128_in_6_1_and_at_8_from_6_5():
    old = kmalloc_of(MachineSpec(arch="arm64", kernel=(6, 1, 192)))
    new = kmalloc_of(MachineSpec(arch="arm64", kernel=(6, 12, 117)))
    assert [each.size for each in old.classes][:2] == [128, 256]
    assert new.classes[0].size == 8


def test_the_kind_of_request_chooses_the_cache():
    panel = KmallocPanel(X86)
    assert [panel.ask(100, gfp) for gfp in range(4)] == [
        "kmalloc-128",
        "kmalloc-cg-128",
        "kmalloc-rcl-128",
        "dma-kmalloc-128",
    ]
    assert panel.ask(9000, 0) is None
    assert panel.ask(0) is None
    assert "ZERO_SIZE_PTR" in panel.answer()
    with pytest.raises(ValueError, match="-1 bytes"):
        panel.ask(-1)


@given(st.integers(1, 1 << 22))
def test_every_size_fits_and_no_smaller_class_would_do(size):
    taken = MODEL.gets(size)
    assert taken >= size
    assert all(each.size < size for each in MODEL.classes if each.size < taken)


def test_recorded_requests_add_up():
    assert MODEL.wasted({100: 2, 9000: 1}) == (9200, 2 * 128 + 16384)
    assert "3 recorded requests ask for 9 KiB, take 16.3 KiB" in repr(KmallocPanel(X86, requests={100: 2, 9000: 1}))


def test_the_front_end_gets_what_python_answers():
    panel = KmallocPanel(X86)
    data = panel.data()
    assert [row[0] for row in data["classes"]] == [each.size for each in panel.kmalloc.classes]
    sizes = [row[0] for row in data["classes"]]
    assert data["requests"][1]["names"][sizes.index(256)] == "kmalloc-cg-256"
    assert "kmalloc(100, GFP_KERNEL): kmalloc-128, 128 bytes, 28 wasted (21.9 %)" in panel.picture()


@pytest.mark.parametrize(("kernel", "has_96"), [((2, 4, 22), False), ((2, 6, 11), True)])
def test_slab_has_two_caches_a_size_and_nothing_above(kernel: tuple[int, ...], has_96: bool) -> None:
    panel = KmallocPanel(Snapshot("old", "x86_32", kernel, cpus=1))
    assert (96 in [each.size for each in panel.kmalloc.classes]) == has_96
    assert panel.ask(100) == "size-128"
    assert panel.ask(100, 3) == "size-128(DMA)"
    assert panel.ask(0, 0) == "size-32", "kmalloc(0) gives an object"
    assert panel.ask(131072 + 1) is None
    assert "NULL, above the largest cache (131,072 bytes)" in panel.answer()
    assert "kinds: normal, dma" in panel.summary()
    assert (panel.data()["zero"], panel.data()["bound"]) == (32, "the largest cache")


def test_copies_and_callers_with_caches_of_their_own() -> None:
    spec = MachineSpec(
        kernel=(6, 12, 117), config=(("CONFIG_RANDOM_KMALLOC_CACHES", "y"), ("CONFIG_SLAB_BUCKETS", "y"))
    )
    model = kmalloc_of(spec)
    assert model.kinds_said().endswith("15 random copies, of their own memdup_user and msg_msg")
    assert kmalloc_of(MachineSpec(kernel=(6, 1, 192))).kinds_said().split(", ")[0] == "normal"


@pytest.mark.parametrize(
    ("arch", "kernel", "options"),
    [
        ("x86_64", "6.1", {"cmdline": "slub_debug=FZPU"}),
        ("x86_64", "6.12", {"config": {"CONFIG_SLUB_TINY": "y"}}),
        ("x86_32", "2.6.11", {"config": {"CONFIG_DEBUG_SLAB": "y"}}),
    ],
    ids=["slub_debug", "slub_tiny", "debug_slab"],
)
def test_classes_are_those_of_the_machine_s_own_caches(arch: str, kernel: str, options: dict[str, object]) -> None:
    machine = Machine.boot(arch=arch, memory="64M", kernel=kernel, **options)
    machine.kmem_cache_init()
    model = KmallocPanel(machine).kmalloc
    made = {cache.name: cache for cache in machine.objects.caches() or ()}
    for each in model.classes:
        cache = made[model.names["normal", each.size]]
        assert (each.order, each.objects) == (cache.order, cache.objs_per_slab), each.size
    assert set(model.names.values()) <= set(made)
