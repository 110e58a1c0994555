"""Published files of kernels from 2.4 on are read and written back byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from casefinder import DATA

from kmemwidgets import procfs

FILES = sorted((DATA / "procfs").glob("*.txt"))


def record_of(name: str):
    path = DATA / "procfs" / name
    return getattr(procfs, name.partition("-")[0]).parse(path.read_text(encoding="utf-8"), name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_round_trip_and_recognised(path: Path) -> None:
    kind, text = path.name.partition("-")[0], path.read_text(encoding="utf-8")
    module = getattr(procfs, kind)
    assert module.format(module.parse(text, path.name)) == text
    assert procfs.sniff(text) == kind


def test_every_file_says_where_it_was_published() -> None:
    listed = (DATA / "procfs" / "SOURCES.md").read_text(encoding="utf-8")
    assert [path.name for path in FILES if f"| {path.name} |" not in listed] == []


def test_meminfo_of_2_4_has_a_table_in_bytes() -> None:
    record = record_of("meminfo-2.4.10.txt")
    assert record.table["Mem"] == (526491648, 162996224, 363495424, 0, 8679424, 29622272)
    assert record.table["Mem"][0] == record.info["MemTotal"] * 1024
    assert record.info.get("MemAvailable") is None


def test_zoneinfo_of_2_6_14_has_hot_and_cold_lists_and_an_unknown_counter() -> None:
    record = record_of("zoneinfo-2.6.14-i386.txt")
    normal = record.zones[1]
    assert [(pcp.cpu, pcp.pcp, pcp.low, pcp.high) for pcp in normal.pagesets] == [(0, 0, 62, 186), (0, 1, 0, 62)]
    assert normal.protection == (0, 0, 948)
    assert normal.managed is None
    assert normal.stats["scanned.active"] == 0
    assert record.zones[0].stats["scanned.active"] == 24
    assert record.unknown == ("tscanned",)


def test_zoneinfo_of_2_6_15_counts_numa_hits_for_each_cpu() -> None:
    zone = record_of("zoneinfo-2.6.15-numa.txt").zones[0]
    assert (zone.nid, zone.stats["numa_miss.cpu0"], zone.stats["local_node.cpu1"]) == (1, 26392398, 41673815)


def test_zoneinfo_of_4_19_has_stats_of_the_node() -> None:
    record = record_of("zoneinfo-4.x-procfs.txt")
    assert record.node_stats[0]["nr_anon_pages"] == 795576
    assert record.zones[0].managed == 3956
    assert record.zones[0].boost is None


def test_slabinfo_of_2_4() -> None:
    record = record_of("slabinfo-1.1-smp.txt")
    cache = record.caches[5]
    assert (cache.name, cache.active_objs, cache.num_objs, cache.slab_size, cache.slabs) == (
        "nfs_write_data", 147, 209, 352, 19,
    )  # fmt: skip
    assert record.extra[5] == " :  124   62"
    assert record_of("slabinfo-1.1-statistics.txt").caches[3].order == 5


def test_vmallocinfo_without_0x_before_physical_addresses() -> None:
    record = record_of("vmallocinfo-2.6.32-x86_64.txt")
    assert record.areas[0].phys == 0xFED00000
    assert record.areas[1].phys == 0x7FFFE000
    assert not record.hashed
    assert record.areas[2].nodes == {0: 32}


def test_sizes_of_seven_digits_need_no_blank_before_them() -> None:
    areas = record_of("vmallocinfo-3.4-arm.txt").areas
    assert (areas[0].end, areas[0].size) == (0xF36FF000, 1044480)
    assert (areas[5].end, areas[5].size) == (0xFB600000, 13631488)


def test_node_meminfo_of_2_6_begins_with_an_empty_line_and_may_have_a_blank_in_a_name() -> None:
    assert record_of("node_meminfo-2.6.16-x86_64.txt").values["MemUsed"] == 134560
    assert record_of("node_meminfo-2.6.18-ppc64.txt").values["NFS Unstable"] == 0


def test_smaps_rollup_has_no_size() -> None:
    (vma,) = record_of("smaps-4.14-rollup.txt").vmas
    assert vma.path == "[rollup]"
    assert vma.smaps is not None
    assert "Size" not in vma.smaps
