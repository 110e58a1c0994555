"""Predictions laid beside what was recorded."""

from __future__ import annotations

from kmemwidgets.explain.section import AtLeast, OnceUsed, agrees, compare


def test_a_figure_that_the_kernel_raises_is_held_against_its_least_value() -> None:
    assert agrees(AtLeast(6986), 7112)
    assert agrees(AtLeast(6986), 6986)
    assert not agrees(AtLeast(6986), 6985)
    assert not agrees(6986, 7112)
    assert not agrees(AtLeast(6986), 0)
    assert agrees(OnceUsed(6986), 0)
    assert agrees(OnceUsed(6986), 7112)
    assert not agrees(OnceUsed(6986), 6985)


def test_misses_are_what_was_predicted_otherwise_or_not_at_all() -> None:
    found = compare(
        "pcp", {"high": AtLeast(4), "batch": 7}, {"high": 9, "batch": 8, "count": 1, "kernel code": 5}, ["kernel code"]
    )
    assert (found.predicted, found.of, found.unknowable) == (1, 3, 1)
    assert [(miss.what, miss.predicted, miss.recorded) for miss in found.misses] == [
        ("batch", 7, 8),
        ("count", None, 1),
    ]
