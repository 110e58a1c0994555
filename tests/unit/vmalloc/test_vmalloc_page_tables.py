"""Page tables of vmalloc's space: what is filled, where it leads, what it costs, and how it comes back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmemwidgets import BadInput, Machine
from kmemwidgets.arch.page_tables import X86_64, levels_of
from kmemwidgets.explain.proc_files import proc_files
from kmemwidgets.procfs import vmallocinfo
from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.page_tables import PageTables

PAGE, MIB, GIB = 4096, 1 << 20, 1 << 30
BASE = 0xFFFFC90000000000


class Frames:
    """Gives frames in order, and remembers which are out."""

    def __init__(self, most: int = 1000) -> None:
        self.out: set[int] = set()
        self.next = 0
        self.most = most

    def alloc_pages(self, gfp: int, order: int = 0, nid: int | None = None, cpu: int = 0) -> int:
        assert (gfp, order) == (0xDC0, 0), "GFP_PGTABLE_KERNEL, a page"
        if len(self.out) == self.most:
            return -1
        self.next += 1
        self.out.add(self.next)
        return self.next

    def free_pages(self, pfn: int, order: int = 0, cpu: int = 0) -> None:
        self.out.remove(pfn)


def tables(frames: Frames | None = None, **options: bool) -> PageTables:
    return PageTables(levels_of("x86_64", va_bits=48), X86_64, frames or Frames(), huge=True, **options)


@pytest.mark.parametrize(
    ("arch", "options", "expected"),
    [
        # FACTS of each architecture's manual: names, and bits of the address that choose the entry.
        ("x86_64", {"va_bits": 48}, {"pgd": 39, "pud": 30, "pmd": 21, "pte": 12}),
        ("x86_64", {"va_bits": 57}, {"pgd": 48, "p4d": 39, "pud": 30, "pmd": 21, "pte": 12}),
        ("x86_32", {"va_bits": 32}, {"pgd": 22, "pte": 12}),
        ("x86_32", {"va_bits": 32, "pae": True}, {"pgd": 30, "pmd": 21, "pte": 12}),
        ("arm64", {"va_bits": 39}, {"pgd": 30, "pmd": 21, "pte": 12}),
        ("arm64", {"va_bits": 47, "page_size": 16384}, {"pgd": 36, "pmd": 25, "pte": 14}),
        ("arm64", {"va_bits": 48, "page_size": 16384}, {"pgd": 47, "pud": 36, "pmd": 25, "pte": 14}),
        ("arm64", {"va_bits": 42, "page_size": 65536}, {"pgd": 29, "pte": 16}),
        ("arm64", {"va_bits": 52, "page_size": 65536}, {"pgd": 42, "pmd": 29, "pte": 16}),
        ("arm64", {"va_bits": 52}, {"pgd": 48, "p4d": 39, "pud": 30, "pmd": 21, "pte": 12}),
    ],
)
def test_levels(arch: str, options: dict[str, int], expected: dict[str, int]) -> None:
    assert {level.name: level.shift for level in levels_of(arch, **options)} == expected  # type: ignore[arg-type]


def test_a_page_needs_a_table_of_each_level_and_the_next_page_none() -> None:
    frames = Frames()
    t = tables(frames)
    assert t.map_frames(BASE, [77])
    assert len(frames.out) == 3
    assert t.map_frames(BASE + PAGE, [99])
    assert len(frames.out) == 3
    assert t.map_frames(BASE + 2 * MIB, [5])
    assert len(frames.out) == 4
    walk = t.walk(BASE + PAGE + 12)
    assert [(step.level, step.index, step.kind) for step in walk.steps] == [
        ("pgd", 402, "table"), ("pud", 0, "table"), ("pmd", 0, "table"), ("pte", 1, "leaf"),
    ]  # fmt: skip
    assert walk.physical == 99 * PAGE + 12
    assert [step.entry for step in walk.steps] == [0x1067, 0x2067, 0x3067, 0x8000000000000163 | 99 * PAGE]
    assert [step.table for step in walk.steps] == [None, 1, 2, 3]


def test_tables_that_boot_made_cost_nothing() -> None:
    frames = Frames()
    t = tables(frames, boot_made=True)
    t.map_frames(BASE, [77])
    assert len(frames.out) == 2
    assert t.walk(BASE).steps[0].entry is None
    assert t.walk(BASE).physical == 77 * PAGE


@pytest.mark.parametrize(
    ("address", "physical", "size", "kinds"),
    [
        (BASE, GIB, GIB, ["pud"]),
        (BASE, GIB, 2 * MIB, ["pmd"]),
        (BASE, GIB + PAGE, 4 * MIB, ["pte"]),
        (BASE, GIB, 4 * MIB + PAGE, ["pmd", "pte"]),
        (BASE + GIB - 2 * MIB, GIB - 2 * MIB, GIB + 2 * MIB, ["pmd", "pud"]),
        (BASE + PAGE, PAGE, 4 * MIB - PAGE, ["pte", "pmd"]),
    ],
)
def test_the_largest_entries_that_fit(address: int, physical: int, size: int, kinds: list[str]) -> None:
    t = tables()
    assert t.map_range(address, physical, size, device=True)
    found = []
    for at in range(0, size, PAGE if size < 8 * MIB else MIB):
        walk = t.walk(address + at)
        assert walk.physical == physical + at
        found.append(walk.steps[-1].level)
    assert list(dict.fromkeys(found)) == kinds
    assert t.walk(address).steps[-1].entry & 0x10, "device memory is not cached"  # type: ignore[operator]
    t.unmap(address, address + size)
    assert t.walk(address).physical is None
    assert t.walk(address + size - 1).physical is None


def test_a_larger_entry_takes_the_place_of_an_empty_table() -> None:
    frames = Frames()
    t = tables(frames)
    t.map_frames(BASE, range(512))
    t.unmap(BASE, BASE + 2 * MIB)
    assert len(frames.out) == 3, "tables stay when what they mapped goes"
    t.map_range(BASE, GIB, 2 * MIB)
    assert len(frames.out) == 2
    t.unmap(BASE, BASE + 2 * MIB)
    t.map_range(BASE, GIB, GIB)
    assert len(frames.out) == 1
    kept = tables(frames, keeps_tables=True)
    kept.map_frames(BASE, [1])
    kept.unmap(BASE, BASE + PAGE)
    kept.map_range(BASE, GIB, 2 * MIB)
    assert kept.walk(BASE).steps[-1].level == "pte"


def test_without_a_page_for_a_table_nothing_is_mapped() -> None:
    t = tables(Frames(most=2))
    assert not t.map_frames(BASE, [1])
    assert not t.map_range(BASE, 0, PAGE)
    assert t.walk(BASE).physical is None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 1100), st.integers(1, 700), st.sampled_from((0, 512, 3))), max_size=12
    )
)
def test_a_walk_finds_what_was_mapped_last(steps: list[tuple[bool, int, int, int]]) -> None:
    """A model: a dictionary from page to frame."""
    frames = Frames()
    t = tables(frames)
    model: dict[int, int] = {}
    for mapping, first, count, offset in steps:
        start = BASE + first * PAGE
        if any(page in model for page in range(first, first + count)):
            # As in the kernel nothing is mapped over; an area is unmapped as a whole.
            t.unmap(BASE, BASE + 1900 * PAGE)
            model.clear()
        if mapping:
            assert t.map_range(start, (first + offset) * PAGE, count * PAGE)
        else:
            assert t.map_frames(start, range(first + offset, first + offset + count))
        model.update({page: page + offset for page in range(first, first + count)})
    for page in range(1900):
        found = t.walk(BASE + page * PAGE).physical
        assert found == (model[page] * PAGE if page in model else None)
    assert {name for name in t.tables if name >= 0} == frames.out


# --- on a machine


def free(machine: Machine) -> int:
    return sum(zone.free or 0 for zone in machine.snapshot().zones) + sum(
        pcp.count for zone in machine.snapshot().zones for pcp in zone.pagesets
    )


def test_vmalloc_takes_its_tables_from_the_page_allocator_and_keeps_them() -> None:
    machine = Machine.boot(memory="256M", cpus=1)
    machine.kmem_cache_init()
    # A slab for the area's struct and one for its array of pages are there already.
    machine.kmalloc(64)
    machine.kmalloc(80)
    before = free(machine)
    area = machine.vmalloc(10 * PAGE)
    assert area
    assert before - free(machine) == 10 + 2
    assert machine.objects.space.tables.pages() == 2
    walk = machine.walk(area + 3 * PAGE + 1)
    assert walk.physical == machine.objects.area.busy[area].pfns[3] * PAGE + 1
    machine.vfree(area)
    assert before - free(machine) == 2
    assert machine.walk(area).physical is None
    machine.undo()
    assert machine.walk(area + 3 * PAGE + 1) == walk
    now = machine.now
    machine.goto(0)
    machine.goto(now)
    assert machine.walk(area + 3 * PAGE + 1) == walk


def test_vmap_and_ioremap_are_verbs() -> None:
    machine = Machine.boot(memory="256M", cpus=1)
    pages = [machine.alloc_pages("GFP_KERNEL") for _ in range(3)]
    area = machine.vmap(pages[::-1])
    assert [machine.walk(area + i * PAGE).physical for i in range(3)] == [page * PAGE for page in pages[::-1]]
    machine.vunmap(area)
    for page in pages:
        machine.free_pages(page, 0)
    device = machine.ioremap(0xFEBC1010, 0x20)
    assert device % PAGE == 0x10
    assert machine.walk(device).physical == 0xFEBC1010
    row = next(row for row in machine.snapshot().vmalloc if "ioremap" in row.flags)
    assert (row.phys, row.size) == (0xFEBC1000, 2 * PAGE)
    large = machine.ioremap(0x80000000, 8 * MIB)
    assert (large % (2 * MIB), machine.walk(large).steps[-1].level) == (0, "pmd")
    machine.iounmap(device)
    assert machine.walk(device).physical is None


def test_what_the_kernel_refuses() -> None:
    machine = Machine.boot(memory="256M", cpus=1)
    assert machine.ioremap(0x200000, PAGE) is None
    assert "ioremap on RAM at 0x0000000000200000 - 0x0000000000200fff\n" in machine.dmesg[-1]
    assert machine.ioremap(0xFEBC0000, 0) is None
    now = machine.now
    with pytest.raises(KernelBug, match="nonexistent vm area"):
        machine.vunmap(0xFFFFC90000000000)
    with pytest.raises(ValueError, match="no frame"):
        machine.vmap([1 << 40])
    assert machine.now == now
    old = Machine.boot(arch="x86_32", memory="256M", kernel="2.4")
    with pytest.raises(BadInput, match=r"Linux 2\.4\.22 has no vm_map_ram"):
        old.vm_map_ram([4096])
    with pytest.raises(BadInput, match="no stacks in vmalloc's space"):
        old.alloc_thread_stack()


def test_short_mappings_share_a_block() -> None:
    machine = Machine.boot(memory="256M", cpus=1)
    pages = [machine.alloc_pages("GFP_KERNEL") for _ in range(3)]
    one, two = machine.vm_map_ram(pages), machine.vm_map_ram(pages[:1])
    assert two - one == 4 * PAGE
    assert machine.walk(two).physical == pages[0] * PAGE
    machine.vm_unmap_ram(one, 3)
    assert machine.walk(one).physical is None
    machine.vm_unmap_ram(two, 1)
    assert [row.flags for row in machine.snapshot().vmalloc][-1] == ("vm_map_ram",)
    machine.vm_unmap_aliases()
    assert not [row for row in machine.snapshot().vmalloc if row.flags == ("vm_map_ram",)]


def test_a_huge_area_is_one_leaf_and_stacks_are_kept() -> None:
    machine = Machine.boot(memory="256M", cpus=1)
    huge = machine.vmalloc_huge(2 * MIB)
    assert machine.walk(huge + 12345).steps[-1].level == "pmd"
    stack = machine.alloc_thread_stack()
    machine.free_thread_stack(stack)
    assert machine.walk(stack).physical is not None, "a kept stack stays mapped"
    assert machine.alloc_thread_stack() == stack


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ({}, ("0xffffc90000000000-0xffffc90000003000   12288 pages=2 vmalloc N0=2",
              "0xffffc90000003000-0xffffc90000005000    8192 phys=0x00000000febc0000 ioremap",
              "0xffffc90000005000-0xffffc90000007000    8192 vmap",
              "0xffffc90000007000-0xffffc90000009000    8192 unpurged vm_area")),
        # No nodes, and 8 digits; with PAE a physical address has 16.
        ({"arch": "x86_32", "memory": "2G"}, ("0xf77fe000-0xf7801000   12288 pages=2 vmalloc",
                                             "0xf7801000-0xf7803000    8192 phys=0xfebc0000 ioremap")),
        ({"arch": "x86_32", "memory": "6G"}, ("0xf7dfe000-0xf7e01000   12288 pages=2 vmalloc",
                                             "0xf7e01000-0xf7e03000    8192 phys=0x00000000febc0000 ioremap")),
        ({"arch": "x86_32", "kernel": "2.4"}, ()),
    ],
)  # fmt: skip
def test_vmallocinfo_as_text(kind: dict[str, str], rows: tuple[str, ...]) -> None:
    machine = Machine.boot(cpus=1, **{"memory": "256M", **kind})  # type: ignore[arg-type]
    machine.vmalloc(5000)
    machine.ioremap(0xFEBC0000, PAGE)
    machine.vmap([machine.alloc_pages("GFP_KERNEL")])
    machine.vfree(machine.vmalloc(PAGE))
    text = proc_files(machine).get("proc/vmallocinfo", "")
    assert tuple(text.splitlines()[: len(rows)]) == rows
    assert bool(text) is bool(rows)
    if text:
        assert vmallocinfo.format(vmallocinfo.parse(text)) == text


@pytest.mark.parametrize(
    ("option", "offset", "lowmem"),
    [("3G_OPT", 0xB0000000, 1135), ("2G", 0x80000000, 1903), ("1G", 0x40000000, 2927)],
)
def test_other_splits(option: str, offset: int, lowmem: int) -> None:
    machine = Machine.boot(arch="x86_32", memory="3G", cpus=1, config={f"VMSPLIT_{option}": True})
    assert machine.address_space.page_offset == offset
    assert machine.va(0) == offset
    state = machine.highmem()
    assert state.max_low_pfn * PAGE >> 20 == lowmem
    address = machine.kmap_atomic(state.max_low_pfn)
    assert address > 0xFFF00000
    machine.kunmap_atomic(address)
