from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.sim.memblock import ANY_NODE, HOTPLUG, NOMAP, Memblock

PAGE = 4096
MIB = 1 << 20


def of(memblock: Memblock, array: str = "memory") -> list[tuple[int, int]]:
    return [(region.base, region.end) for region in getattr(memblock, array).regions]


def test_neighbours_merge_only_if_node_and_flags_are_the_same() -> None:
    memblock = Memblock()
    memblock.add(0, MIB, 0)
    memblock.add(MIB, MIB, 0)
    assert of(memblock) == [(0, 2 * MIB)]
    memblock.add(2 * MIB, MIB, 1)
    memblock.add(3 * MIB, MIB, 1, HOTPLUG)
    assert of(memblock) == [(0, 2 * MIB), (2 * MIB, 3 * MIB), (3 * MIB, 4 * MIB)]
    memblock.set_node(MIB, 2 * MIB, 1)
    assert of(memblock) == [(0, MIB), (MIB, 3 * MIB), (3 * MIB, 4 * MIB)]
    memblock.mark(0, MIB, HOTPLUG)
    assert [region.flags for region in memblock.memory.regions] == [HOTPLUG, 0, HOTPLUG]


def test_add_inserts_only_what_is_not_covered() -> None:
    memblock = Memblock()
    memblock.add(10 * PAGE, 10 * PAGE, 0)
    memblock.add(0, 100 * PAGE, 1)
    assert [(r.base // PAGE, r.end // PAGE, r.nid) for r in memblock.memory.regions] == [
        (0, 10, 1), (10, 20, 0), (20, 100, 1),
    ]  # fmt: skip


def test_allocation_takes_the_highest_place() -> None:
    memblock = Memblock()
    memblock.add(0, 16 * MIB, 0)
    assert memblock.alloc(PAGE, PAGE) == 16 * MIB - PAGE
    assert memblock.alloc(100, 64) == 16 * MIB - PAGE - 128
    assert memblock.alloc(PAGE, PAGE) == 16 * MIB - 3 * PAGE
    assert memblock.alloc(2 * MIB, 2 * MIB) == 12 * MIB
    assert memblock.alloc(PAGE, PAGE, high=MIB) == MIB - PAGE
    memblock.current_limit = 8 * MIB
    assert memblock.alloc(PAGE, PAGE) == 8 * MIB - PAGE
    assert memblock.alloc(64 * MIB) is None


def test_searching_bottom_up_never_gives_the_first_page() -> None:
    memblock = Memblock(bottom_up=True)
    memblock.add(0, MIB)
    assert memblock.alloc(100, 64) == PAGE
    assert memblock.alloc(PAGE, PAGE) == 2 * PAGE


def test_nodes_are_preferred_and_exact_ones_required() -> None:
    memblock = Memblock()
    memblock.add(0, MIB, 0)
    memblock.add(MIB, MIB, 1)
    assert memblock.alloc(PAGE, PAGE, nid=0) == MIB - PAGE
    assert memblock.alloc(MIB - PAGE, PAGE, nid=0, exact=True) is None
    assert memblock.alloc(MIB, PAGE, nid=0) == MIB
    assert memblock.alloc(PAGE, PAGE, low=512 * 1024) == MIB - 2 * PAGE
    assert memblock.alloc(900 * 1024, PAGE, low=512 * 1024) is not None  # lower will do


def test_nomap_memory_is_there_but_never_given() -> None:
    memblock = Memblock()
    memblock.add(0, 2 * MIB)
    memblock.mark(MIB, MIB, NOMAP)
    assert memblock.alloc(PAGE, PAGE) == MIB - PAGE
    assert memblock.memory.total == 2 * MIB
    assert [(start, end) for start, end, _nid in memblock.free_ranges(flags=NOMAP)][-1] == (MIB, 2 * MIB)


def test_freeing_splits_a_reservation() -> None:
    memblock = Memblock()
    memblock.add(0, MIB)
    memblock.reserve(0, 100 * PAGE)
    memblock.phys_free(40 * PAGE, 10 * PAGE)
    assert of(memblock, "reserved") == [(0, 40 * PAGE), (50 * PAGE, 100 * PAGE)]
    memblock.phys_free(0, MIB)
    assert of(memblock, "reserved") == []


def test_a_full_array_doubles_and_takes_memory_for_itself() -> None:
    memblock = Memblock()
    memblock.add(0, 64 * MIB)
    for number in range(128):
        memblock.reserve(number * 2 * PAGE, PAGE)
    assert memblock.reserved.max == 128
    memblock.reserve(32 * MIB, PAGE)
    assert memblock.reserved.max == 256
    # 256 regions of 24 bytes are two pages, from the top.
    assert of(memblock, "reserved")[-1] == (64 * MIB - 2 * PAGE, 64 * MIB)
    assert [call.caller for call in memblock.calls if call.caller] == ["memblock_double_array"]


def test_whole_frames_are_handed_over() -> None:
    memblock = Memblock()
    memblock.add(0x1000, 0x9EC00, 0)
    memblock.reserve(0x3010, 0x20)
    assert memblock.free_pfn_ranges() == [(1, 3, 0), (4, 0x9F, 0)]


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "reserve", "phys_free"]), st.integers(0, 400), st.integers(1, 120)),
    max_size=60,
)


@given(OPERATIONS)
def test_arrays_are_sets_of_frames(operations: list[tuple[str, int, int]]) -> None:
    memblock = Memblock()
    sets: dict[str, set[int]] = {"memory": set(), "reserved": set()}
    for name, start, length in operations:
        frames = set(range(start, start + length))
        array = "memory" if name in ("add", "remove") else "reserved"
        if name in ("add", "reserve"):
            sets[array] |= frames
        else:
            sets[array] -= frames
        getattr(memblock, name)(start * PAGE, length * PAGE)
        for each, kept in sets.items():
            regions = of(memblock, each)
            assert all(a[1] < b[0] for a, b in itertools.pairwise(regions)), "merged and apart"
            assert {f for low, high in regions for f in range(low // PAGE, high // PAGE)} == kept
    free = {frame for low, high, _nid in memblock.free_pfn_ranges() for frame in range(low, high)}
    assert free == sets["memory"] - sets["reserved"]


@given(
    OPERATIONS,
    st.lists(st.tuples(st.integers(1, 40 * PAGE), st.sampled_from([8, 64, PAGE, 16 * PAGE])), max_size=20),
)
def test_nothing_is_allocated_twice(operations: list[tuple[str, int, int]], requests: list[tuple[int, int]]) -> None:
    memblock = Memblock()
    for name, start, length in operations:
        getattr(memblock, name)(start * PAGE, length * PAGE)
    taken: list[tuple[int, int]] = []
    for size, align in requests:
        before = list(memblock.free_ranges(ANY_NODE))
        place = memblock.alloc(size, align)
        if place is None:
            assert all((min(end, end) - size) // align * align < max(start, PAGE) for start, end, _nid in before)
            continue
        assert place % align == 0
        assert any(start <= place and place + size <= end for start, end, _nid in before)
        assert all(place + size <= low or high <= place for low, high in taken)
        taken.append((place, place + size))


def test_no_room_for_a_larger_array_is_told() -> None:
    memblock = Memblock()
    for number in range(128):
        memblock.reserve(number * 2 * PAGE, PAGE)
    with pytest.raises(MemoryError, match="256 reserved regions"):
        memblock.reserve(32 * MIB, PAGE)
