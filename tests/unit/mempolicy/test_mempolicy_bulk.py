"""Bulks of single pages by memory policy: how many come from which node, and where the round goes on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets import Machine
from kmemwidgets.records import parse_version
from kmemwidgets.sim.mempolicy import MemPolicy, Mempolicy, TaskPolicy, weighted_interleave_nodes
from kmemwidgets.sim.mempolicy_bulk import alloc_pages_bulk_mempolicy
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.mempolicy import BIND, INTERLEAVE, PREFERRED_MANY, TABLE, WEIGHTED_INTERLEAVE, MempolicyRules

MOVABLE = "GFP_HIGHUSER_MOVABLE|__GFP_NOWARN"


class Nodes:
    """Gives as many pages as a node has, and notes who was asked."""

    def __init__(self, **left: int) -> None:
        self.left = {int(name[1:]): pages for name, pages in left.items()}
        self.asked: list[tuple[int, int]] = []

    def __call__(self, _gfp: int, count: int, nid: int, nodes: frozenset[int] | None) -> list[int]:
        self.asked.append((nid, count))
        there = nid if nodes is None or nid in nodes else min(nodes)
        got = min(count, self.left.get(there, 10**6))
        self.left[there] = self.left.get(there, 10**6) - got
        return [there] * got


def ask(
    policy: MemPolicy | None, task: TaskPolicy, count: int, nodes: Nodes, weights: dict[int, int] | None = None
) -> Counter[int]:
    rules = pick(MempolicyRules, TABLE, parse_version("6.12"))
    mempolicy = Mempolicy(rules, 2, 3, (0, 1, 2), weights=weights or {})
    more = {"zone_index": 2, "local": 0}
    return Counter(alloc_pages_bulk_mempolicy(mempolicy, policy, task, 0xCC0, count, bulk=nodes, **more))  # type: ignore[arg-type]


def test_interleaving_deals_the_bulk_out_in_shares() -> None:
    task, nodes = TaskPolicy(), Nodes()
    policy = MemPolicy(INTERLEAVE, (0, 1, 2))
    task.set(policy)
    assert ask(policy, task, 8, nodes) == {0: 3, 1: 3, 2: 2}
    assert nodes.asked == [(0, 3), (1, 3), (2, 2)]
    # The next page by itself begins a new round; two pages leave one node out.
    assert ask(policy, task, 2, nodes) == {0: 1, 1: 1}
    assert task.il_prev == 2


@given(
    weights=st.fixed_dictionaries({0: st.integers(1, 5), 1: st.integers(1, 5), 2: st.integers(1, 5)}),
    before=st.integers(0, 12), count=st.integers(0, 60), after=st.integers(1, 12),
)  # fmt: skip
def test_weighted_interleaving_gives_each_node_what_single_pages_would(
    weights: dict[int, int], before: int, count: int, after: int
) -> None:
    policy = MemPolicy(WEIGHTED_INTERLEAVE, (0, 1, 2))
    one_by_one, bulk = TaskPolicy(policy), TaskPolicy(policy)
    for task in (one_by_one, bulk):
        for _ in range(before):
            weighted_interleave_nodes(task, policy.nodes, weights)
    expected = Counter(weighted_interleave_nodes(one_by_one, policy.nodes, weights) for _ in range(count))
    assert ask(policy, bulk, count, Nodes(), weights) == expected
    rounds = [
        [weighted_interleave_nodes(task, policy.nodes, weights) for _ in range(after)] for task in (one_by_one, bulk)
    ]
    assert rounds[0] == rounds[1]


def test_preferred_nodes_come_first_and_the_others_for_the_rest() -> None:
    nodes = Nodes(n1=3)
    assert ask(MemPolicy(PREFERRED_MANY, (1,)), TaskPolicy(), 5, nodes) == {1: 3, 0: 2}
    assert nodes.asked == [(0, 5), (0, 2)]
    assert ask(MemPolicy(BIND, (1, 2)), TaskPolicy(), 5, Nodes()) == {1: 5}
    assert ask(None, TaskPolicy(), 5, Nodes()) == {0: 5}


@pytest.mark.parametrize(("kernel", "expected"), [("6.12", {0: 4, 1: 4}), ("5.10", {0: 8})])
def test_a_machine_s_bulk_goes_by_the_policy_from_5_16_on(
    kernel: str, expected: dict[int, int], tmp_path: Path
) -> None:
    machine = Machine.boot(nodes=["64M", "64M"], cpus=2, kernel=kernel)
    machine.set_mempolicy("interleave", [0, 1])
    pages = machine.alloc_pages_bulk(MOVABLE, 8)
    assert Counter(machine.frame(page).nid for page in pages) == expected
    # A node that is named is asked alone.
    pages = machine.alloc_pages_bulk(MOVABLE, 8, node=1)
    assert {machine.frame(page).nid for page in pages} == {1}
    before = machine.snapshot()
    machine.goto(0)
    machine.goto(3)
    assert machine.snapshot() == before
    machine.save(tmp_path / "m.json")
    assert Machine.load(tmp_path / "m.json").snapshot() == before


def test_a_weighted_bulk_and_one_of_nodes_that_are_bound() -> None:
    machine = Machine.boot(nodes=["64M", "64M"], cpus=2, kernel="6.12")
    machine.set_interleave_weight(1, 3)
    machine.set_mempolicy("weighted_interleave", [0, 1])
    pages = machine.alloc_pages_bulk(MOVABLE, 8)
    assert Counter(machine.frame(page).nid for page in pages) == {0: 2, 1: 6}
    machine.set_mempolicy("bind", [1])
    pages = machine.alloc_pages_bulk(MOVABLE, 8)
    assert {machine.frame(page).nid for page in pages} == {1}
    while machine.alloc_pages(MOVABLE) is not None:
        pass
    assert machine.alloc_pages_bulk(MOVABLE, 8) == []
    machine.set_mempolicy("preferred_many", [1])
    assert {machine.frame(page).nid for page in machine.alloc_pages_bulk(MOVABLE, 8)} == {0}
