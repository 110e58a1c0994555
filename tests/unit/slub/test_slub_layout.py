"""Bytes of an object, pages of a slab: the arithmetic, rule by rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.records import MachineSpec
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.slub import MAX_OBJS_PER_SLAB, TABLE, SlubRules, align_up, get_order
from kmemwidgets.sim.slub_layout import (
    CacheGeometry,
    Tunables,
    cache_geometry,
    calculate_alignment,
    calculate_order,
    calculate_sizes,
)
from kmemwidgets.sim.slub_options import DEFAULT_DEBUG, parse_options, tunables

OLD = pick(SlubRules, TABLE, (5, 6, 4))
V61 = pick(SlubRules, TABLE, (6, 1, 192))
V612 = pick(SlubRules, TABLE, (6, 12, 117))
V618 = pick(SlubRules, TABLE, (6, 18, 35))
DEBUG = frozenset({"red_zone", "poison", "store_user", "sanity_checks"})


@pytest.mark.parametrize(("size", "order"), [(1, 0), (4096, 0), (4097, 1), (8192, 1), (8193, 2), (16384, 2)])
def test_get_order(size: int, order: int) -> None:
    assert get_order(size) == order


@pytest.mark.parametrize(
    ("requested", "size", "hwcache", "word", "align"),
    [
        (0, 24, False, 8, 8), (0, 24, False, 4, 4), (0, 24, True, 8, 32), (0, 32, True, 8, 32), (0, 33, True, 8, 64),
        (0, 200, True, 8, 64), (128, 200, True, 8, 128), (0, 3, True, 8, 8), (16, 24, False, 8, 16),
    ],
)  # fmt: skip
def test_alignment_halves_a_cache_line(requested: int, size: int, hwcache: bool, word: int, align: int) -> None:
    assert calculate_alignment(requested, size, 64, hwcache=hwcache, word=word) == align


def test_link_lies_first_then_in_the_middle() -> None:
    assert calculate_sizes(OLD, 100, 8).offset == 0
    assert calculate_sizes(V61, 100, 8).offset == 48
    assert calculate_sizes(V61, 8, 8).offset == 0


@pytest.mark.parametrize("reason", ["ctor", "rcu", "poison"])
def test_link_lies_behind_what_must_survive(reason: str) -> None:
    flags = {"rcu": frozenset({"destroy_by_rcu"}), "poison": frozenset({"poison"})}.get(reason, frozenset())
    layout = calculate_sizes(V61, 96, 8, flags, ctor=reason == "ctor")
    assert (layout.inuse, layout.offset, layout.size) == (96, 96, 104)


def test_files_keep_their_link_since_6_12() -> None:
    rcu = frozenset({"destroy_by_rcu"})
    assert calculate_sizes(V612, 192, 64, rcu, name="filp").size == 192
    assert calculate_sizes(V612, 192, 64, rcu, name="other").size == 256
    assert calculate_sizes(V61, 192, 64, rcu, name="filp").size == 256


def test_red_zone_takes_the_padding_where_there_is_some() -> None:
    red = frozenset({"red_zone"})
    assert calculate_sizes(V61, 60, 8, red).inuse == 64
    full = calculate_sizes(V61, 64, 8, red)
    assert (full.inuse, full.red_left_pad, full.size) == (72, 8, 88)
    assert calculate_sizes(V61, 64, 64, red).red_left_pad == 64


@pytest.mark.parametrize(("rules", "offset"), [(OLD, 0), (V61, 8), (V612, 8)])
def test_small_object_with_red_zone(rules: SlubRules, offset: int) -> None:
    assert calculate_sizes(rules, 4, 8, frozenset({"red_zone"})).offset == offset


def test_tracks_and_request_size() -> None:
    user = frozenset({"store_user"})
    assert calculate_sizes(OLD, 64, 8, user).size == 64 + 2 * 152
    assert calculate_sizes(V61, 64, 8, user).size == 64 + 2 * 32
    assert calculate_sizes(V61, 64, 4, user, word=4).size == 64 + 2 * 20
    kmalloc = calculate_sizes(V61, 64, 8, user, kmalloc=True)
    assert (kmalloc.track, kmalloc.request_size, kmalloc.size) == (64, 128, 136)
    assert calculate_sizes(OLD, 64, 8, user, kmalloc=True).request_size is None
    both = frozenset({"store_user", "red_zone"})
    assert calculate_sizes(V61, 64, 8, both, kmalloc=True).offset == 32
    assert calculate_sizes(V612, 64, 8, both, kmalloc=True).offset == 72


@given(
    st.integers(1, 20000), st.sampled_from([8, 16, 64, 256]), st.frozensets(st.sampled_from(sorted(DEBUG))),
    st.booleans(), st.sampled_from([OLD, V61, V612, V618]),
)  # fmt: skip
def test_no_two_parts_of_an_object_overlap(
    size: int, align: int, flags: frozenset[str], ctor: bool, rules: SlubRules
) -> None:
    layout = calculate_sizes(rules, size, align, flags, ctor=ctor, kmalloc=True)
    assert layout.size % align == 0
    assert layout.inuse >= size
    ends = [layout.inuse]
    if layout.offset >= layout.inuse:
        assert layout.offset == layout.inuse
        ends.append(layout.offset + 8)
    else:
        # The link may only reach behind the object where the object is smaller than a link.
        assert layout.offset % 8 == 0
        assert layout.offset + 8 <= align_up(size, 8)
    if layout.track is not None:
        assert layout.track == max(ends)
        ends.append(layout.track + 2 * rules.track_size(8))
    if layout.request_size is not None:
        assert layout.request_size == max(ends)
        ends.append(layout.request_size + rules.request_size_field)
    assert layout.size >= max(ends) + layout.red_left_pad + (8 if "red_zone" in flags else 0)
    assert (layout.red_left_pad > 0) == ("red_zone" in flags)
    assert layout.red_left_pad % align == 0 or layout.red_left_pad == 0


def figures(rules: SlubRules, size: int, cpus: int = 1, flags: frozenset[str] = frozenset()) -> CacheGeometry:
    return cache_geometry(rules, calculate_sizes(rules, size, 8, flags), flags, Tunables(cpus, cpus))


@pytest.mark.parametrize(("size", "objects"), [(8, 120), (248, 120), (249, 52), (1024, 24), (4096, 6), (8192, 6)])
def test_cpu_partial(size: int, objects: int) -> None:
    assert figures(V61, size).cpu_partial == objects


@pytest.mark.parametrize(("size", "objects"), [(8, 30), (256, 13), (1024, 6), (4096, 2)])
def test_cpu_partial_was_smaller(size: int, objects: int) -> None:
    assert figures(OLD, size).cpu_partial == objects
    assert figures(OLD, size).cpu_partial_slabs == 0


def test_cpu_partial_slabs_are_half_full() -> None:
    assert figures(V61, 104).cpu_partial_slabs == 7  # 240 objects in slabs of 39
    assert figures(V61, 24).cpu_partial_slabs == 2  # 240 objects in slabs of 170


@pytest.mark.parametrize("flag", ["red_zone", "poison", "store_user", "sanity_checks", "trace"])
def test_debugging_takes_the_cpu_lists_away(flag: str) -> None:
    assert figures(V61, 64, flags=frozenset({flag})).cpu_partial == 0


@pytest.mark.parametrize(("size", "slabs"), [(8, 5), (2048, 5), (4096, 6), (1 << 16, 8), (1 << 21, 10), (1 << 22, 10)])
def test_min_partial(size: int, slabs: int) -> None:
    assert V61.min_partial(size) == slabs


@pytest.mark.parametrize(("cpus", "order"), [(1, 2), (2, 3), (4, 3)])
def test_more_cpus_larger_slabs(cpus: int, order: int) -> None:
    assert figures(V618, 2048, cpus).order == order


def test_which_cpus_count() -> None:
    assert OLD.min_objects_cpus(4, 64) == 64
    assert V61.min_objects_cpus(4, 64) == 4
    assert V61.min_objects_cpus(1, 64) == 64


@given(st.integers(8, 40000), st.integers(1, 128), st.sampled_from([OLD, V61, V612]), st.integers(0, 3))
def test_a_slab_holds_its_objects(size: int, cpus: int, rules: SlubRules, max_order: int) -> None:
    order = calculate_order(rules, size, Tunables(cpus, cpus, max_order=max_order))
    objects = (4096 << order) // size
    assert 1 <= objects <= MAX_OBJS_PER_SLAB
    assert order <= max(max_order, get_order(size))


def test_order_options() -> None:
    assert calculate_order(V61, 64, Tunables(min_order=2)) == 2
    assert calculate_order(V61, 2048, Tunables(max_order=0)) == 0
    assert calculate_order(V61, 64, Tunables(min_objects=100)) == 1
    assert calculate_order(V612, 700, Tunables(max_order=1, min_objects=64)) == 1
    assert calculate_order(V61, 5000, Tunables(max_order=0)) == 1
    assert calculate_order(V61, 8 << 20, Tunables()) == -1
    assert calculate_order(V612, 8 << 20, Tunables()) == -1
    assert calculate_order(V61, 8, Tunables(page_size=65536, max_order=3, min_order=3)) == 1


def boot(cmdline: str, kernel: tuple[int, ...] = (6, 1, 192), **config: str) -> MachineSpec:
    return MachineSpec(kernel=kernel, cmdline=cmdline, cpus=2, config=tuple(config.items()))


def test_options_of_all_caches() -> None:
    read = tunables(V61, boot("quiet slub_max_order=1 slub_min_objects=0x20 slub-min-order=1"))
    assert (read.max_order, read.min_objects, read.min_order, read.present_cpus) == (1, 32, 1, 2)
    assert tunables(V61, boot("slub_max_order=99")).max_order == 10
    assert tunables(V61, boot("slub_max_order=many")).max_order == 3
    assert tunables(V61, boot("slab_max_order=1")).max_order == 3
    assert tunables(V612, boot("slab_max_order=1", (6, 12))).max_order == 1
    assert tunables(V612, boot("slab_min_order=4", (6, 12))).max_order == 4
    assert tunables(V61, boot("slub_min_order=4")).max_order == 3
    assert not tunables(V61, boot("", CONFIG_SLUB_CPU_PARTIAL="n")).cpu_partial


@pytest.mark.parametrize(("cmdline", "merge"), [("", True), ("slab_nomerge", False), ("slub_nomerge x", False)])
def test_nomerge(cmdline: str, merge: bool) -> None:
    assert parse_options(V61, boot(cmdline)).merge is merge


def test_merge_default_of_the_configuration() -> None:
    assert not parse_options(V61, boot("", CONFIG_SLAB_MERGE_DEFAULT="n")).merge
    assert parse_options(V61, boot("slab_merge", CONFIG_SLAB_MERGE_DEFAULT="n")).merge


@pytest.mark.parametrize(
    ("cmdline", "name", "flags"),
    [
        ("slub_debug", "dentry", DEFAULT_DEBUG),
        ("slub_debug=FZ", "dentry", {"sanity_checks", "red_zone"}),
        ("slub_debug=fz", "dentry", {"sanity_checks", "red_zone"}),
        ("slub_debug=P,dentry", "dentry", {"poison"}),
        ("slub_debug=P,dentry", "filp", set()),
        ("slub_debug=P,dentry", "dentry2", set()),
        ("slub_debug=,dentry", "dentry", DEFAULT_DEBUG),
        ("slub_debug=U,kmalloc-*", "kmalloc-64", {"store_user"}),
        ("slub_debug=U,kmalloc-*", "dma-kmalloc-64", set()),
        ("slub_debug=Z,a,b;P,c", "b", {"red_zone"}),
        ("slub_debug=Z,a,b;P,c", "c", {"poison"}),
        ("slub_debug=Z,a;P", "a", {"red_zone"}),
        ("slub_debug=Z,a;P", "c", {"poison"}),
        ("slub_debug=-", "dentry", set()),
        ("slub_debug=T", "dentry", {"trace"}),
    ],
)
def test_debugging_by_cache(cmdline: str, name: str, flags: set[str]) -> None:
    assert parse_options(V61, boot(cmdline)).debug_flags(name) == flags


def test_debugging_built_in() -> None:
    assert parse_options(V61, boot("", CONFIG_SLUB_DEBUG_ON="y")).debug_flags("x") == DEFAULT_DEBUG
    kept = parse_options(V61, boot("slub_debug=P,dentry", CONFIG_SLUB_DEBUG_ON="y"))
    assert (kept.debug_flags("x"), kept.debug_flags("dentry")) == (DEFAULT_DEBUG, {"poison"})
    assert parse_options(V61, boot("slub_debug=ZO")).keep_low_order
    assert parse_options(V61, boot("slub_debug", CONFIG_SLUB_DEBUG="n")).debug == frozenset()
