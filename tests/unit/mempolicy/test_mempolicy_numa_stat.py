"""The counters of numastat: who counts a page that came from another node than the preferred one."""

from __future__ import annotations

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets import Machine
from kmemwidgets.sim.numa_stat import NumaStat


@cache
def allocator():
    return Machine.boot(memory="512M", nodes=4, cpus=4, kernel="6.1").page_alloc


def zone_of(nid):
    return next(live for live in reversed(allocator().zones) if live.zone.nid == nid and live.zone.managed)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(1, 9))))
def test_counters_add_up(taken):
    stats = NumaStat(allocator())
    for got, preferred, cpu, number in taken:
        stats.count(zone_of(got), zone_of(preferred), cpu, number)
    nodes = [stats.of_node(nid) for nid in range(4)]
    for nid, node in enumerate(nodes):
        served = sum(number for got, _, _, number in taken if got == nid)
        local = sum(number for got, _, cpu, number in taken if got == nid == allocator().cpu_node[cpu])
        assert node["numa_hit"] + node["numa_miss"] == node["local_node"] + node["other_node"] == served
        assert node["local_node"] == local
    assert sum(node["numa_miss"] for node in nodes) == sum(node["numa_foreign"] for node in nodes)


def counted(nid, stats):
    return {name: number for name, number in stats.of_node(nid).items() if number}


def test_counters_of_one_page():
    stats = NumaStat(allocator())
    here = [cpu for nid in range(4) for cpu, node in enumerate(allocator().cpu_node) if node == nid]
    stats.count(zone_of(0), zone_of(1), here[0])
    assert counted(0, stats) == {"numa_miss": 1, "local_node": 1}
    assert counted(1, stats) == {"numa_foreign": 1}
    stats.count(zone_of(1), zone_of(1), here[0])
    stats.count_interleave(zone_of(1))
    assert counted(1, stats) == {"numa_hit": 1, "numa_foreign": 1, "other_node": 1, "interleave_hit": 1}
