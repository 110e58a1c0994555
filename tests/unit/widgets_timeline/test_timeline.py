"""Timeline and the source behind it: any moment, forward and back, is the same state."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.capture import Capture
from kmemwidgets.records import KPF, BadInput, FrameTable, Snapshot, TraceEvent, ZoneInfo
from kmemwidgets.sim import Machine
from kmemwidgets.widgets.timeline import Timeline, TraceSource

FREE, SLAB = KPF["BUDDY"], KPF["SLAB"]
ZONE = ZoneInfo(0, "Normal", free=60, spanned=64, present=64, managed=64, start_pfn=16)


def before(frames: int = 64) -> Snapshot:
    table = FrameTable(16, bytes([0] * (frames - 4) + [1] * 4), (FREE, SLAB))
    return Snapshot(name="<b>m</b>", arch="x86_64", kernel=(6, 1, 192), zones=(ZONE,), frames=table)


def event(seq: int, name: str, **fields: object) -> TraceEvent:
    return TraceEvent(seq, "kmem", name, dict(fields), time_ns=1000 * seq, pid=7, comm="work")


EVENTS = (
    event(0, "mm_page_alloc", page=1, pfn=20, order=2),
    event(1, "kmalloc", ptr=5),
    event(2, "mm_page_free", page=1, pfn=20, order=2),
    event(3, "mm_page_alloc", page=1, pfn=20, order=0),
    event(4, "mm_page_alloc", page=0, pfn=0, order=0),
    event(5, "mm_page_free", page=1, pfn=79, order=0),
    event(6, "mm_page_alloc", page=1, pfn=78, order=9),
    event(7, "mm_page_alloc", page=1, pfn=21, order=10**9),
)


def words(source: TraceSource) -> list[int]:
    table = source.frame_table()
    assert table is not None
    return [table[pfn] for pfn in range(table.start_pfn, table.end_pfn)]


def test_events_change_frames() -> None:
    source = TraceSource(before(), EVENTS)
    source.goto(1)
    assert words(source)[4:8] == [0, 0, 0, 0]
    source.goto(4)
    assert words(source)[4:8] == [0, FREE, FREE, FREE]
    source.goto(len(EVENTS))
    assert words(source)[63] == FREE
    assert words(source)[62] == SLAB
    source.goto(0)
    assert words(source) == [FREE] * 60 + [SLAB] * 4


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 15), st.integers(0, 3)), max_size=60), st.data())
def test_back_and_forward_is_the_same_as_forward(steps: list[tuple[bool, int, int]], data: st.DataObject) -> None:
    events = [
        event(i, "mm_page_alloc" if taken else "mm_page_free", page=1, pfn=16 + (at << order), order=order)
        for i, (taken, at, order) in enumerate(steps)
    ]
    walked = TraceSource(before(), events)
    for _ in range(6):
        number = data.draw(st.integers(0, len(events)))
        since, seen = walked.changes(0).seq, words(walked)
        walked.goto(number)
        fresh = TraceSource(before(), events)
        fresh.goto(number)
        assert words(walked) == words(fresh)
        ranges = walked.changes(since).ranges
        assert ranges is not None
        assert all(a + n < b for (a, n), (b, _) in pairwise(ranges))
        told = {pfn for first, count in ranges for pfn in range(first, first + count)}
        assert {16 + i for i, (a, b) in enumerate(zip(seen, words(walked), strict=True)) if a != b} <= told


def test_what_events_do_not_tell_is_unknown() -> None:
    source = TraceSource(before(), EVENTS)
    assert source.snapshot().zones[0].free == 60
    source.goto(3)
    snapshot = source.snapshot()
    assert snapshot.zones[0].free is None
    assert snapshot.zones[0].spanned == 64
    assert snapshot.meminfo is None
    assert any("not followed" in note for note in snapshot.notes)
    assert source.frame(20).flags == FREE


def test_owners_and_ages_follow_the_events() -> None:
    source = TraceSource(before(), EVENTS)
    assert source.frame_kinds() == ("flags", "owner", "age")
    source.goto(2)
    assert source.frame(22).owner == "work"
    assert (source.frame(22).age, source.taken_by(23)) == (1, 1)
    table = source.frame_table("age")
    assert table is not None
    assert table.labels[table.codes[4]] == "1 event ago"
    source.goto(3)
    assert (source.frame(22).owner, source.taken_by(22)) == ("free", None)
    source.goto(8)
    owners = source.frame_table("owner")
    assert owners is not None
    assert [owners.labels[code] for code in owners.codes[3:6]] == ["free", "work", "free"]
    assert owners.labels[owners.codes[62]] == "before the trace"
    source.goto(1)
    assert source.taken_by(20) == 1


def test_a_part_that_is_freed_leaves_single_frames_behind() -> None:
    events = [
        event(0, "mm_page_alloc", page=1, pfn=24, order=3),
        event(1, "mm_page_free", page=1, pfn=26, order=0),
        event(2, "mm_page_alloc", page=1, pfn=26, order=0),
    ]
    source = TraceSource(before(), events)
    source.goto(2)
    assert [source.taken_by(pfn) for pfn in range(23, 33)] == [None, 1, 1, None, 1, 1, 1, 1, 1, None]
    source.goto(3)
    assert [source.taken_by(pfn) for pfn in (25, 26, 27)] == [1, 3, 1]
    ages = source.frame_table("age")
    assert ages is not None
    assert [ages.labels[ages.codes[at]] for at in (9, 10)] == ["2 to 3 events ago", "the last event"]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 15), st.integers(0, 2)), max_size=40), st.data())
def test_owners_are_the_same_whichever_way_a_moment_was_reached(
    steps: list[tuple[bool, int, int]], data: st.DataObject
) -> None:
    events = [
        event(i, "mm_page_alloc" if taken else "mm_page_free", page=1, pfn=16 + (at << order), order=order)
        for i, (taken, at, order) in enumerate(steps)
    ]
    walked = TraceSource(before(), events)
    for _ in range(4):
        number = data.draw(st.integers(0, len(events)))
        fresh = TraceSource(before(), events)
        for source in (walked, fresh):
            source.goto(number)
        for kind in ("owner", "age"):
            assert walked.frame_table(kind) == fresh.frame_table(kind)


def test_a_recorded_trace_has_lists_and_answers_at_any_moment() -> None:
    line = Timeline(Capture.bundled("amd64-512m"), trace="t_quiet")
    source = line.source
    assert isinstance(source, TraceSource)
    assert source.frame_kinds() == ("flags", "order", "migratetype", "owner", "age")
    line.go_to(12)  # an allocation of one page
    zone = source.snapshot().zone(0, "DMA32")
    assert zone.free == sum(area.nr_free << area.order for area in zone.free_area or ())
    lists = source.free_lists(0, "DMA32", 10**6)
    assert {order: 0 for order, _ in lists}.keys() == set(range(11))
    assert sum(len(pfns) for (order, _), pfns in lists.items() if order == 10) == (zone.free_area or ())[10].nr_free
    told = line.why()
    assert told[-1] == "the recorded kernel gave cpu 0 the same frame"
    assert line.said == "\n".join(told)
    pfn = source.events[11].fields["pfn"]
    assert (source.frame(pfn).order, source.frame(pfn).head, source.frame(pfn).age) == (0, pfn, 12)
    # An event that asks for no page says so; and an earlier moment is what it was.
    assert source.why(1) == ("kmalloc asks nothing of the page allocator",)
    line.go_to(line.length)
    assert source.snapshot().zone(0, "DMA32") != zone
    line.go_to(12)
    assert source.snapshot().zone(0, "DMA32") == zone


def test_a_jump_asks_for_everything_again() -> None:
    events = [event(i, "mm_page_alloc", page=1, pfn=16, order=0) for i in range(5000)]
    source = TraceSource(before(), events)
    source.goto(5000)
    assert source.changes(0).ranges is None
    source.goto(4999)
    assert source.changes(1).ranges == ((16, 1),)
    assert source.changes(2).ranges == ()
    assert source.changes(99).ranges is None


def test_moments_outside_are_refused() -> None:
    with pytest.raises(ValueError, match="0 to 8"):
        TraceSource(before(), EVENTS).goto(9)
    with pytest.raises(ValueError, match="0 to 8"):
        Timeline(before(), trace=EVENTS).go_to(-1)


def test_any_moment_of_a_hundred_thousand_is_there() -> None:
    names = ("mm_page_alloc", "mm_page_free")
    events = [event(i, names[i & 1], page=1, pfn=16 + i * 7 % 60, order=0) for i in range(100_000)]
    line = Timeline(before(), trace=events, position=100_000)
    for number in (0, 50_000, 1, 99_999, 33_333):
        line.go_to(number)
        assert line.source.now == number
        if number:
            assert line.source.frame(16 + (number - 1) * 7 % 60).flags == (0, FREE)[(number - 1) & 1]


def test_walking_a_trace() -> None:
    line = Timeline(before(), trace=EVENTS)
    assert line.length == 8
    line.step()
    assert (line.position, line.source.now) == (1, 1)
    assert line.focus.place == {
        "node": 0, "zone": "Normal", "start": 20, "count": 4, "event": 1, "origin": line.model_id,
    }  # fmt: skip
    line.next_alike()
    assert line.position == 4
    line.next_alike("mm_page_free")
    assert line.position == 6
    line.next_alike("nothing")
    assert line.position == 6
    line.step(-100)
    assert line.position == 0
    line.position = 99
    assert line.position == 8
    line.focus.at(event=3)
    assert line.source.now == 3
    assert repr(line).splitlines()[0] == "Timeline of <b>m</b>: 3 of 8"
    assert repr(line).endswith(f"  {line.line(3)}")
    assert "mm_page_free: page=" in line.line(3)
    line.faster()
    assert line.speed == 64
    line.slower()
    line.slower()
    assert line.speed == 4
    line.play()
    assert line.playing
    line.pause()
    assert not line.playing


def test_kinds_are_counted_by_piece() -> None:
    data = Timeline(before(), trace=EVENTS).data()
    assert [(name, sum(counts)) for name, _, counts in data["kinds"]] == [
        ("mm_page_alloc", 5), ("mm_page_free", 2), ("kmalloc", 1),
    ]  # fmt: skip
    assert data["kinds"][2][2] == [0, 1, 0, 0, 0, 0, 0, 0]
    many = [event(i, f"kind{i % 9}") for i in range(90)]
    rows = Timeline(before(), trace=many).data()["kinds"]
    assert [name for name, _, _ in rows] == [f"kind{i}" for i in range(7)] + ["others"]
    assert sum(rows[-1][2]) == 20


def test_a_machine_plays_its_own_commands() -> None:
    machine = Machine.boot(memory="64M", cpus=1)
    page = machine.alloc_pages("GFP_KERNEL", 3)
    assert page is not None
    machine.free_pages(page, 3)
    line = Timeline(machine)
    assert (line.position, line.length) == (2, 2)
    assert line.line(1) == "alloc_pages(GFP_KERNEL, order=3, cpu=0)"
    assert line.line(2) == f"free_pages({page:#x}, order=3)"
    line.step(-1)
    assert machine.now == 1
    assert machine.frame(page).order == 3
    machine.alloc_pages("GFP_ATOMIC", 0)
    line.send_changes()
    assert (line.position, line.length) == (2, 2)
    assert [name for name, _, _ in line.data()["kinds"]] == ["alloc_pages"]


def test_the_picture_is_the_same_twice_and_escapes() -> None:
    line = Timeline(before(), trace=EVENTS, position=4)
    assert line.picture() == line.picture()
    assert "<b>m</b>" in "".join(ET.fromstring(line.picture()).itertext())


def test_trace_text_and_what_is_no_trace() -> None:
    text = "  work-7  [000] d..3.    13.947687: mm_page_free: page=ffffea0000234c80 pfn=0x8d32 order=0\n"
    line = Timeline(text)
    assert line.length == 1
    assert line.source.frame_table() is None
    line.step()
    assert line.focus.frame == 0x8D32
    with pytest.raises(BadInput):
        Timeline("nonsense\n")
    with pytest.raises(BadInput, match="one moment only"):
        Timeline(before())
    with pytest.raises(BadInput, match="only a Capture"):
        Timeline(before(), trace="t_fork")
    with pytest.raises(BadInput):
        Timeline(before(), trace=[1, 2])
