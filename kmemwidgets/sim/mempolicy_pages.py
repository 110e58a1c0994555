"""Pages by memory policy: what the policy says is asked of the page allocator, try by try (mm/mempolicy.c)."""

from __future__ import annotations

from .gfp import __GFP_THISNODE as THISNODE
from .mempolicy import MemPolicy, Mempolicy, TaskPolicy
from .page_alloc import PageAllocator
from .rules.mempolicy import MempolicyRules


def mempolicy_of(allocator: PageAllocator, rules: MempolicyRules) -> Mempolicy:
    """Return how a machine with these zones reads policies."""
    names = allocator.zone_names
    movable = names.index("Movable") if "Movable" in names else len(names)
    ruled = [live.zone for live in allocator.zones if live.zone.present and live.zone.index != movable]
    return Mempolicy(
        rules,
        policy_zone=max((zone.index for zone in ruled), default=0),
        movable_zone=movable,
        memory_nodes=tuple(sorted({zone.nid for zone in ruled})),
        hugepage_order=allocator.memmap.pageblock_order,
    )


def alloc_pages_mpol(
    allocator: PageAllocator,
    mempolicy: Mempolicy,
    policy: MemPolicy | None,
    task: TaskPolicy,
    gfp: int,
    order: int,
    cpu: int,
    offset: int | None = None,
) -> int:
    """Allocate by a policy.

    Source: mm/mempolicy.c alloc_pages_mpol [6.7]; alloc_pages, vma_alloc_folio [6.1].

    Parameters
    ----------
    allocator : PageAllocator
    mempolicy : Mempolicy
    policy : MemPolicy or None
        Of the area, else of the task; None: the cpu's own node first.
    task : TaskPolicy
        Whose round goes on.
    gfp, order, cpu : int
    offset : int, optional
        Number of the page in its area's object (`Mempolicy.tries`).

    Returns
    -------
    int
        First pfn; -1 if every try failed.
    """
    if gfp & THISNODE:
        policy = None
    zone_index = allocator.read_gfp(gfp)[1]
    local = allocator.cpu_node[cpu]
    for each in mempolicy.tries(policy, task, gfp, order, zone_index=zone_index, local=local, offset=offset):
        if each.nodes is None and allocator.policy is None:
            # A request that names its node: it may take the fast path.
            pfn: int = allocator.alloc_pages(each.gfp, order, each.nid, cpu)
        else:
            nodes = None if each.nodes is None else frozenset(each.nodes)
            pfn = allocator.alloc_pages_nodemask(each.gfp, order, each.nid, cpu, nodes)
        if pfn >= 0:
            if each.interleave_nid is not None:
                _count_interleave(allocator, pfn, each.interleave_nid)
            return pfn
    return -1


def _count_interleave(allocator: PageAllocator, pfn: int, wanted: int) -> None:
    live = allocator.zone_of(pfn)
    if live.zone.nid == wanted:
        allocator.numa.count_interleave(live)
