"""What a kernel writes when a request for pages has failed: the head, the stack, and the state of memory.

A name is a figure of the report; what stands around it (its unit, the word before it) is the same in every kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from .table import Rule

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShowMemRules:
    """The form of the report.

    Attributes
    ----------
    head : str
        Its first line; empty where a request fails without a word.
    task_line : str
        Who asked; empty where nobody is named.
    task_tags : bool
        Whether x86-64 writes around a task's own stack that it is one.
    shows_memory : bool
        Whether the state of memory follows.
    burst : int
        How many reports follow one another before the rest is kept back.
    suppressed : str
        What tells of those kept back; ``{missed}`` is how many.
    too_large : str
        The function that warns, once, of a request for more than the largest block; empty: it fails as any other.
    silent_without_dma : bool
        Whether nothing is said of a request for DMA memory on a machine that has none.
    counts : tuple of tuple of str
        All nodes together, line by line, in pages.
    node : tuple of str
        One node, in kilobytes.
    thp_label : str
        What stands between a node's figure of huge pages and its name.
    zone : tuple of str
        One zone, in kilobytes.
    up_to_highest : bool
        Only zones that the request might have used are shown, and nodes that have one.
    swap_statistics : bool
        Whether it is told how often pages were put into the swap cache and found there.
    """

    head: str
    task_line: str
    task_tags: bool
    shows_memory: bool
    burst: int
    suppressed: str
    too_large: str
    silent_without_dma: bool
    counts: tuple[Names, ...]
    node: Names
    thp_label: str
    zone: Names
    up_to_highest: bool
    swap_statistics: bool


def _lines(text: str) -> tuple[Names, ...]:
    return tuple(tuple(line.split()) for line in text.split("/"))


def _after(names: Names, name: str, *new: str) -> Names:
    at = names.index(name) + 1
    return (*names[:at], *new, *names[at:])


def _without(names: Names, *gone: str) -> Names:
    return tuple(name for name in names if name not in gone)


_LRU = "active_anon inactive_anon isolated_anon / active_file inactive_file isolated_file / unevictable dirty writeback"
_COUNTS_5_6 = _lines(f"{_LRU} unstable / slab_reclaimable slab_unreclaimable / mapped shmem pagetables bounce / "
                     "free free_pcp free_cma")  # fmt: skip
_COUNTS_5_8 = _lines(f"{_LRU} / slab_reclaimable slab_unreclaimable / mapped shmem pagetables bounce / "
                     "free free_pcp free_cma")  # fmt: skip
_COUNTS_5_15 = (*_COUNTS_5_8[:-1], ("kernel_misc_reclaimable",), _COUNTS_5_8[-1])
_COUNTS_6_1 = _lines(f"{_LRU} / slab_reclaimable slab_unreclaimable / mapped shmem pagetables / sec_pagetables bounce /"
                     "kernel_misc_reclaimable / free free_pcp free_cma")  # fmt: skip

_NODE_5_6: Names = (
    "active_anon", "inactive_anon", "active_file", "inactive_file", "unevictable", "isolated(anon)", "isolated(file)",
    "mapped", "dirty", "writeback", "shmem", "shmem_thp", "shmem_pmdmapped", "anon_thp", "writeback_tmp", "unstable",
    "all_unreclaimable",
)  # fmt: skip
_NODE_5_8 = _after(_without(_NODE_5_6, "unstable"), "writeback_tmp", "kernel_stack")
_NODE_5_11 = _after(_NODE_5_8, "kernel_stack", "pagetables")
_NODE_6_1 = _after(_NODE_5_11, "pagetables", "sec_pagetables")
_NODE_6_16 = (*_NODE_6_1, "Balloon")
_NODE_6_18 = _without(_NODE_6_16, "writeback_tmp")

_ZONE_5_6: Names = (
    "free", "min", "low", "high", "reserved_highatomic", "active_anon", "inactive_anon", "active_file",
    "inactive_file", "unevictable", "writepending", "present", "managed", "mlocked", "kernel_stack", "pagetables",
    "bounce", "free_pcp", "local_pcp", "free_cma",
)  # fmt: skip
_ZONE_5_8 = _without(_ZONE_5_6, "kernel_stack")
_ZONE_5_11 = _without(_ZONE_5_8, "pagetables")
_ZONE_5_16 = _after(_ZONE_5_11, "free", "boost")
_ZONE_6_16 = _after(_ZONE_5_16, "reserved_highatomic", "free_highatomic")
_ZONE_6_18 = _after(_ZONE_6_16, "writepending", "zspages")

_SLOWPATH = "mm/page_alloc.c __alloc_pages_slowpath"
_WARN = "mm/page_alloc.c warn_alloc"
_SHOW = "mm/page_alloc.c show_free_areas; since 6.5 mm/show_mem.c"
_STACK = "lib/dump_stack.c dump_stack_print_info"
_READ = ("source",)
#: A report of the OOM killer holds the same block.
_SEEN = ("recording:6.1",)

TABLE: tuple[Rule, ...] = (
    Rule("head", (2, 4), "", "A request fails without a word (as 2.4.22 has it; releases before it wrote a line).",
         "mm/page_alloc.c __alloc_pages", _READ),
    Rule("head", (2, 6, 11), "{comm}: page allocation failure. order:{order}, mode:0x{mode:x}",
         "A line tells who asked for what, the flags as a number.", "mm/page_alloc.c __alloc_pages", _READ),
    Rule("head", (5, 6), "{comm}: {what}, mode:{mode:#x}({names}),"
         " nodemask={nodemask},cpuset=/,mems_allowed={allowed}",
         "Flags have names, and it is told which nodes were allowed.", _WARN, _READ),
    Rule("task_line", (2, 4), "", "Nobody is named.", _SLOWPATH, _READ),
    Rule("task_line", (5, 6), "CPU: {cpu} PID: {pid} Comm: {comm} {tainted} {release} #1",
         "The stack's head names the task and the kernel.", _STACK, _SEEN),
    Rule("task_line", (6, 12), "CPU: {cpu} UID: 0 PID: {pid} Comm: {comm} {tainted} {release} #1",
         "The user's number comes in.", _STACK, _READ),
    Rule("task_line", (6, 15), "CPU: {cpu} UID: 0 PID: {pid} Comm: {comm} {tainted} {release} #1 {preempt} ",
         "How the kernel preempts is told, and a blank before a build ID that few kernels have.", _STACK, _READ),
    Rule("task_tags", (2, 4), False, "A task's stack has no tags.", "arch/x86/kernel/dumpstack_64.c stack_type_name",
         _READ),
    Rule("task_tags", (5, 15), True, "A task's stack stands between tags, as those of interrupts do.",
         "arch/x86/kernel/dumpstack_64.c stack_type_name", _SEEN),
    Rule("shows_memory", (2, 4), False, "Line and stack are all.", "mm/page_alloc.c __alloc_pages", _READ),
    Rule("shows_memory", (5, 6), True, "The state of memory follows.", "mm/page_alloc.c warn_alloc_show_mem", _READ),
    Rule("burst", (2, 4), 10, "Ten reports one after the other, then one in five seconds.",
         "kernel/printk.c printk_ratelimit", _READ),
    Rule("burst", (5, 6), 1, "One report in ten seconds.", f"{_WARN}, nopage_rs", _READ),
    Rule("suppressed", (2, 4), "printk: {missed} messages suppressed.", "The next report says how many were kept back.",
         "kernel/printk.c __printk_ratelimit", _READ),
    Rule("suppressed", (5, 6), "warn_alloc: {missed} callbacks suppressed",
         "The next report says how many were kept back, and by whom.", "lib/ratelimit.c ___ratelimit", _READ),
    Rule("too_large", (2, 4), "", "Too large a block is not there.", "mm/page_alloc.c __alloc_pages", _READ),
    Rule("too_large", (5, 6), "__alloc_pages_nodemask", "Too large an order is warned of once.",
         "mm/page_alloc.c __alloc_pages_nodemask", _READ),
    Rule("too_large", (5, 13), "__alloc_pages", "The function has another name.", "mm/page_alloc.c __alloc_pages",
         _READ),
    Rule("too_large", (6, 10), "__alloc_pages_noprof", "The function has another name.",
         "mm/page_alloc.c __alloc_pages_noprof", _READ),
    Rule("too_large", (6, 14), "__alloc_frozen_pages_noprof", "The function has another name.",
         "mm/page_alloc.c __alloc_frozen_pages_noprof", _READ),
    Rule("silent_without_dma", (2, 4), False, "All zones are alike.", _WARN, _READ),
    Rule("silent_without_dma", (5, 17), True, "Where no page of the DMA zone is managed, nobody could help it.", _WARN,
         _READ, backports=((5, 10, 94), (5, 15, 17))),
    Rule("counts", (2, 4), _COUNTS_5_6, "Lists, slabs, page tables and free pages.", _SHOW, _READ),
    Rule("counts", (5, 8), _COUNTS_5_8, "Unstable pages of NFS are counted as written back.", _SHOW, _READ),
    Rule("counts", (5, 15), _COUNTS_5_15, "Other reclaimable kernel memory has a line.", _SHOW, _READ),
    Rule("counts", (6, 1), _COUNTS_6_1, "Page tables of guests are counted.", _SHOW, _SEEN),
    Rule("node", (2, 4), _NODE_5_6, "Reclaim works by node, so lists are the node's.", _SHOW, _READ),
    Rule("node", (5, 8), _NODE_5_8, "Kernel stacks are counted by node.", _SHOW, _READ),
    Rule("node", (5, 11), _NODE_5_11, "Page tables are counted by node.", _SHOW, _READ),
    Rule("node", (6, 1), _NODE_6_1, "Page tables of guests are counted.", _SHOW, _SEEN),
    Rule("node", (6, 16), _NODE_6_16, "What a balloon holds is told.", _SHOW, _READ),
    Rule("node", (6, 18), _NODE_6_18, "FUSE writes back without copies.", _SHOW, _READ),
    Rule("thp_label", (2, 4), ": ", "A blank stands before figures of huge pages.", _SHOW, _SEEN),
    Rule("thp_label", (6, 6), ":", "They are written as the others are.", _SHOW, _READ),
    Rule("zone", (2, 4), _ZONE_5_6, "Marks, lists, and what the zone has.", _SHOW, _READ),
    Rule("zone", (5, 8), _ZONE_5_8, "Kernel stacks are counted by node.", _SHOW, _READ),
    Rule("zone", (5, 11), _ZONE_5_11, "Page tables are counted by node.", _SHOW, _READ),
    Rule("zone", (5, 16), _ZONE_5_16, "How much the marks are raised is told.", _SHOW, _SEEN),
    Rule("zone", (6, 16), _ZONE_6_16, "Free pages of high-atomic blocks are told.", _SHOW, _READ),
    Rule("zone", (6, 18), _ZONE_6_18, "Pages of zsmalloc are told.", _SHOW, _READ),
    Rule("up_to_highest", (2, 4), False, "All zones are shown.", _SHOW, _READ),
    Rule("up_to_highest", (6, 1), True, "Zones above the highest that the request may use say nothing about it.", _SHOW,
         _READ),
    Rule("swap_statistics", (2, 4), True, "The swap cache's hits are counted.", "mm/swap_state.c show_swap_cache_info",
         _READ),
    Rule("swap_statistics", (6, 0), False, "They aren't any more.", "mm/swap_state.c show_swap_cache_info", _SEEN),
)  # fmt: skip
