"""kswapd and kcompactd of a machine: what wakes them, when they run, and what they leave behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from kmemwidgets import Machine
from kmemwidgets.records import BadInput
from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.gfp import GFP_KERNEL
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.vmscan import TABLE, KswapdRules
from kmemwidgets.sim.vmscan import DEF_PRIORITY, Kswapd, Round, Shrunk
from kmemwidgets.tracefs import format as format_trace
from kmemwidgets.tracefs import parse

MOVABLE = "GFP_HIGHUSER_MOVABLE|__GFP_NORETRY|__GFP_NOWARN"
#: Requests that may not wait, and wake nobody.
QUIET = "__GFP_MOVABLE|__GFP_HIGHMEM|__GFP_NOWARN"
MEMORY = "40M"


def mixed(kernel: str = "6.1") -> Machine:
    """Boot a machine whose last command mixed a page block, so that the marks are up and kswapd is awake."""
    machine = Machine.boot(memory=MEMORY, cpus=1, kernel=kernel)
    pages = filled(machine)
    for page in pages[::2]:
        machine.free_pages(page)
    machine.drain_all_pages()
    machine.alloc_pages("GFP_KERNEL")
    return machine


def boost(machine: Machine) -> int | None:
    return machine.snapshot().zone(0, "DMA32").boost


def filled(machine: Machine, gfp: str = QUIET) -> list[int]:
    """Fill a machine with movable pages."""
    pages = []
    while (page := machine.alloc_pages(gfp)) is not None:
        pages.append(page)
    return pages


def combed(machine: Machine, gfp: str = QUIET) -> set[int]:
    """Fill a machine with movable pages and free some of them by chance; return the rest."""
    chance = Random(1)
    pages = filled(machine, gfp)
    held = {page for page in pages if chance.random() < 0.5}
    for page in pages:
        if page not in held:
            machine.free_pages(page)
    machine.drain_all_pages()
    return held


def same_again(machine: Machine, path: Path) -> None:
    before, kept = machine.snapshot(), machine.pages.save()
    now = machine.now
    for moment in (now - 1, 0):
        machine.goto(moment)
        machine.goto(now)
        assert machine.snapshot() == before
        assert machine.pages.save() == kept
    machine.save(path)
    loaded = Machine.load(path)
    assert loaded.snapshot() == before
    assert loaded.pages.save() == kept


# kswapd


@pytest.mark.parametrize("kernel", ["2.4", "2.6.11"])
def test_kswapd_sleeps_again_where_no_kernel_gives_a_node_up(kernel: str) -> None:
    machine = Machine.boot(arch="x86_32", memory="16M", kernel=kernel)
    while machine.alloc_pages("GFP_KERNEL") is not None:
        pass
    machine.run_kswapd()
    assert machine.alloc_pages("GFP_KERNEL") is None


def test_the_boost_stays_until_kswapd_has_run(tmp_path: Path) -> None:
    machine = mixed()
    assert boost(machine) == 512
    assert machine.pages.threads.kswapd.nodes[0].woken
    same_again(machine, tmp_path / "m.json")
    log = machine.record_events()
    machine.run_kswapd(0)
    assert boost(machine) == 0
    told = [(event.system, event.name) for event in log.since(0)]
    assert told[0] == ("vmscan", "mm_vmscan_kswapd_wake")
    assert told[-1] == ("vmscan", "mm_vmscan_kswapd_sleep")
    assert ("sim", "take_boost_back") in told
    same_again(machine, tmp_path / "m.json")
    # It sleeps now.
    seen = len(log)
    machine.run_kswapd()
    assert len(log) == seen


def test_by_itself_kswapd_runs_before_the_next_request(tmp_path: Path) -> None:
    machine = mixed()
    assert boost(machine) == 512
    log = machine.record_events()
    machine.alloc_pages("GFP_KERNEL")
    names = [event.name for event in log.since(0)]
    assert names.index("mm_vmscan_kswapd_sleep") < names.index("request")
    assert boost(machine) == 0
    assert "takes the boost of node 0 DMA32 back" in "\n".join(machine.why())
    same_again(machine, tmp_path / "m.json")
    text = format_trace([event for event in log.since(0) if event.system != "sim"])
    assert not parse(text).unknown


def test_a_request_that_is_none_lets_nobody_run() -> None:
    machine = mixed()
    for gfp, order, cpu in (("__GFP_MOVABLE|__GFP_RECLAIMABLE", 0, 0), ("GFP_KERNEL", -1, 0), ("GFP_KERNEL", 0, 7)):
        with pytest.raises(ValueError, match=r"movable and reclaimable|not there"):
            machine.alloc_pages(gfp, order, cpu=cpu)
    assert boost(machine) == 512


def test_only_the_boost_of_when_it_woke_is_taken_back() -> None:
    machine = mixed()
    zone = machine.page_alloc.zones[-1].zone
    kswapd = machine.pages.threads.kswapd
    given: list[Round] = []

    def shrink(asked: Round) -> Shrunk:
        given.append(asked)
        zone.watermark_boost += 100
        return Shrunk()

    kswapd.shrink = shrink
    kswapd.run(0)
    assert zone.watermark_boost == 100
    (asked,) = given
    assert asked.boosted
    assert (asked.nid, asked.order, asked.priority) == (0, 0, DEF_PRIORITY)


def test_reclaim_goes_on_until_a_zone_is_above_its_high_mark() -> None:
    machine = Machine.boot(memory=MEMORY, cpus=1, kernel="6.1")
    pages = filled(machine)
    kswapd, allocator = machine.pages.threads.kswapd, machine.page_alloc
    priorities = []

    def shrink(asked: Round) -> Shrunk:
        priorities.append(asked.priority)
        for page in pages[-100:]:
            allocator.free_pages(page)
        del pages[-100:]
        allocator.drain_all_pages()
        # Enough was looked at the second time: the next round looks no deeper.
        return Shrunk(100, 0 if len(priorities) == 1 else 10_000)

    kswapd.shrink = shrink
    assert not kswapd.balanced(0, 0, 1)
    assert kswapd.wakeup(0, 1, 0, GFP_KERNEL, 0)
    assert not kswapd.wakeup(0, 1, 0, GFP_KERNEL, 0)
    kswapd.run(0)
    assert kswapd.balanced(0, 0, 1)
    assert priorities[:3] == [12, 11, 11][: len(priorities)]
    assert kswapd.nodes[0].failures == 0
    assert not kswapd.wakeup(0, 1, 0, GFP_KERNEL, 0)


def test_after_sixteen_runs_in_vain_a_node_is_given_up() -> None:
    machine = Machine.boot(memory=MEMORY, cpus=1, kernel="6.1")
    filled(machine)
    kswapd = machine.pages.threads.kswapd
    log = machine.record_events()
    assert machine.alloc_pages(MOVABLE) is None
    assert kswapd.nodes[0].woken
    assert machine.alloc_pages(MOVABLE) is None
    wakes = [event.fields for event in log.since(0) if event.name == "mm_vmscan_kswapd_wake"]
    assert len(wakes) == 16
    assert kswapd.is_hopeless(0)
    assert machine.alloc_pages(MOVABLE) is None
    assert "kswapd of node 0 is not woken: 16 runs in a row found nothing to free" in machine.why()


@pytest.mark.parametrize(("kernel", "failures"), [("6.18", 1), ("6.19", 0)])
def test_a_run_for_the_boost_alone_may_end_with_nothing(kernel: str, failures: int) -> None:
    machine = mixed(kernel)
    machine.run_kswapd()
    assert boost(machine) == 0
    assert machine.pages.threads.kswapd.nodes[0].failures == failures


@pytest.mark.parametrize(
    ("kernel", "free", "woken"),
    [((2, 4, 37), 1000, True), ((2, 6, 11), 260, False), ((2, 6, 11), 250, True), ((6, 1), 260, True)],
)
def test_older_kernels_ask_other_marks(kernel: tuple[int, ...], free: int, woken: bool) -> None:
    machine = Machine.boot(memory=MEMORY, cpus=1, kernel="6.1")
    live = machine.page_alloc.zones[-1]
    live.zone.wmark_min, live.zone.wmark_low, live.zone.wmark_high = 200, 255, 300
    for other in machine.page_alloc.zones:
        other.nr_free_pages = free if other is live else 10_000 if kernel < (4,) else 0
    asked: list[tuple[int, ...]] = []
    kswapd = Kswapd(
        machine.page_alloc, pick(KswapdRules, TABLE, kernel),
        wakeup_kcompactd=lambda *what: asked.append(what), reset_isolation_suitable=lambda _: None,
    )  # fmt: skip
    assert kswapd.wakeup(0, live.zone.index, 0, 0, 0) is woken
    assert asked == []


# kcompactd


def test_who_may_not_wait_leaves_word_with_kcompactd() -> None:
    machine = Machine.boot(memory=MEMORY, cpus=1, kernel="6.1")
    # Nothing could be reclaimed, so that kswapd has given up.
    held = combed(machine, MOVABLE)
    compaction, kcompactd = machine.pages.compaction, machine.pages.threads.kcompactd
    assert compaction is not None
    assert kcompactd is not None
    log = machine.record_events()
    # Who may wait would compact by itself, if pages might move.
    assert machine.alloc_pages("GFP_KERNEL|__GFP_NOWARN|__GFP_NORETRY", 9) is None
    assert not kcompactd.nodes[0].woken
    assert machine.alloc_pages("GFP_NOWAIT|__GFP_NOWARN", 9) is None
    assert kcompactd.nodes[0].woken
    assert "kcompactd of node 0 is woken for order 9" in machine.why()
    assert machine.alloc_pages("GFP_NOWAIT|__GFP_NOWARN", 9) is None
    moves = machine.run_kcompactd()
    assert moves
    assert set(moves) <= held
    assert compaction.counters["compact_daemon_wake"] == 1
    assert compaction.counters["compact_daemon_migrate_scanned"] > len(moves)
    assert compaction.counters["compact_isolated"] >= 2 * len(moves)
    names = [event.name for event in log.since(0) if event.system == "compaction"]
    assert names.index("mm_compaction_wakeup_kcompactd") < names.index("mm_compaction_kcompactd_wake")
    assert names[-1] == "mm_compaction_kcompactd_sleep"
    assert machine.alloc_pages("GFP_NOWAIT|__GFP_NOWARN", 9) is not None
    assert not parse(format_trace([event for event in log.since(0) if event.system != "sim"])).unknown


def test_kcompactd_runs_by_itself_only_if_pages_may_move(tmp_path: Path) -> None:
    machine = Machine.boot(memory=MEMORY, cpus=1, kernel="6.1")
    held = combed(machine, MOVABLE)
    for _ in range(2):
        assert machine.alloc_pages("GFP_NOWAIT|__GFP_NOWARN", 9) is None
    assert machine.take_moves() == {}
    machine.let_pages_move()
    assert machine.alloc_pages("GFP_NOWAIT|__GFP_NOWARN", 9) is not None
    moves = machine.take_moves()
    assert moves
    assert set(moves) <= held
    same_again(machine, tmp_path / "m.json")
    for page in held:
        machine.free_pages(moves.get(page, page))
    with pytest.raises(KernelBug):
        machine.free_pages(next(iter(moves)))


def test_failures_put_kcompactd_off() -> None:
    machine = Machine.boot(memory=MEMORY, cpus=1, kernel="6.1")
    combed(machine)
    compaction, kcompactd = machine.pages.compaction, machine.pages.threads.kcompactd
    assert compaction is not None
    assert kcompactd is not None
    compaction.migrate = lambda *_: False
    number = next(n for n, live in enumerate(machine.page_alloc.zones) if live.zone.name == "DMA32")
    shifts = []
    for _ in range(4):
        assert kcompactd.wakeup(0, 9, 1)
        kcompactd.run(0)
        shifts.append((compaction.zones[number].defer_shift, compaction.zones[number].considered))
    assert shifts == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert kcompactd.nodes[0].max_order == 0
    # Nothing is asked of it for single pages, nor where compaction would not help.
    assert not kcompactd.wakeup(0, 0, 1)
    assert not kcompactd.wakeup(0, 1, 1)


def test_half_a_second_without_work_is_a_look_at_the_score(tmp_path: Path) -> None:
    machine = Machine.boot(memory=MEMORY, cpus=1, kernel="6.1")
    combed(machine)
    assert machine.fragmentation_score() > 90
    moves = machine.run_kcompactd()
    assert moves
    assert machine.fragmentation_score() <= 90
    same_again(machine, tmp_path / "m.json")
    assert machine.run_kcompactd() == {}
    machine.sysctl("compaction_proactiveness", 100)
    assert machine.run_kcompactd()
    machine.sysctl("vm.compaction_proactiveness", "0")
    assert machine.run_kcompactd() == {}


@pytest.mark.parametrize(("kernel", "left_out"), [("5.10", 64), ("6.1", 63)])
def test_a_look_that_bettered_nothing_puts_the_next_ones_off(kernel: str, left_out: int) -> None:
    machine = Machine.boot(memory=MEMORY, cpus=1, kernel=kernel)
    combed(machine)
    compaction = machine.pages.compaction
    assert compaction is not None
    compaction.migrate = lambda *_: False
    log = machine.record_events()

    def looks() -> int:
        return sum(event.name == "mm_compaction_begin" for event in log.since(0))

    machine.run_kcompactd()
    begun = looks()
    assert begun
    for _ in range(left_out):
        machine.run_kcompactd()
    assert looks() == begun
    machine.run_kcompactd()
    assert looks() > begun
    # Who writes the sysctl wakes it at once, from 5.15 on.
    begun = looks()
    machine.sysctl("compaction_proactiveness", 30)
    machine.run_kcompactd()
    assert (looks() > begun) == (kernel == "6.1")


def test_knobs_that_a_kernel_does_not_have_or_values_that_it_refuses() -> None:
    calls: tuple[tuple[Callable[[], object], type[Exception]], ...] = (
        (lambda: Machine.boot(memory="64M", kernel="5.6").sysctl("compaction_proactiveness", 20), BadInput),
        (lambda: Machine.boot(memory="64M").sysctl("compaction_proactiveness", 101), ValueError),
        (lambda: Machine.boot(memory="64M").sysctl("extfrag_threshold", 1001), ValueError),
        (lambda: Machine.boot(memory="64M", config={"COMPACTION": "n"}).run_kcompactd(), BadInput),
        (lambda: Machine.boot(memory="64M").run_kcompactd(3), ValueError),
        (lambda: Machine.boot(memory="64M").run_kswapd(3), ValueError),
    )
    for call, error in calls:
        with pytest.raises(error):
            call()


def test_a_small_threshold_lets_costly_requests_compact_more_readily() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    compaction = machine.pages.compaction
    assert compaction is not None
    assert compaction.extfrag_threshold == 500
    machine.sysctl("extfrag_threshold", 0)
    assert compaction.extfrag_threshold == 0
    machine.undo()
    assert compaction.extfrag_threshold == 500
