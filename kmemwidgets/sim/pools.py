"""Reserves of objects, and memory that each cpu has a copy of, as commands of a machine."""

from __future__ import annotations

from typing import Any

from kmemwidgets.records import BadInput, MachineSpec, format_version

from .early import PERCPU_PAGES
from .gfp import GFP_KERNEL
from .mempool import Mempool, ObjectAllocator
from .percpu import PerCpu, first_chunk
from .rules import pick
from .rules.interfaces import TABLE, InterfaceRules
from .slub_pages import Pages

#: The commands of this module, each a method that takes plain arguments.
COMMANDS = frozenset(
    {"mempool_create", "mempool_alloc", "mempool_free", "mempool_destroy", "alloc_percpu", "free_percpu"}
)  # fmt: skip


class Pools:
    """Reserves and per-CPU memory of one machine.

    Parameters
    ----------
    spec : MachineSpec
    page_alloc : Pages
    allocator : ObjectAllocator
        SLUB or SLAB.

    Attributes
    ----------
    pools : dict of int to Mempool
        By number, counted from 1.
    percpu : PerCpu
    """

    def __init__(self, spec: MachineSpec, page_alloc: Pages, allocator: ObjectAllocator) -> None:
        self._spec = spec
        self._rules = pick(InterfaceRules, TABLE, spec.kernel)
        self._allocator = allocator
        self.pools: dict[int, Mempool] = {}
        self._made = 0
        # How large the image's own variables are, only the image knows: what the early allocator takes is an estimate.
        plan = first_chunk(0, spec.cpus, arch=spec.arch, page_size=spec.page_size)
        static = max(PERCPU_PAGES * 4096 - plan.reserved - plan.dynamic, 0)
        plan = first_chunk(static, spec.cpus, arch=spec.arch, page_size=spec.page_size)
        self.percpu = PerCpu(plan, page_alloc, cpus=spec.cpus, nodes=spec.cpu_node or (0,), page_size=spec.page_size)

    def mempool_create(self, min_nr: int, cache: str) -> int:
        """Keep `min_nr` objects of a cache; returns the pool's number."""
        self._need(self._rules.mempool, "mempool")
        try:
            found = self._allocator.find_cache(cache)
        except KeyError:
            raise ValueError(f"no cache {cache!r}") from None
        made = Mempool(self._allocator, found, min_nr)
        self._made += 1
        self.pools[self._made] = made
        return self._made

    def mempool_alloc(self, pool: int, gfp: int = GFP_KERNEL, cpu: int = 0) -> int:
        """Take an object, of the reserve if need be; 0 where the caller would wait for one to come back."""
        return self._pool(pool).alloc(gfp, cpu)

    def mempool_free(self, pool: int, address: int, cpu: int = 0) -> None:
        """Give an object back, to the reserve first."""
        self._pool(pool).free(address, cpu)

    def mempool_destroy(self, pool: int) -> None:
        """Give the reserve back."""
        self._pool(pool).destroy()
        del self.pools[pool]

    def alloc_percpu(self, size: int, align: int = 8, gfp: int = GFP_KERNEL) -> int:
        """Allocate a copy for every cpu; returns the pointer, 0 where there are no pages."""
        self._need(self._rules.percpu_chunks, "per-CPU chunks")
        return self.percpu.alloc(size, align, gfp)

    def free_percpu(self, pointer: int) -> None:
        """Give every copy back; nothing for NULL."""
        if pointer:
            self.percpu.free(pointer)

    def save(self) -> tuple[Any, ...]:
        """Return the state that is not the allocator's."""
        pools = tuple((number, pool, pool.save()) for number, pool in self.pools.items())
        return (pools, self._made, self.percpu.save())

    def load(self, saved: tuple[Any, ...]) -> None:
        """Go back to what `save` returned."""
        pools, self._made, percpu = saved
        self.pools = {}
        for number, pool, state in pools:
            pool.load(state)
            self.pools[number] = pool
        self.percpu.load(percpu)

    def _pool(self, number: int) -> Mempool:
        try:
            return self.pools[number]
        except KeyError:
            raise ValueError(f"no mempool {number}") from None

    def _need(self, has: bool, what: str) -> None:
        if not has:
            raise BadInput(f"Linux {format_version(self._spec.kernel)} has no {what}", todo="boot a newer kernel")
