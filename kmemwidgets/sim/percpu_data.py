"""Per-CPU memory before there were chunks: kmalloc for every cpu, and an array of where that is (mm/slab.c)."""

from __future__ import annotations

from typing import Any, Protocol

from kmemwidgets.records import MachineSpec

from .errors import KernelBug
from .gfp import GFP_KERNEL
from .rules.layout import nr_cpus_of
from .slub_options import word_size

#: CPUs that a kernel of that time was usually built for.
USUAL_CPUS = 8


class Kmalloc(Protocol):
    """What is asked of SLAB."""

    def kmalloc(self, size: int, gfp: int = GFP_KERNEL, cpu: int = 0) -> int:
        """Take any size; 0 where there are no pages."""

    def kfree(self, address: int, cpu: int = 0) -> None:
        """Give back what kmalloc gave."""


class PerCpuData:
    """__alloc_percpu of 2.6.11.

    Parameters
    ----------
    spec : MachineSpec
    slab : Kmalloc

    Attributes
    ----------
    copies : dict of int to tuple of int
        Of each pointer handed out: the array's address, then each cpu's copy.
    """

    def __init__(self, spec: MachineSpec, slab: Kmalloc) -> None:
        self.slab = slab
        self.cpus = spec.cpus
        word = word_size(spec)
        self._mask = (1 << 8 * word) - 1
        # A place for every cpu that the kernel is built for, and one more (struct percpu_data); without SMP no array.
        built_for = nr_cpus_of(spec, USUAL_CPUS)
        self._array_bytes = (built_for + 1) * word if built_for > 1 else 0
        self.copies: dict[int, tuple[int, ...]] = {}

    def alloc(self, size: int, align: int = 8, gfp: int = GFP_KERNEL) -> int:  # noqa: ARG002
        """Allocate a copy for every cpu; 0 where there is no memory. Whatever the flags, it may wait."""
        if size <= 0:
            raise ValueError(f"{size} bytes")
        taken: list[int] = []
        sizes = [self._array_bytes, *[size] * self.cpus] if self._array_bytes else [size]
        for each in sizes:
            address = self.slab.kmalloc(each)
            if not address:
                for given in taken:
                    self.slab.kfree(given)
                return 0
            taken.append(address)
        # Turned around bit by bit, so that who uses it without per_cpu_ptr faults.
        pointer = ~taken[0] & self._mask if self._array_bytes else taken[0]
        self.copies[pointer] = tuple(taken)
        return pointer

    def free(self, pointer: int) -> None:
        """Give every copy back, then the array (free_percpu).

        Raises
        ------
        KernelBug
            For what is no such pointer.
        """
        taken = self._taken(pointer)
        for address in (*taken[1:], taken[0]):
            self.slab.kfree(address)
        del self.copies[pointer]

    def address(self, pointer: int, cpu: int) -> int:
        """Return where a cpu's copy lies (per_cpu_ptr)."""
        taken = self._taken(pointer)
        return taken[1 + cpu] if self._array_bytes else taken[0]

    def _taken(self, pointer: int) -> tuple[int, ...]:
        if pointer not in self.copies:
            raise KernelBug(f"Unable to handle kernel paging request: {pointer:#x} is no pointer of alloc_percpu")
        return self.copies[pointer]

    def save(self) -> tuple[Any, ...]:
        """Return the state that is not SLAB's."""
        return tuple(self.copies.items())

    def load(self, saved: tuple[Any, ...]) -> None:
        """Go back to what `save` returned."""
        self.copies = dict(saved)
