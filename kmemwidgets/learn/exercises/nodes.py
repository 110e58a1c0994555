"""Exercises of "UMA and NUMA: nodes"."""

from __future__ import annotations

from kmemwidgets.learn.checks import IN_KILOBYTES, ONE_TOO_FEW, Exercise, Slip
from kmemwidgets.records import Snapshot

from .recordings import recorded


def _machine() -> Snapshot:
    return recorded("amd64-2g-numa2")


def _node_of(pfn: int) -> int:
    for node in _machine().nodes:
        if any(start <= pfn < end for start, end in node.ranges):
            return node.nid
    raise ValueError(f"no node has frame {pfn:#x}")


def _span(nid: int) -> int:
    node = _machine().nodes[nid]
    return node.ranges[-1][1] - node.ranges[0][0]


EXERCISES = (
    Exercise(
        "nodes.node",
        lambda: _node_of(0x4FFFF),
        "Node {right}: it begins at 0x40000.",
        "Compare it with the first frame of node 1.",
        (Slip(lambda right: 1 - right, "Node 0 ends at frame 0x3ffff. Is 0x4ffff behind that or not?"),),
    ),
    Exercise(
        "nodes.spanned",
        lambda: _span(1),
        "last - first + 1 = {right} frames, a little less than a GiB: the firmware kept the end.",
        "Last frame minus first frame, and both of them count.",
        (
            ONE_TOO_FEW,
            IN_KILOBYTES,
            Slip(lambda _: 262144, "That is a whole GiB. The firmware kept the last frames: see the node's last one."),
        ),
    ),
    Exercise(
        "nodes.order",
        lambda: _order((20, 30, 10, 20), 2),
        "Itself first; then 0 and 3 are equally near and it goes on upwards from itself: 3 before 0; 1 is farthest.",
        "Begin with the node itself, then by distance. Between equals, a lower number than one's own costs a little.",
        (
            Slip(
                lambda _: (2, 0, 3, 1),
                "Nearly: 0 and 3 are equally far, but a node below one's own number counts a little farther.",
            ),
            Slip(lambda _: (0, 3, 1), "The node itself is the first in its own list."),
            Slip(lambda _: (1, 0, 3, 2), "That begins with the farthest. A larger distance is worse."),
            Slip(lambda _: (0, 1, 2, 3), "That is by number. Order them by distance."),
        ),
    ),
    Exercise(
        "nodes.counters",
        lambda: frozenset({"numa_hit", "other_node"}),
        "It was wanted from node 1 and came from node 1: a hit. The asking processor is of node 0: other_node.",
        "Ask two questions: did it come from where it was wanted? Is the asking processor of the same node?",
        (
            Slip(lambda _: frozenset({"numa_miss", "other_node"}), "It wanted node 1 and got node 1. Is that a miss?"),
            Slip(
                lambda _: frozenset({"numa_hit", "local_node"}), "Whose processor asked? Local means: of the same node."
            ),
            Slip(lambda _: frozenset({"numa_hit"}), "One of two: the second says whose processor asked."),
            Slip(
                lambda _: frozenset({"other_node"}),
                "One of two: the other says whether it came from where it was wanted.",
            ),
        ),
    ),
)


def _order(distances: tuple[int, ...], own: int) -> tuple[int, ...]:
    """Order the nodes as the first list to be built has them: own node, then by distance, upwards from it."""
    return tuple(sorted(range(len(distances)), key=lambda nid: (nid != own, distances[nid], nid < own, nid)))
