"""In which order nodes are tried: the zonelists of every node (build_zonelists)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .rules.boot import BootRules

LOCAL_DISTANCE = 10
REMOTE_DISTANCE = 20


def distance(distances: Sequence[Sequence[int]], a: int, b: int) -> int:
    """Return the SLIT's distance of two nodes; without a SLIT 10 to itself and 20 to others."""
    if a < len(distances) and b < len(distances[a]):
        return distances[a][b]
    return LOCAL_DISTANCE if a == b else REMOTE_DISTANCE


def build_zonelists(
    nodes: Sequence[int],
    with_memory: Collection[int],
    distances: Sequence[Sequence[int]],
    rules: BootRules,
    with_cpus: Collection[int] = (),
) -> dict[int, tuple[int, ...]]:
    """Return for each node the nodes of its list.

    Parameters
    ----------
    nodes : sequence of int
        Online nodes, ascending.
    with_memory : collection of int
        Those that have memory.
    distances : sequence of sequences of int
        Rows of the SLIT.
    rules : BootRules
    with_cpus : collection of int
        Nodes whose cpus are known when the lists are built. A boot builds them before it has identified any cpu, so
        none are; lists built again later, as after memory was plugged in, prefer nodes without cpus.
    """
    load: dict[int, int] = {}
    lists: dict[int, tuple[int, ...]] = {}
    for local in nodes:
        order: list[int] = []
        before = local
        while (node := _next_best(local, order, with_memory, distances, load, rules, with_cpus)) is not None:
            if distance(distances, local, node) != distance(distances, local, before):
                rules.node_load(load, node, len(nodes), len(nodes) - len(order))
            order.append(node)
            before = node
        lists[local] = tuple(order)
    return lists


def _next_best(
    local: int,
    used: Sequence[int],
    with_memory: Collection[int],
    distances: Sequence[Sequence[int]],
    load: dict[int, int],
    rules: BootRules,
    with_cpus: Collection[int],
) -> int | None:
    """Return the nearest node that isn't used yet; among equals one behind the local, then the least loaded."""
    if local not in used and (local in with_memory or not rules.memoryless_skipped):
        return local
    left = [node for node in sorted(with_memory) if node not in used]
    return min(
        left,
        key=lambda node: (
            distance(distances, local, node) + (node < local) + (node in with_cpus),
            load.get(node, 0),
        ),
        default=None,
    )
