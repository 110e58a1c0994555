"""Memory policies: which modes there are, and how a node is chosen."""

from __future__ import annotations

from dataclasses import dataclass, fields

from kmemwidgets.records import Version

from .table import Rule, in_force

#: Modes by number (include/uapi/linux/mempolicy.h).
DEFAULT, PREFERRED, BIND, INTERLEAVE, LOCAL, PREFERRED_MANY, WEIGHTED_INTERLEAVE = range(7)

_MEMPOLICY = "mm/mempolicy.c"
_RECORDED = ("recording:numa-6.1",)


@dataclass(frozen=True, slots=True)
class MempolicyRules:
    """What differs between kernels in memory policies.

    Attributes
    ----------
    modes : tuple of int
        The modes that set_mempolicy() and mbind() take.
    home_node : bool
        A policy of several nodes may have a node to start from (set_mempolicy_home_node()).
    hugepage_local_first : bool
        A huge page is first tried on the preferred node alone, and elsewhere only if the request may reclaim.
    weights : str
        Pages a node in weighted interleave: "equal" (1 each until set), "bandwidth" (from the nodes' bandwidth,
        where known).
    bulk_follows : bool
        A bulk of single pages goes by the task's policy, too; else it comes from the cpu's own node.
    large_kmalloc_follows : bool
        A kmalloc too large for the caches goes by the task's policy; else its pages come from the cpu's own node.
    """

    modes: tuple[int, ...]
    home_node: bool
    hugepage_local_first: bool
    weights: str
    bulk_follows: bool
    large_kmalloc_follows: bool


TABLE: tuple[Rule, ...] = (
    Rule("modes", (2, 6, 11), (DEFAULT, PREFERRED, BIND, INTERLEAVE), "Four modes.", f"{_MEMPOLICY}", ("source",)),
    Rule("modes", (3, 8), (DEFAULT, PREFERRED, BIND, INTERLEAVE, LOCAL), "MPOL_LOCAL has a number of its own.",
         f"{_MEMPOLICY} mpol_new", _RECORDED),
    Rule("modes", (5, 15), (DEFAULT, PREFERRED, BIND, INTERLEAVE, LOCAL, PREFERRED_MANY),
         "MPOL_PREFERRED_MANY prefers any of several nodes.", f"{_MEMPOLICY} alloc_pages_preferred_many", _RECORDED),
    Rule("modes", (6, 9), (DEFAULT, PREFERRED, BIND, INTERLEAVE, LOCAL, PREFERRED_MANY, WEIGHTED_INTERLEAVE),
         "MPOL_WEIGHTED_INTERLEAVE gives each node as many pages in a row as it weighs.",
         f"{_MEMPOLICY} weighted_interleave_nid", ("source",)),
    Rule("home_node", (2, 6, 11), False, "The search starts at the cpu's node.", f"{_MEMPOLICY} policy_node",
         ("source",)),
    Rule("home_node", (5, 17), True, "MPOL_BIND and MPOL_PREFERRED_MANY may start from a home node.",
         f"{_MEMPOLICY} policy_node, set_mempolicy_home_node", ("source",)),
    Rule("hugepage_local_first", (2, 6, 11), False, "A huge page is a request like any other.",
         f"{_MEMPOLICY} alloc_pages_vma", ()),
    Rule("hugepage_local_first", (5, 3), True, "A huge page elsewhere is worth less than small pages here.",
         f"{_MEMPOLICY} alloc_pages_vma, later alloc_pages_mpol", ("source",)),
    Rule("weights", (2, 6, 11), "equal", "Every node weighs 1 until someone sets its weight.",
         f"{_MEMPOLICY} get_il_weight", ("source",)),
    Rule("weights", (6, 16), "bandwidth", "Weights follow the bandwidth that firmware tells; 1 where it tells none.",
         f"{_MEMPOLICY} mempolicy_set_node_perf", ()),
    Rule("bulk_follows", (2, 6, 11), False, "A bulk of single pages comes from the cpu's own node.",
         "mm/page_alloc.c __alloc_pages_bulk", ("source",)),
    Rule("bulk_follows", (5, 16), True, "A bulk of single pages goes by the task's policy, each node's share at once.",
         f"{_MEMPOLICY} alloc_pages_bulk_array_mempolicy", ("source",)),
    Rule("large_kmalloc_follows", (2, 6, 11), True, "The pages of a large kmalloc are a request like any other.",
         "mm/slab_common.c kmalloc_order", ("source",)),
    Rule("large_kmalloc_follows", (6, 1), False, "The pages of a large kmalloc come from a node, named or the cpu's.",
         "mm/slab_common.c __kmalloc_large_node", ("source",)),
    Rule("large_kmalloc_follows", (6, 17), True, "A large kmalloc that names no node goes by the task's policy.",
         "mm/slub.c ___kmalloc_large_node", ("source",)),
)  # fmt: skip


def has_mempolicy(version: Version) -> bool:
    """Tell whether a kernel knows memory policies."""
    return in_force(TABLE, version).keys() >= {field.name for field in fields(MempolicyRules)}
