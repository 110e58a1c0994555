"""Reserves of objects, and memory that each cpu has a copy of, as commands of a machine."""

from __future__ import annotations

from typing import Any

from kmemwidgets.records import BadInput, MachineSpec, format_version

from .errors import KernelBug
from .gfp import GFP_KERNEL
from .mempool import Mempool
from .percpu import PerCpu
from .percpu_data import PerCpuData
from .rules import pick
from .rules.interfaces import TABLE, InterfaceRules
from .slub_options import word_size

#: The commands of this module, each a method that takes plain arguments.
COMMANDS = frozenset(
    {"mempool_create", "mempool_alloc", "mempool_free", "mempool_destroy", "alloc_percpu", "free_percpu"}
)  # fmt: skip


class Pools:
    """Reserves and per-CPU memory of one machine.

    Parameters
    ----------
    spec : MachineSpec
    allocator : Slub or Slab24
    percpu : PerCpu or None
        The per-CPU allocator, in kernels that have one of its own.

    Attributes
    ----------
    pools : dict of int to Mempool
        By number, counted from 1.
    percpu : PerCpu or PerCpuData
        Before there were chunks: kmalloc for each cpu.
    """

    def __init__(self, spec: MachineSpec, allocator: Any, percpu: PerCpu | None) -> None:
        self._spec = spec
        self._rules = pick(InterfaceRules, TABLE, spec.kernel)
        self._allocator = allocator
        self.pools: dict[int, Mempool] = {}
        self._made = 0
        self.percpu: PerCpu | PerCpuData = percpu or PerCpuData(spec, allocator)

    def mempool_create(self, min_nr: int, cache: str) -> int:
        """Keep `min_nr` objects of a cache; returns the pool's number."""
        self._need(self._rules.mempool, "mempool")
        try:
            found = self._allocator.find_cache(cache)
        except KeyError:
            raise ValueError(f"no cache {cache!r}") from None
        array = self._allocator.kmalloc(max(min_nr, 0) * word_size(self._spec))
        if not array:
            raise KernelBug(f"mempool_create_slab_pool({min_nr}, {cache}): no memory for the array of pointers")
        try:
            made = Mempool(self._allocator, found, min_nr)
        except (KernelBug, ValueError):
            self._allocator.kfree(array)
            raise
        made.array = array
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
        found = self._pool(pool)
        found.destroy()
        self._allocator.kfree(found.array)
        del self.pools[pool]

    def alloc_percpu(self, size: int, align: int = 8, gfp: int = GFP_KERNEL) -> int:
        """Allocate a copy for every cpu; returns the pointer, 0 where there is no memory."""
        self._need(self._rules.percpu, "alloc_percpu")
        return self.percpu.alloc(size, align, gfp)

    def free_percpu(self, pointer: int) -> None:
        """Give every copy back; nothing for NULL."""
        self._need(self._rules.percpu, "free_percpu")
        if pointer:
            self.percpu.free(pointer)

    def per_cpu_ptr(self, pointer: int, cpu: int) -> int:
        """Return where a cpu's copy lies."""
        self._need(self._rules.percpu, "alloc_percpu")
        if not 0 <= cpu < self._spec.cpus:
            raise ValueError(f"no cpu {cpu}; there are {self._spec.cpus}")
        return self.percpu.address(pointer, cpu)

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
