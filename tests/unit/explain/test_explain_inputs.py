from __future__ import annotations

from dataclasses import replace

import pytest

from kmemwidgets.explain.boot import BootInputs, predict_boot
from kmemwidgets.explain.memblock_log import MemblockLog, read_log, replay
from kmemwidgets.explain.meminfo import MeminfoSet, predict_meminfo
from kmemwidgets.explain.reserves import (
    ReserveInputs,
    predict_min_free_kbytes,
    predict_pcp,
    predict_reserves,
    predict_watermarks,
    returned_pages,
    user_sysctls,
)
from kmemwidgets.explain.section import agrees
from kmemwidgets.explain.zones import predict_zones
from kmemwidgets.records import MachineSpec, MemoryRange, ZoneInfo
from kmemwidgets.sim.boot_log import first_deferred
from kmemwidgets.sim.describe import describe
from kmemwidgets.sim.zone_sizes import movable_starts, node_memory, spans_of, zone_ranges

MIB = 1 << 20
CONFIG = {"TRANSPARENT_HUGEPAGE": "y", "TRANSPARENT_HUGEPAGE_ALWAYS": "y"}


def inputs(spec: MachineSpec, **changes: object) -> ReserveInputs:
    managed = {
        (0, name): pages
        for name, pages in (("DMA", 3840), ("DMA32", 250_000), ("Normal", 0), ("Movable", 0), ("Device", 0))
    }
    known = ReserveInputs(managed, {(0, "DMA32"): 4000}, "always", False, {})
    return replace(known, **changes)  # type: ignore[arg-type]


def spec_of(**changes: object) -> MachineSpec:
    return describe(**{"memory": "1G", "cpus": 1, "config": CONFIG, **changes})  # type: ignore[arg-type]


def test_reserves_are_those_of_boot_until_somebody_writes() -> None:
    spec = spec_of()
    boot = predict_reserves(spec, inputs(spec))
    share = 45056 // 4 * 246_000 // 249_840
    assert boot.zones[1].wmark_min == share
    assert boot.zones[0].lowmem_reserve[1] == 246_000 // 256
    later = predict_reserves(spec, inputs(spec, thp="madvise"))
    assert later.zones[1].wmark_min == 45056 // 4 * 250_000 // 253_840
    assert later.zones[0].lowmem_reserve[1] == 246_000 // 256  # the reserves are not set again by that
    assert predict_reserves(spec, inputs(spec, thp_written=True)).zones[1].wmark_min == later.zones[1].wmark_min


def test_memory_added_to_a_running_machine_sets_all_reserves_anew() -> None:
    spec = spec_of(cpus=2)
    more = {**inputs(spec).managed, (0, "Normal"): 262_144}
    made = predict_reserves(spec, inputs(spec, managed=more))
    least = made.settings.min_free_kbytes
    # Three zones have pages now, Normal among them; the DMA32 that was given back at boot counts.
    assert least == 3 * 11 * 512 * 4
    assert made.zones[2].wmark_min == least // 4 * 262_144 // (3840 + 250_000 + 262_144)
    assert made.zones[0].lowmem_reserve[1:3] == (250_000 // 256, (250_000 + 262_144) // 256)
    assert made.zones[2].pcp_high == made.zones[2].wmark_low // 2


def test_lazily_made_struct_pages_set_the_reserves_as_zones_grow() -> None:
    spec = spec_of(cmdline="deferred_init=lazy")
    made = predict_reserves(spec, inputs(spec))
    assert made.zones[1].wmark_min == 45056 // 4 * 250_000 // 253_840
    assert made.zones[0].lowmem_reserve[1] == 250_000 // 256


def test_huge_pages_by_command_line_are_no_write() -> None:
    spec = spec_of(cmdline="transparent_hugepage=madvise")
    assert predict_reserves(spec, inputs(spec, thp="madvise")).zones[1].wmark_min == 45056 // 4 * 246_000 // 249_840


def test_kernels_without_huge_pages() -> None:
    spec = spec_of()
    assert predict_min_free_kbytes(spec, inputs(spec, thp=None)) == {"vm.min_free_kbytes": 3998}


def test_what_the_user_set_is_found() -> None:
    spec = spec_of()
    assert user_sysctls(spec) == {}
    plain = replace(spec, sysctl=(("watermark_scale_factor", "10"), ("lowmem_reserve_ratio", "256\t256\t32\t0\t0")))
    assert user_sysctls(plain) == {}
    changed = replace(spec, sysctl=(("watermark_scale_factor", "150"), ("lowmem_reserve_ratio", "64\t256\t32\t0\t0")))
    assert user_sysctls(changed) == {"watermark_scale_factor": "150", "lowmem_reserve_ratio": "64\t256\t32\t0\t0"}
    assert user_sysctls(replace(spec, cmdline="sysctl.vm.min_free_kbytes=9000")) == {"min_free_kbytes": "9000"}
    for told in (
        "sysctl:vm.min_free_kbytes=9000,cap", "{'vm.min_free_kbytes': '9000'}", "min_free_kbytes:9000",
        "sysctl -w vm/min_free_kbytes 9000",
    ):  # fmt: skip
        assert user_sysctls(spec, told) == {"min_free_kbytes": "9000"}
    assert user_sysctls(spec, "lowmem_reserve_ratio=64 64 8") == {"lowmem_reserve_ratio": "64 64 8"}
    assert user_sysctls(spec, "the watermark_scale_factor was left alone") == {}
    echoed = "echo 123 > /proc/sys/vm/watermark_scale_factor;echo 100 30 12 0 >/proc/sys/vm/lowmem_reserve_ratio;quiet"
    assert user_sysctls(spec, echoed) == {"watermark_scale_factor": "123", "lowmem_reserve_ratio": "100 30 12 0"}
    given = replace(spec, sysctl=(("min_free_kbytes", "5000"),))
    assert user_sysctls(given) == {"min_free_kbytes": "5000"}


def test_user_values_are_computed_from_what_is_managed_then() -> None:
    spec = spec_of()
    made = predict_reserves(
        spec,
        inputs(
            spec,
            sysctls={
                "min_free_kbytes": "40000",
                "lowmem_reserve_ratio": "100 256 32 0 0",
                "percpu_pagelist_high_fraction": "10",
            },
        ),
    )
    assert made.settings.min_free_kbytes == 40000
    assert made.zones[1].wmark_min == 10000 * 250_000 // 253_840
    assert made.zones[0].lowmem_reserve[1] == 2500
    assert made.zones[1].pcp_high == 25_000


def test_a_fraction_that_the_user_sets_leaves_what_was_tuned_before() -> None:
    spec = spec_of(kernel="6.12")
    made = predict_pcp(spec, inputs(spec, sysctls={"percpu_pagelist_high_fraction": "64"}))
    figure = "node 0 zone DMA32 cpu 0 high"
    assert made[figure] == 250_000 // 64
    assert agrees(made[figure], 250_000 // 64 + 3000)
    older = spec_of(kernel="6.1")
    assert not agrees(predict_pcp(older, inputs(older, sysctls={"percpu_pagelist_high_fraction": "64"}))[figure], 9000)


def test_only_the_other_sections_take_the_sysctl_for_the_users() -> None:
    spec = spec_of()
    set_by_somebody = inputs(spec, min_free_kbytes=20000)
    assert predict_watermarks(spec, set_by_somebody)["node 0 zone DMA32 min"] == 5000 * 250_000 // 253_840
    as_the_kernel_chose = inputs(spec, min_free_kbytes=45056)
    assert predict_watermarks(spec, as_the_kernel_chose) == predict_watermarks(spec, inputs(spec))


def test_what_boot_gives_back_goes_where_it_lay() -> None:
    spec = replace(
        spec_of(memory="6G"),
        freed=(("initrd", 100), ("unused kernel image (initmem)", 30), ("unused decrypted", 7)),
        reserved=(
            MemoryRange(5 << 30, (5 << 30) + MIB, "reserved", "kernel"),
            MemoryRange(100 * MIB, 101 * MIB, "reserved", "initrd"),
        ),
    )
    managed = {(0, "DMA"): 3840, (0, "DMA32"): 700_000, (0, "Normal"): 800_000}
    assert returned_pages(spec, managed) == {(0, "DMA32"): 100, (0, "Normal"): 37}
    # Nothing tells where they lay: the largest zone.
    assert returned_pages(replace(spec, reserved=()), managed) == {(0, "Normal"): 137}


def test_tuned_lists_are_empty_until_used() -> None:
    spec = spec_of(memory="6G", kernel="6.12", cpus=2)
    managed = {(0, "DMA"): 3840, (0, "DMA32"): 700_000, (0, "Normal"): 800_000, (0, "Movable"): 0, (0, "Device"): 0}
    figures = predict_pcp(spec, ReserveInputs(managed, {(0, "DMA32"): 900}, "always", False, {}))
    assert figures["node 0 zone DMA cpu 0 high"] == 0
    assert figures["node 0 zone DMA cpu 0 high_min"] > 0  # type: ignore[operator]
    assert figures["node 0 zone DMA32 cpu 0 high"] == figures["node 0 zone DMA32 cpu 0 high_min"]
    # The worker that unpacked the initrd may have run on either cpu.
    high = figures["node 0 zone DMA32 cpu 0 high"]
    assert all(agrees(figures[f"node 0 zone DMA32 cpu {cpu} high"], seen) for cpu in (0, 1) for seen in (0, high))
    alone = predict_pcp(replace(spec, cpus=1), ReserveInputs(managed, {(0, "DMA32"): 900}, "always", False, {}))
    assert not agrees(alone["node 0 zone DMA32 cpu 0 high"], 0)
    assert not agrees(figures["node 0 zone DMA cpu 1 high"], figures["node 0 zone DMA cpu 1 high_min"])
    assert figures["node 0 zone Normal cpu 1 high"] == figures["node 0 zone Normal cpu 1 high_min"]


def test_empty_zones_have_no_start() -> None:
    figures = predict_zones(spec_of())
    assert "node 0 zone Normal start_pfn" not in figures
    assert figures["node 0 zone Normal spanned"] == 0


@pytest.mark.parametrize(
    ("arch", "pae", "cmdline", "total", "highmem"),
    [
        ("x86_64", False, "", 3998 - 64 - 158 + 258048 - 4032, None),
        ("x86_32", True, "", None, 0),
        ("x86_32", True, "movablecore=512M", None, 0),
    ],
)
def test_boot_lines_of_machines(arch: str, pae: bool, cmdline: str, total: int | None, highmem: int | None) -> None:
    spec = describe(
        arch=arch, memory="2G" if arch == "x86_32" else "1G", pae=pae, cmdline=cmdline, cpus=1, config={"NR_CPUS": 32}
    )
    figures = predict_boot(spec, BootInputs(MemblockLog((), (), ())))
    spans = {zone: figures[f"range of zone {zone}"] for zone in ("DMA", "Normal")}
    assert spans["DMA"] == "0x0000000000001000-0x0000000000ffffff"
    if highmem is not None:
        present = 2 * 262144 - 0x36FFE
        assert figures["Memory: highmem"] == present * 4
        # Nothing is taken off for the memory map of zones that are high memory.
        low = 3998 - 40 + (0x36FFE - 4096) - -(-(0x36FFE - 4096) * 40 // 4096)
        assert figures["total pages"] == low + present
    else:
        assert figures["total pages"] == total
        assert "Memory: highmem" not in figures
    assert ("movable zone start of node 0" in figures) == bool(cmdline)


def test_struct_pages_are_initialised_late_from_a_section_on() -> None:
    def first(memory: str, **changes: object) -> int:
        spec = describe(memory=memory, config={"DEFERRED_STRUCT_PAGE_INIT": "y"}, **changes)  # type: ignore[arg-type]
        ram = node_memory(spec)
        ranges = zone_ranges(spec, ram)
        spans = spans_of(spec, ram, ranges, movable_starts(spec, ram, ranges))
        return first_deferred(spec, ram, spans, 0)

    # The first section of the last zone, and on to where the next begins.
    assert first("512M") == 0x10000
    assert first("6G") == (1 << 20) + 0x8000
    assert first("200M") == 200 << 8  # too little for that
    assert first("512M", kernel="2.6.11", arch="x86_32") == 512 << 8


LOG = """MEMBLOCK configuration:
 memory size = 0x0000000000ff0000 reserved size = 0x0000000000001000
 memory.cnt  = 0x1
 memory[0x0]\t[0x0000000000010000-0x0000000000ffffff], 0x0000000000ff0000 bytes flags: 0x0
 reserved.cnt  = 0x1
 reserved[0x0]\t[0x0000000000010000-0x0000000000010fff], 0x0000000000001000 bytes on node 0 flags: 0x0
memblock_alloc_try_nid: 4096 bytes align=0x1000 nid=-1 from=0x0000000000000000 max_addr=0x0000000000000000 init+0x1/0x2
memblock_reserve: [0x0000000000fff000-0x0000000000ffffff] memblock_alloc_range_nid+0xb0/0x13d
memblock_reserve: [0x0000000000100000-0x00000000001fffff] setup_arch+0x1/0x2
memblock_phys_free: [0x0000000000100000-0x000000000010ffff] setup_arch+0x1/0x2
memblock_reserve: [0x0000000000800000-0x0000000000800fff] memblock_alloc_range_nid+0xb0/0x13d
MEMBLOCK configuration:
 reserved[0x0]\t[0x0000000000000000-0x0000000000ffffff], 0x0000000001000000 bytes flags: 0x0
memblock_phys_free: [0x0000000000200000-0x00000000001fffff] memblock_free+0x1a/0x22
Memory: 1K/2K available (1K kernel code)
memblock_phys_free: [0x0000000000800000-0x0000000000800fff] free_initrd_mem+0x34/0x5c
"""


def test_a_log_of_the_early_allocator_is_asked_again() -> None:
    log = read_log(LOG.splitlines())
    assert (log.memory, log.reserved) == (((0x10000, 0x1000000, 0),), ((0x10000, 0x11000),))
    memblock, places = replay(log, 4096, 0x1000000)
    # The third search isn't shown, so that only its result is taken.
    assert places == [(0xFFF000, 0xFFF000), (None, 0x800000)]
    assert [(r.base, r.end) for r in memblock.reserved.regions] == [
        (0x10000, 0x11000), (0x110000, 0x200000), (0x800000, 0x801000), (0xFFF000, 0x1000000),
    ]  # fmt: skip
    assert not read_log(LOG.splitlines()[6:]).complete


def test_a_boost_is_in_the_low_marks_but_not_in_the_reserve() -> None:
    spec = spec_of()
    zone = ZoneInfo(
        0, "DMA32", free=100_000, boost=600, min=1600, low=1850, high=2100, managed=250_000, protection=(0, 50)
    )
    counters = dict.fromkeys(
        ("nr_active_anon", "nr_inactive_anon", "nr_active_file", "nr_inactive_file", "nr_kernel_stack"), 0
    )
    counters.update(nr_inactive_file=4000, nr_file_pages=4100, nr_slab_reclaimable=300, nr_slab_unreclaimable=10)
    entry = MeminfoSet("snap", {"Buffers": 40}, (zone,), counters, (0, 0), swap_moves=False)
    figures = predict_meminfo(spec, (entry,))
    reserve = 50 + 2100 - 600
    assert figures["snap MemAvailable"] == 4 * (100_000 - reserve + 4000 - 1850 + 300 - 150)
    assert figures["snap Cached"] == 4100 * 4 - 40
    assert figures["snap Slab"] == 310 * 4


def test_hugetlb_pages_take_from_the_commit_limit() -> None:
    spec = replace(spec_of(), sysctl=(("nr_hugepages", "8"), ("overcommit_ratio", "80")))
    zone = ZoneInfo(0, "DMA32", free=1, min=1, low=1, high=1, managed=100_000)
    given = {
        "Active(anon)": 4,
        "Inactive(anon)": 8,
        "Active(file)": 0,
        "Inactive(file)": 0,
        "SReclaimable": 4,
        "SUnreclaim": 8,
        "MemFree": 400,
    }
    figures = predict_meminfo(spec, (MeminfoSet("proc", given, (zone,), None, (4000, 0), swap_moves=True),))
    assert figures["proc HugePages_Total"] == 8
    assert figures["proc Hugetlb"] == 8 * 2048
    assert figures["proc CommitLimit"] == ((100_000 - 8 * 512) * 80 // 100 + 1000) * 4
    assert figures["proc Active"] == 4
    assert figures["proc Slab"] == 12
    assert "proc SwapFree" not in figures


@pytest.mark.parametrize(
    ("cmdline", "gib"),
    [
        ("hugepages=8", 0),
        ("hugepagesz=1G hugepages=2 hugepagesz=2M hugepages=8", 2),
        ("hugepagesz=1G hugepages=0:1,1:2", 3),
    ],
)
def test_pools_of_other_sizes_are_those_of_the_command_line(cmdline: str, gib: int) -> None:
    spec = replace(spec_of(cmdline=cmdline), sysctl=(("nr_hugepages", "8"),))
    zone = ZoneInfo(0, "DMA32", free=1, min=1, low=1, high=1, managed=10_000_000)
    figures = predict_meminfo(spec, (MeminfoSet("proc", {"MemFree": 400}, (zone,), None, (0, 0), swap_moves=True),))
    assert figures["proc HugePages_Total"] == 8
    assert figures["proc Hugetlb"] == 8 * 2048 + (gib << 20)
    assert figures["proc CommitLimit"] == (10_000_000 - 8 * 512 - (gib << 18)) // 2 * 4


def test_meminfo_without_a_firmware_map_still_adds_up() -> None:
    zone = ZoneInfo(0, "DMA32", free=1, min=1, low=1, high=1, managed=100_000)
    given = dict.fromkeys(("Active(anon)", "Inactive(anon)", "Active(file)", "Inactive(file)", "SReclaimable"), 4)
    entry = MeminfoSet("proc", {**given, "SUnreclaim": 8, "MemFree": 400}, (zone,), None, (0, 0), swap_moves=False)
    figures = predict_meminfo(MachineSpec(), (entry,))
    assert figures["proc MemTotal"] == 400_000
    assert figures["proc Slab"] == 12
    assert "proc DirectMap4k" not in figures


def test_the_short_meminfo_of_an_old_kernel_is_read() -> None:
    # Before 2.6.28 there are no lists of anonymous and file pages, and Slab is one number.
    zone = ZoneInfo(0, "Normal", free=100, min=1, low=1, high=1, present=100_000, managed=100_000)
    of_proc = MeminfoSet("proc", {"MemFree": 400}, (zone,), None, (0, 0), swap_moves=False)
    figures = predict_meminfo(MachineSpec(), (of_proc,))
    assert figures["proc MemTotal"] == 400_000
    assert "proc Active" not in figures
    counters = {"nr_free_pages": 100, "nr_slab": 30}
    at_once = predict_meminfo(MachineSpec(), (replace(of_proc, name="snap", vmstat=counters),))
    assert at_once["snap MemFree"] == 400
    assert "snap KernelStack" not in at_once


def test_what_the_kernel_refuses_changes_nothing() -> None:
    spec = spec_of()
    refused = inputs(spec, sysctls={"watermark_scale_factor": "5000", "percpu_pagelist_high_fraction": "3"})
    assert predict_watermarks(spec, refused) == predict_watermarks(spec, inputs(spec))


@pytest.mark.parametrize(("kernel", "less"), [("6.1", 0), ("6.12", 40)])
def test_a_memory_line_that_comes_late_no_longer_counts_what_the_image_gave_back(kernel: str, less: int) -> None:
    spec = spec_of(kernel=kernel)
    log = MemblockLog(((0, 1 << 30, 0),), ((0, MIB), (16 * MIB, 64 * MIB)), ())
    reserved = [predict_boot(spec, BootInputs(log, kb))["Memory: reserved"] for kb in (0, 40)]
    assert isinstance(reserved[0], int)
    assert isinstance(reserved[1], int)
    assert reserved[0] - reserved[1] == less
