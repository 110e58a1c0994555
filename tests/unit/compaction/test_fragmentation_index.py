"""The kernel's measures of fragmentation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.procfs import extfrag
from kmemwidgets.records import BadInput
from kmemwidgets.sim.fragmentation import (
    WOULD_SUCCEED,
    extfrag_for_order,
    fragmentation_index,
    fragmentation_score_node,
    fragmentation_score_wmarks,
    unusable_free_index,
)

BLOCKS = st.lists(st.integers(0, 1000), min_size=11, max_size=11)


def test_a_hundred_single_pages():
    nr_free = [100] + [0] * 10
    assert fragmentation_index(nr_free, 3) == 865
    assert unusable_free_index(nr_free, 3) == 1000
    assert fragmentation_index(nr_free, 0) == WOULD_SUCCEED
    assert unusable_free_index(nr_free, 0) == 0


def test_nothing_free():
    assert fragmentation_index([0] * 11, 3) == 0
    assert unusable_free_index([0] * 11, 3) == 1000
    assert extfrag_for_order([0] * 11, 9) == 0


@given(BLOCKS, st.integers(0, 10))
def test_bounds(nr_free, order):
    index = fragmentation_index(nr_free, order)
    assert index <= 1000
    assert (index == WOULD_SUCCEED) == any(nr_free[order:])
    assert 0 <= unusable_free_index(nr_free, order) <= 1000
    assert 0 <= extfrag_for_order(nr_free, order) <= 100
    if order:
        assert unusable_free_index(nr_free, order - 1) <= unusable_free_index(nr_free, order)


@given(st.lists(st.tuples(BLOCKS, st.integers(1, 10**6)), max_size=4))
def test_the_score_is_a_weighted_mean(zones):
    score = fragmentation_score_node(zones, 9)
    worst = max((extfrag_for_order(nr_free, 9) for nr_free, _ in zones), default=0)
    assert 0 <= score <= worst


def test_the_score_of_one_zone_is_rounded_down():
    half = [512] + [0] * 8 + [1, 0]
    assert extfrag_for_order(half, 9) == 50
    assert fragmentation_score_node([(half, 1024)], 9) == 49


def test_when_proactive_compaction_runs():
    assert fragmentation_score_wmarks(20) == (80, 90)
    assert fragmentation_score_wmarks(100) == (5, 15)
    assert fragmentation_score_wmarks(0) == (100, 100)


def test_the_file_of_debugfs():
    text = "Node 0, zone      DMA -1.000 0.865 0.-500 \nNode 1, zone   Normal 0.000 1.000 0.001 \n"
    record = extfrag.parse(text)
    assert record.zones[0] == extfrag.IndexZone(0, "DMA", (-1000, 865, -500))
    assert extfrag.format(record) == text
    with pytest.raises(BadInput, match="extfrag_index:1: expected"):
        extfrag.parse("Node x\n")
