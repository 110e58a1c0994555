"""A simulated boot told as start_kernel's steps, each with what it asked of memblock."""

from __future__ import annotations

from collections.abc import Sequence

from kmemwidgets.records import BootCall, BootStep, MachineSpec

from .boot_log import memory_lines
from .bootmem import Bootmem
from .memblock import Call, Memblock
from .rules import pick
from .rules.start_kernel import MEANINGS, TABLE, StartKernelRules

#: The step in which a caller of memblock runs; what isn't named here belongs to setup_arch's own part.
_STEP_OF = {
    "memory map": "free_area_init",
    "init_mem_mapping": "paging_init",
    "pcpu_embed_first_chunk": "setup_per_cpu_areas",
    "setup_per_cpu_areas": "setup_per_cpu_areas",
    "paging_init": "paging_init",
    "wait table": "free_area_init",
    "zone bitmaps": "free_area_init",
    "Dentry cache hash table": "vfs_caches_init_early",
    "Inode-cache hash table": "vfs_caches_init_early",
}

#: The steps that may print the Memory: line, the one that does first.
PRINTING = ("mem_init_print_info", "page_alloc_init_late", "mem_init")


def boot_steps(spec: MachineSpec, memblock: Memblock | Bootmem) -> tuple[BootStep, ...]:
    """Return the steps of a boot in order.

    Parameters
    ----------
    spec : MachineSpec
        Its kernel decides which steps there are.
    memblock : Memblock or Bootmem
        As the boot left it, with all its calls.
    """
    names = pick(StartKernelRules, TABLE, spec.kernel).steps
    found = {name.rpartition(": ")[2]: name for name in names}
    calls: dict[str, list[BootCall]] = {name: [] for name in names}
    for call in memblock.calls:
        calls[_step(call, found)].append(BootCall(call.what, call.start, call.end, call.caller, call.estimated))
    calls[_hand_over(found)] += [
        BootCall("hand over", start * spec.page_size, end * spec.page_size)
        for start, end, _nid in memblock.free_pfn_ranges()
    ]
    # The line is printed by the step that is there to do it, else by mem_init.
    printing = next((found[name] for name in PRINTING if name in found), "")
    lines = memory_lines(spec, memblock)
    return tuple(_described(name, calls[name], lines if name == printing else ()) for name in names)


def _step(call: Call, found: dict[str, str]) -> str:
    if call.what == "add":
        return found["setup_arch"]
    step = found.get(_STEP_OF.get(call.caller, ""))
    return step or found.get("memblock") or found["setup_arch"]


def _hand_over(found: dict[str, str]) -> str:
    return found.get("memblock_free_all") or found["mem_init"]


def _described(name: str, calls: Sequence[BootCall], prints: tuple[str, ...]) -> BootStep:
    says, source = MEANINGS[name.rpartition(": ")[2]]
    return BootStep(name, says, source, tuple(calls), prints)
