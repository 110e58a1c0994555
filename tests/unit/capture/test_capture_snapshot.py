"""A snapshot joins what the files of one moment say."""

from __future__ import annotations

import sys
from array import array

import pytest
from casefinder import DATA

from kmemwidgets.capture import Capture, from_text
from kmemwidgets.procfs import freelists, kpagecount, kpageflags
from kmemwidgets.records import KPF, MIGRATETYPES, BadInput


@pytest.fixture(scope="module")
def capture() -> Capture:
    return Capture.bundled("amd64-512m")


def test_the_consistent_set_is_the_default(capture: Capture) -> None:
    shot = capture.snapshot()
    assert shot.instant
    assert shot.files[0].startswith("snap/")
    assert shot is capture.snapshot()
    assert not capture.snapshot("proc").instant


def test_a_zone_with_its_lists(capture: Capture) -> None:
    zone = capture.snapshot().zone(0, "DMA32")
    assert (zone.start_pfn, zone.spanned, zone.managed) == (4096, 126941, 113261)
    (pageset,) = zone.pagesets
    assert pageset.lists is not None
    assert len(pageset.lists) == 14
    assert (
        sum(len(pfns) << (index // 3 if index < 12 else 9) for index, pfns in enumerate(pageset.lists)) == pageset.count
    )
    assert zone.free_area is not None
    top = zone.free_area[10]
    assert top.lists is not None
    assert len(top.lists["Movable"]) == top.nr_free
    assert zone.pageblock_types is not None
    assert len(zone.pageblock_types) == 248
    assert set(zone.pageblock_types) <= {0, 1, 2}


def test_frames_have_words_of_flags_orders_and_types(capture: Capture) -> None:
    shot = capture.snapshot()
    assert shot.frames is not None
    assert len(shot.frames.codes) == 131038
    info = capture.frame(3072)
    assert (info.order, info.head, info.migratetype, info.state) == (10, 3072, "Movable", "free")
    assert info.flags == KPF["BUDDY"]
    assert capture.frame(3072 + 1023).head == 3072
    assert shot.frame_tables["order"][3072 + 1023] == 10
    assert MIGRATETYPES[shot.frame_tables["migratetype"][3072]] == "Movable"
    assert capture.frame(1).order is None
    assert shot.frame_tables["order"][1] == -1
    pageset = shot.zone(0, "DMA32").pagesets[0]
    assert pageset.lists is not None
    assert capture.frame(pageset.lists[1][0]).state == "on the per-cpu list 1 of cpu 0"
    with pytest.raises(IndexError):
        capture.frame(1 << 40)


def test_counts_of_frames_come_with_the_flags_read_beside_them(capture: Capture) -> None:
    shot = capture.snapshot("kpage")
    counts = shot.frame_tables["mapcount"]
    assert shot.frames is not None
    assert len(counts.codes) == len(shot.frames.codes)
    anon = [
        pfn for pfn in range(shot.frames.end_pfn) if shot.frames[pfn] & KPF["ANON"] and shot.frames[pfn] & KPF["MMAP"]
    ]
    assert len(anon) > 100
    # One was unmapped between the two files, which are read in turn.
    assert sum(counts[pfn] > 0 for pfn in anon) >= len(anon) - 1
    assert not shot.instant


def test_slab_caches_have_what_sysfs_says(capture: Capture) -> None:
    shot = capture.snapshot()
    assert shot.slabs is not None
    caches = {cache.name: cache for cache in shot.slabs}
    dentry = caches["dentry"]
    assert (dentry.object_size, dentry.slab_size, dentry.objs_per_slab, dentry.order) == (192, 192, 21, 0)
    assert "SLAB_RECLAIM_ACCOUNT" in dentry.flags
    merged = next(cache for cache in shot.slabs if cache.aliases)
    assert merged.name not in merged.aliases


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "amd64-2g-numa2",
            [
                ("direct map", 0xFFFF8C5A00001000),
                ("direct map", 0xFFFF8C5A00100000),
                ("vmalloc", 0xFFFFD35A40000000),
                ("vmemmap", 0xFFFFFCB7C0000000),
                ("vmemmap", 0xFFFFFCB7C0004000),
                ("kernel text", 0xFFFFFFFF85800000),
                ("modules", 0xFFFFFFFFC0000000),
            ],
        ),
        ("i386-pae-2g", [("direct map", 0xC0000000), ("vmalloc", 0xF77FE000)]),
        (
            "arm64-1g",
            [
                ("direct map", 0xFFFF000000000000),
                ("modules", 0xFFFF800000000000),
                ("kernel text", 0xFFFF800008000000),
                ("vmalloc", 0xFFFF800008000000),
                ("vmemmap", 0xFFFFFC0000000000),
            ],
        ),
    ],
)
def test_the_address_layout_is_named(name: str, expected: list[tuple[str, int]]) -> None:
    layout = Capture.bundled(name).snapshot().layout
    assert layout is not None
    assert [(region.name, region.start) for region in layout] == expected
    assert {region.space for region in layout} == {"virtual"}


def test_nodes_of_a_machine_with_two(capture: Capture) -> None:
    shot = Capture.bundled("amd64-2g-numa2").snapshot("proc")
    assert [(node.nid, node.cpus, node.distance, node.fallback) for node in shot.nodes] == [
        (0, (0,), (10, 20), (0, 1)),
        (1, (1,), (20, 10), (1, 0)),
    ]
    assert shot.nodes[1].ranges == ((0x40000, 0x7FFDD),)
    assert shot.nodes[0].meminfo is not None
    assert shot.nodes[0].meminfo["MemTotal"] == 985460
    assert shot.nodes[1].numastat is not None
    assert [zone.name for zone in shot.zones if zone.nid == 1 and zone.populated] == ["DMA32"]


def test_a_zone_with_a_shared_block_takes_the_type_of_its_own_row() -> None:
    zone = Capture.bundled("i386-pae-2g").snapshot().zone(0, "HighMem")
    assert zone.start_pfn == 225278
    assert zone.pageblock_types is not None
    assert len(zone.pageblock_types) == 585


def test_without_sections_each_zone_has_a_row_of_its_own_for_a_shared_block() -> None:
    text = "zone 0 A start_pfn 1 spanned 2499\nzone 0 B start_pfn 2500 spanned 1596\n"
    lists = freelists.parse(text + "pageblock 0 00110\npageblock 2048 2111\n")
    assert lists.pageblock_nr_pages == 512
    assert [zone.pageblock_types for zone in lists.zones] == [bytes([0, 0, 1, 1, 0]), bytes([2, 1, 1, 1])]


def test_with_sections_a_zone_s_blocks_are_cut_out_of_their_rows() -> None:
    text = "# per pageblock of 512 pages\nzone 0 A start_pfn 1 spanned 1023\nzone 0 B start_pfn 1024 spanned 3072\n"
    lists = freelists.parse(text + "pageblock 0 0121\npageblock 2048 1114\n")
    assert [zone.pageblock_types for zone in lists.zones] == [bytes([0, 1]), bytes([2, 1, 1, 1, 1, 4])]


def test_a_moment_known_from_lists_alone() -> None:
    capture = Capture.load(DATA / "captures" / "amd64-512m-boot.tar.xz")
    shot = capture.snapshot("t_boot/before")
    zone = shot.zone(0, "DMA32")
    assert (zone.managed, zone.start_pfn, zone.present, zone.min) == (48111, 4096, None, None)
    assert zone.free_area is not None
    assert zone.free == sum(area.nr_free << area.order for area in zone.free_area)
    assert shot.meminfo is None
    assert shot.slabs is None


def words(count: int, pattern: list[int]) -> bytes:
    data = array("Q", pattern * (count // len(pattern)))
    if sys.byteorder == "big":
        data.byteswap()
    return data.tobytes()


def test_flags_of_four_million_frames_take_a_byte_each() -> None:
    data = words(1 << 22, [0, 1 << 10, 1 << 32, 0x5868])
    record = kpageflags.parse(data)
    assert len(record.frames.codes) == 1 << 22
    assert record.frames.palette == (0, 1 << 10, 1 << 32, 0x5868)
    assert kpageflags.format(record) == data


def test_more_words_than_a_byte_holds_lose_their_rarest_flags() -> None:
    pattern = [word << 1 | 1 << 10 for word in range(300)] * 3 + [1 << 40]
    record = kpageflags.parse(words(len(pattern), pattern))
    assert len(record.frames.palette) <= 256
    assert record.masked[-1] == "SOFTDIRTY"  # bit 40, in one frame only
    mask = ~sum(1 << bit for bit in range(64) if kpageflags._name(bit) in record.masked)
    assert [record.frames[pfn] for pfn in range(len(pattern))] == [word & mask for word in pattern]


def test_counts_beyond_a_byte_are_told_as_or_more() -> None:
    table = kpagecount.parse(words(300, list(range(300))))
    assert [table[pfn] for pfn in (0, 254, 255, 299)] == [0, 254, 255, 255]
    assert table.labels[-1] == "255 or more"


@pytest.mark.parametrize("data", [b"", b"1234567", bytes(12)])
def test_a_cut_file_of_frames_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput, match=r"F: \d+ bytes; expected 8 for each page frame"):
        kpageflags.parse(data, "F")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zone 0 N start_pfn 0 spanned 8\nfree 0 N 0 1 2: 5\n", "F:2: the list says 2 blocks, but 1 follow"),
        ("free 0 N 0 1 1: 5\n", "F:1: no zone line before this one names zone N of node 0"),
        ("zone 0 N start_pfn 0 spanned 8\nfree 0 N 0 9 1: 5\n", "F:2: migrate type 9; expected 0 to 5"),
        ("zone 0 N start_pfn 0 spanned 8\nnr_free 0 N 0 3\n", "F:2: nr_free says 3 blocks of order 0 in zone N, but"),
        ("zone 0 N start_pfn 0 spanned 8\npcplist 0 N cpu 0 list 0: 1\n", "F:2: no pcp line of cpu 0"),
        ("zone 0 N start_pfn 0 spanned 8\nmagic\n", "F:2: expected a zone, free, nr_free"),
        ("# nothing\n", "F: no zone line"),
    ],
)
def test_bad_free_lists_are_refused(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        freelists.parse(text, "F")


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("proc/meminfo", "meminfo"),
        ("proc/vmstat", "vmstat"),
        ("proc/slabinfo", "slabs"),
        ("proc/vmallocinfo", "vmalloc"),
        ("proc/iomem", "iomem"),
        ("proc/swaps", "swaps"),
        ("proc/self_maps", "vmas"),
        ("proc/self_smaps", "vmas"),
        ("proc/zoneinfo", "zones"),
        ("proc/buddyinfo", "zones"),
        ("proc/pagetypeinfo", "zones"),
        ("snap/freelists.after", "zones"),
        ("node/node0.meminfo", "nodes"),
        ("node/node0.numastat", "nodes"),
    ],
)
def test_one_pasted_file_fills_its_part_and_nothing_else(capture: Capture, path: str, part: str) -> None:
    pasted = "\r\n" + capture.text(path).replace("\n", "\r\n").rstrip()
    shot = from_text(pasted)
    parts = {"meminfo", "vmstat", "slabs", "vmalloc", "iomem", "swaps", "vmas", "zones", "nodes"}
    filled = {name for name in parts if getattr(shot, name) not in (None, ())}
    expected = set() if path == "proc/swaps" else {part}  # no swap: known to be none
    assert filled - {"nodes"} == expected - {"nodes"}
    assert getattr(shot, part) is not None


def test_a_pasted_zoneinfo_equals_the_recorded_one(capture: Capture) -> None:
    assert from_text(capture.text("proc/zoneinfo")).zone(0, "DMA32").managed == 113261


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty; paste the contents of a file such as /proc/meminfo"),
        (
            "               total        used        free\nMem: 1 2 3\n",
            "this looks like the output of free; paste /proc/meminfo",
        ),
        ("hello", "this is none of the kernel's memory files: it begins with 'hello'"),
        ("<!DOCTYPE html>", "this looks like an HTML page; paste the text itself"),
        ("MemTotal:  5 kB\nMemFree:", "pasted meminfo:2: expected 'NAME: NUMBER kB'"),
        ("[    0.000000] Linux version 6.1\n", "a text of dmesg shows no state"),
    ],
)
def test_a_paste_that_can_t_be_used_is_named(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        from_text(text)
