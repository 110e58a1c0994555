"""A boot, up to the moment where the page allocator has all memory that is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kmemwidgets.arch import ARCHES, hugetlb_sizes
from kmemwidgets.records import BadInput, MachineSpec

from .bootmem import Bootmem
from .cmdline import is_on, parameter, parameters
from .early import reserve_early
from .early_bootmem import boot_by_bootmem
from .memblock import Memblock
from .memmap import MemMap
from .migratetype import CMA
from .mmzone import Zone
from .oops import template
from .page_alloc import PageAllocator
from .page_bugs import PageBugs
from .page_flags import flags_layout
from .reserves import WRITABLE, Reserves, ReserveSettings, init_reserves
from .rules import mmzone, pcp_size, pick
from .rules.allocator import allocator_rules
from .rules.layout import address_space
from .show_mem import ShownAs
from .shuffle import Shuffle
from .zone_sizes import (
    NodeMemory,
    ZoneRange,
    ZoneSpan,
    all_nodes,
    cpus_by_node,
    highmem_zones,
    movable_starts,
    movable_zone,
    node_distances,
    node_memory,
    pageblock_order,
    rules_for,
    spans_of,
    usable_memory,
    zone_names,
    zone_ranges,
)
from .zonelist import build_zonelists

#: Fewer page blocks than types of pages: blocks are not grouped by mobility then.
MIGRATE_TYPES = 5


@dataclass(slots=True)
class Booted:
    """What a boot leaves behind.

    Attributes
    ----------
    memory : sequence of NodeMemory
        RAM by node.
    ranges : sequence of ZoneRange
        Bounds of the zones for the whole machine.
    memblock : Memblock or Bootmem
        The early allocator, as it was at the hand-over.
    zones : sequence of Zone
        All zones of all nodes, empty ones too.
    node_order : mapping of int to tuple of int
        For each node the nodes of its zonelist.
    reserves : Reserves
    memmap : MemMap
    page_alloc : PageAllocator
    """

    memory: Sequence[NodeMemory]
    ranges: Sequence[ZoneRange]
    memblock: Memblock | Bootmem
    zones: Sequence[Zone]
    node_order: Mapping[int, tuple[int, ...]]
    reserves: Reserves
    memmap: MemMap
    page_alloc: PageAllocator


def boot(spec: MachineSpec, seed: int = 0) -> Booted:
    """Boot a described machine.

    Parameters
    ----------
    spec : MachineSpec
    seed : int
        Where chance comes from, if the command line asks for shuffled pages.

    Raises
    ------
    BadInput
        Where the kernel would find no room for itself.
    """
    memory = node_memory(spec)
    ranges = zone_ranges(spec, memory)
    spans = spans_of(spec, memory, ranges, movable_starts(spec, memory, ranges))
    names = zone_names(spec)
    zones = []
    for span in spans:
        zone = Zone(span.nid, names.index(span.name), span.name, span.start_pfn, span.spanned)
        zone.present = span.present
        zones.append(zone)

    memblock, cma_areas = _early(spec, memory, ranges, spans)

    nodes = all_nodes(spec, memory)
    order = build_zonelists(nodes, {entry.nid for entry in memory}, node_distances(spec), rules_for(spec))
    shift = pageblock_order(spec)
    # What highmem= leaves idle has no struct page.
    memmap = MemMap(max(entry.end_pfn for entry in ranges), shift)
    populated = [zone for zone in zones if zone.present]
    total = sum(zone.present for zone in populated)
    thp = built_in_thp(spec)
    rules = allocator_rules(spec.kernel)
    page_alloc = PageAllocator(
        populated,
        memmap,
        rules,
        cpu_node=spec.cpu_node or (0,) * spec.cpus,
        zone_names=names,
        node_order=[order.get(nid, (nid,)) for nid in range(max(nodes) + 1)],
        huge_order=shift if thp else -1,
        cma=spec.option("CONFIG_CMA") == "y",
        grouping=total >= MIGRATE_TYPES << shift,
        shuffle=Shuffle(seed) if rules.buddy.can_shuffle and asks_for_shuffle(spec) else None,
    )
    memmap.bugs = _page_bugs(spec, memmap.bugs, len(names))
    page_alloc.shown = _shown_as(spec, ranges, thp is not None)
    _hand_over(spec, memblock, page_alloc, cma_areas)
    if not any(zone.managed for zone in zones):
        raise BadInput("no memory is left for the page allocator", todo="describe a machine with more memory")

    reserves = Reserves(
        zones,
        ReserveSettings(
            zone_names=names,
            page_size=spec.page_size,
            pageblock_order=shift,
            movable_zone=movable_zone(ranges),
            online_cpus=spec.cpus,
            node_cpus=cpus_by_node(spec),
        ),
        pick(mmzone.ZoneRules, mmzone.TABLE, spec.kernel),
        pick(pcp_size.PcpSizeRules, pcp_size.TABLE, spec.kernel),
    )
    init_reserves(reserves, builtin_thp=thp, cmdline_thp=parameter(spec.cmdline, "transparent_hugepage"))
    page_alloc.setup_per_cpu_pageset()
    page_alloc.shuffle_free_memory()
    _return_to_allocator(spec, page_alloc)
    for name, value in spec.sysctl:
        # A recording names sysctls that nobody wrote as well.
        if name in WRITABLE and value.split() != reserves.read(name).split():
            try:
                reserves.write(name, value)
            except ValueError as error:
                raise BadInput(str(error), todo="describe sysctls as they can be written") from error
    page_alloc.setup_per_cpu_pageset()
    return Booted(memory, ranges, memblock, zones, order, reserves, memmap, page_alloc)


def _page_bugs(spec: MachineSpec, bugs: PageBugs, kinds: int) -> PageBugs:
    """Return how this machine's kernel speaks of pages: where their structs lie, and what their flags hold."""
    space = address_space(spec, usable_memory(spec))
    # bootmem takes mem_map behind the 16 MiB that DMA needs; where later kernels put it nobody can know.
    vmemmap = space.vmemmap or space.page_offset + (16 << 20)
    fault = template(spec.kernel, spec.arch, spec.va_bits, vmemmap)
    digits = ARCHES[spec.arch].bits // 4
    return replace(
        bugs,
        rules=replace(bugs.rules, no_page=fault.replace("{address}", f"{{page:0{digits}x}}")),
        layout=flags_layout(spec, kinds),
        vmemmap=vmemmap,
        page_bytes=space.page_bytes,
        pointer_digits=digits,
    )


def _shown_as(spec: MachineSpec, ranges: Sequence[ZoneRange], thp: bool) -> ShownAs:
    """Return what of the configuration a report of memory shows; of what nobody knows, what is usual."""
    big = ARCHES[spec.arch].bits == 64
    hugetlb = spec.option("CONFIG_HUGETLB_PAGE") != "n"
    return ShownAs(
        page_kb=spec.page_size >> 10,
        numa=(spec.option("CONFIG_NUMA") or ("y" if big else "n")) == "y",
        thp=thp,
        memory_failure=(spec.option("CONFIG_MEMORY_FAILURE") or ("y" if big else "n")) == "y",
        highmem=highmem_zones(ranges) if any(entry.name == "HighMem" for entry in ranges) else (),
        hugetlb_kb=hugetlb_sizes(spec.arch, page_size=spec.page_size, pae=spec.pae) if hugetlb else (),
        preempt=_preempt_model(spec),
        stack_head="" if spec.arch == "arm" else "Call trace:" if spec.arch == "arm64" else "Call Trace:",
        task_tags=spec.arch == "x86_64",
    )


def _preempt_model(spec: MachineSpec) -> str:
    """Return how the kernel preempts, as it writes it (kernel/sched/core.c preempt_model_str)."""
    if (spec.option("CONFIG_PREEMPT_DYNAMIC") or ("y" if spec.arch.startswith("x86") else "n")) == "y":
        usual = "full" if spec.option("CONFIG_PREEMPT") == "y" else "voluntary"
        chosen = parameter(spec.cmdline, "preempt") or ("lazy" if spec.option("CONFIG_PREEMPT_LAZY") == "y" else usual)
        return f"PREEMPT({chosen})"
    if spec.option("CONFIG_PREEMPT") == "y":
        return "PREEMPT"
    return "NONE" if spec.option("CONFIG_PREEMPT_NONE") == "y" else "VOLUNTARY"


def _early(
    spec: MachineSpec, memory: Sequence[NodeMemory], ranges: Sequence[ZoneRange], spans: Sequence[ZoneSpan]
) -> tuple[Memblock | Bootmem, list[tuple[int, int]]]:
    """Run the boot up to the hand-over; returns the early allocator, and the areas kept for CMA."""
    if bootmem := boot_by_bootmem(spec, memory, spans):
        return bootmem, []
    memblock = Memblock(spec.page_size)
    for entry in memory:
        memblock.add(entry.start_pfn * spec.page_size, (entry.end_pfn - entry.start_pfn) * spec.page_size, entry.nid)
    memblock.current_limit = _mapped_end(spec, ranges)
    return memblock, reserve_early(memblock, spec, memory, spans)


def _mapped_end(spec: MachineSpec, ranges: Sequence[ZoneRange]) -> int:
    """Return the end of what the kernel has mapped: high memory can't be used early."""
    low = [entry.end_pfn for entry in ranges if entry.name != "HighMem" and not entry.empty]
    return max(low) * spec.page_size


def _hand_over(
    spec: MachineSpec, memblock: Memblock | Bootmem, page_alloc: PageAllocator, cma_areas: Sequence[tuple[int, int]]
) -> None:
    """Give everything that isn't reserved to the page allocator, range by range (memblock_free_all)."""
    size = spec.page_size
    for region in memblock.reserved.regions:
        start, end = region.base // size, -(-region.end // size)
        page_alloc.reserve_range(start, min(end, page_alloc.memmap.max_pfn))
    for start, end in cma_areas:
        first, last = start // size >> page_alloc.shift, end // size >> page_alloc.shift
        page_alloc.memmap.types[first:last] = bytes((CMA,)) * (last - first)
    for start, end, _nid in memblock.free_pfn_ranges():
        for index, live in enumerate(page_alloc.zones):
            low, high = max(start, live.zone.start_pfn), min(end, live.zone.end_pfn)
            if low < high:
                live.zone.managed += page_alloc.free_boot_range(index, low, high)
    for start, end in cma_areas:
        page_alloc.zone_of(start // size).nr_free_cma += (end - start) // size


def _return_to_allocator(spec: MachineSpec, page_alloc: PageAllocator) -> None:
    """Give back what boot needs no longer: the initrd where it lies, all else from the end of the image."""
    size = spec.page_size
    image = next((entry for entry in spec.reserved if entry.name == "kernel"), None)
    initrd = next((entry for entry in spec.reserved if entry.name == "initrd"), None)
    end = image.end // size if image else 0
    for name, pages in spec.freed:
        if name == "initrd" and initrd:
            start = -(-initrd.start // size)
            page_alloc.free_reserved(start, min(start + pages, initrd.end // size))
        elif image and end - pages > image.start // size:
            page_alloc.free_reserved(end - pages, end)
            end -= pages


def built_in_thp(spec: MachineSpec) -> str | None:
    """Return how the kernel was built to use huge pages; None where it can't.

    All of x86 can (HAVE_ARCH_TRANSPARENT_HUGEPAGE): without PAE with pages of 4 MiB.
    """
    if spec.option("CONFIG_TRANSPARENT_HUGEPAGE") == "n" or spec.arch == "arm":
        return None
    for mode in ("always", "madvise", "never"):
        if spec.option(f"CONFIG_TRANSPARENT_HUGEPAGE_{mode.upper()}") == "y":
            return mode
    return "always" if pick(mmzone.ZoneRules, mmzone.TABLE, spec.kernel).thp_raises_min_free else None


def asks_for_shuffle(spec: MachineSpec) -> bool:
    """Tell whether the command line turns page shuffling on, and the kernel was not built without it."""
    if spec.option("CONFIG_SHUFFLE_PAGE_ALLOCATOR") == "n":
        return False
    # Nothing turns it off again (mm/shuffle.c, shuffle_store).
    return any(is_on(value) for value in parameters(spec.cmdline, "page_alloc.shuffle"))
