"""The memory lines of kernel logs, new and old."""

from __future__ import annotations

from pathlib import Path

import pytest
from casefinder import capture_id, captures

from kmemwidgets.capture import Capture
from kmemwidgets.procfs import dmesg
from kmemwidgets.records import BadInput, MemoryRange, NodeRange


def test_a_log_of_two_nodes() -> None:
    log = dmesg.parse(Capture.bundled("amd64-2g-numa2").text("dmesg.txt"))
    assert log.e820[0] == MemoryRange(0, 0x9FC00, "usable")
    assert log.e820[-1] == MemoryRange(0xFD00000000, 0x10000000000, "reserved")
    assert log.srat[2] == NodeRange(1, 0x40000000, 0x80000000)
    assert log.srat_cpus == (0, 1)
    assert [(row.name, row.start, row.end) for row in log.zone_ranges] == [
        ("DMA", 0x1000, 0x1000000),
        ("DMA32", 0x1000000, 0x7FFDD000),
        ("Normal", None, None),
        ("Device", None, None),
    ]
    assert log.early_node_ranges[-1] == NodeRange(1, 0x40000000, 0x7FFDD000)
    assert (log.zonelists, log.total_pages, log.fallback) == (2, 515805, ((0, (0, 1)), (1, (1, 0))))
    assert log.memory is not None
    assert (log.memory.available, log.memory.total) == (391932, 2096620)
    assert (log.memory.get("kernel code"), log.memory.get("cma-reserved"), log.memory.get("highmem")) == (
        14343,
        0,
        None,
    )
    assert [(row.name, row.kb) for row in log.freeing][:2] == [("SMP alternatives", 36), ("initrd", 3872)]
    assert log.nr_cpu_ids == 2
    assert {table.name for table in log.hash_tables} >= {"Dentry cache", "Inode-cache"}


def test_a_moved_initrd_is_where_it_went() -> None:
    log = dmesg.parse(Capture.bundled("i386-pae-2g").text("dmesg.txt"))
    assert log.ramdisk == MemoryRange(0x36C4C000, 0x36FFE000, "reserved", "initrd")
    assert log.memory is not None
    assert log.memory.get("highmem") == 1195900


OLD = """<6>BIOS-provided physical RAM map:
<4> BIOS-e820: 0000000000000000 - 000000000009fc00 (usable)
<4> BIOS-e820: 000000000fff0000 - 000000000fff3000 (ACPI NVS)
[    0.000000] Movable zone start for each node
[    0.000000]   Node 1: 0x0000000080000000
[    0.000000] ACPI: SRAT: Node 3 PXM 3 [mem 0x100000000-0x1ffffffff] hotplug
[    0.000000] memblock_reserve: [0x0000000001000000-0x0000000001ffffff] setup_arch+0x1/0x2
[    0.000000] memblock_phys_free: [0x0000000001800000-0x00000000018fffff] f+0x1/0x2
[    0.000000] memblock_phys_free: [0x00000000363e9000-0x00000000363e8fff] memblock_free+0x1a/0x22
[    0.000000] memblock_remove: [0x0001000000000000-0x0000fffffffffffe] arm64_memblock_init+0x1/0x2
[    0.000000] memblock_reserve: [0xfffff000-0xffffffff] f+0x1/0x2
[    0.000000] Memory: 1K/2K available (1K kernel code)
[    0.090000] memblock_phys_free: [0x0000000001000000-0x0000000001ffffff] free_initrd_mem+0x34/0x5c
[    0.100000][    T0] Freeing initrd memory: 64K
Freeing unused kernel memory: 212k freed
"""


def test_lines_of_other_ages() -> None:
    log = dmesg.parse(OLD)
    assert log.e820 == (MemoryRange(0, 0x9FC00, "usable"), MemoryRange(0xFFF0000, 0xFFF3000, "ACPI NVS"))
    assert log.movable_start == ((1, 0x80000000),)
    assert log.srat == (NodeRange(3, 0x100000000, 0x200000000, hotplug=True),)
    assert [(call.call, call.start, call.end) for call in log.memblock] == [
        ("reserve", 0x1000000, 0x2000000),
        ("free", 0x1800000, 0x1900000),
        ("remove", 1 << 48, 1 << 64),
        ("reserve", 0xFFFFF000, 1 << 32),
    ]
    assert [(row.name, row.kb) for row in log.freeing] == [("initrd", 64), ("unused kernel", 212)]


def test_a_log_without_a_memory_line_is_empty() -> None:
    log = dmesg.parse("usb 1-1: new device\n")
    assert (log.e820, log.memory, log.zonelists) == ((), None, None)


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(BadInput, match="F:2: a range that ends at 0x0000, before its start 0x1000"):
        dmesg.parse("x\nBIOS-e820: [mem 0x1000-0x0000] usable\n", "F")


@pytest.mark.parametrize("path", captures(), ids=capture_id)
def test_every_recorded_log_has_its_lines(path: Path) -> None:
    capture = Capture.load(path)
    log = dmesg.parse(capture.text("dmesg.txt"), path.name)
    assert log.zone_ranges
    assert log.early_node_ranges
    # A node without memory has a zonelist, too; a kernel without NUMA shows no nodes.
    assert log.zonelists == max(len(capture.node_ids()), 1)
    assert log.memory is not None
    kib = sum(row.end - row.start for row in log.early_node_ranges) // 1024
    # What highmem= leaves idle counts nowhere; it leaves nothing where all memory fits.
    assert kib >= log.memory.total if "highmem=" in capture.meta["cmdline"] else kib == log.memory.total
    assert {row.name for row in log.freeing} >= {"initrd"}
    if capture.meta["arch"] != "arm64":
        assert log.e820
        assert log.ramdisk
