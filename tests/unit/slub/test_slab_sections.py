"""The predictors of kmem explain on rows made up for the purpose, and on rows that are broken."""

from __future__ import annotations

import pytest

from kmemwidgets.explain.kmalloc import predict_bytes_alloc, predict_kmalloc_caches, recorded_bytes_alloc
from kmemwidgets.explain.kmalloc import recorded_kmalloc_caches as recorded_names
from kmemwidgets.explain.merging import order_of_creation, predict_merging, recorded_merging
from kmemwidgets.explain.slab_caches import predict_slab_caches, recorded_slab_caches
from kmemwidgets.explain.slab_inputs import FLAG_COLUMNS, CacheInput, cache_input, read_rows
from kmemwidgets.records import BadInput, MachineSpec

COLUMNS = (
    "name", "target", "object_size", "align", "usersize", "ctor", "slab_size", "order", "objs_per_slab", "min_partial",
    "cpu_partial", *FLAG_COLUMNS,
)  # fmt: skip


def row(name: str, size: int, target: str = "-", **more: object) -> str:
    values: dict[str, object] = dict.fromkeys(COLUMNS, 0) | {
        "name": name, "target": target, "object_size": size, "align": 8, "ctor": "", **more,
    }  # fmt: skip
    return "\t".join(str(values[column]) for column in COLUMNS)


def table(*rows: str) -> str:
    return "\n".join(["\t".join(COLUMNS), *rows]) + "\n"


def inputs(*rows: str) -> list[CacheInput]:
    return [cache_input(each) for each in read_rows(table(*rows))]


def spec(cmdline: str = "", kernel: tuple[int, ...] = (6, 1, 192)) -> MachineSpec:
    return MachineSpec(cmdline=cmdline, kernel=kernel, config=(("CONFIG_SLAB_BUCKETS", "y"),))


def test_flags_come_from_columns_and_letters() -> None:
    plain, shared, both = inputs(
        row("filp", 256, reclaim_account=1), row("pid", 128, ":A-0000128"), row(":DA-0000064", 64, ctor="f+0x0/0x10")
    )
    assert plain.flags == {"reclaim_account"}
    assert shared.flags == {"account"}
    assert (both.flags, both.ctor) == ({"account", "cache_dma32"}, True)


@pytest.mark.parametrize("size", [0, -8, 1 << 40, " "])
def test_objects_of_impossible_sizes_are_refused(size: object) -> None:
    with pytest.raises(BadInput, match=r"slab.tsv: object_size of cache 'filp' is"):
        inputs(row("filp", size))  # type: ignore[arg-type]


def test_a_single_cache_with_a_red_zone() -> None:
    found = predict_slab_caches(
        spec("slub_debug=Z,kmalloc-64"), inputs(row("kmalloc-64", 64, align=64, red_zone=1), row("kmalloc-32", 32))
    )
    assert found["kmalloc-64"] == {
        "slab_size": 192, "order": 0, "objs_per_slab": 21, "min_partial": 5, "cpu_partial": 0,
    }  # fmt: skip
    assert found["kmalloc-32"]["slab_size"] == 32
    taken = predict_bytes_alloc(spec("slub_debug=Z,kmalloc-64"), [(50, "GFP_KERNEL"), (50, "GFP_KERNEL_ACCOUNT")])
    assert taken == {(50, "GFP_KERNEL"): 192, (50, "GFP_KERNEL_ACCOUNT"): 64}


def test_order_options_reach_the_figures() -> None:
    caches = inputs(row("things", 2000))
    assert predict_slab_caches(spec(), caches)["things"]["order"] == 2
    assert predict_slab_caches(spec("slub_max_order=1"), caches)["things"]["order"] == 1
    assert predict_slab_caches(spec("slub_min_order=3"), caches)["things"]["objs_per_slab"] == 16
    assert predict_slab_caches(spec("slub_min_objects=1"), caches)["things"]["order"] == 0


def test_merging_by_command_line() -> None:
    caches = inputs(row("a", 64), row("b", 64), row("c", 64, destroy_by_rcu=1), row("d", 64, usersize=8))
    together = ("a", "b")
    assert predict_merging(spec(), caches) == {"a": together, "b": together, "c": ("c",), "d": ("d",)}
    assert predict_merging(spec("slab_nomerge"), caches)["a"] == ("a",)
    assert predict_merging(spec("slub_debug=P,b"), caches)["a"] == ("a",)
    assert predict_merging(spec("slub_debug=F"), caches)["a"] == together


@pytest.mark.parametrize(
    ("name", "kernel", "shared"),
    [
        ("msg_msg-64", (6, 1), True), ("msg_msg-64", (6, 12), False), ("kmalloc_buckets", (6, 12), False),
        ("vm_area_struct", (6, 12), True), ("vm_area_struct", (6, 18), False), ("kmem_cache", (6, 1), False),
    ],
)  # fmt: skip
def test_caches_that_are_never_shared(name: str, kernel: tuple[int, ...], shared: bool) -> None:
    found = predict_merging(spec(kernel=kernel), inputs(row("a", 64), row(name, 64)))
    assert (len(found[name]) == 2) is shared


def test_recorded_groups_and_figures() -> None:
    rows = read_rows(table(row("a", 64, ":0000064", order=1), row("b", 64, ":0000064"), row(":0000064", 64, order=2)))
    assert recorded_merging(rows) == {"a": ("a", "b"), "b": ("a", "b")}
    assert list(recorded_slab_caches(rows)) == [":0000064"]
    assert recorded_slab_caches(rows)[":0000064"]["order"] == 2


def test_order_of_creation_is_slabinfo_from_its_end() -> None:
    text = "slabinfo - version: 2.1\n# name\nnewest 0 0\nold 0 0\noldest 0 0\n"
    assert order_of_creation(["alias", "newest", "oldest", "old"], text) == ["oldest", "old", "newest", "alias"]


def test_kmalloc_names() -> None:
    assert predict_kmalloc_caches(spec(kernel=(6, 12)))["msg_msg-8k"] == 8192
    rows = read_rows(table(row("kmalloc-rcl-1k", 1024), row("msg_msg-8", 8), row("kmalloc_buckets", 112)))
    assert recorded_names(spec(kernel=(6, 12)), rows) == {"kmalloc-rcl-1k": 1024, "msg_msg-8": 8}
    assert recorded_names(spec(), rows) == {"kmalloc-rcl-1k": 1024}


def test_kmalloc_events_of_a_trace() -> None:
    head = "     work-1 [000] .....  1.5: kmalloc: call_site=f+0x1/0x2 ptr=ffff"
    line = head + " bytes_req=7 bytes_alloc=8 gfp_flags={} node=-1"
    text = "\n".join([line.format("GFP_KERNEL")] * 2 + [line.format("GFP_NOWAIT|__GFP_ZERO"), "kfree: ..."])
    assert recorded_bytes_alloc(text) == {((7, "GFP_KERNEL"), 8): 2, ((7, "GFP_NOWAIT|__GFP_ZERO"), 8): 1}
    assert predict_bytes_alloc(spec(), [(7, "GFP_KERNEL"), (9000, "GFP_KERNEL"), (8193, "")]) == {
        (7, "GFP_KERNEL"): 8, (9000, "GFP_KERNEL"): 16384, (8193, ""): 16384,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name\ttarget\n", "no column"),
        (table("a\t-\t64"), "fewer columns"),
        (table(row("a", 64, align="x")), "is 'x', no number"),
    ],
)  # fmt: skip
def test_broken_tables(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        [cache_input(each) for each in read_rows(text)]
