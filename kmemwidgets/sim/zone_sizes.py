"""From the firmware's map to the zones of every node: ranges, spans, holes (free_area_init).

All of it is arithmetic on page frame numbers; nothing is allocated. Ends are exclusive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kmemwidgets import arch as arch_constants
from kmemwidgets.records import BadInput, MachineSpec

from .cmdline import memparse, options_of, parameter, parameters
from .memmap_option import user_map, without
from .numa_emulation import FakeNodes, emulate_nodes
from .rules import pick
from .rules.boot import TABLE, BootRules
from .rules.layout import lowmem_limit
from .zonelist import distance

#: x86: memory between here and there belongs to devices and the firmware, whatever its map says.
BIOS_BEGIN = 0xA0000
BIOS_END = 0x100000
DMA_END = 16 << 20
DMA32_END = 1 << 32
#: highmem= leaves so much low memory, or is ignored.
LEAST_LOWMEM = 64 << 20


class NoMemoryError(BadInput):
    """A description that names no memory: a recording by somebody who may read neither log nor addresses."""


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """A range of frames of one node, as the early allocator knows it."""

    nid: int
    start_pfn: int
    end_pfn: int
    hotplug: bool = False


@dataclass(frozen=True, slots=True)
class ZoneRange:
    """Bounds of a zone for the whole machine (a row of "Zone ranges:")."""

    name: str
    start_pfn: int
    end_pfn: int

    @property
    def empty(self) -> bool:
        """Whether no frame of any node can be in it."""
        return self.start_pfn == self.end_pfn


@dataclass(frozen=True, slots=True)
class ZoneSpan:
    """A zone of a node: where it starts, and its frames with and without holes."""

    nid: int
    name: str
    start_pfn: int
    spanned: int
    present: int


def rules_for(spec: MachineSpec) -> BootRules:
    """Return the boot rules of a machine's kernel."""
    return pick(BootRules, TABLE, spec.kernel)


def zone_names(spec: MachineSpec) -> tuple[str, ...]:
    """Return the kernel's zones in index order, as its configuration says (enum zone_type)."""
    arch = arch_constants.ARCHES.get(spec.arch)
    if arch is None:
        raise BadInput(f"arch {spec.arch!r}", todo=f"one of {', '.join(arch_constants.ARCHES)}")
    names = []
    for name, option, usual in arch.zones:
        value = spec.option(option) if option else None
        if option == "CONFIG_HIGHMEM" and value is None:
            value = spec.option("CONFIG_HIGHMEM4G") or spec.option("CONFIG_HIGHMEM64G")
        if value == "y" or (value is None and usual):
            names.append(name)
    return tuple(name for name in names if name in rules_for(spec).zones)


def pageblock_order(spec: MachineSpec) -> int:
    """Return the order of a page block: one huge page, where the kernel has them."""
    rules = rules_for(spec)
    if spec.option("CONFIG_HUGETLB_PAGE") == "n":
        return rules.max_order
    pae = spec.pae
    return min(arch_constants.huge_page_order(spec.arch, page_size=spec.page_size, pae=pae), rules.max_order)


def usable_memory(spec: MachineSpec) -> list[tuple[int, int]]:
    """Return the RAM that the kernel takes from the firmware's map: bytes, ascending, apart from each other.

    Raises
    ------
    NoMemoryError
        Where there is none.
    """
    ranges = [(entry.start, entry.end) for entry in spec.memory if entry.kind == "usable"]
    if spec.arch.startswith("x86"):
        ranges = user_map(ranges, options_of(spec.cmdline, ("mem", "memmap")))
        ranges = without(ranges, BIOS_BEGIN, BIOS_END)
        if not rules_for(spec).first_page_is_ram:
            ranges = without(ranges, 0, spec.page_size)
    else:
        limit = parameter(spec.cmdline, "mem")
        if limit and limit[:1].isdigit():
            ranges = _lowest(ranges, memparse(limit))
    if not ranges:
        raise NoMemoryError("the machine has no memory", todo="describe at least one usable range")
    # A map that isn't the firmware's but the early allocator's (arm64) has touching rows only where they differ, as
    # by MEMBLOCK_NOMAP; the kernel keeps them apart.
    return _merged(ranges, touching=spec.arch.startswith("x86"))


def _lowest(ranges: list[tuple[int, int]], limit: int) -> list[tuple[int, int]]:
    """Keep the lowest so many bytes, as mem= does where it counts bytes and not addresses (memblock_mem_limit)."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if limit > 0:
            kept.append((start, min(end, start + limit)))
            limit -= end - start
    return kept


def _merged(ranges: Sequence[tuple[int, int]], *, touching: bool) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start < merged[-1][1] + touching:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def node_memory(spec: MachineSpec) -> list[NodeMemory]:
    """Return whole frames of RAM by node, ascending: what "Early memory node ranges" prints."""
    ranges = _whole_frames(spec)
    owners = _node_owners(spec)
    found: list[NodeMemory] = []
    for start, end in ranges:
        pieces = [
            NodeMemory(nid, max(start, low), min(end, high), hotplug)
            for nid, low, high, hotplug in owners
            if max(start, low) < min(end, high)
        ]
        found.extend(_join_neighbours(sorted(pieces, key=lambda entry: entry.start_pfn)) or [NodeMemory(0, start, end)])
    return sorted(found, key=lambda entry: entry.start_pfn)


def _whole_frames(spec: MachineSpec) -> list[tuple[int, int]]:
    """Return the frames of RAM that the kernel can use."""
    size = spec.page_size
    ranges = [(-(-start // size), end // size) for start, end in usable_memory(spec)]
    top = max_pfn_limit(spec)
    ranges = [(start, min(end, top)) for start, end in ranges if start < min(end, top)]
    if not ranges:
        raise NoMemoryError("the machine has no memory", todo="describe at least one usable range")
    return ranges


def fake_nodes(spec: MachineSpec) -> FakeNodes | None:
    """Return the nodes that numa=fake= makes of the physical ones; None where the command line has none."""
    size = spec.page_size
    return emulate_nodes(spec, [(start * size, end * size) for start, end in _whole_frames(spec)])


def node_distances(spec: MachineSpec) -> tuple[tuple[int, ...], ...]:
    """Return the rows of the SLIT; fake nodes are as far from each other as the physical ones that they lie on."""
    fake = fake_nodes(spec)
    if fake is None or len(spec.distances) == len(fake.physical):
        return spec.distances
    return tuple(tuple(distance(spec.distances, a, b) for b in fake.physical) for a in fake.physical)


def cpus_by_node(spec: MachineSpec) -> dict[int, int]:
    """Count the cpus of each node. All fake nodes of a physical one have that one's cpus (numa_add_cpu)."""
    home = spec.cpu_node or (0,) * spec.cpus
    fake = fake_nodes(spec)
    if fake is None:
        return {nid: home.count(nid) for nid in dict.fromkeys(home)}
    # A description names physical nodes, a recording fake ones; where both are meant by a number they are the same.
    real = [nid if nid in fake.physical or nid >= len(fake.physical) else fake.physical[nid] for nid in home]
    return {nid: real.count(physical) for nid, physical in enumerate(fake.physical) if physical in real}


def _join_neighbours(found: list[NodeMemory]) -> list[NodeMemory]:
    joined: list[NodeMemory] = []
    for entry in found:
        last = joined[-1] if joined else None
        if last and (last.nid, last.end_pfn, last.hotplug) == (entry.nid, entry.start_pfn, entry.hotplug):
            joined[-1] = NodeMemory(last.nid, last.start_pfn, entry.end_pfn, last.hotplug)
        else:
            joined.append(entry)
    return joined


def _node_owners(spec: MachineSpec) -> list[tuple[int, int, int, bool]]:
    """Return which node owns which frames, ``(nid, start, end, hotplug)``; one owns all where none is described."""
    everything = [(0, 0, 1 << 52, False)]
    if spec.option("CONFIG_NUMA") == "n" or parameter(spec.cmdline, "numa") == "off":
        return everything
    fake = fake_nodes(spec)
    nodes = fake.nodes if fake else spec.nodes
    movable_node = parameter(spec.cmdline, "movable_node") is not None
    kernel_nodes = {
        entry.nid
        for entry in nodes
        for taken in spec.reserved
        if taken.name in ("kernel", "initrd") and entry.start < taken.end and taken.start < entry.end
    }
    least = rules_for(spec).least_node_bytes if spec.arch.startswith("x86") else 0
    sizes: dict[int, int] = {}
    for entry in nodes:
        sizes[entry.nid] = sizes.get(entry.nid, 0) + entry.end - entry.start
    owners = [
        (
            entry.nid,
            entry.start // spec.page_size,
            entry.end // spec.page_size,
            entry.hotplug and movable_node and entry.nid not in kernel_nodes,
        )
        for entry in nodes
        if sizes[entry.nid] >= least
    ]
    return owners or everything


def max_pfn_limit(spec: MachineSpec) -> int:
    """Return the first frame that the kernel can't use, whatever memory there is."""
    if spec.arch == "x86_32" and not spec.pae:
        return 1 << 20
    bits = {"x86_32": 36, "arm": 32, "arm64": 52 if spec.va_bits == 52 else 48}.get(spec.arch, 0)
    bits = bits or (52 if spec.va_bits == 57 else 46)
    return (1 << bits) // spec.page_size


def zone_ranges(spec: MachineSpec, memory: Sequence[NodeMemory]) -> list[ZoneRange]:
    """Return the bounds of every zone but Movable, in index order."""
    start = min(entry.start_pfn for entry in memory)
    end = max(entry.end_pfn for entry in memory)
    limits = _zone_limits(spec, start, end)
    ranges = []
    for name in zone_names(spec):
        if name in ("Movable", "Device"):
            continue
        limit = max(limits[name], start)
        ranges.append(ZoneRange(name, start, limit))
        start = limit
    return ranges


def _zone_limits(spec: MachineSpec, start: int, end: int) -> dict[str, int]:
    """Return the first frame behind each zone (max_zone_pfns)."""
    size = spec.page_size
    if spec.arch == "arm64":
        dma, dma32 = rules_for(spec).arm64_zones(start * size, end * size)
        return {"DMA": dma // size, "DMA32": dma32 // size, "Normal": end}
    low, top = split_lowmem(spec, start, end)
    limits = {"DMA": min(DMA_END // size, low), "DMA32": min(DMA32_END // size, end), "Normal": low, "HighMem": top}
    if spec.arch == "arm":
        # Without a device that reaches less, all of low memory is in the first zone that is configured.
        limits["DMA"] = low
    return limits


def lowmem_end(spec: MachineSpec, start: int, end: int) -> int:
    """Return the first frame that has no address in the direct map (max_low_pfn)."""
    return split_lowmem(spec, start, end)[0]


def split_lowmem(spec: MachineSpec, start: int, end: int) -> tuple[int, int]:
    """Return the ends of low memory and of all memory that is used, in frames (max_low_pfn, max_pfn).

    On x86-32 highmem= says how much high memory there is to be: what is more of it lies idle, and where all memory
    fits into the direct map the top is taken from it (arch/x86/mm/init_32.c highmem_pfn_init, lowmem_pfn_init).
    """
    limit = lowmem_limit(spec, start * spec.page_size)
    if limit is None:
        return end, end
    low = min(limit // spec.page_size, end)
    wanted = parameter(spec.cmdline, "highmem") if spec.arch == "x86_32" else None
    if wanted is None or "HighMem" not in zone_names(spec):
        return low, end
    high = memparse(wanted) // spec.page_size
    if low < end:
        return low, min(low + high, end)
    return low - high if low - high >= LEAST_LOWMEM // spec.page_size else low, end


def movable_zone(ranges: Sequence[ZoneRange]) -> str:
    """Return the zone that ZONE_MOVABLE is cut from: the highest that isn't empty."""
    return next(entry.name for entry in reversed(ranges) if not entry.empty)


def highmem_zones(ranges: Sequence[ZoneRange]) -> tuple[str, ...]:
    """Return the zones whose frames have no permanent address: Movable too, where it is cut from HighMem."""
    return ("HighMem", "Movable") if movable_zone(ranges) == "HighMem" else ("HighMem",)


def movable_starts(spec: MachineSpec, memory: Sequence[NodeMemory], ranges: Sequence[ZoneRange]) -> dict[int, int]:
    """Return where ZONE_MOVABLE starts on each node that has one (find_zone_movable_pfns_for_nodes).

    With kernelcore=mirror there is none: no firmware map says which memory is mirrored, and where none is the kernel
    ignores it, and movablecore= with it.
    """
    if "Movable" not in rules_for(spec).zones:
        return {}
    starts: dict[int, int] = {}
    if parameter(spec.cmdline, "movable_node") is not None:
        for entry in memory:
            if entry.hotplug:
                starts[entry.nid] = min(entry.start_pfn, starts.get(entry.nid, entry.start_pfn))
    elif "mirror" not in parameters(spec.cmdline, "kernelcore"):
        starts = _spread_kernelcore(spec, memory, ranges)
    block = 1 << rules_for(spec).max_order
    ends = {entry.nid: entry.end_pfn for entry in memory}
    aligned = {nid: -(-pfn // block) * block for nid, pfn in starts.items()}
    return {nid: pfn for nid, pfn in aligned.items() if pfn < ends[nid]}


def _requested(spec: MachineSpec, name: str, total: int) -> int:
    """Return the frames that kernelcore= or movablecore= asks for; 0 where it isn't given."""
    value = parameter(spec.cmdline, name)
    if not value:
        return 0
    if value.endswith("%"):
        return total * 100 * int(memparse(value)) // 10000
    return memparse(value) // spec.page_size


def _spread_kernelcore(spec: MachineSpec, memory: Sequence[NodeMemory], ranges: Sequence[ZoneRange]) -> dict[int, int]:
    """Share what the kernel itself needs evenly among the nodes; behind each share the node's rest is movable."""
    total = sum(entry.end_pfn - entry.start_pfn for entry in memory)
    kernelcore = _requested(spec, "kernelcore", total)
    movablecore = _requested(spec, "movablecore", total)
    if movablecore:
        block = 1 << rules_for(spec).max_order
        movablecore = min(-(-movablecore // block) * block, total)
        kernelcore = max(kernelcore, total - movablecore)
    if not kernelcore or kernelcore >= total:
        return {}
    name = movable_zone(ranges)
    lowest = next(entry.start_pfn for entry in ranges if entry.name == name)
    nodes = sorted({entry.nid for entry in memory})
    starts: dict[int, int] = {}
    for sharers in range(len(nodes), 0, -1):
        share = kernelcore // sharers
        for nid in nodes:
            if kernelcore < share:
                share = kernelcore // sharers
            kernelcore = _take_share(nid, share, kernelcore, lowest, memory, starts)
        if kernelcore <= sharers - 1:
            break
    return starts


def _take_share(
    nid: int, share: int, kernelcore: int, lowest: int, memory: Sequence[NodeMemory], starts: dict[int, int]
) -> int:
    """Take one node's share from its lowest frames that are still free; return what remains to be found."""
    for entry in memory:
        if entry.nid != nid:
            continue
        start = max(entry.start_pfn, starts.get(nid, 0))
        if start >= entry.end_pfn:
            continue
        if start < lowest:
            # Frames below the movable zone can only be the kernel's.
            below = min(entry.end_pfn, lowest) - start
            share -= min(below, share)
            kernelcore -= min(below, kernelcore)
            if entry.end_pfn <= lowest:
                starts[nid] = entry.end_pfn
                continue
            start = lowest
        taken = min(entry.end_pfn - start, share)
        starts[nid] = start + taken
        kernelcore -= min(kernelcore, taken)
        share -= taken
        if not share:
            break
    return kernelcore


def zone_spans(spec: MachineSpec) -> list[ZoneSpan]:
    """Return every zone of every node in order, the empty ones too."""
    memory = node_memory(spec)
    ranges = zone_ranges(spec, memory)
    return spans_of(spec, memory, ranges, movable_starts(spec, memory, ranges))


def spans_of(
    spec: MachineSpec, memory: Sequence[NodeMemory], ranges: Sequence[ZoneRange], movable: Mapping[int, int]
) -> list[ZoneSpan]:
    """Cut every node's memory into its zones."""
    by_name = {entry.name: entry for entry in ranges}
    movable_end = by_name[movable_zone(ranges)].end_pfn
    spans = []
    for nid in all_nodes(spec, memory):
        own = [entry for entry in memory if entry.nid == nid]
        first = min((entry.start_pfn for entry in own), default=0)
        last = max((entry.end_pfn for entry in own), default=0)
        cut = movable.get(nid, 0)
        for name in zone_names(spec):
            start = end = 0
            if name == "Movable":
                start, end = (cut, min(last, movable_end)) if cut else (0, 0)
            elif name in by_name:
                start = min(max(first, by_name[name].start_pfn), by_name[name].end_pfn)
                end = min(max(last, by_name[name].start_pfn), by_name[name].end_pfn)
                if cut:
                    # What lies behind the cut is in Movable, whatever zone it would be in.
                    start, end = (start, min(end, cut)) if start < cut else (end, end)
            present = sum(max(min(end, e.end_pfn) - max(start, e.start_pfn), 0) for e in own)
            if rules_for(spec).counts_holes and spec.arch == "x86_32":
                present = max(end - start, 0)
            spans.append(ZoneSpan(nid, name, start if end > start else 0, max(end - start, 0), present))
    return spans


def all_nodes(spec: MachineSpec, memory: Sequence[NodeMemory]) -> list[int]:
    """Return the online nodes: those with memory, and those with cpus."""
    with_memory = {entry.nid for entry in memory}
    if with_memory == {0} and not spec.nodes:
        return [0]
    return sorted(with_memory | set(spec.cpu_node))
