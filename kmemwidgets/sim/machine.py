"""A simulated machine: booted from a description, changed by its verbs, shown like a real one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from kmemwidgets.records import (
    BadInput,
    BootStep,
    Changes,
    FrameInfo,
    FrameTable,
    HighmemInfo,
    MachineSpec,
    SlabInfo,
    SlabObject,
    Snapshot,
    format_version,
)

from . import boot as boot_steps
from . import frame_kinds, start_kernel, view
from .describe import check_spec, describe
from .events import EventLog
from .fast_path import FastPath
from .frames import ChangeLog, Frames
from .gfp import GFP_KERNEL, parse_gfp
from .history import Command, History, read_commands
from .objects import COMMANDS as OBJECT_COMMANDS
from .objects import KernelObjects
from .page import Page
from .presets import preset
from .rules.layout import virtual_layout
from .unchecked import unchecked_rules, unchecked_words
from .why import why
from .zone_sizes import usable_memory

#: What a saved machine says it is.
FORMAT = "kmemwidgets machine 1"
#: Characters of a saved machine.
MOST_SAVED = 1 << 28

#: Verbs that change the machine, in the log of commands.
COMMANDS = frozenset({"alloc_pages", "free_pages", "sysctl"}) | OBJECT_COMMANDS


#: gfp, order, node, cpu
Request: TypeAlias = tuple[int, int, int | None, int]


class Machine(FastPath):
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
        self.objects = KernelObjects(spec, self.page_alloc, usable_memory(spec), tuple(self._booted.node_order), seed)
        self._frames = Frames(self.page_alloc, [(entry.start_pfn, entry.end_pfn) for entry in self._booted.memory])
        self._frames.look()
        self._changes = ChangeLog()
        self._moved = False
        self._looked_at = 0
        words = unchecked_words(spec.kernel)
        self._notes = (words,) if words else ()
        self._requests: dict[Request, Request] = {}
        self._subscribers: list[Callable[[], None]] = []
        self.history = History(self._run, self._save, self._load)
        self._share(self.page_alloc, self.history.commands.raw.append)

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
        if node is not None and node not in self._booted.node_order:
            raise ValueError(f"no node {node}; there are {', '.join(map(str, self._booted.node_order))}")
        pfn = self.page_alloc.alloc_pages(flags, order, node, cpu)
        known = self._plans.get(node, {}).get(cpu, {}).get(order, {})
        if flags in known:
            # The same flags as text take the fast path, too.
            known.setdefault(gfp, known[flags])
        # One tuple a kind of request, however often it is taken down.
        request = (flags, order, node, cpu)
        self.history.add(self._requests.setdefault(request, request))
        self._tell()
        return None if pfn < 0 else Page(pfn)

    def _free_slowly(self, page: int, order: int, cpu: int) -> None:
        """Carry out a free that the fast path doesn't know."""
        self.page_alloc.free_pages(Page(page), order, cpu)
        self.history.add(int(page) << 20 | order << 12 | cpu)
        self._tell()

    def sysctl(self, name: str, value: int | str) -> None:
        """Write a sysctl of vm/: min_free_kbytes, watermark_scale_factor, lowmem_reserve_ratio ..."""
        self._do("sysctl", name.removeprefix("vm."), str(value))

    def kmem_cache_init(self) -> None:
        """Boot the slab allocator, kmalloc and vmalloc; nothing where they are there.

        The verbs below do it when they are first called: until then the buddy lists are as the hand-over left them.
        """
        if not self.objects.up:
            self._do("kmem_cache_init")

    def kmalloc(self, size: int, gfp: int | str = GFP_KERNEL, cpu: int = 0) -> int | None:
        """Allocate `size` bytes; returns the address, 16 (ZERO_SIZE_PTR) for none, None where the kernel refuses."""
        return self._do_with_objects("kmalloc", size, self._gfp(gfp), cpu) or None

    def kfree(self, address: int, cpu: int = 0) -> None:
        """Give back what kmalloc gave; what is no such address raises KernelBug."""
        self._do_with_objects("kfree", address, cpu)

    def kmem_cache_create(
        self, name: str, size: int, align: int = 0, flags: Sequence[str] | str = (), ctor: str = "", usersize: int = 0
    ) -> str:
        """Make a slab cache, or share one that serves as well; returns the name of the one that does.

        Parameters
        ----------
        name : str
        size, align, usersize : int
            Bytes.
        flags : sequence of str
            As /sys/kernel/slab names them: "hwcache_align", "reclaim_account", "red_zone", "poison", "store_user" ...
        ctor : str
            Name of a constructor.
        """
        words = flags if isinstance(flags, str) else ",".join(flags)
        made: str = self._do_with_objects("kmem_cache_create", name, size, align, words, ctor, usersize)
        return made

    def kmem_cache_destroy(self, cache: str) -> None:
        """Take a cache away."""
        self._do_with_objects("kmem_cache_destroy", cache)

    def kmem_cache_alloc(self, cache: str, gfp: int | str = GFP_KERNEL, cpu: int = 0) -> int | None:
        """Take an object of a cache; None where there is no memory."""
        return self._do_with_objects("kmem_cache_alloc", cache, self._gfp(gfp), cpu) or None

    def kmem_cache_free(self, cache: str, address: int, cpu: int = 0) -> None:
        """Give an object back."""
        self._do_with_objects("kmem_cache_free", cache, address, cpu)

    def kmem_cache_shrink(self, cache: str, cpu: int = 0) -> int:
        """Give a cache's empty slabs back; returns how many it has left."""
        left: int = self._do_with_objects("kmem_cache_shrink", cache, cpu)
        return left

    def vmalloc(self, size: int, cpu: int = 0) -> int | None:
        """Allocate pages that are contiguous in addresses only; None where the kernel refuses."""
        return self._do_with_objects("vmalloc", size, cpu) or None

    def vfree(self, address: int, cpu: int = 0) -> None:
        """Give back what vmalloc gave."""
        self._do_with_objects("vfree", address, cpu)

    def kmap(self, pfn: int) -> int | None:
        """Give a page of high memory an address; None where the caller would sleep until a slot is free."""
        return self._do("kmap", int(pfn)) or None

    def kunmap(self, pfn: int) -> None:
        """Give up what kmap gave."""
        self._do("kunmap", int(pfn))

    def kmap_local(self, pfn: int, cpu: int = 0, task: int = 0) -> int:
        """Give a page of high memory an address for a moment (kmap_atomic before 5.11)."""
        address: int = self._do("kmap_local", int(pfn), cpu, task)
        return address

    def kunmap_local(self, address: int, cpu: int = 0, task: int = 0) -> None:
        """Give the newest such mapping up."""
        self._do("kunmap_local", address, cpu, task)

    def highmem(self) -> HighmemInfo | None:
        """Return how high memory is reached just now; None where every page has an address of its own."""
        return self.objects.highmem()

    def write_memory(self, address: int, data: bytes | str) -> None:
        """Write through a pointer into slab memory, as right or wrong code would; a str is hexadecimal digits."""
        self._do_with_objects("write_memory", address, data if isinstance(data, str) else data.hex())

    def slabs(self, cache: str, most: int = 200) -> tuple[SlabInfo, ...]:
        """Return a cache's slabs one by one: the cpus' first, then partial ones, then full ones."""
        return self.objects.slabs(cache, most)

    def slab_object(self, address: int) -> SlabObject:
        """Return the object at an address, with its bytes."""
        return self.objects.slab_object(address)

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
        self._record = emit
        return log

    @property
    def dmesg(self) -> tuple[str, ...]:
        """What the kernel would have printed about objects and areas."""
        return self.objects.dmesg

    def _gfp(self, gfp: int | str) -> int:
        return parse_gfp(gfp, self._spec.kernel) if isinstance(gfp, str) else int(gfp)

    def _do_with_objects(self, name: str, *arguments: Any) -> Any:
        self.kmem_cache_init()
        return self._do(name, *arguments)

    def _do(self, name: str, *arguments: Any) -> Any:
        """Carry a command out, take it down, and tell whoever listens."""
        command = (name, arguments)
        result = self._run(command)
        self.history.add(command)
        self._tell()
        return result

    def _run(self, command: Command) -> Any:
        name, arguments = command
        if name in OBJECT_COMMANDS:
            return self.objects.run(name, arguments)
        if name == "sysctl":
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
        return self.reserves.save(), self.page_alloc.save(), self.objects.save()

    def _load(self, saved: Any | None) -> None:
        if saved is None:
            # Booting again is faster than keeping a copy of what boot left.
            fresh = boot_steps.boot(self._spec, self.seed)
            saved = fresh.reserves.save(), fresh.page_alloc.save(), None
        reserves, page_alloc, objects = saved
        self.reserves.load(reserves)
        # Last, because a zone's boost is the page allocator's.
        self.page_alloc.load(page_alloc)
        self.objects.load(objects)

    # A source, like a recording

    def snapshot(self) -> Snapshot:
        """Return the whole state now."""
        self._look()
        shown = view.snapshot(
            self._spec,
            self._booted,
            self._frames.table(),
            time_ns=self.now,
            layout=virtual_layout(self._spec, usable_memory(self._spec)),
            notes=self._notes,
        )
        return replace(shown, slabs=self.objects.caches(), vmalloc=self.objects.areas()) if self.objects.up else shown

    def frame_table(self, kind: str = "flags") -> FrameTable | None:
        """Return all frames as they are now. None for a kind that isn't known, or of too many frames.

        The codes of kind "flags" are live; "order" and "migratetype" are worked out for this call.
        """
        if kind == "flags":
            self._look()
            return self._frames.table()
        if self._booted.memmap.max_pfn > frame_kinds.MOST_FRAMES:
            return None
        if kind == "order":
            return frame_kinds.order_table(self.page_alloc)
        if kind == "migratetype":
            ranges = [(entry.start_pfn, entry.end_pfn) for entry in self._booted.memory]
            return frame_kinds.migratetype_table(self.page_alloc, ranges)
        return None

    def frame_histogram(self, start_pfn: int, pfns_per_bin: int, bins: int) -> list[tuple[int, ...]]:
        """Count the frames of each code of `frame_table` in equal parts of a range."""
        self._look()
        return self._frames.histogram(start_pfn, pfns_per_bin, bins)

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
        return view.frame(self._spec, self._booted, self._frames.table(), pfn)

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
        text = json.dumps(
            {
                "format": FORMAT,
                "spec": json.loads(self._spec.to_json()),
                "seed": self.seed,
                "commands": [[name, *arguments] for name, arguments in self.history.commands[: self.now]],
            },
            indent=1,
        )
        target = Path(path)
        partial = target.with_name(target.name + ".part")
        try:
            partial.write_text(text + "\n")
            partial.replace(target)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise BadInput(f"can't be written: {error.strerror}", where=str(path)) from error

    @classmethod
    def load(cls, path: str | Path) -> Machine:
        """Boot a saved machine and carry out its commands.

        Raises
        ------
        BadInput
            For a file that is no saved machine, or whose commands can't be carried out.
        """
        where = str(path)
        try:
            with Path(path).open() as file:
                text = file.read(MOST_SAVED + 1)
            raw = json.loads(text) if len(text) <= MOST_SAVED else None
        except OSError as error:
            raise BadInput(f"can't be read: {error.strerror}", where=where) from error
        except (ValueError, RecursionError) as error:
            raise BadInput(f"is no saved machine: {error}", where=where) from error
        if not isinstance(raw, dict) or set(raw) != {"format", "spec", "seed", "commands"} or raw["format"] != FORMAT:
            raise BadInput(f"is no saved machine; expected format {FORMAT!r}", where=where)
        if not isinstance(raw["seed"], int) or isinstance(raw["seed"], bool):
            raise BadInput(f"seed {raw['seed']!r} is no number", where=where)
        try:
            machine = cls(MachineSpec.from_json(json.dumps(raw["spec"])), raw["seed"])
            for name, arguments in read_commands(raw["commands"], COMMANDS):
                machine._do(name, *arguments)
        except BadInput as error:
            raise BadInput(error.what, where=error.where or where, todo=error.todo) from error
        except (ValueError, TypeError, RuntimeError, KeyError, IndexError, AttributeError) as error:
            raise BadInput(f"can't be carried out: {error}", where=where) from error
        return machine

    def __repr__(self) -> str:
        total = sum(zone.managed for zone in self.zones) * self._spec.page_size >> 20
        nodes = len(self._booted.node_order)
        return (
            f"<Machine {self._spec.name}: Linux {format_version(self._spec.kernel)}, {self._spec.arch}, "
            f"{total} MiB managed, {nodes} node{'s' if nodes != 1 else ''}, {self._spec.cpus} cpus>"
        )
