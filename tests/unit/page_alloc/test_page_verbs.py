"""The machine's verbs past single blocks: exact numbers, bulks, memory policies, compaction, and their counters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kmemwidgets import Machine
from kmemwidgets.explain.proc_files import proc_files
from kmemwidgets.procfs import vmstat
from kmemwidgets.records import BadInput
from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.tracefs import format as format_trace
from kmemwidgets.tracefs import parse

MOVABLE = "GFP_HIGHUSER_MOVABLE|__GFP_NORETRY|__GFP_NOWARN"


def free_blocks(machine: Machine, zone: str = "DMA32") -> list[int]:
    return [area.nr_free for area in machine.snapshot().zone(0, zone).free_area or ()]


def comb(kernel: str = "6.1") -> tuple[Machine, list[int]]:
    """Fill a machine with movable pages, a few of the kernel's in between, and free every second by chance."""
    chance = Random(1)
    machine = Machine.boot(memory="32M", cpus=1, kernel=kernel)
    kept = []
    for number in range(20_000):
        if number % 500 == 0:
            machine.alloc_pages("GFP_KERNEL|__GFP_NOWARN")
        page = machine.alloc_pages(MOVABLE)
        if page is None:
            break
        kept.append(page)
    for page in list(kept):
        if chance.random() < 0.5:
            machine.free_pages(page)
            kept.remove(page)
    machine.drain_all_pages()
    return machine, kept


def same_again(machine: Machine, path: Path) -> None:
    """See that undoing and redoing, running all again, and saving and loading give the same state."""
    before = machine.snapshot()
    machine.undo()
    machine.redo()
    assert machine.snapshot() == before
    now = machine.now
    machine.goto(0)
    machine.goto(now)
    assert machine.snapshot() == before
    machine.save(path)
    assert Machine.load(path).snapshot() == before


# Several pages


def test_exact_pages_are_as_many_as_asked_for(tmp_path: Path) -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    free = machine.snapshot().zone(0, "DMA32").free
    page = machine.alloc_pages_exact(5 * 4096 - 1)
    assert page is not None
    assert machine.snapshot().zone(0, "DMA32").free == free - 5
    assert [machine.frame(page + at).state for at in range(6)] == ["in use"] * 5 + ["free"]
    same_again(machine, tmp_path / "m.json")
    with pytest.raises(KernelBug):
        machine.free_pages_exact(page, 6 * 4096)
    assert [machine.frame(page + at).state for at in range(5)] == ["in use"] * 5
    machine.free_pages_exact(page, 5 * 4096)
    machine.drain_all_pages()
    assert machine.snapshot().zone(0, "DMA32").free == free
    with pytest.raises(ValueError, match="are no pages"):
        machine.alloc_pages_exact(0)


def test_a_split_block_is_freed_page_by_page(tmp_path: Path) -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    page = machine.alloc_pages("GFP_KERNEL", 2)
    assert page is not None
    with pytest.raises(KernelBug):
        machine.split_page(page, 1)
    machine.split_page(page, 2)
    same_again(machine, tmp_path / "m.json")
    for at in range(4):
        machine.free_pages(page + at)


def test_a_bulk_comes_from_the_cpus_list(tmp_path: Path) -> None:
    machine = Machine.boot(memory="256M", cpus=2)
    log = machine.record_events()
    pages = machine.alloc_pages_bulk("GFP_KERNEL", 20, cpu=1)
    assert len(set(pages)) == 20
    taken = [event.fields["pfn"] for event in log.since(0) if event.name == "pcp_take"]
    assert taken == pages
    assert machine.snapshot().nodes[0].numastat == {
        "numa_hit": 20, "numa_miss": 0, "numa_foreign": 0, "interleave_hit": 0, "local_node": 20, "other_node": 0,
    }  # fmt: skip
    same_again(machine, tmp_path / "m.json")
    with pytest.raises(ValueError, match="no node 3"):
        machine.alloc_pages_bulk("GFP_KERNEL", 2, node=3)


# Compaction


@pytest.mark.parametrize("kernel", ["5.6", "6.1", "6.18"])
def test_compaction_on_request_moves_pages_and_loses_none(kernel: str, tmp_path: Path) -> None:
    machine, kept = comb(kernel)
    before, free = free_blocks(machine), machine.snapshot().zone(0, "DMA32").free
    moves = machine.compact_memory()
    machine.drain_all_pages()
    after = free_blocks(machine)
    assert machine.snapshot().zone(0, "DMA32").free == free
    assert sum(after[9:]) > sum(before[9:])
    assert moves
    assert set(moves) <= set(kept)
    # Who held a page finds it where it went.
    same_again(machine, tmp_path / "m.json")
    for page in kept:
        machine.free_pages(moves.get(page, page))
    stat = machine.snapshot().vmstat
    assert stat is not None
    assert stat.values["pgmigrate_success"] == len(moves)
    assert stat.values["compact_migrate_scanned"] > len(moves)
    assert stat.values["compact_stall"] == 0


def test_pages_stay_where_they_are_until_their_holders_follow() -> None:
    machine, kept = comb()
    assert machine.alloc_pages("GFP_KERNEL|__GFP_NOWARN", 9) is None
    assert "all pages are pinned by those who asked for them" in "\n".join(machine.why())
    machine.let_pages_move()
    held = set(kept)
    blocks = []
    for _ in range(6):
        block = machine.alloc_pages("GFP_KERNEL|__GFP_NOWARN", 8)
        moves = machine.take_moves()
        assert set(moves) <= held
        held = {moves.get(page, page) for page in held}
        if block is not None:
            blocks.append(block)
    assert len(held) == len(kept)
    assert held != set(kept)
    for page in held:
        machine.free_pages(page)
    for block in blocks:
        machine.free_pages(block, 8)
    machine.undo()
    machine.let_pages_move(False)
    assert machine.take_moves() == {}
    assert not machine.pages.may_move
    machine.undo()
    assert machine.pages.may_move


def test_a_request_compacts_for_itself_before_it_fails(tmp_path: Path) -> None:
    machine, _kept = comb()
    machine.let_pages_move()
    assert not any(free_blocks(machine)[9:])
    log = machine.record_events()
    page = machine.alloc_pages("GFP_KERNEL", 9)
    assert page is not None
    events = list(log.since(0))
    names = [event.name for event in events]
    # First quickly, then, after reclaim found nothing, thoroughly.
    compact, reclaim = "mm_compaction_try_to_compact_pages", "mm_vmscan_direct_reclaim_begin"
    assert [name for name in names if name in (compact, reclaim)] == [compact, reclaim, compact]
    assert [event.fields["mode"] for event in events if event.name == "mm_compaction_begin"] == ["async", "sync"]
    moved = [event.fields for event in events if event.name == "migrate"]
    assert {fields["pfn"]: fields["to"] for fields in moved} == machine.pages.moves
    told = [event.fields for event in events if event.name == "mm_compaction_migratepages"]
    assert sum(fields["nr_migrated"] for fields in told) == len(moved) > 0
    stat = machine.snapshot().vmstat
    assert stat is not None
    assert (stat.values["compact_stall"], stat.values["compact_success"], stat.values["compact_fail"]) == (2, 1, 1)
    same_again(machine, tmp_path / "m.json")
    text = "\n".join(machine.why())
    assert "slow path: compact" in text
    assert f"moves {len(moved)} pages: success" in text
    assert "direct reclaim freed 0 pages" in text


def test_what_compaction_tells_is_text_that_readers_accept() -> None:
    machine, _kept = comb()
    machine.let_pages_move()
    log = machine.record_events()
    machine.alloc_pages("GFP_KERNEL", 9)
    machine.compact_memory()
    told = [event for event in log.since(0) if event.system != "sim"]
    text = format_trace(told)
    again = parse(text)
    assert not again.unknown
    assert [event.name for event in again.events] == [event.name for event in told]
    assert "gfp_mask=0xcc0 priority=2" in text
    bodies = [[line.partition(": ")[2] for line in each.splitlines()[11:]] for each in (text, format_trace(again))]
    assert bodies[0] == bodies[1]


def test_failures_defer_the_next_runs_and_that_is_remembered(tmp_path: Path) -> None:
    machine = Machine.boot(memory="32M", cpus=1)
    while machine.alloc_pages("GFP_KERNEL|__GFP_MEMALLOC|__GFP_NOWARN") is not None:
        pass
    # Nothing can move. So much is free that compaction is tried, but in pages apart.
    pages = [area for area in range(0x1000, 0x1C00, 2) if machine.frame(area).state == "in use"]
    for page in pages:
        machine.free_pages(page)
    machine.drain_all_pages()
    machine.let_pages_move()
    log = machine.record_events()
    for _ in range(4):
        assert machine.alloc_pages("GFP_KERNEL|__GFP_NOWARN", 4) is None
    names = [event.name for event in log.since(0)]
    assert "mm_compaction_defer_compaction" in names
    assert "mm_compaction_deferred" in names
    compaction = machine.pages.compaction
    assert compaction is not None
    kept = compaction.save()
    now = machine.now
    machine.goto(0)
    assert compaction.save() != kept
    machine.goto(now)
    assert compaction.save() == kept
    machine.save(tmp_path / "m.json")
    loaded = Machine.load(tmp_path / "m.json").pages.compaction
    assert loaded is not None
    assert loaded.save() == kept


def test_a_write_to_compact_memory_compacts(tmp_path: Path) -> None:
    machine, _kept = comb()
    other, _ = comb()
    machine.sysctl("vm.compact_memory", 1)
    other.compact_memory()
    assert machine.page_alloc.save() == other.page_alloc.save()
    same_again(machine, tmp_path / "m.json")
    with pytest.raises(ValueError, match="invalid value"):
        machine.sysctl("compact_memory", "now")


@pytest.mark.parametrize("factor", [15000, 0])
def test_mixing_page_blocks_raises_the_marks_as_far_as_the_factor_lets_it(factor: int) -> None:
    machine = Machine.boot(memory="64M", cpus=1, kernel="6.1")
    machine.sysctl("watermark_boost_factor", factor)
    log = machine.record_events()
    pages = []
    while (page := machine.alloc_pages(MOVABLE)) is not None:
        pages.append(page)
    for page in pages[::2]:
        machine.free_pages(page)
    machine.drain_all_pages()
    machine.alloc_pages("GFP_KERNEL")
    told = [event.fields["boost"] for event in log.since(0) if event.name == "boost_watermark"]
    boost = machine.snapshot().zone(0, "DMA32").boost
    assert told == ([boost] if factor else [])
    assert ("higher, as types were mixed in a page block" in "\n".join(machine.why())) == bool(factor)
    assert boost == (512 if factor else 0)


def test_a_kernel_without_compaction_says_so() -> None:
    for machine in (
        Machine.boot(memory="64M", kernel="2.4", arch="x86_32"),
        Machine.boot(memory="64M", config={"COMPACTION": "n"}),
    ):
        with pytest.raises(BadInput, match="can't compact memory"):
            machine.compact_memory()
        assert machine.now == 0
    with pytest.raises(ValueError, match="no node 2"):
        Machine.boot(memory="64M").compact_memory(2)


# Memory policies


@pytest.fixture
def two_nodes() -> Callable[..., Machine]:
    return lambda kernel="6.12": Machine.boot(nodes=["64M", "64M"], cpus=2, kernel=kernel)


def nodes_of(machine: Machine, count: int, **more: Any) -> list[int | None]:
    pages = [machine.alloc_pages("GFP_HIGHUSER_MOVABLE|__GFP_NOWARN", **more) for _ in range(count)]
    return [None if page is None else machine.frame(page).nid for page in pages]


def test_policies_choose_the_node(two_nodes: Callable[..., Machine], tmp_path: Path) -> None:
    machine = two_nodes()
    assert nodes_of(machine, 2) + nodes_of(machine, 2, cpu=1) == [0, 0, 1, 1]
    machine.set_mempolicy("interleave", [0, 1])
    assert nodes_of(machine, 4) == [0, 1, 0, 1]
    # A request that names its node does not ask the policy.
    assert nodes_of(machine, 2, node=1) == [1, 1]
    machine.set_mempolicy("preferred", [1])
    assert nodes_of(machine, 2) == [1, 1]
    machine.set_interleave_weight(1, 3)
    machine.set_mempolicy("weighted_interleave", [0, 1])
    assert nodes_of(machine, 6) == [0, 1, 1, 1, 0, 1]
    same_again(machine, tmp_path / "m.json")
    machine.set_mempolicy()
    assert nodes_of(machine, 2) == [0, 0]


def test_bind_fails_beside_free_memory(two_nodes: Callable[..., Machine]) -> None:
    machine = two_nodes()
    machine.set_mempolicy("bind", [1])
    while machine.alloc_pages(MOVABLE, 8) is not None:
        pass
    while machine.alloc_pages(MOVABLE) is not None:
        pass
    assert nodes_of(machine, 1) == [None]
    assert machine.snapshot().nodes[0].numastat == dict.fromkeys(machine.snapshot().nodes[0].numastat or {}, 0)
    machine.set_mempolicy("preferred", [1])
    assert nodes_of(machine, 1) == [0]
    nodes = machine.snapshot().nodes
    assert nodes[0].numastat is not None
    assert nodes[1].numastat is not None
    assert (nodes[0].numastat["numa_miss"], nodes[1].numastat["numa_foreign"]) == (1, 1)


def test_undo_brings_the_policy_and_its_round_back(two_nodes: Callable[..., Machine]) -> None:
    machine = two_nodes()
    machine.set_mempolicy("interleave", [0, 1])
    assert nodes_of(machine, 3) == [0, 1, 0]
    machine.undo()
    assert nodes_of(machine, 1) == [0]
    # Past the first checkpoint, too, from where others are carried out again.
    seen = {}
    for _ in range(2200):
        page = machine.alloc_pages()
        assert page is not None
        seen[machine.now] = machine.policies.task.il_prev
        machine.free_pages(page)
    for number in [*seen][-8::3]:
        machine.goto(number)
        assert machine.policies.task.il_prev == seen[number]
    machine.goto(0)
    assert nodes_of(machine, 2) == [0, 0]


def test_policies_that_a_kernel_or_machine_does_not_have(two_nodes: Callable[..., Machine]) -> None:
    machine = two_nodes("6.1")
    for call, error in (
        (lambda: machine.set_mempolicy("sideways", [0]), ValueError),
        (lambda: machine.set_mempolicy("bind"), ValueError),
        (lambda: machine.set_mempolicy("bind", [2]), ValueError),
        (lambda: machine.set_mempolicy("weighted_interleave", [0]), ValueError),
        (lambda: machine.set_interleave_weight(0, 2), BadInput),
        (lambda: Machine.boot(memory="64M", kernel="2.4", arch="x86_32").set_mempolicy("local"), BadInput),
        (lambda: two_nodes("6.12").set_interleave_weight(0, 256), ValueError),
    ):
        with pytest.raises(error):
            call()
    assert machine.now == 0


# Counters


def test_counters_are_the_same_however_a_moment_is_reached(two_nodes: Callable[..., Machine], tmp_path: Path) -> None:
    machine = two_nodes()
    chance = Random(7)
    live: list[int] = []
    seen = {}
    asked = 0
    for number in range(9000):
        if not live or chance.random() < 0.55:
            order = min(int(chance.expovariate(0.9)), 6)
            node = chance.choice([None, None, 0, 1])
            page = machine.alloc_pages(chance.choice(["GFP_KERNEL", 0xCC0, MOVABLE]), order, node, chance.randrange(2))
            if page is not None:
                live.append(page)
                asked += 1
        else:
            page = live.pop(chance.randrange(len(live)))
            machine.free_pages(page, machine.page_alloc.state[page] & 15, chance.randrange(2))
        if number % 701 == 0:
            seen[machine.now] = machine.snapshot()
    end = machine.now
    seen[end] = machine.snapshot()
    stats = [node.numastat or {} for node in seen[end].nodes]
    assert sum(stat["numa_hit"] + stat["numa_miss"] for stat in stats) == asked
    assert sum(stat["local_node"] + stat["other_node"] for stat in stats) == asked
    assert sum(stat["numa_miss"] for stat in stats) == sum(stat["numa_foreign"] for stat in stats)
    vmstat = seen[end].vmstat
    assert vmstat is not None
    assert vmstat.values["numa_hit"] == sum(stat["numa_hit"] for stat in stats)
    for number in chance.sample(sorted(seen), len(seen)):
        machine.goto(number)
        assert machine.snapshot() == seen[number]
    machine.goto(end)
    machine.save(tmp_path / "m.json")
    assert Machine.load(tmp_path / "m.json").snapshot() == seen[end]


def test_a_failed_request_stands_in_dmesg_as_the_kernel_writes_it() -> None:
    machine = Machine.boot(memory="16M", cpus=1)
    while machine.alloc_pages("GFP_ATOMIC|__GFP_NOWARN", 3) is not None:
        pass
    assert machine.dmesg == ()
    assert machine.alloc_pages("GFP_ATOMIC", 3) is None
    (report,) = machine.dmesg
    assert "page allocation failure: order:3, mode:0xa20(GFP_ATOMIC), nodemask=(null),cpuset=/,mems_allowed=0" in report
    zone = machine.snapshot().zone(0, "DMA")
    assert zone.free is not None
    assert f"Node 0 DMA free:{zone.free * 4}kB boost:" in report
    assert f"present:{(zone.present or 0) * 4}kB managed:{(zone.managed or 0) * 4}kB mlocked:" in report
    counts = [area.nr_free for area in zone.free_area or ()]
    assert report.count(f"{counts[0]}*4kB") == 1
    assert f" = {sum(number << order for order, number in enumerate(counts)) * 4}kB" in report
    assert f"{(zone.present or 0) - (zone.managed or 0)} pages reserved" in report


def test_a_machine_with_larger_pages_counts_in_kilobytes_all_the_same() -> None:
    machine = Machine.boot(arch="arm64", memory="512M", cpus=1, config={"ARM64_64K_PAGES": "y"})
    while machine.alloc_pages("GFP_ATOMIC", 5) is not None:
        pass
    present = sum(zone.present or 0 for zone in machine.snapshot().zones)
    assert f"present:{present * 64}kB" in machine.dmesg[0]


def test_proc_files_tell_the_counters() -> None:
    machine = Machine.boot(nodes=["64M", "64M"], cpus=2)
    machine.kmem_cache_init()
    for _ in range(7):
        machine.alloc_pages("GFP_KERNEL", cpu=1)
    files = proc_files(machine)
    stat = machine.snapshot().nodes[1].numastat
    assert stat is not None
    assert f"numa_hit {stat['numa_hit']}\n" in files["sys/devices/system/node/node1/numastat"]
    counters = vmstat.parse(files["proc/vmstat"]).stat.values
    assert counters["numa_hit"] == counters["numa_local"] + counters["numa_other"] >= 7
    assert counters["compact_migrate_scanned"] == 0
