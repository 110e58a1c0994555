"""A simulated machine: booted from a description, changed by its verbs, shown like a real one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from kmemwidgets.records import (
    BootStep,
    Changes,
    FrameInfo,
    FrameTable,
    MachineSpec,
    Snapshot,
    VmStat,
    format_version,
)

from . import boot as boot_steps
from . import frame_kinds, saving, start_kernel, view
from .address_verbs import AddressVerbs
from .ages import Ages
from .area_verbs import AreaVerbs
from .describe import check_spec, describe
from .events import EventLog
from .fast_path import FastPath
from .frames import ChangeLog, Frames
from .gfp import parse_gfp
from .history import Command, History
from .moves import MoveLog
from .numa_stat import ZONE_NAMES, fast_requests
from .object_verbs import ObjectVerbs
from .objects import COMMANDS as OBJECT_COMMANDS
from .objects import KernelObjects
from .owners import Owners
from .page import Page
from .page_commands import COMMANDS as PAGE_COMMANDS
from .page_commands import PageCommands
from .page_verbs import PageVerbs
from .plans import freed_page, log_tag
from .policy_commands import COMMANDS as POLICY_COMMANDS
from .policy_commands import PolicyCommands
from .presets import preset
from .rules.layout import virtual_layout
from .unchecked import unchecked_rules, unchecked_words
from .why import why
from .zone_sizes import usable_memory

#: Verbs that change the machine, in the log of commands.
COMMANDS = (
    frozenset({"alloc_pages", "free_pages", "sysctl"}) | PAGE_COMMANDS | POLICY_COMMANDS | OBJECT_COMMANDS
)  # fmt: skip


#: gfp, order, node, cpu
Request: TypeAlias = tuple[int, int, int | None, int]


class Machine(FastPath, AddressVerbs, PageVerbs, ObjectVerbs, AreaVerbs):
    """A machine; `Machine.boot` makes one.

    Attributes
    ----------
    page_alloc : PageAllocator
        The page allocator; ``page_alloc.zones[i].free_area`` are the buddy lists alone. What is asked of it past the
        verbs is not in the log that undo and save go by.
    zones : sequence of Zone
        All zones of all nodes.
    memblock : Memblock
        The early allocator as boot left it.
    pages : PageCommands
        Several pages at once, and compaction.
    policies : PolicyCommands
        The memory policy of who asks.
    objects : KernelObjects
        Slabs, areas and mappings.
    history : History

    Examples
    --------
    >>> m = Machine.boot(memory="1G", cpus=1)
    >>> page = m.alloc_pages("GFP_KERNEL", order=2)
    >>> m.free_pages(page, 2)
    >>> m.snapshot().zone(0, "DMA32").present
    258048
    """

    def __init__(self, spec: MachineSpec, seed: int = 0) -> None:
        check_spec(spec)
        self._spec = spec
        self.seed = seed
        self._booted = boot_steps.boot(spec, seed)
        self.pages = PageCommands(spec, self.page_alloc)
        self.policies = PolicyCommands(spec, self.page_alloc)
        self.objects = KernelObjects(
            spec, self.page_alloc, usable_memory(spec), tuple(self._booted.node_order), seed, self.memblock.calls
        )
        self.page_alloc.node_page_state = self.objects.node_page_state
        self._frames = Frames(self.page_alloc, [(entry.start_pfn, entry.end_pfn) for entry in self._booted.memory])
        self._frames.look()
        self._owners = Owners(self._frames, self.objects, self.memblock, spec.page_size)
        self._ages: Ages | None = None
        self._changes = ChangeLog()
        self._moved = False
        self._looked_at = 0
        words = unchecked_words(spec.kernel)
        self._notes = (words,) if words else ()
        self._requests: dict[Request, Request] = {}
        #: Allocations that took the whole way and are counted already (`_settle`).
        self._counted: Counter[Request] = Counter()
        self._subscribers: list[Callable[[], None]] = []
        self.history = History(self._rerun, self._save, self._load, self._settle)
        self.pages.move_log = MoveLog(self.history)
        self._share(self.page_alloc, self.history.commands.raw)
        # What boot left: a large machine takes longer to boot again than anyone waits for an earlier moment.
        self._fresh = (self.reserves.save(), self.page_alloc.save(), None, None, None, (0, Counter[Request]()))

    @classmethod
    def boot(
        cls,
        what: object = None,
        *,
        arch: str = "x86_64",
        memory: int | str = "4G",
        nodes: int | Sequence[Any] = 1,
        cpus: int = 2,
        kernel: str = "6.1",
        cmdline: str = "",
        config: Mapping[str, Any] | None = None,
        spec: MachineSpec | None = None,
        seed: int = 0,
    ) -> Machine:
        """Boot a machine.

        Parameters
        ----------
        what : str, MachineSpec or anything with ``spec()``, optional
            A preset's name (see ``kmemwidgets.sim.presets``), a description, or a recording.
        arch, memory, nodes, cpus, kernel, cmdline, config
            Else: what the machine is; see `kmemwidgets.sim.describe.describe`.
        spec : MachineSpec, optional
            The same as giving it first.
        seed : int
            Where chance comes from; the same seed and commands give the same bytes.

        Raises
        ------
        ValueError
            For arguments that describe no machine.
        BadInput
            For a preset, kernel or description that can't be booted.
        """
        given = spec if what is None else what
        if isinstance(given, str):
            return cls(preset(given), seed)
        if given is not None:
            made = given.spec() if callable(getattr(given, "spec", None)) else None  # type: ignore[attr-defined]
            if not isinstance(made, MachineSpec):
                raise ValueError(f"{type(given).__name__} describes no machine; give a preset's name or a MachineSpec")
            return cls(made, seed)
        return cls(
            describe(arch=arch, memory=memory, nodes=nodes, cpus=cpus, kernel=kernel, cmdline=cmdline, config=config),
            seed,
        )

    # What it consists of

    @property
    def page_alloc(self) -> Any:
        """The page allocator."""
        return self._booted.page_alloc

    @property
    def zones(self) -> Any:
        """All zones of all nodes, empty ones too."""
        return self._booted.zones

    @property
    def memblock(self) -> Any:
        """The early allocator as boot left it."""
        return self._booted.memblock

    @property
    def reserves(self) -> Any:
        """min_free_kbytes, watermarks and reserves."""
        return self._booted.reserves

    def spec(self) -> MachineSpec:
        """Return the description that it was booted from."""
        return self._spec

    def boot_steps(self) -> tuple[BootStep, ...]:
        """Return start_kernel's memory steps, each with what it asked of the early allocator."""
        return start_kernel.boot_steps(self._spec, self.memblock)

    def unchecked_rules(self) -> tuple[Any, ...]:
        """Return the rules in force that no oracle and no recording has checked."""
        return unchecked_rules(self._spec.kernel)

    # Verbs

    @property
    def verbs(self) -> Mapping[str, Callable[..., Any]]:
        """What can be done to it, by name."""
        names = (*sorted(COMMANDS), "undo", "redo", "reset", "goto", "why")
        return MappingProxyType({name: getattr(self, name) for name in names})

    def _alloc_slowly(self, key: Any) -> Page | None:
        """Carry out an allocation that the fast path doesn't know, or not any more."""
        gfp, order, node, cpu = key
        flags = self._gfp(gfp)
        self._begin()
        pfn = self.page_alloc.alloc_pages(flags, order, self._node(node), cpu)
        known = self.plans.get(node, {}).get(cpu, {}).get(order, {})
        if flags in known:
            # The same flags as text take the fast path, too.
            known.setdefault(gfp, known[flags])
        # One tuple a kind of request, however often it is taken down.
        request = (flags, order, node, cpu)
        self._counted[request] += 1
        self.history.add(self._requests.setdefault(request, request))
        self._tell()
        return None if pfn < 0 else Page(pfn)

    def _free_slowly(self, page: int, order: int, cpu: int) -> None:
        """Carry out a free that the fast path doesn't know."""
        # By the frame's number, or by its address as __get_free_pages gave it.
        page = self.objects.addresses.page(page)
        self.page_alloc.free_pages(page, order, cpu)
        self.history.add(int(page) + log_tag(order, cpu))
        self._tell()

    def sysctl(self, name: str, value: int | str) -> None:
        """Write a sysctl of vm/: min_free_kbytes, watermark_scale_factor, watermark_boost_factor, compact_memory ..."""
        self._do("sysctl", name.removeprefix("vm."), str(value))

    def record_events(self, on: bool = True, limit: int | None = 1_000_000) -> EventLog:
        """Take down every event and decision of the page allocator from now on, or stop that.

        Parameters
        ----------
        on : bool
        limit : int or None
            How many to keep at least.

        Returns
        -------
        EventLog
            ``since(seq)`` tells them; it grows with every command.
        """
        log = EventLog(limit)
        emit = log.emit if on else None
        self.page_alloc.listen(trace=emit, decide=emit, record=emit)
        return log

    @property
    def dmesg(self) -> tuple[str, ...]:
        """What the kernel would have printed: requests for pages that failed, then about objects and areas."""
        return (*self.page_alloc.reports.texts, *self.objects.dmesg)

    def _gfp(self, gfp: int | str) -> int:
        return parse_gfp(gfp, self._spec.kernel) if isinstance(gfp, str) else int(gfp)

    def _node(self, node: int | None) -> int | None:
        if node is not None and node not in self._booted.node_order:
            raise ValueError(f"no node {node}; there are {', '.join(map(str, self._booted.node_order))}")
        return node

    def _cpu(self, cpu: int) -> int:
        if not 0 <= cpu < len(self.page_alloc.cpu_node):
            raise ValueError(f"no cpu {cpu}; there are 0 to {len(self.page_alloc.cpu_node) - 1}")
        return cpu

    def _do(self, name: str, *arguments: Any) -> Any:
        """Carry a command out, take it down, and tell whoever listens."""
        command = (name, arguments)
        self._begin()
        result = self._run(command)
        self.history.add(command)
        self._tell()
        return result

    def _begin(self) -> None:
        """Let the next command's blocks be noted as taken by it, where ages are kept."""
        if self._ages is not None:
            self._ages.begin(self.now + 1)

    def _run(self, command: Command) -> Any:
        reports = self.page_alloc.reports
        reports.hold()
        try:
            return self._run_now(*command)
        finally:
            reports.release()

    def _run_now(self, name: str, arguments: Sequence[Any]) -> Any:
        if name in PAGE_COMMANDS:
            return self.pages.run(name, arguments)
        if name in POLICY_COMMANDS:
            return self.policies.run(name, arguments)
        if name in OBJECT_COMMANDS:
            return self.objects.run(name, arguments)
        if name == "sysctl":
            if not self.pages.write(*arguments):
                self.reserves.write(*arguments)
                self.page_alloc.setup_per_cpu_pageset()
            return None
        return getattr(self.page_alloc, name)(*arguments)

    # Time

    @property
    def now(self) -> int:
        """How many commands are in force."""
        return self.history.now

    def goto(self, number: int) -> None:
        """Bring the machine to where it was after `number` commands."""
        self.history.goto(number)
        self.pages.take_moves()
        # The next command may have to forget others first, which the fast path doesn't.
        self.page_alloc.marks_changed()
        self._tell()

    def why(self, number: int | None = None) -> tuple[str, ...]:
        """Tell in sentences what command `number` decided, counted from 1; the last one in force if not given."""
        return why(self, self._spec.kernel, number)

    def undo(self) -> bool:
        """Take back the last command; False if there is none."""
        if not self.now:
            return False
        self.goto(self.now - 1)
        return True

    def redo(self) -> bool:
        """Carry out again what was taken back; False if there is nothing."""
        if self.now == len(self.history.commands):
            return False
        self.goto(self.now + 1)
        return True

    def reset(self) -> None:
        """Take everything back; `redo` and `goto` still lead forward again."""
        self.goto(0)

    def _save(self) -> Any:
        return (
            self.reserves.save(), self.page_alloc.save(), self.pages.save(), self.policies.save(), self.objects.save(),
            (self.history.settled, Counter(self._counted)),
        )  # fmt: skip

    def _load(self, saved: Any | None) -> None:
        reserves, page_alloc, pages, policies, objects, (settled, counted) = saved or self._fresh
        self.reserves.load(reserves)
        # Last, because a zone's boost is the page allocator's.
        self.page_alloc.load(page_alloc)
        self.pages.load(pages)
        self.policies.load(policies)
        self.objects.load(objects)
        self.history.settled = settled
        self._counted = Counter(counted)

    def _settle(self, number: int) -> None:
        """Count what the fast path took down until moment `number`."""
        fast = fast_requests(self.history.unsettled(number))
        fast.subtract(self._counted)
        self._counted.clear()
        self.page_alloc.numa.add_requests(fast)

    def _rerun(self, entries: Sequence[Any]) -> None:
        """Carry out commands again, as the log has them."""
        if self._ages is not None:
            self._ages.begin(0)
        alloc, free = self.page_alloc.alloc_pages, self.page_alloc.free_pages
        with self.pages.again():
            for entry in entries:
                if entry.__class__ is Page:
                    free(entry)
                elif entry.__class__ is int:
                    page, order, cpu = freed_page(entry)
                    free(Page(page), order, cpu)
                elif len(entry) == 4:
                    alloc(*entry)
                else:
                    self._run(entry)

    # A source, like a recording

    def snapshot(self) -> Snapshot:
        """Return the whole state now."""
        self._look()
        self._settle(self.now)
        shown = view.snapshot(
            self._spec,
            self._booted,
            self._frames.table(),
            time_ns=self.now,
            layout=virtual_layout(self._spec, usable_memory(self._spec), self.address_space),
            notes=self._notes,
        )
        return replace(
            shown,
            nodes=tuple(replace(node, numastat=self.page_alloc.numa.of_node(node.nid)) for node in shown.nodes),
            vmstat=self._vmstat(),
            slabs=self.objects.caches(),
            vmalloc=self.objects.areas(),
        )

    def _vmstat(self) -> VmStat:
        """Return the counters of /proc/vmstat that the machine keeps."""
        allocator = self.page_alloc
        numa = [allocator.numa.of_zone(number) for number in range(len(allocator.zones))]
        compaction = self.pages.compaction
        return VmStat(
            {
                "nr_free_pages": sum(live.free_pages_now() for live in allocator.zones),
                "nr_free_cma": sum(live.nr_free_cma + sum(live.diff_cma) for live in allocator.zones),
                **{name: sum(counts[name] for counts in numa) for name in ZONE_NAMES},
                **({} if compaction is None else compaction.counters),
            }
        )

    def frame_table(self, kind: str = "flags") -> FrameTable | None:
        """Return all frames as they are now. None for a kind that isn't known.

        The codes of kind "flags" are live, all others are worked out for this call. Ages are kept from the first
        time that somebody asks for them: all commands until then are carried out again, and later ones take longer.
        """
        self._look()
        if kind == "flags":
            return self._frames.table()
        if kind in ("order", "migratetype"):
            ranges = [(entry.start_pfn, entry.end_pfn) for entry in self._booted.memory]
            table = frame_kinds.order_table if kind == "order" else frame_kinds.migratetype_table
            return table(self.page_alloc, ranges)
        if kind == "owner":
            return self._owners.table()
        if kind == "age":
            return self._known_ages().table(self._frames, self.now)
        return None

    def frame_kinds(self) -> tuple[str, ...]:
        """Return the kinds of `frame_table`."""
        return frame_kinds.KINDS

    def taken_by(self, pfn: int) -> int | None:
        """Return the number of the command that took the block in use that a frame belongs to; None if none did.

        Ages are kept from the first time that somebody asks, as for `frame_table`.
        """
        self._known_ages()
        return self.frame(pfn).age

    def _known_ages(self) -> Ages:
        """Return the ages; the first time, carry out again all that was done until now."""
        if self._ages is None:
            ages = Ages(self.page_alloc)
            self.page_alloc.follow_blocks(ages.taken)
            self.pages.on_move = ages.moved
            self.history.relive(ages.begin)
            self._ages = ages
            self.page_alloc.marks_changed()
        return self._ages

    def changes(self, since: int) -> Changes:
        """Return what changed after sequence number `since`."""
        self._look()
        ranges = self._changes.since(since)
        what = (
            frozenset()
            if ranges == () and since == self._changes.seq
            else frozenset({"zones", "meminfo", "slabs", "vmalloc", "events"})
        )
        return Changes(self._changes.seq, ranges, what)

    def _look(self) -> None:
        ranges = self._frames.look()
        if ranges or self._moved or self._looked_at != self.now:
            self._moved = False
            self._looked_at = self.now
            self._changes.add(ranges)

    def free_lists(self, nid: int, zone: str, most: int = 64) -> dict[tuple[int, str], tuple[int, ...]]:
        """Return a zone's buddy lists as they are now: (order, migrate type) to the first `most` pfns, head first."""
        return view.free_lists(self._booted, nid, zone, most)

    def frame(self, pfn: int) -> FrameInfo:
        """Return all that is known of one frame; IndexError where there is none."""
        self._look()
        shown = view.frame(self._spec, self._booted, self._frames.table(), pfn)
        age = None
        if self._ages and shown.head is not None and (shown.state or "").startswith("in use"):
            age = self._ages.taken_by(shown.head, self.now) or None
        return replace(shown, owner=self._owners.of(pfn), age=age)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after each change; return a function that stops that."""
        self._subscribers.append(callback)
        self.page_alloc.take_the_whole_way(True)

        def stop() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)
                self.page_alloc.take_the_whole_way(bool(self._subscribers))
                # A widget subscribes from a thread of its own; between the two looks another one may have come.
                if self._subscribers:
                    self.page_alloc.take_the_whole_way(True)

        return stop

    def _tell(self) -> None:
        self._moved = True
        for callback in tuple(self._subscribers):
            callback()

    # Saving

    def save(self, path: str | Path) -> None:
        """Write description, seed and commands as JSON, to a file that is there in whole or not at all."""
        saving.write(path, self._spec, self.seed, self.history.commands[: self.now])

    @classmethod
    def load(cls, path: str | Path) -> Machine:
        """Boot a saved machine and carry out its commands.

        Raises
        ------
        BadInput
            For a file that is no saved machine, or whose commands can't be carried out.
        """
        spec, seed, commands = saving.read(path, COMMANDS)
        with saving.refused(path):
            machine = cls(spec, seed)
            for name, arguments in commands:
                machine._do(name, *arguments)
        return machine

    def __repr__(self) -> str:
        total = sum(zone.managed for zone in self.zones) * self._spec.page_size >> 20
        nodes = len(self._booted.node_order)
        return (
            f"<Machine {self._spec.name}: Linux {format_version(self._spec.kernel)}, {self._spec.arch}, "
            f"{total} MiB managed, {nodes} node{'s' if nodes != 1 else ''}, {self._spec.cpus} cpus>"
        )
