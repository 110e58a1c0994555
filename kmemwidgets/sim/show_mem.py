"""The state of memory as the kernel writes it into its log (mm/show_mem.c; before 6.5 mm/page_alloc.c, lib/show_mem.c).

A machine without reclaim has no LRU lists, no page cache, no swap, and nobody's page tables and stacks are counted:
those figures are 0. Slabs, free pages, lists and marks are the machine's own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .migratetype import CMA
from .rules.show_mem import ShowMemRules

if TYPE_CHECKING:
    from .page_alloc import PageAllocator
    from .zone_lists import ZoneLists

#: Letters of the migrate types, by number (show_migration_types).
LETTERS = "UMEHCI"
#: Figures of a node that only a kernel with CONFIG_TRANSPARENT_HUGEPAGE has.
_THP = ("shmem_thp", "shmem_pmdmapped", "anon_thp")


@dataclass(frozen=True, slots=True)
class ShownAs:
    """What the configuration has to do with the text.

    Attributes
    ----------
    page_kb : int
        Kilobytes of a page.
    numa : bool
        CONFIG_NUMA: a zone's line begins with its node.
    thp : bool
        CONFIG_TRANSPARENT_HUGEPAGE.
    memory_failure : bool
        CONFIG_MEMORY_FAILURE: pages with hardware errors are counted.
    highmem : tuple of str
        Zones whose pages have no address of their own.
    hugetlb_kb : tuple of int
        Sizes of huge pages in kilobytes, in the order in which the kernel came to know them (hugetlb_add_hstate).
    preempt : str
        How the kernel preempts (preempt_model_str).
    stack_head : str
        What the architecture writes before a stack; empty where nothing.
    task_tags : bool
        Whether it can tell a task's stack from others (x86-64).
    """

    page_kb: int = 4
    numa: bool = True
    thp: bool = True
    memory_failure: bool = True
    highmem: tuple[str, ...] = ()
    hugetlb_kb: tuple[int, ...] = ()
    preempt: str = "PREEMPT(none)"
    stack_head: str = "Call Trace:"
    task_tags: bool = True


def show_mem(
    allocator: PageAllocator, rules: ShowMemRules, highest: int, nodes: Collection[int], cpu: int
) -> list[str]:
    """Write the state of memory (__show_mem).

    Parameters
    ----------
    allocator : PageAllocator
    rules : ShowMemRules
    highest : int
        Highest zone that the request might have used.
    nodes : collection of int
        The nodes to show.
    cpu : int
        Who asks.
    """
    shown = allocator.shown
    zones = [
        live
        for live in allocator.zones
        if live.zone.nid in nodes and not (rules.up_to_highest and live.zone.index > highest)
    ]
    lines = ["Mem-Info:", *_counts(allocator, rules, zones)]
    managed = {live.zone.nid for live in zones if live.zone.managed or not rules.up_to_highest}
    lines += [_node(nid, rules, shown) for nid in sorted(managed)]
    for live in zones:
        lines += _zone(live, rules, shown, len(allocator.zone_names), cpu)
    lines += [_free_list(live, shown) for live in zones]
    for nid in sorted(set(nodes) & {live.zone.nid for live in allocator.zones}):
        for size in shown.hugetlb_kb:
            pool = "hugepages_total=0 hugepages_free=0 hugepages_surp=0"
            lines.append(f"Node {nid} {pool} hugepages_size={size}kB")
    lines += ["0 total pagecache pages", "0 pages in swap cache"]
    if rules.swap_statistics:
        lines.append("Swap cache stats: add 0, delete 0, find 0/0")
    lines += ["Free swap  = 0kB", "Total swap = 0kB"]
    return lines + _totals(allocator, shown)


def _counts(allocator: PageAllocator, rules: ShowMemRules, zones: Iterable[ZoneLists]) -> list[str]:
    """Write what all nodes have together; only the pages on per-CPU lists are those of the shown zones."""
    figures = {
        **allocator.node_page_state(),
        "free": sum(live.free_pages_now() for live in allocator.zones),
        "free_pcp": sum(pcp.count for live in zones for pcp in live.pcps),
        "free_cma": sum(_free_cma(live) for live in allocator.zones),
    }
    rows = [" ".join(f"{name}:{figures.get(name, 0)}" for name in names) for names in rules.counts]
    # One message with line breaks in it: those after the first begin with a blank.
    return [row if not number else f" {row}" for number, row in enumerate(rows)]


def _node(nid: int, rules: ShowMemRules, shown: ShownAs) -> str:
    words = [f"Node {nid}"]
    for name in rules.node:
        if name == "all_unreclaimable":
            words.append("all_unreclaimable? no")
        elif name not in _THP:
            words.append(f"{name}:0kB")
        elif shown.thp:
            words.append(f"{name}{rules.thp_label}0kB")
    return " ".join(words)


def _zone(live: ZoneLists, rules: ShowMemRules, shown: ShownAs, kinds: int, cpu: int) -> list[str]:
    zone = live.zone
    boost = zone.watermark_boost
    waiting = [pcp.count for pcp in live.pcps]
    figures: Mapping[str, int] = {
        "free": live.free_pages_now(), "boost": boost, "min": zone.wmark_min + boost, "low": zone.wmark_low + boost,
        "high": zone.wmark_high + boost, "reserved_highatomic": live.nr_reserved_highatomic,
        "free_highatomic": live.free_highatomic(), "present": zone.present, "managed": zone.managed,
        "free_pcp": sum(waiting), "local_pcp": waiting[cpu], "free_cma": _free_cma(live),
    }  # fmt: skip
    words = []
    for name in rules.zone:
        # The kernel writes these two in its own way.
        unit = "KB" if name.endswith("_highatomic") else "kB"
        words.append(f"{name}:{figures.get(name, 0) * shown.page_kb}{unit}")
    reserve = zone.lowmem_reserve or (0,) * kinds
    return [f"{_name(live, shown)} {' '.join(words)}", f"lowmem_reserve[]: {' '.join(map(str, reserve))}"]


def _free_list(live: ZoneLists, shown: ShownAs) -> str:
    parts = []
    for order, row in enumerate(live.free_area.counts()):
        letters = "".join(LETTERS[mt] for mt, count in enumerate(row) if count)
        parts.append(f"{sum(row)}*{shown.page_kb << order}kB" + (f" ({letters})" if letters else ""))
    return f"{_name(live, shown)}: {' '.join(parts)} = {live.free_area.free_pages() * shown.page_kb}kB"


def _totals(allocator: PageAllocator, shown: ShownAs) -> list[str]:
    """Write the sums over all zones, shown or not."""
    present = sum(live.zone.present for live in allocator.zones)
    high = sum(live.zone.present for live in allocator.zones if live.zone.name in shown.highmem)
    lines = [
        f"{present} pages RAM",
        f"{high} pages HighMem/MovableOnly",
        f"{present - sum(live.zone.managed for live in allocator.zones)} pages reserved",
    ]
    if allocator.cma:
        blocks = sum(live.free_area.pageblock_types().count(CMA) for live in allocator.zones)
        lines.append(f"{blocks << allocator.shift} pages cma reserved")
    if shown.memory_failure:
        lines.append("0 pages hwpoisoned")
    return lines


def _free_cma(live: ZoneLists) -> int:
    return live.nr_free_cma + sum(live.diff_cma)


def _name(live: ZoneLists, shown: ShownAs) -> str:
    return f"Node {live.zone.nid} {live.zone.name}" if shown.numa else live.zone.name
