"""The log of moves: pages are followed forward, back, and along the branch of time that is in force."""

from __future__ import annotations

from random import Random

import pytest

from kmemwidgets import Machine
from kmemwidgets.sim.memmap import IN_USE, IN_USE_LRU

MOVABLE = "__GFP_MOVABLE|__GFP_HIGHMEM|__GFP_NOWARN"


def combed(seed: int = 1) -> tuple[Machine, list[int], int]:
    """Fill a machine and free half by chance; return it, the pages kept, and the moment."""
    chance = Random(seed)
    machine = Machine.boot(memory="32M", cpus=1)
    pages = []
    while (page := machine.alloc_pages(MOVABLE)) is not None:
        pages.append(page)
    kept = [page for page in pages if chance.random() < 0.5]
    for page in set(pages).difference(kept):
        machine.free_pages(page)
    machine.drain_all_pages()
    return machine, kept, machine.now


def test_a_page_is_followed_along_the_branch_that_is_in_force() -> None:
    machine, kept, begun = combed()
    first = machine.compact_memory()
    moved = next(iter(first))
    assert machine.follow_page(moved, begun) == first[moved]
    # Whoever got the frame afterwards has not moved.
    assert machine.follow_page(moved, machine.now) == moved
    machine.undo()
    assert machine.follow_page(moved, begun) == moved
    machine.redo()
    assert machine.follow_page(moved, begun) == first[moved]
    # Another command replaces it: without a move, then with others.
    machine.undo()
    for page in kept[: len(kept) // 2]:
        machine.free_pages(page)
    assert [machine.follow_page(page, begun) for page in kept] == kept
    machine.drain_all_pages()
    second = machine.compact_memory()
    assert second != first
    rest = kept[len(kept) // 2 :]
    assert [machine.follow_page(page, begun) for page in rest] == [second.get(page, page) for page in rest]
    # Running all of it again writes nothing twice.
    now = machine.now
    machine.goto(0)
    machine.goto(now)
    assert [machine.follow_page(page, begun) for page in rest] == [second.get(page, page) for page in rest]


def test_pages_that_move_again_and_again_are_followed_to_the_end() -> None:
    machine, kept, begun = combed(2)
    where = {page: page for page in kept}
    chance = Random(3)
    for _ in range(4):
        moves = machine.compact_memory()
        where = {page: moves.get(at, at) for page, at in where.items()}
        for page in chance.sample(sorted(where), len(where) // 8):
            machine.free_pages(where.pop(page))
        machine.drain_all_pages()
    assert {page: machine.follow_page(page, begun) for page in where} == where


@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
def test_nothing_is_lost_while_threads_and_requests_move_pages(kernel: str) -> None:
    chance = Random(5)
    machine = Machine.boot(memory="32M", cpus=2, kernel=kernel)
    machine.let_pages_move()
    allocator = machine.page_alloc
    total = sum(zone.managed for zone in machine.zones)
    held: dict[int, tuple[int, int]] = {}
    seen = {}
    for number in range(10_000):
        dice = chance.random()
        if dice < (0.7 if number < 6000 else 0.5) or not held:
            order = chance.choice((0, 0, 0, 0, 0, 1, 3, 9))
            gfp = chance.choice(("GFP_KERNEL", "GFP_NOWAIT", "GFP_HIGHUSER_MOVABLE", "GFP_HIGHUSER_MOVABLE"))
            page = machine.alloc_pages(f"{gfp}|__GFP_NOWARN|__GFP_NORETRY", order, cpu=number % 2)
            moves = machine.take_moves()
            held = {moves.get(pfn, pfn): block for pfn, block in held.items()}
            if page is not None:
                assert page not in held
                held[page] = order, machine.now
        elif dice < 0.985:
            page = chance.choice(list(held))
            machine.free_pages(page, held.pop(page)[0], number % 2)
        else:
            moves = {}
            if dice < 0.99:
                moves = machine.run_kcompactd()
            elif dice < 0.995:
                machine.run_kswapd()
            else:
                moves = machine.compact_memory()
            held = {moves.get(pfn, pfn): block for pfn, block in held.items()}
        if number % 1000 == 0:
            seen[machine.now] = machine.snapshot(), machine.pages.save()
            used = [code for code in allocator.state if code & 0xF0 in (IN_USE, IN_USE_LRU)]
            waiting = sum(pcp.count for live in allocator.zones for pcp in live.pcps)
            listed = sum(live.free_area.free_pages() for live in allocator.zones)
            assert sum(live.free_pages_now() for live in allocator.zones) == listed
            assert sum(1 << (code & 15) for code in used) + waiting + listed == total
            assert sorted(code & 15 for code in used) == sorted(order for order, _ in held.values())
    assert {allocator.state[pfn] & 15 for pfn in held} <= {0, 1, 3, 9}
    counters = machine.pages.compaction.counters  # type: ignore[union-attr]
    assert counters["compact_daemon_wake"] > 0
    assert counters["compact_stall"] > 0
    end = machine.now
    for moment in chance.sample(sorted(seen), len(seen)):
        machine.goto(moment)
        assert (machine.snapshot(), machine.pages.save()) == seen[moment]
    machine.goto(end)
    for page, (order, _) in held.items():
        machine.free_pages(page, order)
    machine.drain_all_pages()
    assert sum(live.free_area.free_pages() for live in allocator.zones) == total
