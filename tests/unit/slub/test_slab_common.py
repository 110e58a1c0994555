"""Merging, and kmalloc's sizes, kinds and names."""

from __future__ import annotations

import pytest

from kmemwidgets.records import MachineSpec
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.kmalloc import TABLE, KmallocRules
from kmemwidgets.sim.slab_common import (
    Mergeable,
    find_mergeable,
    kmalloc_caches,
    kmalloc_kind,
    kmalloc_kinds,
    kmalloc_size,
    kmalloc_sizes,
    unique_id,
)

X86 = (8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192)
V61 = pick(KmallocRules, TABLE, (6, 1, 192))
V612 = pick(KmallocRules, TABLE, (6, 12, 117))
NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        (0, 0), (1, 8), (8, 8), (9, 16), (64, 64), (65, 96), (70, 96), (97, 128), (100, 128), (129, 192), (193, 256),
        (4097, 8192), (8192, 8192), (8193, 16384), (16385, 32768), (4 << 20, 4 << 20),
    ],
)  # fmt: skip
def test_what_a_request_takes(asked: int, taken: int) -> None:
    assert kmalloc_size(asked, X86) == taken


def test_sizes_by_architecture_and_version() -> None:
    assert kmalloc_sizes(V61, "x86_64") == X86
    assert kmalloc_sizes(V61, "arm64") == (128, 256, 512, 1024, 2048, 4096, 8192)
    assert kmalloc_sizes(V61, "arm") == (64, 128, 192, 256, 512, 1024, 2048, 4096, 8192)
    assert kmalloc_sizes(V612, "arm64") == X86
    assert kmalloc_sizes(V612, "arm64", 65536)[-1] == 131072


def test_kinds() -> None:
    assert kmalloc_kinds(pick(KmallocRules, TABLE, (5, 6, 4)), MachineSpec()) == ("normal", "reclaim", "dma")
    assert kmalloc_kinds(V61, MachineSpec()) == ("normal", "cgroup", "reclaim", "dma")
    assert "cgroup" not in kmalloc_kinds(V61, MachineSpec(cmdline="cgroup.memory=nosocket,nokmem"))
    assert "cgroup" in kmalloc_kinds(V61, MachineSpec(cmdline="cgroup_disable=memory"))
    assert "cgroup" not in kmalloc_kinds(V61, MachineSpec(config=(("CONFIG_MEMCG_KMEM", "n"),)))
    assert "dma" not in kmalloc_kinds(V61, MachineSpec(config=(("CONFIG_ZONE_DMA", "n"),)))
    many = kmalloc_kinds(V612, MachineSpec(config=(("CONFIG_RANDOM_KMALLOC_CACHES", "y"),)))
    assert many[:3] == ("normal", "rnd-01", "rnd-02")
    assert many[-4:] == ("rnd-15", "reclaim", "dma", "cgroup")


def test_names() -> None:
    names = {cache.name: cache for cache in kmalloc_caches(V612, MachineSpec(config=(("CONFIG_SLAB_BUCKETS", "y"),)))}
    assert {"kmalloc-8", "kmalloc-1k", "kmalloc-cg-96", "kmalloc-rcl-192", "dma-kmalloc-8k", "msg_msg-8"} <= set(names)
    assert len(names) == 6 * 13
    assert names["kmalloc-96"].align == 32
    assert {c.name: c.align for c in kmalloc_caches(V61, MachineSpec())}["kmalloc-96"] == 8
    assert {c.name: c.align for c in kmalloc_caches(V61, MachineSpec())}["kmalloc-64"] == 64
    assert not any(cache.name.startswith("msg_msg") for cache in kmalloc_caches(V612, MachineSpec()))


@pytest.mark.parametrize(
    ("gfp", "kind"),
    [
        ("GFP_KERNEL", "normal"), ("GFP_KERNEL|__GFP_ACCOUNT", "cgroup"),
        ("__GFP_RECLAIMABLE|__GFP_ACCOUNT", "reclaim"),
        ("__GFP_DMA|__GFP_RECLAIMABLE", "dma"), ("GFP_KERNEL_ACCOUNT|__GFP_ZERO", "cgroup"), ("GFP_DMA", "dma"),
    ],
)  # fmt: skip
def test_kind_of_a_request(gfp: str, kind: str) -> None:
    assert kmalloc_kind(("normal", "cgroup", "reclaim", "dma"), gfp.split("|")) == kind
    assert kmalloc_kind(("normal",), gfp.split("|")) == "normal"


def cache(name: str, size: int, align: int = 8, *flags: str, ctor: bool = False, user: bool = False) -> Mergeable:
    return Mergeable(name, size, align, frozenset(flags), ctor, user)


def test_merging_takes_a_cache_of_the_same_size() -> None:
    there = [cache("a", 64), cache("b", 96), cache("c", 128)]
    assert find_mergeable(cache("new", 96), there) == 1
    assert find_mergeable(cache("new", 90), there) == 1
    assert find_mergeable(cache("new", 88), there) is None
    assert find_mergeable(cache("new", 100), there) is None
    assert find_mergeable(cache("new", 96, 64), there) == 2
    assert find_mergeable(cache("new", 92, 4), there, word=4) is None


@pytest.mark.parametrize(
    "flag", ["red_zone", "poison", "store_user", "trace", "destroy_by_rcu", "no_merge", "noleaktrace", "failslab"]
)
def test_never_merged(flag: str) -> None:
    assert find_mergeable(cache("new", 96, 8, flag), [cache("a", 96)]) is None
    assert find_mergeable(cache("new", 96), [cache("a", 96, 8, flag)]) is None


@pytest.mark.parametrize("flag", ["account", "reclaim_account", "cache_dma", "cache_dma32"])
def test_merged_only_with_the_same(flag: str) -> None:
    assert find_mergeable(cache("new", 96, 8, flag), [cache("a", 96)]) is None
    assert find_mergeable(cache("new", 96, 8, flag), [cache("a", 96), cache("b", 96, 8, flag)]) == 1


def test_what_else_forbids_merging() -> None:
    there = [cache("a", 96)]
    assert find_mergeable(cache("new", 96, ctor=True), there) is None
    assert find_mergeable(cache("new", 96, user=True), there) is None
    assert find_mergeable(cache("new", 96), there, merge=False) is None
    assert find_mergeable(cache("new", 96), [Mergeable("kmem_cache", 96, 8, exempt=True)]) is None
    assert find_mergeable(cache("new", 96, 8, "hwcache_align", "sanity_checks"), there) == 0


def test_unique_id() -> None:
    assert unique_id(cache("x", 64)) == ":0000064"
    assert unique_id(cache("x", 192, 8, "account", "hwcache_align")) == ":A-0000192"
    assert unique_id(cache("x", 192, 8, "account", "reclaim_account", "cache_dma", "cache_dma32")) == ":dDaA-0000192"
    assert unique_id(cache("x", 192, 8, "account", "sanity_checks")) == ":FA-0000192"
