"""Section boot: what the kernel's log says of memory before the first process runs."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from kmemwidgets import arch as arch_constants
from kmemwidgets.capture import Capture
from kmemwidgets.procfs import dmesg
from kmemwidgets.records import MachineSpec
from kmemwidgets.sim.boot_log import cma_pages, first_deferred, vmalloc_tables
from kmemwidgets.sim.cmdline import parameter
from kmemwidgets.sim.early import DMA_END
from kmemwidgets.sim.zone_sizes import (
    NodeMemory,
    ZoneRange,
    ZoneSpan,
    all_nodes,
    highmem_zones,
    movable_starts,
    node_distances,
    node_memory,
    rules_for,
    spans_of,
    split_lowmem,
    zone_ranges,
)
from kmemwidgets.sim.zonelist import build_zonelists

from .memblock_log import MemblockLog, read_log, replay
from .section import Figures, Section, Value

#: Parts of the Memory: line that are sizes of the kernel image's sections.
IMAGE_PARTS = ("kernel code", "rwdata", "rodata", "init", "bss")
#: Part of the image that a kernel gives back before the first initcall (arch/x86/kernel/alternative.c).
ALTERNATIVES = "SMP alternatives"
_POLICY = re.compile(r"^Policy zone: (\w+)$")


@dataclass(frozen=True, slots=True)
class BootInputs:
    """What the section may read besides the description.

    Attributes
    ----------
    memblock : MemblockLog
        What memblock=debug shows was asked of the early allocator; empty without it.
    given_back_kb : int
        The part of the image that alternative_instructions() gives back before the first initcall.
    """

    memblock: MemblockLog
    given_back_kb: int = 0


def read_inputs(capture: Capture, _spec: MachineSpec) -> BootInputs:
    """Read the early allocator's calls, and what the image gave back at once."""
    log = _log(capture)
    return BootInputs(read_log(log.lines), sum(row.kb for row in log.freeing if row.name == ALTERNATIVES))


def _log(capture: Capture) -> dmesg.BootLog:
    text = capture.text_or_none("dmesg.txt")
    return dmesg.parse(text, f"{capture.name}/dmesg.txt") if text else dmesg.BootLog()


def _bytes(start: int, end: int) -> str:
    """Write a range as the log does: with its last byte."""
    return f"{start:#018x}-{end - 1:#018x}"


def predict_boot(spec: MachineSpec, inputs: BootInputs) -> Figures:
    """Predict the log's lines."""
    memory = node_memory(spec)
    ranges = zone_ranges(spec, memory)
    movable = movable_starts(spec, memory, ranges)
    spans = spans_of(spec, memory, ranges, movable)
    size = spec.page_size
    figures: dict[str, Value] = {}
    for zone in ranges:
        figures[f"range of zone {zone.name}"] = (
            "empty" if zone.empty else _bytes(zone.start_pfn * size, zone.end_pfn * size)
        )
    figures["range of zone Device"] = "empty"
    for nid, pfn in movable.items():
        figures[f"movable zone start of node {nid}"] = pfn * size
    figures["early node ranges"] = len(memory)
    for number, entry in enumerate(memory):
        figures[f"early node range {number}"] = (
            f"node {entry.nid} {_bytes(entry.start_pfn * size, entry.end_pfn * size)}"
        )
    nodes = all_nodes(spec, memory)
    for nid in nodes:
        own = [entry for entry in memory if entry.nid == nid]
        if own:
            figures[f"memory of node {nid}"] = _bytes(own[0].start_pfn * size, own[-1].end_pfn * size)
    lists = build_zonelists(nodes, {entry.nid for entry in memory}, node_distances(spec), rules_for(spec))
    figures["zonelists built"] = len(nodes)
    figures.update({f"fallback order of node {nid}": order for nid, order in lists.items()})
    figures["policy zone"] = _policy_zone(ranges, spans)
    figures["total pages"] = _total_pages(spec, memory, ranges, spans)
    figures.update(_memory_line(spec, inputs, memory, ranges, spans))
    return figures


def _policy_zone(ranges: Sequence[ZoneRange], spans: Sequence[ZoneSpan]) -> str:
    """Return the highest zone that memory policies apply to: the highest with pages, Movable apart."""
    with_pages = {span.name for span in spans if span.present}
    return [zone.name for zone in ranges if zone.name in with_pages][-1]


def _total_pages(
    spec: MachineSpec, memory: Sequence[NodeMemory], ranges: Sequence[ZoneRange], spans: Sequence[ZoneSpan]
) -> int:
    """Return what the zones are thought to manage before the hand-over (vm_total_pages)."""
    rules = rules_for(spec)
    page_bytes = arch_constants.ARCHES[spec.arch].page_bytes
    sparse = arch_constants.ARCHES[spec.arch].bits == 64
    total = 0
    for span in spans:
        if span.name in highmem_zones(ranges):
            # Its memory map lies in low memory.
            total += span.present
            continue
        pages = rules.early_managed(span.spanned, span.present, page_bytes, spec.page_size, sparse)
        if span.name == "DMA" and spec.arch == "x86_64" and rules.dma_reserve:
            kept = _reserved_low(spec, memory)
            pages -= kept if pages > kept else 0
        total += pages
    return total


def _reserved_low(spec: MachineSpec, memory: Sequence[NodeMemory]) -> int:
    """Return the pages below 16 MiB that the kernel and the firmware keep (memblock_find_dma_reserve)."""
    size = spec.page_size
    taken = [(0, rules_for(spec).low_reserved)]
    taken += [(entry.start, entry.end) for entry in spec.reserved if entry.name in ("kernel", "initrd")]
    return sum(
        1
        for entry in memory
        for pfn in range(entry.start_pfn, min(entry.end_pfn, DMA_END // size))
        if any(start < (pfn + 1) * size and pfn * size < end for start, end in taken)
    )


def _memory_line(
    spec: MachineSpec,
    inputs: BootInputs,
    memory: Sequence[NodeMemory],
    ranges: Sequence[ZoneRange],
    spans: Sequence[ZoneSpan],
) -> dict[str, Value]:
    """Return what of the Memory: line follows from the description, and with the allocator's log the rest."""
    kb = spec.page_size >> 10
    physical = sum(span.present for span in spans)
    cma = cma_pages(spec, physical)
    values: dict[str, Value] = {"Memory: total": physical * kb, "Memory: cma-reserved": cma * kb}
    high = [zone for zone in ranges if zone.name == "HighMem"]
    if high:
        values["Memory: highmem"] = kb * sum(span.present for span in spans if span.name in highmem_zones(ranges))
    if not inputs.memblock.complete:
        return values
    limit, top = split_lowmem(spec, memory[0].start_pfn, memory[-1].end_pfn)
    memblock, _places = replay(inputs.memblock, spec.page_size, limit * spec.page_size, memory)
    free = [(start, min(end, top), nid) for start, end, nid in memblock.free_pfn_ranges() if start < top]
    reserved = kb * (physical - sum(end - start for start, end, _nid in free) - cma)
    late = rules_for(spec).memory_line_late
    values["Memory: reserved"] = reserved - inputs.given_back_kb if late else reserved
    if not late:
        cut = {nid: first_deferred(spec, memory, spans, nid) for nid in {entry.nid for entry in memory}}
        early = sum(max(min(end, cut[nid]) - start, 0) for start, end, nid in free)
        values["Memory: available"] = kb * (early - vmalloc_tables(spec))
    return values


def _recorded(capture: Capture) -> Figures:
    log = _log(capture)
    figures: dict[str, Value] = {}
    for zone in log.zone_ranges:
        known = zone.start is not None and zone.end is not None
        figures[f"range of zone {zone.name}"] = _bytes(zone.start or 0, zone.end or 0) if known else "empty"
    figures.update({f"movable zone start of node {nid}": start for nid, start in log.movable_start})
    if log.early_node_ranges:
        figures["early node ranges"] = len(log.early_node_ranges)
    for number, entry in enumerate(log.early_node_ranges):
        figures[f"early node range {number}"] = f"node {entry.nid} {_bytes(entry.start, entry.end)}"
    figures.update({f"memory of node {entry.nid}": _bytes(entry.start, entry.end) for entry in log.initmem})
    if log.zonelists is not None:
        figures["zonelists built"] = log.zonelists
        figures["total pages"] = log.total_pages
    figures.update({f"fallback order of node {nid}": order for nid, order in log.fallback})
    for line in log.lines:
        if found := _POLICY.match(line):
            figures["policy zone"] = found[1]
    if log.memory:
        figures["Memory: available"] = log.memory.available
        figures["Memory: total"] = log.memory.total
        figures.update({f"Memory: {name}": value for name, value in log.memory.parts})
    return figures


def _unknowable(spec: MachineSpec, recorded: Figures) -> Collection[str]:
    """Return the image's sections, and what only memblock=debug could tell."""
    hidden = {f"Memory: {name}" for name in IMAGE_PARTS}
    if parameter(spec.cmdline, "memblock") != "debug":
        hidden |= {"Memory: available", "Memory: reserved"}
    return hidden & set(recorded)


SECTIONS = (Section("boot", read_inputs, predict_boot, _recorded, _unknowable),)
