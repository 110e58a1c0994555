"""Which node serves a boot's requests: its first two tasks go round the nodes (mm/mempolicy.c, numa_policy_init).

While it boots, the kernel spreads what it allocates over all nodes, so that the first one isn't used up. The policy is
swapper's, init inherits it, and each drops it when it is done (numa_default_policy); kernel threads never have it. The
trace tells all of that by the policy's own object: who gets it, copies it and frees it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from kmemwidgets.records import Version
from kmemwidgets.sim.gfp import __GFP_COMP as COMP
from kmemwidgets.sim.gfp import __GFP_HIGHMEM as HIGHMEM
from kmemwidgets.sim.gfp import __GFP_NORETRY as NORETRY
from kmemwidgets.sim.gfp import __GFP_NOWARN as NOWARN
from kmemwidgets.sim.gfp import __GFP_THISNODE as THISNODE
from kmemwidgets.sim.gfp import __GFP_ZERO as ZERO
from kmemwidgets.sim.mempolicy import MemPolicy, TaskPolicy, interleave_nodes
from kmemwidgets.sim.mempolicy_bulk import alloc_pages_bulk_mempolicy
from kmemwidgets.sim.mempolicy_pages import mempolicy_of
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.mempolicy import INTERLEAVE, TABLE, MempolicyRules
from kmemwidgets.sim.several_pages import alloc_pages_bulk_nodemask
from kmemwidgets.tracefs import Row

from .bulks import BULK_GFP, CHUNK, PAGE_SIZE, named_node
from .cpu import IN_INTERRUPT, Cpu

#: Events that tell of the policy, besides those that a boot's replay reads anyway.
POLICY_EVENTS = ("kmem_cache_alloc_node", "kmem_cache_free")

SWAPPER, INIT = 0, 1
#: A smaller node is left out (numa_policy_init).
LEAST_BYTES = 16 << 20

# Call sites: the policy's object, and its end; the task's own structure comes first in a fork, its policy later.
_SET = ("mpol_new+", "do_set_mempolicy+")
_DUP = ("__mpol_dup+",)
_PUT = ("do_set_mempolicy+", "__mpol_put+")
_FORK = ("dup_task_struct+", "copy_process+")

#: The first latency flag where softirqs are off: for the page allocator that is an interrupt (in_interrupt).
_BH_OFF = frozenset("bD")


def interleaved(allocator: PageAllocator) -> tuple[int, ...]:
    """Return the nodes that a boot goes round: those with memory enough, else the largest (numa_policy_init)."""
    present: dict[int, int] = {}
    for live in allocator.zones:
        present[live.zone.nid] = present.get(live.zone.nid, 0) + live.zone.present
    large = tuple(sorted(nid for nid, pages in present.items() if pages * PAGE_SIZE >= LEAST_BYTES))
    return large or (max(sorted(present), key=lambda nid: present[nid]),)


class BootPolicy:
    """The policy of a boot's first tasks.

    Parameters
    ----------
    allocator : PageAllocator
    version : tuple of int

    Attributes
    ----------
    tasks : dict of int to TaskPolicy
        Who has the policy, by pid, and where its round is.
    """

    def __init__(self, allocator: PageAllocator, version: Version) -> None:
        self.allocator = allocator
        self.mempolicy = mempolicy_of(allocator, pick(MempolicyRules, TABLE, version))
        self.policy = MemPolicy(INTERLEAVE, interleaved(allocator))
        self.tasks: dict[int, TaskPolicy] = {}
        #: A slab that is asked of any other node may come from all (___slab_alloc).
        self._with_memory = frozenset(live.zone.nid for live in allocator.zones if live.zone.present)
        self._begun = False
        self._forked: int | None = None
        #: Tasks and nodes of the single pages that a bulk asks for: they have an event each.
        self._singles: list[tuple[int, int]] = []

    def see(self, name: str, pid: int, values: tuple[Any, ...]) -> None:
        """Look whether an object tells that a task gets the policy, hands it down or drops it."""
        site = values[0]
        task = self.tasks.get(pid)
        if name == "kmem_cache_free":
            if task is not None and site.startswith(_PUT):
                del self.tasks[pid]
        elif pid != SWAPPER or not name.startswith("kmem_cache_alloc"):
            return
        elif not self._begun and site.startswith(_SET):
            self._begun = True
            self.tasks[SWAPPER] = TaskPolicy(self.policy)
        elif task is not None and self._forked is None and site.startswith(_FORK):
            # The new task's structure is a copy of the old one's, as that is now.
            self._forked = task.il_prev
        elif self._forked is not None and site.startswith(_DUP):
            self.tasks.setdefault(INIT, TaskPolicy(self.policy, self._forked))

    def node(self, pid: int, flags: str, gfp: int, order: int, coming: Iterable[Row]) -> int | None:
        """Return the node that a request begins with; None for the cpu's own.

        Parameters
        ----------
        pid : int
        flags : str
            The latency flags.
        gfp, order : int
        coming : iterable of Row
            What follows: the object that a new slab's page is for tells whether it was asked of a node.
        """
        if flags[2:3] in IN_INTERRUPT:
            return None
        if gfp & (HIGHMEM | NOWARN) == HIGHMEM | NOWARN and self._singles and self._singles[0][0] == pid:
            return self._singles.pop(0)[1]
        task = self.tasks.get(pid)
        if gfp & (NOWARN | NORETRY) == NOWARN | NORETRY and not gfp & (HIGHMEM | ZERO):
            values = next_object(pid, coming)
            if values is not None and (named := named_node(values)) in self._with_memory:
                return named
            if task is not None:
                # Before a slab is made, get_any_partial looks for one elsewhere, from the round's next node on.
                interleave_nodes(task, self.policy.nodes)
        elif gfp & COMP and order and not self.mempolicy.rules.large_kmalloc_follows:
            values = next_object(pid, coming)
            if values is not None and values[3] == PAGE_SIZE << order:
                return named_node(values)
        if task is None or gfp & THISNODE or flags[:1] in _BH_OFF:
            return None
        return interleave_nodes(task, self.policy.nodes)

    def moved(self, pid: int, nid: int | None, pfn: int) -> int | None:
        """Return the node of a recorded frame if a task's round was elsewhere than known, and go on from there.

        What moved it leaves no event: get_any_partial gives up by chance (remote_node_defrag_ratio, which it compares
        with the clock), or finds a slab elsewhere.
        """
        task = self.tasks.get(pid)
        where = self.allocator.zone_of(pfn).zone.nid
        if task is None or nid is None or nid != task.il_prev or where == nid or where not in self.policy.nodes:
            return None
        task.il_prev = where
        return where

    def deal(self, state: Cpu, cpu: int) -> bool:
        """Take the pages that a vmalloc's array announced from the nodes whose they are; False if no node is known."""
        task = self.tasks.get(state.asker)
        if state.named_node is None and (task is None or not self.mempolicy.rules.bulk_follows):
            return False
        while state.bulk and not self._singles:
            pages = state.bulk.pop(0)
            take = partial(self._take, state.asker, cpu)
            while pages:
                ask = min(CHUNK, pages)
                pages -= ask
                if state.named_node is not None:
                    take(BULK_GFP, ask, state.named_node, None)
                elif task is not None:
                    local = self.allocator.cpu_node[cpu]
                    alloc_pages_bulk_mempolicy(
                        self.mempolicy, self.policy, task, BULK_GFP, ask, zone_index=0, local=local, bulk=take
                    )
        return True

    def _take(self, pid: int, cpu: int, gfp: int, count: int, nid: int, _nodes: frozenset[int] | None) -> list[int]:
        if count == 1:
            self._singles.append((pid, nid))
            return []
        return alloc_pages_bulk_nodemask(self.allocator, gfp, count, nid, cpu)


def next_object(pid: int, coming: Iterable[Row]) -> tuple[Any, ...] | None:
    """Return what is told of the object that a task gets next; None if it asks for other pages before."""
    for name, _, owner, _, _, flags, values in coming:
        if owner == pid and flags[2:3] not in IN_INTERRUPT:
            if name.startswith(("kmalloc", "kmem_cache_alloc")):
                return values
            if name == "mm_page_alloc":
                return None
    return None
