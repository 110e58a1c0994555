"""The report of a failed request, line by line, as each kernel writes it."""

from __future__ import annotations

import re

import pytest

from kmemwidgets import Machine


def failing(kernel: str, gfp: str = "GFP_KERNEL", order: int = 9, **described: object) -> Machine:
    """Return a machine where a request has just failed."""
    machine = Machine.boot(kernel=kernel, **{"memory": "64M", "cpus": 1, **described})
    for silent in ("GFP_HIGHUSER|__GFP_NOWARN", "GFP_ATOMIC|__GFP_NOWARN", "GFP_DMA|__GFP_NOWARN"):
        while machine.alloc_pages(silent, order) is not None:
            pass
    assert machine.dmesg == ()
    assert machine.alloc_pages(gfp, order) is None
    return machine


def report(kernel: str, gfp: str = "GFP_KERNEL", order: int = 9, **described: object) -> list[str]:
    (text,) = failing(kernel, gfp, order, **described).dmesg
    return text.splitlines()


def names(line: str) -> str:
    """Return the figures' names of a line, without their values."""
    return " ".join(re.findall(r"(\S+?):", line))


def test_24_says_nothing_and_2611_one_line() -> None:
    """2.4.22 mm/page_alloc.c __alloc_pages has no message; 2.6.11's prints mode with its own bits, and no memory."""
    assert failing("2.4", arch="x86_32").dmesg == ()
    assert report("2.6.11", "GFP_KERNEL|__GFP_COMP|__GFP_ZERO", arch="x86_32") == [
        "kmem: page allocation failure. order:9, mode:0xc0d0",
        "Call Trace:",
    ]


@pytest.mark.parametrize(
    ("kernel", "names", "task"),
    [
        ("5.6", "GFP_KERNEL|__GFP_COMP|__GFP_ZERO", "CPU: 0 PID: 0 Comm: kmem Not tainted 5.6.4 #1"),
        ("6.1", "GFP_KERNEL|__GFP_COMP|__GFP_ZERO", "CPU: 0 PID: 0 Comm: kmem Not tainted 6.1.192 #1"),
        ("6.12", "GFP_KERNEL|__GFP_COMP|__GFP_ZERO", "CPU: 0 UID: 0 PID: 0 Comm: kmem Not tainted 6.12.117 #1"),
        ("6.18", "GFP_KERNEL|__GFP_ZERO|__GFP_COMP",
         "CPU: 0 UID: 0 PID: 0 Comm: kmem Not tainted 6.18.35 #1 PREEMPT(voluntary) "),
    ],
)  # fmt: skip
def test_head_and_task(kernel: str, names: str, task: str) -> None:
    """mm/page_alloc.c warn_alloc; include/trace/events/mmflags.h; lib/dump_stack.c dump_stack_print_info."""
    lines = report(kernel, "GFP_KERNEL|__GFP_COMP|__GFP_ZERO")
    head = f"kmem: page allocation failure: order:9, mode:0x40dc0({names}), nodemask=(null),cpuset=/,mems_allowed=0"
    assert lines[:3] == [head, task, "Call Trace:"]
    assert (" <TASK>" in lines) == (kernel != "5.6")
    assert report("6.18", arch="arm64", memory="128M")[1].endswith(" #1 VOLUNTARY ")
    assert report("6.18", config={"CONFIG_PREEMPT_DYNAMIC": "y", "CONFIG_PREEMPT_LAZY": "y"})[1].endswith(
        "PREEMPT(lazy) "
    )


COUNTS = {
    "5.6": [
        " unevictable dirty writeback unstable", " slab_reclaimable slab_unreclaimable",
        " mapped shmem pagetables bounce", " free free_pcp free_cma",
    ],
    "5.10": [
        " unevictable dirty writeback", " slab_reclaimable slab_unreclaimable", " mapped shmem pagetables bounce",
        " free free_pcp free_cma",
    ],
    "5.15": [
        " unevictable dirty writeback", " slab_reclaimable slab_unreclaimable", " mapped shmem pagetables bounce",
        " kernel_misc_reclaimable", " free free_pcp free_cma",
    ],
    "6.1": [
        " unevictable dirty writeback", " slab_reclaimable slab_unreclaimable", " mapped shmem pagetables",
        " sec_pagetables bounce", " kernel_misc_reclaimable", " free free_pcp free_cma",
    ],
}  # fmt: skip
COUNTS["6.12"] = COUNTS["6.18"] = COUNTS["6.1"]


@pytest.mark.parametrize("kernel", COUNTS)
def test_what_all_nodes_have_together(kernel: str) -> None:
    """mm/page_alloc.c show_free_areas [5.6, 5.10, 5.15, 6.1], mm/show_mem.c [6.12, 6.18]."""
    lines = report(kernel)
    at = lines.index("Mem-Info:") + 1
    block = lines[at : lines.index(next(line for line in lines if line.startswith("Node 0 active_anon")))]
    assert block[:2] == [
        "active_anon:0 inactive_anon:0 isolated_anon:0", " active_file:0 inactive_file:0 isolated_file:0",
    ]  # fmt: skip
    assert [re.sub(r":\d+", "", line) for line in block[2:]] == COUNTS[kernel]


LRU = (
    "Node 0 active_anon:0kB inactive_anon:0kB active_file:0kB inactive_file:0kB unevictable:0kB isolated(anon):0kB "
    "isolated(file):0kB mapped:0kB dirty:0kB writeback:0kB shmem:0kB "
)
SPACED = "shmem_thp: 0kB shmem_pmdmapped: 0kB anon_thp: 0kB "
JOINED = "shmem_thp:0kB shmem_pmdmapped:0kB anon_thp:0kB "
NODE = {
    "5.6": SPACED + "writeback_tmp:0kB unstable:0kB all_unreclaimable? no",
    "5.10": SPACED + "writeback_tmp:0kB kernel_stack:0kB all_unreclaimable? no",
    "5.15": SPACED + "writeback_tmp:0kB kernel_stack:0kB pagetables:0kB all_unreclaimable? no",
    "6.1": SPACED + "writeback_tmp:0kB kernel_stack:0kB pagetables:0kB sec_pagetables:0kB all_unreclaimable? no",
    "6.12": JOINED + "writeback_tmp:0kB kernel_stack:0kB pagetables:0kB sec_pagetables:0kB all_unreclaimable? no",
    "6.16": (
        JOINED + "writeback_tmp:0kB kernel_stack:0kB pagetables:0kB sec_pagetables:0kB all_unreclaimable? no "
        "Balloon:0kB"
    ),
    "6.18": JOINED + "kernel_stack:0kB pagetables:0kB sec_pagetables:0kB all_unreclaimable? no Balloon:0kB",
}


@pytest.mark.parametrize("kernel", NODE)
def test_a_node(kernel: str) -> None:
    """The same functions; CONFIG_TRANSPARENT_HUGEPAGE gives three of the figures."""
    assert LRU + NODE[kernel] in report(kernel)
    plain = re.sub(r"(shmem|anon)_(thp|pmdmapped): ?0kB ", "", LRU + NODE[kernel])
    assert plain in report(kernel, config={"CONFIG_TRANSPARENT_HUGEPAGE": "n"})


PAGES = "active_anon inactive_anon active_file inactive_file unevictable writepending"
HAS = "present managed mlocked"
PCP = "bounce free_pcp local_pcp free_cma"
ZONE = {
    "5.6": f"free min low high reserved_highatomic {PAGES} {HAS} kernel_stack pagetables {PCP}",
    "5.10": f"free min low high reserved_highatomic {PAGES} {HAS} pagetables {PCP}",
    "5.15": f"free min low high reserved_highatomic {PAGES} {HAS} {PCP}",
    "6.1": f"free boost min low high reserved_highatomic {PAGES} {HAS} {PCP}",
    "6.12": f"free boost min low high reserved_highatomic {PAGES} {HAS} {PCP}",
    "6.16": f"free boost min low high reserved_highatomic free_highatomic {PAGES} {HAS} {PCP}",
    "6.18": f"free boost min low high reserved_highatomic free_highatomic {PAGES} zspages {HAS} {PCP}",
}


@pytest.mark.parametrize("kernel", ZONE)
def test_a_zone(kernel: str) -> None:
    """The same functions; the marks hold the boost, and two figures have a capital K."""
    machine = failing(kernel)
    lines = machine.dmesg[0].splitlines()
    line = next(line for line in lines if line.startswith("Node 0 DMA32 free:"))
    assert names(line) == ZONE[kernel]
    zone = machine.snapshot().zone(0, "DMA32")
    figures = {name: int(value) for name, value in re.findall(r"(\S+?):(\d+)kB", line)}
    assert figures["free"] == (zone.free or 0) * 4
    assert [figures[name] for name in ("min", "low", "high")] == [
        (mark or 0) * 4 for mark in (zone.min, zone.low, zone.high)
    ]
    assert (figures["present"], figures["managed"]) == ((zone.present or 0) * 4, (zone.managed or 0) * 4)
    assert figures.get("boost", 0) == ((zone.boost or 0) * 4 if "boost" in ZONE[kernel] else 0)
    assert "reserved_highatomic:0KB" in line or "reserved_highatomic:2048KB" in line
    assert lines[lines.index(line) + 1] == "lowmem_reserve[]: " + " ".join(map(str, zone.protection or ()))
    row = next(line for line in lines if line.startswith("Node 0 DMA32: "))
    assert [int(count) for count in re.findall(r"(\d+)\*", row)] == [area.nr_free for area in zone.free_area or ()]
    assert row.endswith(f" = {(zone.free or 0) * 4}kB")


def test_letters_of_free_lists_are_those_of_the_types_that_have_blocks() -> None:
    """show_migration_types: U, M, E for reclaimable, H, C, I, in the order of enum migratetype."""
    machine = Machine.boot(memory="64M", cpus=1, kernel="6.1")
    for gfp in ("GFP_KERNEL", "GFP_KERNEL|__GFP_RECLAIMABLE", "GFP_HIGHUSER_MOVABLE"):
        machine.alloc_pages(gfp, 4)
    machine.page_alloc.reports.failed(0xCC0, 9, 0, None)
    mixed = 0
    for zone in machine.snapshot().zones:
        if not zone.present:
            continue
        row = next(line for line in machine.dmesg[0].splitlines() if line.startswith(f"Node 0 {zone.name}: "))
        found = re.findall(r"\d+\*\d+kB(?: \((\w+)\))?", row)
        for area, letters in zip(zone.free_area or (), found, strict=True):
            counts = list((area.by_type or {}).values())
            assert letters == "".join(letter for letter, count in zip("UMEHCI", counts, strict=False) if count)
            mixed += len(letters) > 1
    assert mixed


def test_only_zones_below_the_requests_are_shown_since_61() -> None:
    """show_free_areas skips zones above max_zone_idx (6.1), and nodes without a managed zone up to it."""
    for kernel, shown in (("5.6", ["DMA", "DMA32"]), ("6.1", ["DMA"])):
        lines = report(kernel, "GFP_DMA")
        assert re.findall(r"^Node 0 (\S+) free:", "\n".join(lines), re.MULTILINE) == shown
        assert f"{sum((zone.present or 0) for zone in failing(kernel).snapshot().zones)} pages RAM" in lines


def test_the_end() -> None:
    """hugetlb_show_meminfo, show_swap_cache_info, __show_mem; the line of CMA only where the kernel has it."""
    tail = report("5.6")[-11:]
    pool = "Node 0 hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size="
    assert tail[:7] == [
        f"{pool}1048576kB", f"{pool}2048kB", "0 total pagecache pages", "0 pages in swap cache",
        "Swap cache stats: add 0, delete 0, find 0/0", "Free swap  = 0kB", "Total swap = 0kB",
    ]  # fmt: skip
    assert re.fullmatch(r"\d+ pages RAM", tail[7])
    assert tail[8] == "0 pages HighMem/MovableOnly"
    assert re.fullmatch(r"\d+ pages reserved", tail[9])
    assert tail[10] == "0 pages hwpoisoned"
    for kernel in ("6.1", "6.12", "6.18"):
        assert "Swap cache stats" not in "\n".join(report(kernel))
    cma = report("6.1", memory="128M", cmdline="cma=16M", config={"CONFIG_CMA": "y"})
    assert cma[-2:] == ["4096 pages cma reserved", "0 pages hwpoisoned"]
    assert "0 pages hwpoisoned" not in report("6.1", config={"CONFIG_MEMORY_FAILURE": "n"})


def test_high_memory_is_counted_and_a_kernel_for_one_node_does_not_name_it() -> None:
    """is_highmem is false where the configuration has none, whatever lies in Movable; show_node without NUMA."""
    lines = report("6.1", memory="1G", arch="x86_32", gfp="GFP_ATOMIC")
    assert any(line.startswith("HighMem free:") for line in report("5.6", memory="1G", arch="x86_32"))
    assert not any(line.startswith("Node 0 DMA") for line in lines)
    zone = Machine.boot(memory="1G", arch="x86_32", kernel="6.1").snapshot().zone(0, "HighMem")
    assert f"{zone.present} pages HighMem/MovableOnly" in lines
    assert "0 pages HighMem/MovableOnly" in report("6.1", cmdline="movablecore=16M")


def test_sizes_of_huge_pages_by_architecture() -> None:
    """arch/arm64/mm/hugetlbpage.c hugetlbpage_init; 16 entries beside each other, 128 or 32 with larger pages."""

    def sizes(lines: list[str]) -> list[int]:
        return [int(size) for size in re.findall(r"hugepages_size=(\d+)kB", "\n".join(lines))]

    assert sizes(report("6.1", arch="arm64", memory="128M")) == [1 << 20, 32 << 10, 2 << 10, 64]
    large = {"ARM64_64K_PAGES": "y"}
    assert sizes(report("6.1", arch="arm64", memory="1G", config=large, order=5)) == [16 << 20, 512 << 10, 2 << 10]
    assert sizes(report("6.1", arch="x86_32")) == [4 << 10]
    assert sizes(report("6.1", config={"CONFIG_HUGETLB_PAGE": "n"})) == []


def test_silence_that_was_asked_for_and_silence_where_nobody_could_help() -> None:
    """__GFP_NOWARN; since 5.17 a request for DMA memory where none is managed (has_managed_dma)."""
    machine = failing("6.1")
    for _ in range(3):
        assert machine.alloc_pages("GFP_KERNEL|__GFP_NOWARN", 9) is None
    assert len(machine.dmesg) == 1
    for kernel, told in (("5.6", 1), ("6.1", 0)):
        empty = Machine.boot(kernel=kernel, memory="64M", cpus=1)
        for zone in empty.zones:
            if zone.name == "DMA":
                zone.managed = 0
        while empty.alloc_pages("GFP_DMA|__GFP_NOWARN", 0) is not None:
            pass
        assert empty.alloc_pages("GFP_DMA", 0) is None
        assert len(empty.dmesg) == told


@pytest.mark.parametrize(
    ("kernel", "burst", "said"),
    [("2.6.11", 10, "printk: 5 messages suppressed."), ("6.1", 1, "warn_alloc: 14 callbacks suppressed")],
)
def test_one_moment_has_one_report(kernel: str, burst: int, said: str) -> None:
    """nopage_rs: one in ten seconds; 2.6.11 printk_ratelimit: ten at once. Commands are further apart than that."""
    machine = failing(kernel, arch="x86_32")
    reports = machine.page_alloc.reports
    before = len(reports.texts)
    reports.hold()
    for _ in range(15):
        reports.failed(0xCC0, 9, 0, None)
    reports.release()
    assert len(reports.texts) == before + burst
    saved = reports.save()
    assert machine.alloc_pages("GFP_KERNEL", 9) is None
    assert machine.dmesg[before + burst] == said
    assert len(machine.dmesg) == before + burst + 2
    reports.load(saved)
    assert (len(reports.texts), reports.missed) == (before + burst, 15 - burst)


def test_a_memory_policys_nodes_are_named_and_shown() -> None:
    """nodemask=%*pbl; who may wait is shown those nodes only (SHOW_MEM_FILTER_NODES)."""
    machine = Machine.boot(nodes=["64M"] * 3, cpus=3, kernel="6.1")
    allocator = machine.page_alloc
    for gfp, nodes in ((0xCC0, {"1", "2"}), (0x820, {"0", "1", "2"})):
        allocator.reports.failed(gfp, 3, 1, frozenset({1, 2}))
        text = allocator.reports.texts[-1]
        assert "nodemask=1-2,cpuset=/,mems_allowed=0-2" in text
        assert set(re.findall(r"^Node (\d) active_anon", text, re.MULTILINE)) == nodes


def test_slabs_are_counted() -> None:
    """NR_SLAB_RECLAIMABLE_B and NR_SLAB_UNRECLAIMABLE_B, in pages."""
    machine = Machine.boot(memory="64M", cpus=1, kernel="6.1")
    machine.kmem_cache_init()
    machine.kmem_cache_create("names", 192, flags="reclaim_account")
    for _ in range(100):
        machine.kmem_cache_alloc("names")
    machine.page_alloc.reports.failed(0xCC0, 0, 0, None)
    pages = {True: 0, False: 0}
    for cache in machine.snapshot().slabs or ():
        pages["reclaim_account" in cache.flags] += (cache.slabs or 0) << (cache.order or 0)
    assert f" slab_reclaimable:{pages[True]} slab_unreclaimable:{pages[False]}" in machine.dmesg[0].splitlines()
    assert pages[True] >= 5


@pytest.mark.parametrize("kernel", ["2.4", "2.6.11", "5.6", "6.1", "6.12", "6.18"])
def test_more_than_the_largest_block(kernel: str) -> None:
    """WARN_ON_ONCE(!(gfp_mask & __GFP_NOWARN)) [5.6], WARN_ON_ONCE_GFP; 2.6.11 reports it as any failure."""
    machine = Machine.boot(kernel=kernel, memory="64M", cpus=1, arch="x86_32" if kernel.startswith("2") else "x86_64")
    assert machine.alloc_pages("GFP_KERNEL|__GFP_NOWARN", 11) is None
    assert machine.dmesg == ()
    for _ in range(2):
        assert machine.alloc_pages("GFP_KERNEL", 11) is None
    name = {"5.6": "_nodemask", "6.1": "", "6.12": "_noprof", "6.18": "_noprof"}.get(kernel)
    function = "__alloc_frozen_pages_noprof" if kernel == "6.18" else f"__alloc_pages{name}"
    warning = f"------------[ cut here ]------------\nWARNING: CPU: 0 PID: 0 at mm/page_alloc.c {function}"
    if kernel == "2.6.11":
        assert [text.splitlines()[0] for text in machine.dmesg] == [
            "kmem: page allocation failure. order:11, mode:0xd0"
        ] * 2
    else:
        assert machine.dmesg == (() if kernel == "2.4" else (warning,))
    machine.goto(1)
    assert machine.dmesg == ()


@pytest.mark.parametrize(("kernel", "boost"), [("5.6", ""), ("5.15", ""), ("6.1", "boost:2048kB ")])
def test_raised_marks_are_told_as_they_are(kernel: str, boost: str) -> None:
    """min_wmark_pages and its like add watermark_boost; the boost itself is told since 5.16."""
    allocator = Machine.boot(memory="64M", cpus=1, kernel=kernel).page_alloc
    zone = allocator.zones[1].zone
    zone.watermark_boost = 512
    allocator.reports.failed(0xCC0, 0, 0, None)
    marks = [(mark + 512) * 4 for mark in (zone.wmark_min, zone.wmark_low, zone.wmark_high)]
    assert "kB {}min:{}kB low:{}kB high:{}kB ".format(boost, *marks) in allocator.reports.texts[0]
