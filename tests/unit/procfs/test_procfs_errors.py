"""What is missing, cut or contradicts itself is one clear error that names the file and the line."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from kmemwidgets import procfs
from kmemwidgets.procfs import meminfo, zoneinfo
from kmemwidgets.records import BadInput, PerCpuPages, ZoneInfo

ZONE = """Node 0, zone   Normal
  pages free     100
        min      10
        low      20
        high     30
        spanned  400
        present  300
        managed  200
        protection: (0, 0)
  pagesets
    cpu: 0
              count: 1
              high:  2
              batch: 3
  start_pfn:           4096
"""
EMPTY_ZONE = """Node 0, zone  Movable
  pages free     0
        min      0
        low      0
        high     0
        spanned  0
        present  0
"""
PAGETYPES = """Page block order: 9
Pages per block:  512

Free pages count per migrate type at order       0      1 
Node    0, zone   Normal, type    Unmovable      1      0 
Node    0, zone   Normal, type      Movable >100000      2 

Number of blocks type     Unmovable      Movable 
Node 0, zone   Normal            3           40 
"""  # noqa: W291 - the kernel writes blanks there
AREAS = """00001000-00003000 r--p 00000000 00:00 0 
Size: 8 kB
Rss: 0 kB
Pss: 0 kB
VmFlags: rd mr 
00003000-00004000 r--p 00000000 00:00 0 
Size: 4 kB
Rss: 0 kB
Pss: 0 kB
VmFlags: rd mr 
"""  # noqa: W291 - the kernel writes blanks there
LISTS = """zone 0 DMA start_pfn 1 spanned 4095
nr_free 0 DMA 0 0
zone 0 Normal start_pfn 4096 spanned 4096
free 0 Normal 0 0 1: 5000
nr_free 0 Normal 0 1
"""
SLABS = "\n".join(procfs.slabinfo._HEAD_21) + "\ndentry 1 2 192 21 1 : tunables 0 0 0 : slabdata 1 1 0\n"

CASES = [
    ("meminfo", "", "F: the file is empty"),
    ("meminfo", "MemTotal: 5 kB\nMemFree: 1", "F:2: the last line is cut: 'MemFree: 1' has no end of line"),
    ("meminfo", "MemTotal: 5 kB\n", "F:1: the file ends without MemFree"),
    ("meminfo", "MemTotal: 5 kB\nMemFree: x kB\n", "F:2: expected 'NAME: NUMBER kB', not 'MemFree: x kB'"),
    ("meminfo", "MemTotal: 5 kB\nMemTotal: 5 kB\n", "F:2: MemTotal stands here a second time"),
    ("meminfo", "MemTotal: 5 kB\nMemFree: 6 kB\n", "F:2: MemFree 6 is more than MemTotal 5; one of the two"),
    ("meminfo", f"{meminfo._TABLE_HEAD}\nMem: 1 2 3\nMem: 1 2 3\n", "F:3: the row Mem stands here a second time"),
    ("meminfo", "MemTotal: 007 kB\nMemFree: 6 kB\n", "F:1: 'MemTotal: 007 kB' is not written as the kernel"),
    ("meminfo", f"MemTotal: {'9' * 30} kB\n", "F:1: expected 'NAME: NUMBER kB'"),
    ("node_meminfo", "Node 0 MemTotal: 9 kB\nNode 1 MemFree: 1 kB\n", "F:2: a line of node 1 in the file of node 0"),
    ("numastat", "numa_hit 1\n", "F:1: the file ends without numa_miss"),
    ("vmstat", "pgpgin 4\n", "F:1: neither nr_dirty nor nr_free_pages"),
    ("buddyinfo", "Node 0, zone DMA 1 2\nNode 0, zone Normal 1\n", "F:2: 1 orders here, but 2 in line 1"),
    ("buddyinfo", "Node 0, zone DMA 1 2\nNode 0, zone DMA 1 2\n", "F:2: zone DMA of node 0 stands in line 1 too"),
    ("zoneinfo", ZONE.replace("        high     30\n", ""), "F:14: zone Normal of node 0 ends without high"),
    ("zoneinfo", ZONE.replace("low      20", "low      31"), "F:15: zone Normal of node 0: low 31 is more than"),
    ("zoneinfo", ZONE.replace("managed  200", "managed  301"), "F:15: zone Normal of node 0: managed 301 is more than"),
    ("zoneinfo", ZONE.partition("  pagesets")[0], "F:9: zone Normal of node 0 ends without pagesets and start_pfn"),
    (
        "zoneinfo",
        ZONE + ZONE.replace("Normal", "HighMem").replace("  start_pfn:           4096\n", ""),
        "F:29: zone HighMem of node 0 ends without start_pfn, which the zones above have",
    ),
    ("zoneinfo", ZONE + EMPTY_ZONE, "F:22: zone Movable of node 0 ends without protection, which the zones above have"),
    ("zoneinfo", ZONE + ZONE, "F:16: zone Normal of node 0 stands here a second time, after line 1"),
    ("zoneinfo", ZONE.replace("              high:  2\n", ""), "F:14: zone Normal of node 0: the lists of cpu 0 end"),
    ("zoneinfo", ZONE.split("\n", 1)[1], "F:1: expected 'Node N, zone NAME' first"),
    ("zoneinfo", ZONE.replace("spanned  400", "spanned  few"), "F:6: expected a line of /proc/zoneinfo"),
    ("pagetypeinfo", PAGETYPES.replace("512", "256"), "F:2: 256 pages per block, but line 1 says order 9"),
    ("pagetypeinfo", PAGETYPES.partition("Number")[0], "F:7: the file ends before the table of blocks"),
    ("pagetypeinfo", PAGETYPES.replace("3           40", "3"), "F:9: 1 types here, but 2 in the heading"),
    (
        "pagetypeinfo",
        PAGETYPES.replace("Node    0, zone   Normal, type      Movable", "Node    0, zone  Movable, type      Movable"),
        "F:9: the file ends without the blocks of zone Movable, node 0",
    ),
    ("pagetypeinfo", PAGETYPES + "Page block order: 9\n", "F:10: the file ends before the tables of the next node"),
    ("slabinfo", "slabinfo - version: 9\n", "F:1: expected 'slabinfo - version: 2.1' or an older version"),
    ("slabinfo", SLABS.replace("21 1 :", "21 3 :"), "F:3: 3 pages per slab; expected a power of two"),
    ("slabinfo", SLABS.replace("tunables 0", "tunables"), "F:3: expected a cache's row of slabinfo 2.1"),
    ("swaps", "Filename Type Size Used Priority\n/s file 4 5 -2\n", "F:2: Used 5 is more than Size 4; one of the two"),
    ("swaps", "nothing\n", "F:1: expected the heading"),
    ("vmallocinfo", "0xffffc90000000000-0xffffc90000005000 20480 pages=4 pages=4\n", "F:1: pages=4 is the second"),
    ("vmallocinfo", "0xffffc90000000000-0xffffc90000005000 20480 a;b\n", "F:1: 'a;b' is nothing that the kernel says"),
    ("iomem", "00002000-00001fff : x\n00000010-00000001 : y\n", "F:1: the range ends at 00001fff, before"),
    ("iomem", "00000000-00001fff : x\n    00000000-00000001 : y\n", "F:2: '00000000-00000001 : y' is indented further"),
    ("maps", "00002000-00001000 r--p 00000000 00:00 0 \n", "F:1: the area ends at 00001000, before its start"),
    (
        "maps",
        "00001000-00003000 r--p 00000000 00:00 0 \n00002000-00004000 r--p 00000000 00:00 0 \n",
        "F:2: the area at 2000 begins before the one above it ends, at 3000",
    ),
    ("smaps", "00001000-00003000 r--p 00000000 00:00 0 \nSize: 8 kB\n", "F:2: the area at 1000 ends without Rss"),
    (
        "smaps",
        "00001000-00003000 r--p 00000000 00:00 0 \nSize: 4 kB\nRss: 0 kB\n",
        "F:3: Size 4 kB, but 1000-3000 has 8",
    ),
    ("smaps", AREAS.rpartition("VmFlags")[0], "F:9: the area at 3000 ends without VmFlags, which the areas above have"),
    ("smaps", AREAS.rpartition("Pss")[0], "F:8: the area at 3000 ends without Pss, which the areas above have"),
    ("freelists", LISTS.rpartition("nr_free")[0], "F:4: nr_free of zone Normal, node 0, stands for 0 orders, but"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "message"), CASES, ids=[f"{c[0]}-{n}" for n, c in enumerate(CASES)])
def test_the_error_names_file_line_and_what_was_expected(kind: str, text: str, message: str) -> None:
    with pytest.raises(BadInput, match="^" + re.escape(message)) as caught:
        getattr(procfs, kind).parse(text, "F")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["meminfo", "vmstat", "numastat", "buddyinfo", "swaps", "zoneinfo", "iomem", "maps"])
def test_a_file_beyond_its_format_s_bound_is_refused_before_it_is_read(kind: str) -> None:
    module = getattr(procfs, kind)
    with pytest.raises(BadInput, match=r"F: \d+ characters, more than the \d+ that such a file may have"):
        module.parse("x" * (module.LIMIT + 1), "F")


def test_the_samples_above_are_good_where_they_are_whole() -> None:
    assert zoneinfo.parse(ZONE).zones[0].pagesets[0].batch == 3
    assert procfs.pagetypeinfo.parse(PAGETYPES).free[0, "Normal", "Movable"] == (-100000, 2)
    assert procfs.slabinfo.parse(SLABS).caches[0].order == 0


def test_a_zone_made_by_hand_is_written_as_kernels_of_either_age_do() -> None:
    pageset = PerCpuPages(0, count=1, high=2, batch=3, vm_stats_threshold=4)
    zone = ZoneInfo(0, "Normal", 5, 0, 1, 2, 3, None, 9, 8, 7, 0, (0, 0), 4096, {"nr_mlock": 0}, (pageset,))
    old = """Node 0, zone   Normal
  pages free     5
        boost    0
        min      1
        low      2
        high     3
        spanned  9
        present  8
        managed  7
        cma      0
        protection: (0, 0)
      nr_mlock     0
  pagesets
    cpu: 0
              count: 1
              high:  2
              batch: 3
  vm stats threshold: 4
  start_pfn:           4096
"""
    assert zoneinfo.format(zoneinfo.ZoneInfoFile((zone,))) == old
    tuned = replace(zone, pagesets=(replace(pageset, high_min=5, high_max=6),))
    new = old.replace("count: 1", "count:    1").replace("high:  2", "high:     2").replace("batch: 3", "batch:    3")
    new = new.replace("  vm stats", "              high_min: 5\n              high_max: 6\n  vm stats")
    assert zoneinfo.format(zoneinfo.ZoneInfoFile((tuned,))) == new


def test_unknown_fields_in_a_new_order_are_kept_and_named() -> None:
    text = "MemFree:               3 kB\nMemMagic:              1 kB\nMemTotal:              9 kB\nMagicPages:     4\n"
    record = meminfo.parse(text)
    assert record.unknown == ("MemMagic", "MagicPages")
    assert list(record.info.values) == ["MemFree", "MemMagic", "MemTotal", "MagicPages"]
    assert meminfo.format(record) == text


def test_an_unknown_line_of_a_zone_is_kept_and_named() -> None:
    text = ZONE.replace("        managed", "        magic    77\n        managed").replace(
        "        protection", "      nr_magic 5\n        protection"
    )
    record = zoneinfo.parse(text)
    assert record.unknown == ("magic", "nr_magic")
    assert record.zones[0].stats == {"magic": 77, "nr_magic": 5}
    assert zoneinfo.format(record) == text


def test_the_head_of_a_24_table_whose_rows_are_gone_is_kept() -> None:
    head = "        total:    used:    free:  shared: buffers:  cached:\n"
    text = f"{head}MemTotal:       514152 kB\nMemFree:        354976 kB\n"
    assert meminfo.format(meminfo.parse(text)) == text
