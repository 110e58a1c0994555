"""Which node owns which memory where no firmware table says so: from memblock's regions and the nodes' records."""

from __future__ import annotations

import pytest

from kmemwidgets.capture.node_ranges import node_ranges
from kmemwidgets.procfs import dmesg
from kmemwidgets.records import MemoryRange, NodeRange

GIB = 1 << 30
TWO = (MemoryRange(GIB, 2 * GIB), MemoryRange(2 * GIB, 3 * GIB))
RECORDS = "NUMA: NODE_DATA [mem 0x7fffd380-0x7fffffff]\nNUMA: NODE_DATA [mem 0xbfdef380-0xbfdf1fff]\n"
SET_UP = (
    "Initmem setup node 0 [mem 0x0000000040000000-0x000000007fffffff]\n"
    "Initmem setup node 1 [mem 0x0000000080000000-0x00000000bfffffff]\n"
)


def ranges(text: str, memory: tuple[MemoryRange, ...] = TWO, ids: tuple[int, ...] = (0, 1), **more: bool):
    return node_ranges(dmesg.parse(text), memory, ids, firmware_table=more.get("firmware_table", False))


def test_each_region_belongs_to_the_node_whose_record_it_holds() -> None:
    assert ranges(RECORDS) == (NodeRange(0, GIB, 2 * GIB), NodeRange(1, 2 * GIB, 3 * GIB))
    assert ranges(RECORDS, ids=(0, 3))[1].nid == 3
    # From 6.12 on the line tells the node.
    named = "NODE_DATA(2) allocated [mem 0x7fffd380-0x7fffffff]\nNODE_DATA(0) allocated [mem 0xbfdef380-0xbfdf1fff]"
    assert [entry.nid for entry in ranges(named, ids=())] == [2, 0]


def test_a_region_without_a_record_goes_to_the_node_of_the_next_above() -> None:
    memory = (MemoryRange(0, GIB), *TWO, MemoryRange(5 * GIB, 6 * GIB))
    assert [entry.nid for entry in ranges(RECORDS, memory)] == [0, 0, 1, 1]


def test_what_memblock_tells_counts_first() -> None:
    memory = (MemoryRange(GIB, 2 * GIB, nid=1), MemoryRange(2 * GIB, 3 * GIB, nid=0))
    assert [entry.nid for entry in ranges(RECORDS, memory)] == [1, 0]


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        # Two records in one region: a node without memory, or a table that was put together.
        (RECORDS, (MemoryRange(GIB, 3 * GIB),)),
        ("", TWO),
    ],
)
def test_where_nothing_else_tells_it_what_boot_set_up_counts(text: str, memory: tuple[MemoryRange, ...]) -> None:
    assert ranges(text, memory) == ()
    assert [entry.end for entry in ranges(text + SET_UP, memory)] == [2 * GIB, 3 * GIB]


def test_a_firmware_table_knows_of_no_nodes() -> None:
    assert ranges(RECORDS, firmware_table=True) == ()
    srat = "SRAT: Node 1 PXM 1 [mem 0x80000000-0xbfffffff]"
    assert ranges(f"ACPI: {srat}\n{RECORDS}") == (NodeRange(1, 2 * GIB, 3 * GIB),)
    assert ranges(RECORDS, (MemoryRange(GIB, 2 * GIB),), ids=(0,)) == ()
