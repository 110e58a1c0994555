"""Numbers in the kernel's list form, as in /sys/devices/system/node/online."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.records import format_list


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((), ""), ((3,), "3"), ((0, 1), "0-1"), ((0, 1, 2, 5), "0-2,5"), ((8, 0, 2), "0,2,8"), ((7, 6, 4), "4,6-7")],
)
def test_lists(numbers, text):
    assert format_list(numbers) == text


@given(st.sets(st.integers(0, 40)))
def test_nothing_is_lost(numbers):
    ends = [[int(end) for end in run.split("-")] for run in format_list(numbers).split(",") if run]
    assert [number for run in ends for number in range(run[0], run[-1] + 1)] == sorted(numbers)
    assert all(low[-1] + 1 < high[0] for low, high in pairwise(ends)), "runs are as long as can be"
