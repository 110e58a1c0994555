"""The memory policy of the task that asks for pages, as a machine has it: the page allocator asks here where to look.

A request that names no node goes by the policy, that of a slab or of vmalloc as well (alloc_pages,
alloc_pages_mpol). Commands take plain arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from kmemwidgets.records import BadInput, MachineSpec, format_version

from .gfp import __GFP_THISNODE as THISNODE
from .gfp import gfp_zone
from .mempolicy import MemPolicy, Mempolicy, TaskPolicy, make_policy
from .mempolicy_bulk import alloc_pages_bulk_mempolicy
from .mempolicy_pages import alloc_pages_mpol, mempolicy_of
from .page_alloc import PageAllocator
from .rules import pick
from .rules.mempolicy import (
    BIND,
    DEFAULT,
    INTERLEAVE,
    LOCAL,
    PREFERRED,
    PREFERRED_MANY,
    TABLE,
    WEIGHTED_INTERLEAVE,
    MempolicyRules,
    has_mempolicy,
)
from .several_pages import alloc_pages_bulk_nodemask

#: The commands of this module.
COMMANDS = frozenset({"set_mempolicy", "set_interleave_weight"})

#: Modes by name: MPOL_... without that.
MODES: Mapping[str, int] = MappingProxyType(
    {
        "default": DEFAULT, "preferred": PREFERRED, "bind": BIND, "interleave": INTERLEAVE, "local": LOCAL,
        "preferred_many": PREFERRED_MANY, "weighted_interleave": WEIGHTED_INTERLEAVE,
    }
)  # fmt: skip

#: A weight is a byte.
MOST_WEIGHT = 255


class PolicyCommands:
    """A task's memory policy, and the weights of nodes.

    Parameters
    ----------
    spec : MachineSpec
    allocator : PageAllocator

    Attributes
    ----------
    mempolicy : Mempolicy or None
        How this kernel reads policies; None: it has none.
    task : TaskPolicy
        The policy in force, and where its round is.
    """

    def __init__(self, spec: MachineSpec, allocator: PageAllocator) -> None:
        self._spec = spec
        self._allocator = allocator
        self.mempolicy: Mempolicy | None = None
        self.task = TaskPolicy()
        if has_mempolicy(spec.kernel):
            self.mempolicy = mempolicy_of(allocator, pick(MempolicyRules, TABLE, spec.kernel))

    def run(self, name: str, arguments: Sequence[Any]) -> Any:
        """Carry out a command."""
        return getattr(self, name)(*arguments)

    def set_mempolicy(self, mode: str, nodes: str = "", home_node: int | None = None) -> None:
        """Set the policy of all requests from now on; `nodes` as the kernel lists them ("0,2")."""
        chosen = [int(word) for word in nodes.split(",") if word]
        if mode not in MODES:
            raise ValueError(f"no memory policy mode {mode!r}; there are {', '.join(MODES)}")
        if self.mempolicy is None:
            raise BadInput(f"Linux {format_version(self._spec.kernel)} has no memory policies", todo="boot a newer one")
        there = {live.zone.nid for live in self._allocator.zones}
        missing = sorted({*chosen, *([] if home_node is None else [home_node])} - there)
        if missing:
            raise ValueError(f"no memory on node {missing[0]}; there are {', '.join(map(str, sorted(there)))}")
        self.task.set(make_policy(self.mempolicy.rules, MODES[mode], chosen, home_node))
        self._follow()

    def set_interleave_weight(self, node: int, weight: int) -> None:
        """Write /sys/kernel/mm/mempolicy/weighted_interleave/nodeN: pages in a row that a node gives."""
        mempolicy = self.mempolicy
        if mempolicy is None or WEIGHTED_INTERLEAVE not in mempolicy.rules.modes:
            raise BadInput(
                f"Linux {format_version(self._spec.kernel)} has no weighted interleaving", todo="boot 6.9 or newer"
            )
        if node not in mempolicy.memory_nodes or not 1 <= weight <= MOST_WEIGHT:
            raise ValueError(
                f"node {node} and weight {weight}: a node with memory, and a weight from 1 to {MOST_WEIGHT}"
            )
        self.mempolicy = replace(mempolicy, weights={**mempolicy.weights, node: weight})

    @property
    def policy(self) -> MemPolicy | None:
        """The policy in force; None: the default, the cpu's own node first."""
        return self.task.policy

    def alloc_pages(self, gfp: int, order: int, cpu: int) -> int:
        """Allocate by the policy in force; first pfn, -1 if every try failed (alloc_pages_mpol)."""
        assert self.mempolicy is not None
        return alloc_pages_mpol(self._allocator, self.mempolicy, self.policy, self.task, gfp, order, cpu)

    def alloc_pages_bulk(self, gfp: int, count: int, cpu: int) -> list[int]:
        """Allocate single pages by the policy in force."""
        allocator = self._allocator
        assert self.mempolicy is not None

        def bulk(flags: int, pages: int, nid: int, nodes: frozenset[int] | None) -> list[int]:
            return alloc_pages_bulk_nodemask(allocator, flags, pages, nid, cpu, nodes)

        return alloc_pages_bulk_mempolicy(
            self.mempolicy,
            None if gfp & THISNODE else self.policy,
            self.task,
            gfp,
            count,
            zone_index=allocator.zone_index(gfp_zone(gfp)),
            local=allocator.cpu_node[cpu],
            bulk=bulk,
        )

    def _follow(self) -> None:
        """Let the allocator ask here as long as there is a policy."""
        if self.task.policy is None or self.mempolicy is None:
            self._allocator.follow_policy(None)
            return
        bulk = self.alloc_pages_bulk if self.mempolicy.rules.bulk_follows else None
        self._allocator.follow_policy(self.alloc_pages, bulk)

    # Keeping

    def save(self) -> Any:
        """Return the policy, its round, and the weights."""
        weights = None if self.mempolicy is None else dict(self.mempolicy.weights)
        return replace(self.task), weights

    def load(self, saved: Any) -> None:
        """Go back to what `save` returned; None is that of boot."""
        task, weights = saved or (TaskPolicy(), None)
        self.task = replace(task)
        if self.mempolicy is not None:
            self.mempolicy = replace(self.mempolicy, weights=weights or {})
        self._follow()
