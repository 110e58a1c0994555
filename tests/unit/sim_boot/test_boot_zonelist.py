from __future__ import annotations

import pytest

from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.boot import TABLE, BootRules
from kmemwidgets.sim.zonelist import build_zonelists

OLD = pick(BootRules, TABLE, (5, 6, 4))
NEW = pick(BootRules, TABLE, (6, 1, 192))
NEWEST = pick(BootRules, TABLE, (6, 12, 117))


def far(count: int, remote: int = 20) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(10 if a == b else remote for b in range(count)) for a in range(count))


@pytest.mark.parametrize("rules", [OLD, NEW, NEWEST])
def test_equal_nodes_rotate(rules: BootRules) -> None:
    lists = build_zonelists(range(4), range(4), far(4), rules)
    assert lists == {0: (0, 1, 2, 3), 1: (1, 2, 3, 0), 2: (2, 3, 0, 1), 3: (3, 0, 1, 2)}


def test_nearer_nodes_come_first() -> None:
    # Two boards of two nodes each.
    distances = ((10, 12, 32, 32), (12, 10, 32, 32), (32, 32, 10, 12), (32, 32, 12, 10))
    lists = build_zonelists(range(4), range(4), distances, NEW)
    assert lists[0][:2] == (0, 1)
    assert lists[1][:2] == (1, 0)
    assert lists[2][:2] == (2, 3)
    # The first node of the far board isn't always the same.
    assert {lists[0][2], lists[1][2]} == {2, 3}


def test_the_loads_of_both_rules_differ_where_nodes_get_tied_again() -> None:
    distances = ((10, 20, 20, 30), (20, 10, 30, 20), (20, 30, 10, 20), (30, 20, 20, 10))
    old = build_zonelists(range(4), range(4), distances, OLD)
    new = build_zonelists(range(4), range(4), distances, NEW)
    assert old[0] == new[0] == (0, 1, 2, 3)
    for lists in (old, new):
        assert all(sorted(order) == [0, 1, 2, 3] and order[0] == nid for nid, order in lists.items())


def test_memory_only_nodes_and_nodes_without_memory() -> None:
    lists = build_zonelists([0, 1, 2], [0, 2], far(3), NEW)
    assert lists == {0: (0, 2), 1: (1, 2, 0), 2: (2, 0)}
    assert build_zonelists([0, 1, 2], [0, 2], far(3), NEWEST)[1] == (2, 0)


def test_lists_built_again_prefer_nodes_without_cpus() -> None:
    assert build_zonelists(range(3), range(3), far(3), NEW, with_cpus=[1])[0] == (0, 2, 1)


def test_without_a_slit() -> None:
    assert build_zonelists(range(2), range(2), (), NEW) == {0: (0, 1), 1: (1, 0)}
