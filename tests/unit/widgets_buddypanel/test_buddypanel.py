"""BuddyPanel from Python: what it says, draws and does, on a machine and on a recording's lists."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from kmemwidgets.capture import Capture
from kmemwidgets.records import BadInput, FreeArea, PerCpuPages, Snapshot, ZoneInfo
from kmemwidgets.sim import Machine
from kmemwidgets.widgets import Timeline
from kmemwidgets.widgets.buddypanel import BuddyPanel
from kmemwidgets.widgets.buddypanel.facts import Sample, by_order, over_time, zone_data

AREAS = (
    FreeArea(0, 3, {"Unmovable": 1, "Movable": 2}, {"Unmovable": (9,), "Movable": (4, 2)}),
    FreeArea(1, 0, {}, {}),
    FreeArea(2, 2, {"Movable": 2}, {"Movable": (16, 24)}),
)
ZONE = ZoneInfo(
    0, "Normal", free=11, present=64, managed=60, spanned=64, start_pfn=0, free_area=AREAS,
    pagesets=(PerCpuPages(0, 3, 20, 5, lists=((), (33, 34, 35), ())),),
)  # fmt: skip
SNAP = Snapshot(name="<b>m</b>", arch="x86_64", kernel=(6, 1, 192), zones=(ZoneInfo(0, "DMA", present=0), ZONE))


def test_rows_are_the_lists_in_their_order() -> None:
    data = BuddyPanel(SNAP).data()
    assert [row["order"] for row in data["rows"]] == [2, 1, 0]
    assert data["rows"][0]["lists"] == [["Movable", 2, [16, 24]]]
    assert data["rows"][2]["lists"] == [["Unmovable", 1, [9]], ["Movable", 2, [4, 2]]]
    assert data["positions"]
    assert data["pcp"][0]["lists"] == [
        {"name": "order 0 Movable", "type": "Movable", "order": 0, "count": 3, "pfns": [33, 34, 35]}
    ]


def test_summary_and_picture() -> None:
    panel = BuddyPanel(SNAP)
    assert repr(panel).splitlines() == [
        "BuddyPanel of <b>m</b>, node 0 Normal: 11 pages in free blocks, 44 KiB",
        "  order 2: 2 blocks of 4 pages (Movable 2)",
        "  order 1: 0 blocks of 2 pages",
        "  order 0: 3 blocks of 1 page (Unmovable 1, Movable 2)",
        "  cpu 0: 3 pages, high 20",
    ]
    assert "<b>m</b>" in "".join(ET.fromstring(panel.picture()).itertext())


def test_a_recording_has_no_verbs() -> None:
    panel = BuddyPanel(SNAP)
    assert {each["name"] for each in panel.about["gestures"] if each["off"]} == {
        "allocate", "free", "why", "undo", "reset",
    }  # fmt: skip
    with pytest.raises(ValueError, match="only looked at"):
        panel.allocate()
    with pytest.raises(ValueError, match="nothing was allocated"):
        panel.free()


def test_allocating_and_freeing_on_a_machine() -> None:
    machine = Machine.boot(memory="64M", cpus=2)
    before = machine.snapshot().zone(0, "DMA32").free
    panel = BuddyPanel(machine)
    panel.choose_order(5)
    pfn = panel.allocate()
    assert pfn is not None
    assert machine.frame(pfn).order == 5
    assert panel.held == [[pfn, 5, "GFP_KERNEL"]]
    assert panel.focus.frames == range(pfn, pfn + 32)
    assert panel.said == f"GFP_KERNEL, order 5: pfn {pfn:#x}"
    other = panel.allocate(4, "GFP_HIGHUSER_MOVABLE", cpu=1)
    panel.step_held(-1)
    assert panel.chosen == pfn
    panel.free()
    assert panel.held == [[other, 4, "GFP_HIGHUSER_MOVABLE"]]
    with pytest.raises(ValueError, match="not allocated here"):
        panel.free(pfn)
    panel.free()
    pcp = sum(each.count for each in panel.zone.pagesets)
    assert panel.zone.free + pcp == before


def test_undo_gives_a_freed_block_back_and_takes_an_allocated_one() -> None:
    panel = BuddyPanel(Machine.boot(memory="64M", cpus=1))
    pfn = panel.allocate(3)
    panel.free()
    panel.undo()
    panel.send_changes()
    assert panel.held == [[pfn, 3, "GFP_KERNEL"]]
    panel.undo()
    panel.send_changes()
    assert panel.held == []
    assert panel.chosen is None


def test_no_page_is_said() -> None:
    panel = BuddyPanel(Machine.boot(memory="16M", cpus=1))
    while panel.allocate(10) is not None:
        pass
    assert panel.said == "GFP_KERNEL, order 10: no page"


def test_choosing() -> None:
    panel = BuddyPanel(Machine.boot(memory="64M", cpus=2))
    panel.step_order(99)
    assert panel.order == 10
    panel.step_order(-99)
    assert panel.order == 0
    panel.next_request()
    assert panel.gfp == "GFP_HIGHUSER_MOVABLE"
    panel.next_cpu()
    panel.next_cpu()
    assert panel.cpu == 0
    assert panel.zone.name == "DMA32"
    panel.next_zone()
    assert panel.zone.name == "DMA"
    with pytest.raises(ValueError, match="no order 11"):
        panel.choose_order(11)
    with pytest.raises(ValueError, match="there are 0/DMA, 0/DMA32"):
        panel.show_zone(0, "Movable")


def test_it_follows_a_linked_widget_to_another_zone() -> None:
    panel = BuddyPanel(Machine.boot(memory="64M", cpus=1))
    panel.focus.at(node=0, zone="DMA")
    assert panel.zone.name == "DMA"
    panel.focus.at(node=0, zone="Movable")
    assert panel.zone.name == "DMA"


def test_indexes_over_order_and_time() -> None:
    # 11 free pages, of which two blocks of 4: 3/11 are of no use to order 2.
    plot = by_order((3, 0, 2), "here")
    assert plot.series[0].values == (3 / 11, 0.0, 8 / 11)
    assert plot.series[1].values == (0.0, 0.272, 0.272)
    assert plot.series[2].values == (None, None, None)
    scattered = over_time([Sample(1, (3, 0, 2)), Sample(4, (8, 0, 0))], 2, "here")
    assert scattered.x == (1, 4)
    assert scattered.series[0].values == (1.0, 8 / 11)
    assert scattered.series[1].values == (8 / 11, 0.0)
    assert scattered.series[2].values == (0.272, 1.0)
    # Two blocks of 4 would fit into 8 pages: 1 - (1 + 2) / 8.
    assert scattered.series[3].values == (None, 0.625)


def test_going_back_forgets_what_came_after() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    panel = BuddyPanel(machine)
    panel.time = True
    for order in range(4):
        panel.allocate(order)
        panel.data()
    assert panel.plot().x == (1, 2, 3, 4)
    machine.goto(2)
    panel.data()
    assert panel.plot().x == (1, 2)


def test_positions_unknown() -> None:
    text = "Node 0, zone      DMA      1      0      3\nNode 0, zone   Normal      5      0      0\n"
    panel = BuddyPanel(text)
    assert panel.zone.name == "DMA"
    data = zone_data(panel.source, panel.zone)
    assert not data["positions"]
    assert data["rows"][0]["blocks"] == 3
    with pytest.raises(BadInput):
        BuddyPanel(Snapshot(name="x", arch="x86_64", kernel=(6, 1)))


def test_why_here_is_asked_of_the_source() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    panel = BuddyPanel(machine)
    panel.allocate(2)
    told = panel.why()
    assert told == machine.verbs["why"](1)
    assert told[-1].startswith("so it got pfn")
    assert panel.said.splitlines() == list(told)
    with pytest.raises(ValueError, match="only looked at"):
        BuddyPanel(SNAP).why()


def test_why_here_is_asked_of_the_block_that_was_chosen() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    panel = BuddyPanel(machine)
    first, second = panel.allocate(2), panel.allocate(3)
    assert first is not None
    assert second is not None
    assert panel.why() == machine.verbs["why"](2)
    panel.choose(first)
    assert panel.why() == machine.verbs["why"](1)
    panel.step_held(1)
    assert panel.why() == machine.verbs["why"](2)
    panel.choose(first)
    panel.free()
    assert panel.why() == machine.verbs["why"](3)


def test_a_recorded_trace_moves_the_lists() -> None:
    line = Timeline(Capture.bundled("amd64-512m"), trace="t_quiet")
    panel = BuddyPanel(line.source)
    before = panel.summary()
    line.go_to(line.length)
    panel.data()
    panel.time = True
    assert panel.summary() != before
    assert panel.plot().x_label == "events"
    assert panel.plot().x == (line.length,)


def low_pages(machine: Machine, panel: BuddyPanel) -> list[int]:
    """Allocate pages by the panel where compaction takes them away: low in the zone, with room above."""
    pages = []
    while (page := machine.alloc_pages("__GFP_MOVABLE|__GFP_HIGHMEM|__GFP_NOWARN", node=0)) is not None:
        if machine.frame(page).zone == "DMA32":
            pages.append(page)
    pages.sort()
    for page in pages[1:40:4]:
        machine.free_pages(page)
    machine.drain_all_pages()
    for _ in range(8):
        panel.allocate(0, "__GFP_HIGH|__GFP_MOVABLE|__GFP_HIGHMEM")
    for page in pages[-4000::2]:
        machine.free_pages(page)
    machine.drain_all_pages()
    return [pfn for pfn, _, _ in panel.held]


def test_blocks_that_compaction_moves_are_held_where_they_are() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    panel = BuddyPanel(machine)
    before = low_pages(machine, panel)
    panel.choose(before[0])
    moves = machine.compact_memory()
    assert set(before) & set(moves)
    panel.send_changes()
    after = [pfn for pfn, _, _ in panel.held]
    assert after == [moves.get(pfn, pfn) for pfn in before]
    assert panel.chosen == after[0]
    # The frame that the first one left is free, or somebody else's: the panel gives neither back.
    moved = next(pfn for pfn in before if pfn in moves)
    with pytest.raises(ValueError, match=f"{moved:#x} was not allocated here, or moved to {moves[moved]:#x}"):
        panel.free(moved)
    now = machine.now
    machine.undo()
    panel.send_changes()
    assert [pfn for pfn, _, _ in panel.held] == before
    machine.goto(now)
    panel.send_changes()
    assert [pfn for pfn, _, _ in panel.held] == after
    for _ in after:
        panel.free()
    assert panel.held == []
    assert machine.now == now + len(after)


def test_a_block_that_moved_since_the_last_look_is_freed_where_it_is() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    panel = BuddyPanel(machine)
    before = low_pages(machine, panel)
    panel.choose(before[0])
    moves = machine.compact_memory()
    # No change was sent in the meantime: what is chosen is where it was.
    assert panel.chosen == before[0]
    panel.free()
    assert machine.frame(moves.get(before[0], before[0])).state != "in use"
    assert len(panel.held) == len(before) - 1


def test_what_somebody_else_took_after_a_free_is_not_held_again() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    panel = BuddyPanel(machine)
    pfn = panel.allocate(0)
    assert pfn is not None
    machine.free_pages(pfn)
    panel.send_changes()
    assert panel.held == []
    assert machine.alloc_pages("GFP_KERNEL") == pfn
    panel.send_changes()
    assert panel.held == []
    machine.goto(1)
    panel.send_changes()
    assert panel.held == [[pfn, 0, "GFP_KERNEL"]]
