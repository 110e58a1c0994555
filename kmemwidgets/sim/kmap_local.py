"""Mappings for a moment: kmap_atomic and kmap_local give a high page one of a cpu's slots in the fixmap.

Each cpu has as many slots as its kernel has kinds of users (2.4, 2.6.11), or a stack of them that all users share
(2.6.37), which belongs to the task from 5.11 on: the task may be preempted then, and takes its entries out of the
cpu's page table and puts them back, but it stays on its cpu, since the addresses are that cpu's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kmemwidgets.records import LocalMapping

from .errors import KernelBug
from .rules.highmem import HighmemRules

#: The kind of user that kmap_atomic is taken for where none is named.
USUAL_TYPE = "KM_USER0"


class LocalMappings:
    """The short-lived mappings of one machine.

    Parameters
    ----------
    rules : HighmemRules
    slots : int
        Slots that each cpu has (KM_TYPE_NR, KM_MAX_IDX).
    debug : bool
        CONFIG_DEBUG_HIGHMEM, CONFIG_DEBUG_KMAP_LOCAL from 5.11 on.
    address_of : callable (slot of the fixmap's part) -> address
        `slots` for each cpu, one cpu behind the other.

    Attributes
    ----------
    ptes : dict of int to int
        The frame that each entry of the fixmap's part maps just now.
    stacks : dict of int to list of int
        Frames that each owner has mapped, the newest last: by cpu, or by task where they belong to it.
    given_up : set of int
        Entries that still map a page which nobody needs any more.
    cpu_of : dict of int to int
        The cpu of each task that may not leave it.
    running : dict of int to int
        The task that each cpu runs, as far as somebody said.
    depth : dict of int to int
        How many kmap_atomic of each cpu forbid it to run another task.
    flushes : int
        Pages that a cpu flushed from its own TLB.
    """

    def __init__(self, rules: HighmemRules, slots: int, debug: bool, address_of: Callable[[int], int]) -> None:
        self.rules = rules
        self.slots = slots
        self.debug = debug
        self.address_of = address_of
        self.step = rules.debug_step if debug else 1
        self.ptes: dict[int, int] = {}
        self.stacks: dict[int, list[int]] = {}
        self.given_up: set[int] = set()
        self.cpu_of: dict[int, int] = {}
        self.running: dict[int, int] = {}
        self.depth: dict[int, int] = {}
        self.flushes = 0

    @property
    def most(self) -> int:
        """How many one owner may have before the kernel stops."""
        if self.rules.km_types:
            return len(self.rules.km_types)
        # The index is one ahead of the last slot, and must stay below their number.
        return (self.slots - 1) // self.step if self.rules.slots_of_task else self.slots

    # Who runs where

    def enter(self, cpu: int, task: int) -> None:
        """Let a task run on a cpu: another one's mappings go out of the page table, its own come back.

        Raises
        ------
        KernelBug
            Where the one before it may not be switched away.
        ValueError
            Where the task must stay on another cpu.

        Source: mm/highmem.c __kmap_local_sched_out, __kmap_local_sched_in; migrate_disable.
        """
        before = self.running.get(cpu, task)
        if before != task and self.depth.get(cpu):
            raise KernelBug(f"BUG: scheduling while atomic: task/{before}/0x{self.depth[cpu]:08x}")
        if not self.rules.slots_of_task:
            self.running[cpu] = task
            return
        home = self.cpu_of.get(task, cpu)
        if home != cpu:
            raise ValueError(f"task {task} stays on cpu {home} until it has given its mappings up; name another task")
        if before != task:
            for slot in self._slots_of(before, cpu):
                del self.ptes[slot]
                self.flushes += 1
            for slot, pfn in zip(self._slots_of(task, cpu), self.stacks.get(task, ()), strict=True):
                self.ptes[slot] = pfn
        self.running[cpu] = task

    def _slots_of(self, owner: int, cpu: int) -> list[int]:
        """Return the entries of an owner's mappings, the oldest first."""
        return [self._slot(number, cpu) for number in range(len(self.stacks.get(owner, ())))]

    def _slot(self, number: int, cpu: int) -> int:
        """Return the entry of an owner's n-th mapping; with debugging every other one is a guard."""
        return (number + 1) * self.step - 1 + self.slots * cpu

    # kmap_atomic, kmap_local

    def map(self, pfn: int, cpu: int, task: int, *, km_type: str = "", atomic: bool) -> int:
        """Map a high page.

        Raises
        ------
        KernelBug
            Where no slot is left, or the one for this kind of user is taken and the kernel looks (debugging).
        """
        if self.rules.km_types:
            slot = self._typed_slot(km_type, cpu)
            if self.debug and slot in self.ptes:
                raise KernelBug(f"{self.rules.words_map} {km_type} of cpu {cpu} maps pfn {self.ptes[slot]:#x}")
        else:
            owner = task if self.rules.slots_of_task else cpu
            number = len(self.stacks.get(owner, ()))
            if number >= self.most and (self.rules.slots_of_task or self.debug):
                raise KernelBug(f"{self.rules.words_push} no slot left for a mapping")
            slot = self._slot(number, cpu)
            # Nothing stops a cpu that doesn't count from running into the slots of the next one.
            if slot in self.ptes and not self.rules.slots_of_task:
                raise KernelBug(f"{self.rules.words_map} the slot maps pfn {self.ptes[slot]:#x} already")
        self.enter(cpu, task)
        if not self.rules.km_types:
            self.stacks.setdefault(owner, []).append(pfn)
        if self.rules.slots_of_task:
            self.cpu_of[task] = cpu
        self.ptes[slot] = pfn
        self.given_up.discard(slot)
        self.flushes += self.rules.flushes_on_map
        self.pin(cpu, task, atomic=atomic)
        return self.address_of(slot)

    def pin(self, cpu: int, task: int, *, atomic: bool) -> None:
        """Forbid a cpu to run another task until kunmap_atomic; of a page in low memory, too."""
        if atomic and self.rules.atomic_forbids_switch:
            self.enter(cpu, task)
            self.depth[cpu] = self.depth.get(cpu, 0) + 1

    def unpin(self, cpu: int) -> None:
        """Undo `pin`."""
        if self.depth.get(cpu):
            self.depth[cpu] -= 1

    def unmap(self, address: int, cpu: int, task: int, *, km_type: str = "", atomic: bool) -> None:
        """Give a mapping up.

        Raises
        ------
        KernelBug
            For one that is not there, or not the newest where the kernel looks; nothing has changed then.
        """
        if atomic and self.rules.atomic_forbids_switch and not self.depth.get(cpu):
            raise KernelBug(f"WARNING: at kernel/sched/core.c preempt_count_sub: no kmap_atomic on cpu {cpu}")
        if self.rules.km_types:
            self._unmap_typed(address, cpu, km_type)
        else:
            self._pop(address, cpu, task)
        if atomic:
            self.unpin(cpu)

    def _typed_slot(self, km_type: str, cpu: int) -> int:
        names = self.rules.km_types
        if km_type not in names:
            raise ValueError(f"no {km_type or 'type'}; there are {', '.join(names)}")
        return (names.index(km_type) + 1) * self.step - 1 + self.slots * cpu

    def _unmap_typed(self, address: int, cpu: int, km_type: str) -> None:
        """Leave the entry as it is: only a debugging kernel clears it, so that later use of the address is noticed."""
        slot = self._typed_slot(km_type, cpu)
        if not self.debug:
            if slot in self.ptes:
                self.given_up.add(slot)
            return
        if self.address_of(slot) != address or slot not in self.ptes:
            raise KernelBug(f"{self.rules.words_map} {address:#x} is not {km_type} of cpu {cpu}")
        del self.ptes[slot]
        self.flushes += 1

    def _pop(self, address: int, cpu: int, task: int) -> None:
        owner = task if self.rules.slots_of_task else cpu
        stack = self.stacks.get(owner, [])
        if not stack:
            raise KernelBug(f"{self.rules.words_push} {address:#x} is not mapped, nor anything else")
        home = self.cpu_of.get(task, cpu) if self.rules.slots_of_task else cpu
        slot = self._slot(len(stack) - 1, home)
        if (self.rules.slots_of_task or self.debug) and self.address_of(slot) != address:
            raise KernelBug(f"{self.rules.words_unmap}: {address:#x} is not the newest mapping")
        self.enter(cpu, task)
        # A kernel that doesn't look takes the newest, whatever it was told.
        stack.pop()
        del self.ptes[slot]
        self.flushes += 1
        if not stack:
            del self.stacks[owner]
            self.cpu_of.pop(task, None)

    # Looking and keeping

    def mappings(self) -> tuple[LocalMapping, ...]:
        """Return all mappings, by owner, the oldest first."""
        if self.rules.km_types:
            return tuple(self._typed(slot, pfn) for slot, pfn in sorted(self.ptes.items()))
        found = []
        for owner, stack in sorted(self.stacks.items()):
            cpu = self.cpu_of.get(owner, owner)
            state = "out" if self.rules.slots_of_task and self.running[cpu] != owner else "used"
            for slot, pfn in zip(self._slots_of(owner, cpu), stack, strict=True):
                found.append(LocalMapping(owner, slot % self.slots, pfn, self.address_of(slot), cpu=cpu, state=state))
        return tuple(found)

    def _typed(self, slot: int, pfn: int) -> LocalMapping:
        cpu, number = divmod(slot, self.slots)
        state = "left" if slot in self.given_up else "used"
        name = self.rules.km_types[(number + 1) // self.step - 1]
        return LocalMapping(cpu, number, pfn, self.address_of(slot), name=name, cpu=cpu, state=state)

    def save(self) -> tuple[Any, ...]:
        """Return the state as plain tuples."""
        return (
            tuple(self.ptes.items()), tuple((owner, tuple(stack)) for owner, stack in self.stacks.items()),
            tuple(sorted(self.given_up)), tuple(self.cpu_of.items()), tuple(self.running.items()),
            tuple(self.depth.items()), self.flushes,
        )  # fmt: skip

    def load(self, saved: tuple[Any, ...]) -> None:
        """Go back to what `save` returned."""
        ptes, stacks, given_up, cpu_of, running, depth, self.flushes = saved
        self.ptes, self.given_up = dict(ptes), set(given_up)
        self.stacks = {owner: list(stack) for owner, stack in stacks}
        self.cpu_of, self.running, self.depth = dict(cpu_of), dict(running), dict(depth)
