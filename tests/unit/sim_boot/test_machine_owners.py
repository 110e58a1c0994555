"""Who has each frame, and since when: the further tables of a machine, and what they cost."""

from __future__ import annotations

import gc
from collections import Counter
from pathlib import Path
from random import Random
from time import process_time

from kmemwidgets import FrameMap, Machine
from kmemwidgets.records import FrameTable


def by_label(table: FrameTable | None) -> dict[str, int]:
    assert table is not None
    return {table.labels[code]: number for code, number in sorted(Counter(table.codes).items())}


def label_of(machine: Machine, kind: str, pfn: int) -> str:
    table = machine.frame_table(kind)
    assert table is not None
    return table.labels[table.codes[pfn]]


def work(machine: Machine, commands: int, seed: int) -> list[tuple[int, int]]:
    """Ask for and free blocks by chance."""
    chance = Random(seed)
    live: list[tuple[int, int]] = []
    for _ in range(commands):
        if not live or chance.random() < 0.55:
            order = min(int(chance.expovariate(0.9)), 10)
            page = machine.alloc_pages(chance.choice(["GFP_KERNEL", "GFP_HIGHUSER_MOVABLE"]), order)
            if page is not None:
                live.append((page, order))
        else:
            page, order = live.pop(chance.randrange(len(live)))
            machine.free_pages(page, order)
    return live


# Owners


def test_every_frame_has_one_owner() -> None:
    machine = Machine.boot(memory="256M", cpus=1)
    page = machine.alloc_pages("GFP_KERNEL", 2)
    movable = machine.alloc_pages("GFP_HIGHUSER_MOVABLE", 3)
    small, large, area = machine.kmalloc(100), machine.kmalloc(20_000), machine.vmalloc(50_000)
    assert page is not None
    assert movable is not None
    assert small
    assert large
    assert area
    offset = machine.objects.slub.page_offset  # type: ignore[union-attr]
    expected = {
        page: "alloc_pages",
        page + 3: "alloc_pages",
        movable + 7: "alloc_pages, movable",
        (small - offset) >> 12: "slab: kmalloc-128",
        ((large - offset) >> 12) + 7: "kmalloc, whole pages",
        machine.objects.area.busy[area].pfns[3]: "vmalloc",  # type: ignore[union-attr]
        next(pfn for pages in machine.page_alloc.pcp(1, 0).lists for pfn in pages): "on a per-CPU list",
        max(machine.objects.space.tables.tables): "page table",  # type: ignore[union-attr]
        16 << 8: "boot: kernel image",
        0xA0: "no memory here",
    }
    for pfn, owner in expected.items():
        assert label_of(machine, "owner", pfn) == owner
        assert machine.frame(pfn).owner == owner
    counts = by_label(machine.frame_table("owner"))
    assert sum(counts.values()) == machine.page_alloc.memmap.max_pfn
    assert counts["vmalloc"] == 13
    assert counts["kmalloc, whole pages"] == 8
    free = sum(zone.free or 0 for zone in machine.snapshot().zones)
    assert counts["free"] == free


def test_the_older_slab_owns_frames_too() -> None:
    machine = Machine.boot(arch="x86_32", memory="64M", cpus=1, kernel="2.4")
    small, large = machine.kmalloc(100), machine.kmalloc(20_000)
    assert small
    assert large
    offset = machine.objects.slab24.page_offset  # type: ignore[union-attr]
    for address, cache in ((small, "size-128"), (large, "size-32768")):
        pfn = (address - offset) >> 12
        assert label_of(machine, "owner", pfn) == machine.frame(pfn).owner == f"slab: {cache}"
    assert by_label(machine.frame_table("owner"))["slab: size-32768"] == 8


def test_pages_that_vmap_maps_stay_their_owners() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    page = machine.alloc_pages("GFP_KERNEL")
    assert page is not None
    machine.vmap([page])
    assert label_of(machine, "owner", page) == machine.frame(page).owner == "alloc_pages"


def test_an_owner_keeps_its_code_and_undo_gives_frames_back() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    machine.kmem_cache_init()
    before = machine.frame_table("owner")
    machine.kmem_cache_create("mine", 700)
    address = machine.kmem_cache_alloc("mine")
    after = machine.frame_table("owner")
    assert before is not None
    assert after is not None
    assert after.labels[: len(before.labels)] == before.labels
    assert "slab: mine" in after.labels
    assert address is not None
    machine.undo()
    machine.undo()
    again = machine.frame_table("owner")
    assert again is not None
    assert again.codes == before.codes


# Ages


def test_ages_go_up_in_steps_of_powers_of_two() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    first = machine.alloc_pages("GFP_KERNEL", 3)
    pages = [machine.alloc_pages("GFP_KERNEL", 4) for _ in range(9)]
    # Asked for only now: what was done before is known all the same.
    labels = [label_of(machine, "age", page) for page in (*reversed(pages), first)]  # type: ignore[arg-type]
    assert labels == [
        "the last command", "1 command ago", *["2 to 3 commands ago"] * 2, *["4 to 7 commands ago"] * 4,
        *["8 to 15 commands ago"] * 2,
    ]  # fmt: skip
    assert label_of(machine, "age", (pages[-1] or 0) + 15) == "the last command"
    assert label_of(machine, "age", 16) == "reserved at boot"
    assert [machine.frame(page or 0).age for page in (first, *pages)] == list(range(1, 11))
    machine.free_pages(pages[3] or 0, 4)
    assert label_of(machine, "age", pages[3] or 0) == "free"
    assert label_of(machine, "age", pages[-1] or 0) == "1 command ago"


def test_ages_are_the_same_however_a_moment_is_reached(tmp_path: Path) -> None:
    machine = Machine.boot(memory="128M", cpus=1, kernel="6.18")
    work(machine, 6000, 1)
    machine.kmalloc(5000)
    machine.alloc_pages_bulk("GFP_KERNEL", 30)
    ages, middle = machine.frame_table("age"), machine.now
    work(machine, 3000, 2)
    end = machine.now
    seen = {}
    for number in (end, 4000, 7000, 1, 6003):
        machine.goto(number)
        seen[number] = machine.frame_table("age")
    machine.goto(middle)
    assert machine.frame_table("age") == ages
    machine.goto(end)
    machine.save(tmp_path / "m.json")
    other = Machine.load(tmp_path / "m.json")
    for number in (7000, end, 1, 6003, 4000):
        machine.goto(number)
        other.goto(number)
        assert machine.frame_table("age") == other.frame_table("age") == seen[number]


def test_a_new_command_replaces_the_undone_ones_in_the_ages_too() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    for _ in range(5):
        machine.alloc_pages("GFP_KERNEL", 5)
    machine.frame_table("age")
    machine.goto(2)
    page = machine.alloc_pages("GFP_HIGHUSER_MOVABLE", 5)
    assert page is not None
    assert machine.frame(page).age == 3
    counts = by_label(machine.frame_table("age"))
    assert [counts[label] for label in ("the last command", "1 command ago", "2 to 3 commands ago")] == [32, 32, 32]


def test_a_moved_page_keeps_its_age() -> None:
    machine = Machine.boot(memory="32M", cpus=1)
    pages = []
    while (page := machine.alloc_pages("GFP_HIGHUSER_MOVABLE|__GFP_NOWARN|__GFP_NORETRY")) is not None:
        pages.append(page)
    for page in pages[::2]:
        machine.free_pages(page)
    machine.drain_all_pages()
    machine.frame_table("age")
    held = {page: machine.frame(page).age for page in pages[1::2]}
    moves = machine.compact_memory()
    assert moves
    assert {page: machine.frame(moves.get(page, page)).age for page in held} == held


def test_nobody_pays_for_ages_before_somebody_looks() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    machine.alloc_pages()
    assert machine.page_alloc.on_taken is None
    view = FrameMap(machine)
    assert "age" in view.tables
    view.data()
    assert machine.page_alloc.on_taken is None
    view.color("age")
    view.data()
    assert machine.page_alloc.on_taken is not None


def test_noting_an_age_costs_the_same_in_any_memory() -> None:
    def seconds(memory: str) -> float:
        machine = Machine.boot(memory=memory, cpus=1, kernel="6.18")
        machine.frame_table("age")
        gc.collect()
        begin = process_time()
        work(machine, 4000, 3)
        return process_time() - begin

    # The better of two, as others use the processor as well; a table as large as memory would be 256 times dearer.
    assert min(seconds("16G") for _ in range(2)) < 3 * min(seconds("64M") for _ in range(2))


def test_why_does_not_stop_the_ages_or_whoever_follows() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    told: list[int] = []
    machine.subscribe(lambda: told.append(machine.now))
    machine.frame_table("age")
    machine.alloc_pages()
    machine.why()
    told.clear()
    for _ in range(3):
        machine.alloc_pages()
    assert told == [2, 3, 4]
    assert by_label(machine.frame_table("age"))["the last command"] == 1
    # After why() at an undone moment the next command replaces the undone ones.
    machine.goto(2)
    machine.why()
    machine.alloc_pages()
    machine.alloc_pages()
    assert machine.now == len(machine.history.commands) == 4
