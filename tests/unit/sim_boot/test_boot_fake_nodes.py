"""Nodes made by numa=fake=: bounds worked out by hand from mm/numa_emulation.c."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.sim import Machine
from kmemwidgets.sim.describe import describe
from kmemwidgets.sim.zone_sizes import cpus_by_node, fake_nodes, node_distances, node_memory

MIB = 1 << 20


def starts(cmdline: str, **options: Any) -> list[tuple[int, int]]:
    """Node and first MiB of every fake node's range."""
    fake = fake_nodes(describe(cmdline=cmdline, **options))
    return [(entry.nid, entry.start // MIB) for entry in fake.nodes] if fake else []


@pytest.mark.parametrize(
    ("cmdline", "options", "expected"),
    [
        # A share is a little less than 512 MiB: 480 MiB, and 32 MiB more for as many as the remainders are enough for.
        ("numa=fake=4", {"memory": "2G"}, [(0, 0), (1, 512), (2, 1024), (3, 1536)]),
        # Node 1 spans the hole below 4 GiB and gets as much RAM as the others.
        ("numa=fake=3", {"memory": "8G"}, [(0, 0), (1, 2752), (2, 6496)]),
        # RAM counts: the first node has a hole in its first MiB, so it needs 32 MiB more.
        ("numa=fake=512M", {"memory": "2G"}, [(0, 0), (1, 544), (2, 1056)]),
        ("numa=fake=4", {"memory": "4G", "nodes": 2}, [(0, 0), (1, 2048), (2, 1024), (3, 4096)]),
        ("numa=fake=2U", {"memory": "4G", "nodes": 2}, [(0, 0), (1, 1024), (2, 2048), (3, 4096)]),
        # Too small: the kernel gives it up.
        ("numa=fake=500", {"memory": "8G"}, []),
        ("numa=fake=0", {"memory": "8G"}, []),
        ("numa=fake=4", {"memory": "2G", "config": {"NUMA_EMU": "n"}}, []),
        ("numa=fake=4", {"memory": "2G", "arch": "x86_32"}, []),
        ("numa=off", {"memory": "2G"}, []),
    ],
)
def test_bounds_of_fake_nodes(cmdline: str, options: dict[str, Any], expected: list[tuple[int, int]]) -> None:
    assert starts(cmdline, cpus=2, **options) == expected


def test_fake_nodes_share_cpus_and_distance_of_the_physical_one() -> None:
    spec = describe(cmdline="numa=fake=2U", memory="4G", nodes=2, cpus=4)
    assert node_distances(spec)[0] == (10, 10, 20, 20)
    assert cpus_by_node(spec) == {0: 2, 1: 2, 2: 2, 3: 2}
    # A recording names the fake node that a cpu is at home on, and has a row for each.
    recorded = replace(spec, cpu_node=(0, 0, 2, 2), distances=((1,) * 4,) * 4)
    assert cpus_by_node(recorded) == {0: 2, 1: 2, 2: 2, 3: 2}
    assert node_distances(recorded) == ((1,) * 4,) * 4


def test_a_machine_boots_with_fake_nodes() -> None:
    shown = Machine.boot(memory="1G", cmdline="numa=fake=2", cpus=2).snapshot()
    assert [node.nid for node in shown.nodes] == [0, 1]
    assert shown.nodes[0].distance == (10, 10)
    managed = [sum(zone.managed or 0 for zone in shown.zones if zone.nid == nid) for nid in (0, 1)]
    assert min(managed) > 100_000


@given(
    sizes=st.lists(st.integers(64, 4096), min_size=1, max_size=4),
    wanted=st.sampled_from(["2", "3", "7", "64M", "333M", "2U"]),
)
def test_fake_nodes_hold_all_memory_once(sizes: list[int], wanted: str) -> None:
    spec = describe(nodes=[size * MIB for size in sizes], cpus=1)
    fake = fake_nodes(replace(spec, cmdline=f"numa=fake={wanted}"))
    if fake is None:
        return
    ranges = sorted((entry.start // spec.page_size, entry.end // spec.page_size) for entry in fake.nodes)
    assert all(a[1] <= b[0] for a, b in pairwise(ranges))
    for entry in node_memory(spec):
        held = sum(max(min(entry.end_pfn, end) - max(entry.start_pfn, start), 0) for start, end in ranges)
        assert held == entry.end_pfn - entry.start_pfn
    assert {entry.nid for entry in fake.nodes} == set(range(len(fake.physical)))
    assert set(fake.physical) <= {entry.nid for entry in spec.nodes} | {0}
