"""What a boot prints about memory when the page allocator has been given it (mem_init, mem_init_print_info).

Sizes of the image's parts are known for a machine that was recorded; else a question mark stands for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from kmemwidgets import arch as arch_constants
from kmemwidgets.records import MachineSpec

from .bootmem import Bootmem
from .cmdline import memparse, parameter
from .memblock import Memblock
from .rules import pick
from .rules.boot_log import TABLE, BootLogRules, LayoutRow, MemoryFigures
from .rules.layout import address_space, has_highmem
from .rules.layout import rules_for as layout_rules
from .zone_sizes import (
    NodeMemory,
    ZoneSpan,
    highmem_zones,
    movable_starts,
    node_memory,
    rules_for,
    spans_of,
    usable_memory,
    zone_ranges,
)

PAGE = 4096
#: An entry of the top table maps so much on x86-64; mem_init makes a table for each part of the vmalloc area.
_PGDIR_SHIFT = {48: 39, 57: 48}


def first_deferred(spec: MachineSpec, memory: Sequence[NodeMemory], spans: Sequence[ZoneSpan], nid: int) -> int:
    """Return the first frame of a node whose struct page is initialised late; the node's end if none is (defer_init).

    The last zone of a node gets one section's worth at first, and goes on to the next section's start.
    """
    end = max(entry.end_pfn for entry in memory if entry.nid == nid)
    if spec.option("CONFIG_DEFERRED_STRUCT_PAGE_INIT") != "y" or not rules_for(spec).deferred_init:
        return end
    shift = arch_constants.section_bits(spec.arch, page_size=spec.page_size, pae=spec.pae)
    section = 1 << (shift - (spec.page_size.bit_length() - 1))
    zone = [span for span in spans if span.nid == nid and span.present][-1]
    done = 0
    for entry in memory:
        start, stop = max(entry.start_pfn, zone.start_pfn), min(entry.end_pfn, zone.start_pfn + zone.spanned)
        if entry.nid != nid or start >= stop:
            continue
        # The section's first frame is itself counted before it is looked at.
        pfn = max(start + section - done, start)
        pfn = -(-pfn // section) * section
        if pfn < stop:
            return pfn
        done += stop - start
    return end


def vmalloc_tables(spec: MachineSpec) -> int:
    """Return the pages of page tables that mem_init makes for the vmalloc area (preallocate_vmalloc_pages)."""
    if spec.arch != "x86_64" or not rules_for(spec).vmalloc_tables_early:
        return 0
    shift = _PGDIR_SHIFT[spec.va_bits]
    area = address_space(spec, usable_memory(spec)).area("vmalloc")
    return ((area.end - 1) >> shift) - (area.start >> shift) + 1


def cma_pages(spec: MachineSpec, physical: int) -> int:
    """Return the pages kept for contiguous allocations by the command line or the configuration."""
    asked = parameter(spec.cmdline, "cma")
    if spec.option("CONFIG_CMA") != "y":
        return 0
    if asked is not None:
        return memparse(asked.partition("@")[0]) // spec.page_size
    megabytes = int(spec.option("CONFIG_CMA_SIZE_MBYTES") or 0) << 20
    percent = int(spec.option("CONFIG_CMA_SIZE_PERCENTAGE") or 0) * physical // 100 * spec.page_size
    if spec.option("CONFIG_CMA_SIZE_SEL_PERCENTAGE") == "y":
        megabytes = percent
    elif spec.option("CONFIG_CMA_SIZE_SEL_MIN") == "y":
        megabytes = min(megabytes, percent)
    elif spec.option("CONFIG_CMA_SIZE_SEL_MAX") == "y":
        megabytes = max(megabytes, percent)
    return megabytes // spec.page_size


def memory_figures(spec: MachineSpec, memblock: Memblock | Bootmem) -> MemoryFigures:
    """Work the Memory: line's figures out.

    Parameters
    ----------
    spec : MachineSpec
    memblock : Memblock or Bootmem
        The early allocator at the hand-over.
    """
    memory = node_memory(spec)
    ranges = zone_ranges(spec, memory)
    spans = spans_of(spec, memory, ranges, movable_starts(spec, memory, ranges))
    kb = spec.page_size >> 10
    physical = sum(span.present for span in spans)
    cma = cma_pages(spec, physical)
    top = max(entry.end_pfn for entry in ranges)
    free = [(start, min(end, top), nid) for start, end, nid in memblock.free_pfn_ranges() if start < top]
    # What is kept for CMA is lent out later: at this moment nobody was given it.
    lent = [call.end - call.start for call in memblock.calls if (call.what, call.caller) == ("free", "cma")]
    kept = sum(lent) // spec.page_size
    given = sum(end - start for start, end, _nid in free) - kept
    high = highmem_zones(ranges)
    bounds = [(span.start_pfn, span.start_pfn + span.spanned) for span in spans if span.name in high]
    given_high = sum(max(min(end, last) - max(start, low), 0) for start, end, _nid in free for low, last in bounds)
    present_high = sum(span.present for span in spans if span.name in high)
    # Late, the kernel has taken pages for itself: how many, what it was asked at the hand-over doesn't tell.
    available: int | None = None
    if not rules_for(spec).memory_line_late:
        cut = {nid: first_deferred(spec, memory, spans, nid) for nid in {entry.nid for entry in memory}}
        available = sum(max(min(end, cut[nid]) - start, 0) for start, end, nid in free) - vmalloc_tables(spec)
    return MemoryFigures(
        available=None if available is None else available * kb,
        physical=physical * kb,
        end=memory[-1].end_pfn * kb,
        reserved=(physical - given - cma) * kb,
        low_reserved=(physical - present_high - (given - given_high)) * kb,
        cma=cma * kb,
        highmem=given_high * kb if spec.arch in ("x86_32", "arm") and has_highmem(spec) else None,
        # On arm64 the recorded code holds what is read-only as well.
        image={name: size >> 10 for name, size in spec.image if spec.arch.startswith("x86") or name == "init"},
    )


def layout_rows(spec: MachineSpec) -> tuple[LayoutRow, ...]:
    """Return the rows of x86-32's table, the image's with what is known of it."""
    space = address_space(spec, usable_memory(spec))
    areas = layout_rules(spec).x86_32_areas(spec)
    rows = [
        LayoutRow("fixmap", (areas.fixaddr_start, areas.fixaddr_top), "kB"),
        LayoutRow("cpu_entry", (areas.cpu_entry_area, areas.cpu_entry_area + areas.cpu_entry_bytes), "kB"),
    ]
    if has_highmem(spec):
        rows.append(LayoutRow("pkmap", (areas.pkmap_base, areas.pkmap_base + areas.last_pkmap * PAGE), "kB"))
    vmalloc = space.area("vmalloc")
    rows += [
        LayoutRow("vmalloc", (vmalloc.start, vmalloc.end), "MB"),
        LayoutRow("lowmem", (space.page_offset, space.direct_end), "MB"),
        LayoutRow(".init", None, "kB"),
        LayoutRow(".data", None, "kB"),
        LayoutRow(".text", _text(spec, space.page_offset), "kB"),
    ]
    return tuple(rows)


def _text(spec: MachineSpec, page_offset: int) -> tuple[int, int] | None:
    code = dict(spec.image).get("code")
    start = page_offset + int(spec.option("CONFIG_PHYSICAL_START") or "0x1000000", 0)
    return None if code is None else (start, start + code)


def memory_lines(spec: MachineSpec, memblock: Memblock | Bootmem) -> tuple[str, ...]:
    """Return what is printed once the page allocator has been given its memory."""
    rules = pick(BootLogRules, TABLE, spec.kernel)
    line = rules.arm_memory_line if spec.arch == "arm" else rules.memory_line
    lines = line(memory_figures(spec, memblock))
    return (*lines, *rules.layout_table(layout_rows(spec))) if spec.arch == "x86_32" else lines
