"""Memory policies: from which nodes a request is served (mm/mempolicy.c).

A policy turns a request into one or more tries of the page allocator, each with a node to start from and
the set of nodes allowed. The allocator then walks that node's zonelist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .rules.mempolicy import (
    BIND,
    DEFAULT,
    INTERLEAVE,
    LOCAL,
    PREFERRED,
    PREFERRED_MANY,
    WEIGHTED_INTERLEAVE,
    MempolicyRules,
)

#: Mode to its name in /proc/PID/numa_maps.
MODE_NAMES = {
    DEFAULT: "default",
    PREFERRED: "prefer",
    BIND: "bind",
    INTERLEAVE: "interleave",
    LOCAL: "local",
    PREFERRED_MANY: "prefer (many)",
    WEIGHTED_INTERLEAVE: "weighted interleave",
}

#: A node that was never interleaved to: the round begins at the first.
NEVER = -1

_DIRECT_RECLAIM, _NOWARN, _NOFAIL, _NORETRY, _THISNODE = 0x400, 0x2000, 0x8000, 0x10000, 0x200000


@dataclass(frozen=True, slots=True)
class MemPolicy:
    """struct mempolicy.

    Attributes
    ----------
    mode : int
    nodes : tuple of int
        Ascending. Empty for DEFAULT and LOCAL.
    home_node : int or None
        Where the search starts, for BIND and PREFERRED_MANY.
    """

    mode: int
    nodes: tuple[int, ...] = ()
    home_node: int | None = None


def make_policy(
    rules: MempolicyRules, mode: int, nodes: Iterable[int] = (), home_node: int | None = None
) -> MemPolicy | None:
    """Check and build a policy as set_mempolicy() and mbind() do; None for DEFAULT, which removes one.

    Source: mm/mempolicy.c mpol_new, mpol_new_preferred.

    Raises
    ------
    ValueError
        What the system call answers with EINVAL.
    """
    chosen = tuple(sorted(set(nodes)))
    if mode not in rules.modes:
        raise ValueError(f"this kernel has no memory policy mode {mode}")
    if any(nid < 0 for nid in chosen):
        raise ValueError(f"nodes {chosen} are not all numbers of nodes")
    if home_node is not None and (not rules.home_node or mode not in (BIND, PREFERRED_MANY)):
        raise ValueError(f"a policy {MODE_NAMES[mode]!r} has no home node")
    if mode in (DEFAULT, LOCAL):
        if chosen:
            raise ValueError(f"a policy {MODE_NAMES[mode]!r} takes no nodes, not {chosen}")
        return None if mode == DEFAULT else MemPolicy(LOCAL)
    if not chosen:
        if mode == PREFERRED:
            return MemPolicy(LOCAL)
        raise ValueError(f"a policy {MODE_NAMES[mode]!r} needs nodes")
    return MemPolicy(mode, chosen, home_node)


@dataclass(slots=True)
class TaskPolicy:
    """What a task remembers of its policy (struct task_struct: mempolicy, il_prev, il_weight)."""

    policy: MemPolicy | None = None
    il_prev: int = NEVER
    il_weight: int = 0

    def set(self, policy: MemPolicy | None) -> None:
        """set_mempolicy(): a new round of interleaving begins at the first node."""
        self.policy = policy
        self.il_prev = NEVER
        self.il_weight = 0


@dataclass(frozen=True, slots=True)
class Try:
    """One call of the page allocator.

    Attributes
    ----------
    nid : int
        Node whose zonelist is walked.
    nodes : tuple of int or None
        The nodes allowed; None: all.
    gfp : int
        The request's flags, as this try has them.
    interleave_nid : int or None
        The page counts as an interleave hit if it comes from this node.
    """

    nid: int
    nodes: tuple[int, ...] | None
    gfp: int
    interleave_nid: int | None = None


def offset_il_node(nodes: Sequence[int], offset: int) -> int:
    """Return the node that interleaving gives to the page number `offset` of an area.

    Source: mm/mempolicy.c offset_il_node (6.7: interleave_nid).
    """
    return nodes[offset % len(nodes)]


def weighted_il_node(nodes: Sequence[int], weights: Mapping[int, int], offset: int) -> int:
    """Return the node that weighted interleaving gives to page `offset`.

    Source: mm/mempolicy.c weighted_interleave_nid.
    """
    target = offset % sum(weights.get(nid, 1) for nid in nodes)
    for nid in nodes:
        if target < weights.get(nid, 1):
            return nid
        target -= weights.get(nid, 1)
    raise AssertionError("the offset is less than the sum of the weights")


def interleave_nodes(task: TaskPolicy, nodes: Sequence[int]) -> int:
    """Return the node after the one of the task's last page, and remember it.

    Source: mm/mempolicy.c interleave_nodes.
    """
    task.il_prev = next((nid for nid in nodes if nid > task.il_prev), nodes[0])
    return task.il_prev


def weighted_interleave_nodes(task: TaskPolicy, nodes: Sequence[int], weights: Mapping[int, int]) -> int:
    """Return the task's node while its weight lasts, then the next one.

    Source: mm/mempolicy.c weighted_interleave_nodes.
    """
    if not task.il_weight or task.il_prev not in nodes:
        nid = next((nid for nid in nodes if nid > task.il_prev), nodes[0])
        task.il_prev = nid
        task.il_weight = weights.get(nid, 1)
    task.il_weight -= 1
    return task.il_prev


@dataclass(frozen=True, slots=True)
class Mempolicy:
    """How this machine's kernel reads policies.

    Attributes
    ----------
    rules : MempolicyRules
    policy_zone : int
        Highest zone index, Movable apart, that any node has: MPOL_BIND binds only requests that may use it.
    movable_zone : int
        Index of ZONE_MOVABLE.
    memory_nodes : tuple of int
        Nodes with memory of a zone other than Movable (N_HIGH_MEMORY).
    hugepage_order : int
    weights : mapping of int to int
        /sys/kernel/mm/mempolicy/weighted_interleave/nodeN; 1 where nothing is set.
    """

    rules: MempolicyRules
    policy_zone: int
    movable_zone: int
    memory_nodes: tuple[int, ...]
    hugepage_order: int = 9
    weights: Mapping[int, int] = field(default_factory=dict)

    def applies(self, policy: MemPolicy, zone_index: int) -> bool:
        """Tell whether a bind policy restricts a request whose highest zone is `zone_index`.

        Source: mm/mempolicy.c apply_policy_zone.
        """
        lowest = self.policy_zone
        if not set(policy.nodes) & set(self.memory_nodes):
            lowest = self.movable_zone
        return zone_index >= lowest

    def tries(
        self,
        policy: MemPolicy | None,
        task: TaskPolicy,
        gfp: int,
        order: int,
        *,
        zone_index: int,
        local: int,
        offset: int | None = None,
    ) -> tuple[Try, ...]:
        """Return what the page allocator is asked for, in turn, until one try gives a page.

        Source: mm/mempolicy.c alloc_pages_vma, alloc_pages_current [5.6]; vma_alloc_folio, alloc_pages [6.1];
        alloc_pages_mpol, policy_nodemask [6.7].

        Parameters
        ----------
        policy : MemPolicy or None
            Of the area, else of the task; None: system default.
        task : TaskPolicy
            Whose round goes on where `offset` is None.
        gfp, order : int
        zone_index : int
            Highest zone that the request may use.
        local : int
            Node of the cpu.
        offset : int or None
            Number of the page (of `order`) in the area's object: for anonymous memory its virtual address by its
            size. None for what isn't mapped.
        """
        nid, nodes, interleaved = self.where(policy, task, zone_index, local, offset)
        plain = Try(nid, nodes, gfp, interleaved)
        if policy is not None and policy.mode == PREFERRED_MANY:
            return (Try(nid, policy.nodes, (gfp | _NOWARN) & ~(_DIRECT_RECLAIM | _NOFAIL)), Try(nid, None, gfp))
        huge = self.rules.hugepage_local_first and order == self.hugepage_order and offset is not None
        if huge and interleaved is None and (nodes is None or nid in nodes):
            here = Try(nid, None, gfp | _THISNODE | _NORETRY)
            return (here, plain) if gfp & _DIRECT_RECLAIM else (here,)
        return (plain,)

    def where(
        self, policy: MemPolicy | None, task: TaskPolicy, zone_index: int, local: int, offset: int | None
    ) -> tuple[int, tuple[int, ...] | None, int | None]:
        """Return the node to start from, the nodes allowed (None: all), and the node of interleaving."""
        if policy is None:
            return local, None, None
        home = local if policy.home_node is None else policy.home_node
        match policy.mode:
            case mode if mode == PREFERRED:
                return policy.nodes[0], None, None
            case mode if mode == BIND:
                return home, policy.nodes if self.applies(policy, zone_index) else None, None
            case mode if mode == PREFERRED_MANY:
                return home, policy.nodes, None
            case mode if mode == INTERLEAVE:
                nid = interleave_nodes(task, policy.nodes) if offset is None else offset_il_node(policy.nodes, offset)
                return nid, None, nid
            case mode if mode == WEIGHTED_INTERLEAVE:
                if offset is None:
                    nid = weighted_interleave_nodes(task, policy.nodes, self.weights)
                else:
                    nid = weighted_il_node(policy.nodes, self.weights, offset)
                return nid, None, nid
        return local, None, None
