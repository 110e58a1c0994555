"""Slab orders and cache figures against answers that the kernel itself gave."""

from __future__ import annotations

from pathlib import Path

import pytest
from casefinder import load_oracle, oracle_id, oracles

from kmemwidgets.records import parse_version
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.slub import TABLE, SlubRules
from kmemwidgets.sim.slab_common import Mergeable, slab_unmergeable, unique_id
from kmemwidgets.sim.slub_layout import Tunables, cache_geometry, calculate_order, calculate_sizes

FIGURES = ("slab_size", "order", "objs_per_slab", "min_partial", "cpu_partial", "sheaf_capacity")


@pytest.mark.parametrize("path", oracles("kernel_slub_order*"), ids=oracle_id)
def test_order_and_objects_of_every_size(path: Path) -> None:
    rows = load_oracle(path)["rows"]
    assert rows
    rules = {version: pick(SlubRules, TABLE, parse_version(version)) for version in {row[0] for row in rows}}
    wrong = []
    for version, cpus, size, order, objects in rows:
        ours = calculate_order(rules[version], size, Tunables(present_cpus=cpus, possible_cpus=cpus))
        if (ours, (4096 << ours) // size) != (order, objects):
            wrong.append((version, cpus, size, order, ours))
    assert wrong == []


@pytest.mark.parametrize("path", oracles("real_kernel_slub_caches*"), ids=oracle_id)
def test_caches_of_a_live_kernel(path: Path) -> None:
    caches = load_oracle(path)["caches"]
    assert caches
    rules = pick(SlubRules, TABLE, (6, 18, 35))
    flag_names = ("red_zone", "poison", "store_user", "destroy_by_rcu", "sanity_checks", "cache_dma", "reclaim_account")
    wrong = []
    for cache in caches:
        name = cache["names"][0]
        flags = frozenset(flag for flag in flag_names if cache[flag])
        layout = calculate_sizes(
            rules,
            cache["object_size"],
            cache["align"],
            flags,
            ctor=cache["ctor"],
            kmalloc="kmalloc-" in name,
            name=name,
        )
        found = cache_geometry(rules, layout, flags, Tunables(present_cpus=2, possible_cpus=2))
        ours = (
            layout.size, found.order, found.objs_per_slab, found.min_partial, found.cpu_partial,
            rules.sheaf_capacity(name),
        )  # fmt: skip
        if ours != tuple(cache[figure] for figure in FIGURES):
            wrong.append((name, ours))
        # The letters of accounting are no file of their own; all the rest of a shared cache's name follows.
        if "A" in cache["unique_id"].split("-")[0]:
            flags |= {"account"}
        shared = Mergeable(name, layout.size, cache["align"], flags, cache["ctor"], bool(cache["usersize"]))
        if cache["unique_id"].startswith(":"):
            assert not slab_unmergeable(shared)
            assert unique_id(shared) == cache["unique_id"]
        elif not cache["sheaf_capacity"]:
            assert slab_unmergeable(shared), name
    assert wrong == []
