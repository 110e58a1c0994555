"""Bulks of single pages by a task's memory policy (mm/mempolicy.c alloc_pages_bulk_mempolicy).

Interleaving deals the whole bulk out at once: each node gives its share in one go, not page by page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .gfp import __GFP_DIRECT_RECLAIM, __GFP_NOFAIL, __GFP_NOWARN
from .mempolicy import MemPolicy, Mempolicy, TaskPolicy, interleave_nodes
from .rules.mempolicy import INTERLEAVE, PREFERRED_MANY, WEIGHTED_INTERLEAVE

#: Takes GFP flags, number of pages, node and the nodes allowed (None: all), and returns the pages that it got.
Bulk = Callable[[int, int, int, "frozenset[int] | None"], list[int]]


def alloc_pages_bulk_mempolicy(
    mempolicy: Mempolicy,
    policy: MemPolicy | None,
    task: TaskPolicy,
    gfp: int,
    count: int,
    *,
    zone_index: int,
    local: int,
    bulk: Bulk,
) -> list[int]:
    """Allocate up to `count` single pages as a policy says; there may be fewer.

    Parameters
    ----------
    mempolicy : Mempolicy
    policy : MemPolicy or None
        The task's; None: the default.
    task : TaskPolicy
        Whose round goes on.
    gfp, count : int
    zone_index : int
        Highest zone that the request may use.
    local : int
        Node of the cpu.
    bulk : callable
        Allocates from one node.
    """
    mode = None if policy is None else policy.mode
    if policy is not None and mode == INTERLEAVE:
        return _interleave(task, policy.nodes, gfp, count, bulk)
    if policy is not None and mode == WEIGHTED_INTERLEAVE:
        return _weighted_interleave(task, policy.nodes, mempolicy.weights, gfp, count, bulk)
    if policy is not None and mode == PREFERRED_MANY:
        mild = (gfp | __GFP_NOWARN) & ~(__GFP_DIRECT_RECLAIM | __GFP_NOFAIL)
        pages = bulk(mild, count, local, frozenset(policy.nodes))
        return pages + (bulk(gfp, count - len(pages), local, None) if len(pages) < count else [])
    nid, nodes, _ = mempolicy.where(policy, task, zone_index, local, None)
    return bulk(gfp, count, nid, None if nodes is None else frozenset(nodes))


def _interleave(task: TaskPolicy, nodes: Sequence[int], gfp: int, count: int, bulk: Bulk) -> list[int]:
    """Take the same number from each node, and one more from the first ones (alloc_pages_bulk_interleave)."""
    each, more = divmod(count, len(nodes))
    pages: list[int] = []
    for number in range(len(nodes)):
        nid = interleave_nodes(task, nodes)
        share = each + (number < more)
        if share:
            pages += bulk(gfp, share, nid, None)
    return pages


def _weighted_interleave(
    task: TaskPolicy, nodes: Sequence[int], weights: Mapping[int, int], gfp: int, count: int, bulk: Bulk
) -> list[int]:
    """Use up what is left of the node under way, then deal the rest out (alloc_pages_bulk_weighted_interleave)."""
    if not count:
        return []
    pages: list[int] = []
    rest = count
    node = task.il_prev
    if task.il_weight and node in nodes:
        pages += bulk(gfp, min(rest, task.il_weight), node, None)
        if rest <= task.il_weight:
            task.il_weight -= rest
            return pages
        rest -= task.il_weight
    task.il_weight = 0
    rounds, delta = divmod(rest, sum(weights.get(nid, 1) for nid in nodes))
    resume = _next(node, nodes)
    resume_weight = weights.get(resume, 1)
    for _ in nodes:
        node = _next(node, nodes)
        weight = weights.get(node, 1)
        share = weight * rounds
        if delta > weight:
            share += weight
            delta -= weight
        elif delta:
            share += delta
            resume, resume_weight = node, weight - delta
            delta = 0
        if not share:
            break
        pages += bulk(gfp, share, node, None)
        if len(pages) == count:
            break
    task.il_prev, task.il_weight = resume, resume_weight
    return pages


def _next(node: int, nodes: Sequence[int]) -> int:
    """Return the node behind one, round and round (next_node_in)."""
    return next((nid for nid in nodes if nid > node), nodes[0])
