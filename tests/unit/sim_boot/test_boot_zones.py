from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmemwidgets.records import BadInput, MachineSpec, MemoryRange, NodeRange
from kmemwidgets.sim.describe import describe
from kmemwidgets.sim.zone_sizes import (
    movable_starts,
    node_memory,
    pageblock_order,
    usable_memory,
    zone_names,
    zone_ranges,
    zone_spans,
)

MIB = 1 << 20
GIB = 1 << 30


def ranges(spec: MachineSpec) -> dict[str, tuple[int, int]]:
    return {
        zone.name: (zone.start_pfn, zone.end_pfn) for zone in zone_ranges(spec, node_memory(spec)) if not zone.empty
    }


def test_a_pc_with_6_gib() -> None:
    spec = describe(memory="6G")
    assert ranges(spec) == {"DMA": (1, 4096), "DMA32": (4096, 1 << 20), "Normal": (1 << 20, (1 << 20) + 3 * 262144)}
    spans = {span.name: span for span in zone_spans(spec)}
    assert (spans["DMA"].start_pfn, spans["DMA"].spanned, spans["DMA"].present) == (1, 4095, 3998)
    assert (spans["DMA32"].spanned, spans["DMA32"].present) == ((1 << 20) - 4096, 786432 - 4096)
    assert spans["Movable"].spanned == 0


@pytest.mark.parametrize(
    ("kernel", "pae", "nr_cpus", "end"),
    [("2.4", False, "8", 896 * 256), ("2.6.11", True, "8", 896 * 256), ("6.1", True, "32", 0x36FFE),
     ("6.1", False, "32", 0x36BFE), ("5.6", True, "32", 0x36FFE), ("5.6", False, "32", 0x36BFE)],
)  # fmt: skip
def test_low_memory_of_32_bits(kernel: str, pae: bool, nr_cpus: str, end: int) -> None:
    spec = describe(arch="x86_32", memory="2G", kernel=kernel, pae=pae, config={"NR_CPUS": nr_cpus}, cpus=1)
    assert ranges(spec)["Normal"][1] == end
    assert ranges(spec)["HighMem"] == (end, 2 * 262144)


def test_a_32_bit_kernel_without_pae_stops_at_4_gib() -> None:
    spec = describe(arch="x86_32", memory="6G", pae=False)
    assert node_memory(spec)[-1].end_pfn == 3 * 262144
    assert node_memory(replace(spec, pae=True))[-1].end_pfn == (1 << 20) + 3 * 262144


def test_small_32_bit_machines_have_no_high_memory() -> None:
    spec = describe(arch="x86_32", memory="512M")
    assert set(ranges(spec)) == {"DMA", "Normal"}


@pytest.mark.parametrize(
    ("kernel", "memory", "expected"),
    [
        ("5.6", "6G", {"DMA": (GIB, 2 * GIB), "DMA32": (2 * GIB, 4 * GIB), "Normal": (4 * GIB, 7 * GIB)}),
        ("5.6", "512M", {"DMA": (GIB, GIB + 512 * MIB)}),
        ("6.1", "6G", {"DMA": (GIB, 4 * GIB), "Normal": (4 * GIB, 7 * GIB)}),
        ("6.12", "2G", {"DMA": (GIB, 3 * GIB)}),
        ("6.18", "6G", {"DMA": (GIB, 4 * GIB), "Normal": (4 * GIB, 7 * GIB)}),
    ],
)
def test_arm64(kernel: str, memory: str, expected: dict[str, tuple[int, int]]) -> None:
    spec = describe(arch="arm64", memory=memory, kernel=kernel)
    assert ranges(spec) == {name: (low >> 12, high >> 12) for name, (low, high) in expected.items()}


def test_arm64_memory_above_4_gib_is_all_dma() -> None:
    spec = MachineSpec(arch="arm64", kernel=(6, 1), memory=(MemoryRange(8 * GIB, 10 * GIB),))
    assert ranges(spec) == {"DMA": (8 << 18, 10 << 18)}


def test_arm_keeps_760_mib_low() -> None:
    spec = describe(arch="arm", memory="2G", kernel="6.1")
    low = ranges(spec)["Normal"]
    assert low == (GIB >> 12, (GIB + 760 * MIB) >> 12)
    assert ranges(spec)["HighMem"] == (low[1], 3 * GIB >> 12)


def test_2_4_counts_the_holes_and_begins_at_frame_0() -> None:
    spec = describe(arch="x86_32", memory="256M", kernel="2.4", cpus=1)
    dma = zone_spans(spec)[0]
    assert (dma.name, dma.start_pfn, dma.spanned, dma.present) == ("DMA", 0, 4096, 4096)
    assert zone_names(spec) == ("DMA", "Normal", "HighMem")


def test_names_follow_the_configuration() -> None:
    spec = describe(config={"ZONE_DMA": False, "ZONE_DEVICE": "n"})
    assert zone_names(spec) == ("DMA32", "Normal", "Movable")
    assert zone_names(describe(arch="arm64")) == ("DMA", "DMA32", "Normal", "Movable")


@pytest.mark.parametrize(
    ("arch", "page_size", "pae", "order"),
    [("x86_64", 4096, False, 9), ("x86_32", 4096, True, 9), ("x86_32", 4096, False, 10), ("arm64", 4096, False, 9),
     ("arm64", 65536, False, 10)],
)  # fmt: skip
def test_page_blocks(arch: str, page_size: int, pae: bool, order: int) -> None:
    spec = MachineSpec(arch=arch, page_size=page_size, pae=pae, memory=(MemoryRange(0, GIB),))
    assert pageblock_order(spec) == order


def test_the_command_line_takes_memory_away() -> None:
    spec = describe(memory="4G", cmdline="mem=1G")
    assert usable_memory(spec)[-1] == (MIB, GIB)
    assert usable_memory(describe(memory="2G", cmdline="memmap=64M$512M"))[1:] == [
        (MIB, 512 * MIB), (576 * MIB, 2 * GIB),
    ]  # fmt: skip
    arm64 = describe(arch="arm64", memory="2G", cmdline="mem=512M")
    assert usable_memory(arm64) == [(GIB, GIB + 512 * MIB)]


@pytest.mark.parametrize(
    ("cmdline", "expected"),
    [
        ("memmap=1G", [(MIB, GIB)]),
        ("memmap=64M$512M,64M#1G", [(MIB, 512 * MIB), (576 * MIB, GIB), (GIB + 64 * MIB, 2 * GIB)]),
        ("memmap=1G!1G", [(MIB, GIB)]),
        ("memmap=exactmap memmap=640K@0 memmap=511M@1M", [(MIB, 512 * MIB)]),
        # What is reserved is not RAM, whoever says it is; but exactmap forgets all that was said before.
        ("memmap=64M$512M memmap=2G@0", [(MIB, 512 * MIB), (576 * MIB, 2 * GIB)]),
        ("memmap=64M$512M memmap=exactmap memmap=1G@0", [(MIB, GIB)]),
        ("memmap=1G@4G", [(MIB, 2 * GIB), (4 * GIB, 5 * GIB)]),
        ("memmap=1G%1G-1+12", [(MIB, GIB)]),
        ("memmap=1G%3G-2+1", [(MIB, 2 * GIB), (3 * GIB, 4 * GIB)]),
        ("memmap=nonsense mem=nopentium", [(MIB, 2 * GIB)]),
        ("mem=1G mem=512M", [(MIB, 512 * MIB)]),
    ],
)
def test_the_user_draws_the_map(cmdline: str, expected: list[tuple[int, int]]) -> None:
    assert usable_memory(describe(memory="2G", cmdline=cmdline))[1:] == expected


def test_rows_of_the_early_allocator_stay_apart_where_they_touch() -> None:
    rows = (MemoryRange(GIB, GIB + 64 * MIB), MemoryRange(GIB + 64 * MIB, 2 * GIB))
    for arch, count in (("arm64", 2), ("x86_64", 1)):
        assert len(node_memory(MachineSpec(arch=arch, memory=rows))) == count


def movable(cmdline: str, **machine: object) -> dict[int, int]:
    spec = describe(cmdline=cmdline, **machine)  # type: ignore[arg-type]
    memory = node_memory(spec)
    return movable_starts(spec, memory, zone_ranges(spec, memory))


def test_movablecore_on_one_node() -> None:
    # 1 GiB less the 98 frames below 1 MiB that aren't there: kernelcore is what movablecore leaves.
    starts = movable("movablecore=256M", memory="1G")
    assert starts == {0: 768 << 8}
    spans = {span.name: span for span in zone_spans(describe(memory="1G", cmdline="movablecore=256M"))}
    assert (spans["DMA32"].start_pfn, spans["DMA32"].spanned) == (4096, (768 << 8) - 4096)
    assert (spans["Movable"].start_pfn, spans["Movable"].spanned) == (768 << 8, 256 << 8)


def test_kernelcore_is_spread_over_nodes() -> None:
    starts = movable("kernelcore=2G", nodes=["4G", "4G"])
    assert set(starts) == {0, 1}
    # Node 0 has 3 GiB below the hole that can only be the kernel's, so all of what lies above 4 GiB is movable.
    assert starts[0] == 1 << 20
    # That is more than was asked for, so nothing is left for the other node to give.
    assert starts[1] == 5 << 18
    # Else each gives half; the 98 frames that are missing below 1 MiB are made up for, to the next largest block.
    both = movable("kernelcore=8G", nodes=["8G", "8G"])
    assert both == {0: (1 << 20) + (1 << 18) + 1024, 1: (9 << 18) + (4 << 18)}


def test_kernelcore_goes_on_where_nodes_are_small() -> None:
    starts = movable("kernelcore=9G", nodes=["6G", "1G", "6G"])
    assert 1 not in starts
    memory = node_memory(describe(nodes=["6G", "1G", "6G"]))
    kernel = sum(
        min(entry.end_pfn, starts.get(entry.nid, entry.end_pfn)) - min(entry.start_pfn, starts.get(entry.nid, 1 << 60))
        for entry in memory
        if entry.start_pfn < starts.get(entry.nid, 1 << 60)
    )
    assert abs(kernel - 9 * 262144) <= 3 * 1024


def test_percentages_and_too_much() -> None:
    assert movable("kernelcore=50%", memory="2G") == movable("kernelcore=1G", memory="2G")
    assert movable("movablecore=0", memory="2G") == {}
    assert movable("kernelcore=100G", memory="2G") == {}
    # No memory is known to be mirrored, so the kernel ignores it and what else it was told.
    assert movable("kernelcore=mirror", memory="2G") == {}
    assert movable("kernelcore=mirror movablecore=512M", memory="2G") == {}


def test_movable_node_takes_hot_pluggable_nodes() -> None:
    spec = describe(nodes=["2G", "2G"], cmdline="movable_node")
    spec = replace(spec, nodes=tuple(replace(entry, hotplug=entry.nid == 1) for entry in spec.nodes))
    spans = {(span.nid, span.name): span for span in zone_spans(spec)}
    assert spans[1, "Movable"].present == 2 * 262144
    assert spans[0, "Movable"].present == 0
    kept = replace(spec, reserved=(MemoryRange(2 * GIB, 2 * GIB + MIB, "reserved", "kernel"),))
    assert {span.present for span in zone_spans(kept) if span.name == "Movable"} == {0}


def test_tiny_nodes_are_ignored_by_older_kernels() -> None:
    spec = describe(nodes=["2G", "2M"], kernel="6.1")
    assert {entry.nid for entry in node_memory(spec)} == {0}
    assert {entry.nid for entry in node_memory(replace(spec, kernel=(6, 12, 117)))} == {0, 1}


def test_numa_off() -> None:
    assert {entry.nid for entry in node_memory(describe(nodes=2, cmdline="numa=off"))} == {0}


ARCH = st.sampled_from(["x86_64", "x86_32", "arm64", "arm"])
SIZES = st.lists(st.integers(16, 6000), min_size=1, max_size=4)
CMDLINE = st.sampled_from(["", "movablecore=300M", "kernelcore=700M", "kernelcore=30%", "movablecore=60%", "mem=900M"])
KERNEL = st.sampled_from(["5.6", "5.15.0", "6.1", "6.12", "6.18"])


@settings(max_examples=150)
@given(ARCH, SIZES, CMDLINE, KERNEL)
def test_zones_share_all_memory_among_them(arch: str, sizes: list[int], cmdline: str, kernel: str) -> None:
    if arch == "arm":
        sizes = [min(sum(sizes), 2900)]
    spec = describe(arch=arch, nodes=[size << 20 for size in sizes], cmdline=cmdline, kernel=kernel)
    spans = zone_spans(spec)
    memory = node_memory(spec)
    for span in spans:
        assert span.spanned >= span.present >= 0
    for nid in {span.nid for span in spans}:
        own = sorted((s.start_pfn, s.start_pfn + s.spanned) for s in spans if s.nid == nid and s.spanned)
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(own))
        total = sum(entry.end_pfn - entry.start_pfn for entry in memory if entry.nid == nid)
        assert sum(s.present for s in spans if s.nid == nid) == total


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 60)), min_size=1, max_size=8))
def test_early_ranges_are_ascending_and_apart(pairs: list[tuple[int, int]]) -> None:
    entries = tuple(MemoryRange(start << 19, (start + size) << 19) for start, size in sorted(pairs))
    nodes = (NodeRange(0, 0, 40 << 20), NodeRange(1, 40 << 20, 1 << 40))
    spec = MachineSpec(kernel=(6, 12), memory=entries, nodes=nodes)
    try:
        memory = node_memory(spec)
    except BadInput:
        return
    assert all(a.end_pfn <= b.start_pfn for a, b in itertools.pairwise(memory))
    assert all(a.end_pfn < b.start_pfn or a.nid != b.nid for a, b in itertools.pairwise(memory))


def test_more_vmalloc_is_less_low_memory() -> None:
    plain = describe(arch="x86_32", memory="2G", pae=True, config={"NR_CPUS": 32}, cpus=1)
    more = describe(arch="x86_32", memory="2G", pae=True, config={"NR_CPUS": 32}, cpus=1, cmdline="vmalloc=256M")
    # The hole before vmalloc comes on top of what is asked for.
    assert ranges(plain)["Normal"][1] - ranges(more)["Normal"][1] == (256 + 8 - 128) << 8


@pytest.mark.parametrize(
    ("memory", "cmdline", "low", "top"),
    [
        ("1G", "", 0x36FFE, 1 << 18),
        ("1G", "highmem=64M", 0x36FFE, 0x36FFE + (64 << 8)),  # the rest lies idle
        ("1G", "highmem=0", 0x36FFE, 0x36FFE),
        ("1G", "highmem=2G", 0x36FFE, 1 << 18),  # there is less
        ("512M", "highmem=200M", 312 << 8, 512 << 8),  # taken from what the direct map holds
        ("512M", "highmem=449M", 512 << 8, 512 << 8),  # too little would be left
    ],
)
def test_highmem_says_how_much_lies_beyond_the_direct_map(memory: str, cmdline: str, low: int, top: int) -> None:
    config = {"X86_PAE": "y", "HIGHMEM": "y", "HIGHMEM64G": "y"}
    spec = describe(memory=memory, arch="x86_32", cmdline=cmdline, config=config)
    found = ranges(spec)
    assert found["Normal"][1] == low
    assert found.get("HighMem", (low, low)) == (low, top)
