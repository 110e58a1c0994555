"""Which nodes a policy asks, by mode and kernel."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.records import parse_version
from kmemwidgets.sim.mempolicy import (
    MODE_NAMES,
    MemPolicy,
    Mempolicy,
    TaskPolicy,
    Try,
    make_policy,
    offset_il_node,
    weighted_il_node,
)
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.mempolicy import (
    BIND,
    DEFAULT,
    INTERLEAVE,
    LOCAL,
    PREFERRED,
    PREFERRED_MANY,
    TABLE,
    WEIGHTED_INTERLEAVE,
    MempolicyRules,
)

DMA32, NORMAL, MOVABLE = 1, 2, 3
GFP_KERNEL = 0xCC0
THISNODE, NORETRY, NOWARN, DIRECT_RECLAIM = 0x200000, 0x10000, 0x2000, 0x400


def rules(kernel="6.12"):
    return pick(MempolicyRules, TABLE, parse_version(kernel))


def machine(kernel="6.12", nodes=(0, 1, 2), **more):
    return Mempolicy(rules(kernel), NORMAL, MOVABLE, tuple(nodes), **more)


def tries(policy, kernel="6.12", order=0, zone_index=MOVABLE, offset=None, task=None, gfp=GFP_KERNEL, **more):
    return machine(kernel, **more).tries(
        policy, task or TaskPolicy(), gfp, order, zone_index=zone_index, local=2, offset=offset
    )


def test_modes_by_kernel():
    assert make_policy(rules("6.1"), PREFERRED_MANY, (0, 1)) == MemPolicy(PREFERRED_MANY, (0, 1))
    with pytest.raises(ValueError, match="no memory policy mode 5"):
        make_policy(rules("5.6"), PREFERRED_MANY, (0, 1))
    with pytest.raises(ValueError, match="no memory policy mode 6"):
        make_policy(rules("6.1"), WEIGHTED_INTERLEAVE, (0, 1))
    assert make_policy(rules("6.12"), WEIGHTED_INTERLEAVE, (1, 0)).nodes == (0, 1)
    with pytest.raises(ValueError, match="no home node"):
        make_policy(rules("5.6"), BIND, (0,), home_node=0)


def test_what_the_system_call_refuses():
    for mode in (DEFAULT, LOCAL):
        with pytest.raises(ValueError, match="takes no nodes"):
            make_policy(rules(), mode, (0,))
    for mode in (BIND, INTERLEAVE, PREFERRED_MANY, WEIGHTED_INTERLEAVE):
        with pytest.raises(ValueError, match="needs nodes"):
            make_policy(rules(), mode)
    assert make_policy(rules(), PREFERRED) == MemPolicy(LOCAL)
    assert make_policy(rules(), DEFAULT) is None


def test_local_and_preferred_may_go_everywhere():
    assert tries(None) == (Try(2, None, GFP_KERNEL),)
    assert tries(MemPolicy(LOCAL)) == (Try(2, None, GFP_KERNEL),)
    assert tries(MemPolicy(PREFERRED, (0, 1))) == (Try(0, None, GFP_KERNEL),)


def test_bind_keeps_to_its_nodes_in_the_zones_that_policies_rule():
    policy = MemPolicy(BIND, (0, 1))
    assert tries(policy, zone_index=NORMAL) == (Try(2, (0, 1), GFP_KERNEL),)
    assert tries(policy, zone_index=DMA32) == (Try(2, None, GFP_KERNEL),)
    # a node of movable memory alone binds only movable requests
    only_movable = MemPolicy(BIND, (7,))
    assert tries(only_movable, zone_index=NORMAL) == (Try(2, None, GFP_KERNEL),)
    assert tries(only_movable, zone_index=MOVABLE) == (Try(2, (7,), GFP_KERNEL),)
    assert tries(MemPolicy(BIND, (0, 1), home_node=1))[0].nid == 1


def test_preferred_many_tries_without_reclaim_first():
    first, second = tries(MemPolicy(PREFERRED_MANY, (1,)))
    assert first == Try(2, (1,), (GFP_KERNEL | NOWARN) & ~DIRECT_RECLAIM)
    assert second == Try(2, None, GFP_KERNEL)


def test_interleave_of_an_area_goes_by_address():
    policy = MemPolicy(INTERLEAVE, (0, 2, 5))
    got = [tries(policy, offset=n)[0] for n in range(5)]
    assert [entry.nid for entry in got] == [0, 2, 5, 0, 2]
    assert {entry.nodes for entry in got} == {None}
    assert all(entry.interleave_nid == entry.nid for entry in got)


def test_interleave_of_a_task_goes_round():
    task = TaskPolicy()
    task.set(MemPolicy(INTERLEAVE, (1, 3)))
    assert [tries(task.policy, task=task)[0].nid for _ in range(5)] == [1, 3, 1, 3, 1]
    task.set(MemPolicy(INTERLEAVE, (0, 3)))
    assert tries(task.policy, task=task)[0].nid == 0


def test_weighted_interleave():
    weights = {0: 3, 1: 1}
    task = TaskPolicy()
    policy = MemPolicy(WEIGHTED_INTERLEAVE, (0, 1))
    assert [tries(policy, offset=n, weights=weights)[0].nid for n in range(8)] == [0, 0, 0, 1] * 2
    assert [tries(policy, task=task, weights=weights)[0].nid for _ in range(8)] == [0, 0, 0, 1] * 2
    assert [tries(policy, offset=n)[0].nid for n in range(4)] == [0, 1, 0, 1]


def test_a_huge_page_is_tried_here_before_elsewhere():
    huge = {"order": 9, "offset": 5}
    here = Try(2, None, GFP_KERNEL | THISNODE | NORETRY)
    assert tries(None, **huge) == (here, Try(2, None, GFP_KERNEL))
    light = GFP_KERNEL & ~DIRECT_RECLAIM
    assert tries(None, gfp=light, **huge) == (Try(2, None, light | THISNODE | NORETRY),)
    assert tries(MemPolicy(BIND, (0, 1)), **huge) == (Try(2, (0, 1), GFP_KERNEL),)
    assert len(tries(MemPolicy(INTERLEAVE, (0, 1)), **huge)) == 1
    assert len(tries(None, kernel="2.6.11", **huge)) == 1


NODES = st.lists(st.integers(0, 9), min_size=1, max_size=5, unique=True).map(sorted).map(tuple)
WEIGHTS = st.dictionaries(st.integers(0, 9), st.integers(1, 9))


@given(nodes=NODES, weights=WEIGHTS, start=st.integers(0, 10**6))
def test_each_node_gets_what_it_weighs(nodes, weights, start):
    total = sum(weights.get(nid, 1) for nid in nodes)
    got = Counter(weighted_il_node(nodes, weights, start + n) for n in range(total))
    assert got == {nid: weights.get(nid, 1) for nid in nodes}
    policy = MemPolicy(WEIGHTED_INTERLEAVE, nodes)
    task = TaskPolicy()
    asked = machine(weights=weights)
    got = Counter(asked.where(policy, task, MOVABLE, 0, None)[0] for _ in range(total))
    assert got == {nid: weights.get(nid, 1) for nid in nodes}
    assert Counter(offset_il_node(nodes, start + n) for n in range(len(nodes))) == Counter(nodes)


MODES = st.sampled_from([BIND, INTERLEAVE, PREFERRED, PREFERRED_MANY, WEIGHTED_INTERLEAVE])


@given(mode=MODES, nodes=NODES, zone_index=st.integers(0, 3), offset=st.integers(0, 99), order=st.sampled_from([0, 9]))
def test_only_allowed_nodes_are_asked_for(mode, nodes, zone_index, offset, order):
    asked = tries(MemPolicy(mode, nodes), zone_index=zone_index, offset=offset, order=order)
    ruled = zone_index >= (NORMAL if set(nodes) & {0, 1, 2} else MOVABLE)
    last = asked[-1]
    # only a bound task may go nowhere else in the end
    assert last.nodes == (nodes if mode == BIND and ruled else None)
    for entry in asked:
        assert entry.nodes is None or set(entry.nodes) <= set(nodes)
        if mode in (INTERLEAVE, WEIGHTED_INTERLEAVE, PREFERRED):
            assert entry.nid in nodes
        assert (entry.interleave_nid is not None) == (mode in (INTERLEAVE, WEIGHTED_INTERLEAVE))


def test_every_mode_has_a_name():
    assert set(MODE_NAMES) == set(rules("6.18").modes)
