"""vm_map_ram: blocks of each cpu, and large mappings beside them."""

from __future__ import annotations

import pytest

from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.vmalloc import TABLE, VmallocRules
from kmemwidgets.sim.vmalloc import Vmalloc
from kmemwidgets.sim.vmap_block import VmapBlocks, block_pages

START, PAGE = 0xFFFFC90000000000, 4096
BLOCK = 1024 * PAGE


def blocks(cpus: int = 1) -> VmapBlocks:
    return VmapBlocks(Vmalloc(pick(VmallocRules, TABLE, (6, 1)), START, START + (1 << 45), cpus=cpus))


@pytest.mark.parametrize(
    ("space", "cpus", "word", "pages"),
    [(1 << 45, 8192, 8, 1024), (128 << 20, 8, 4, 256), (128 << 20, 64, 4, 64), (128 << 20, 33, 4, 64),
     (4 << 20, 8, 8, 128)],
)  # fmt: skip
def test_pages_of_a_block(space: int, cpus: int, word: int, pages: int) -> None:
    assert block_pages(space, cpus, word=word) == pages


def test_mappings_follow_each_other_in_a_block() -> None:
    b = blocks()
    first = b.vm_map_ram([1, 2, 3])
    assert first % BLOCK == 0
    assert b.vm_map_ram([4]) == first + 4 * PAGE, "three pages take four"
    row = b.vmalloc.areas()[0]
    assert (row.start, row.size, row.flags) == (first, BLOCK, ("vm_map_ram",))


def test_a_block_goes_when_all_of_it_came_back() -> None:
    b = blocks()
    mapped = [b.vm_map_ram(range(64)) for _ in range(17)]
    assert len(b.blocks) == 2
    for address in mapped[:15]:
        b.vm_unmap_ram(address, 64)
    assert b.vm_map_ram([1]) == mapped[16] + 64 * PAGE, "what came back is not used again"
    b.vm_unmap_ram(mapped[15], 64)
    assert list(b.blocks) == [mapped[16]]
    assert b.vmalloc.lazy_pages == 1024


def test_each_cpu_has_its_own() -> None:
    b = blocks(cpus=2)
    assert b.vm_map_ram([1], cpu=0) // BLOCK != b.vm_map_ram([1], cpu=1) // BLOCK


def test_large_mappings_have_no_guard_page() -> None:
    b = blocks()
    one, two = b.vm_map_ram(range(65)), b.vm_map_ram(range(65))
    assert (one, two - one) == (START, 65 * PAGE)
    b.vm_unmap_ram(one, 65)
    assert list(b.vmalloc.busy) == [two]


def test_blocks_with_nothing_mapped_can_be_purged() -> None:
    b = blocks()
    address = b.vm_map_ram([1])
    b.purge_fragmented()
    assert len(b.blocks) == 1
    b.vm_unmap_ram(address, 1)
    b.purge_fragmented()
    assert b.blocks == {}
    assert b.queues == [[]]


def test_wrong_addresses() -> None:
    b = blocks()
    address = b.vm_map_ram([1])
    kept = b.save()
    for wrong, count in ((START + (1 << 40), 1), (address, 2), (address, 100)):
        with pytest.raises(KernelBug, match="vm_unmap_ram"):
            b.vm_unmap_ram(wrong, count)
    with pytest.raises(ValueError, match="no pages"):
        b.vm_map_ram([])
    assert b.save() == kept
    b.vm_map_ram([1])
    b.load(kept)
    assert b.save() == kept
