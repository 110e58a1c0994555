"""Exercises of "NUMA policy"."""

from __future__ import annotations

from kmemwidgets.learn.checks import Exercise, Slip
from kmemwidgets.sim.mempolicy import offset_il_node

_NODES, _NUMBER = (0, 2, 3), 7


EXERCISES = (
    Exercise(
        "mempolicy.interleave",
        lambda: offset_il_node(_NODES, _NUMBER),
        "7 mod 3 is 1, and node number 1 of the list (0, 2, 3) is {right}.",
        "7 mod 3 gives a place in the list of nodes, counted from 0.",
        (
            Slip(lambda _: 1, "1 is the place in the list of nodes. Which node stands there?"),
            Slip(lambda _: 0, "Count from 0: the place 0 has node 0, the place 1 has ..."),
            Slip(lambda _: 3, "7 mod 4? There are three nodes in the list."),
        ),
    ),
    Exercise(
        "mempolicy.touch",
        lambda: 1,
        "Pages come when they are first touched, from the node of the processor that touches them.",
        "When does a page come into being: when it is asked for, or when it is touched?",
        (Slip(lambda _: 0, "It was asked for there. But pages come when they are first touched."),),
    ),
    Exercise(
        "mempolicy.full",
        lambda: frozenset({"preferred 1", "interleave 0,1", "local, on node 1"}),
        "Only bind forbids the other nodes. All others go on along the fallback order.",
        "Which of them forbids other nodes?",
        (
            Slip(lambda right: right | {"bind 1"}, "bind allows no other node than those named."),
            Slip(
                lambda right: right - {"local, on node 1"}, "local is a wish too: it goes on along the fallback order."
            ),
            Slip(
                lambda right: right - {"interleave 0,1"}, "interleave chooses where to begin, and goes on from there."
            ),
            Slip(lambda right: right - {"preferred 1"}, "preferred is a wish. bind is the order."),
        ),
    ),
    Exercise(
        "mempolicy.counter",
        lambda: "other_node",
        "It came from where it was wanted, for a processor of another node.",
        "There are two counters for whose processor asked.",
        (
            Slip(lambda _: "local_node", "The processor is of node 1, and the page of node 0."),
            Slip(lambda _: "numa_miss", "It came from where it was wanted."),
            Slip(lambda _: "numa_foreign", "That counts pages that were wanted from node 0 and came from elsewhere."),
        ),
    ),
)
