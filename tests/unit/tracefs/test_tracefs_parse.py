"""Trace text of three programs, whole and damaged."""

from __future__ import annotations

import pytest

from kmemwidgets import tracefs
from kmemwidgets.records import BadInput, TraceEvent
from kmemwidgets.sim import events
from kmemwidgets.sim.events import EventLog

ALLOC = (
    "mm_page_alloc: page=ffffea0000234c40 pfn=0x8d31 order=0 migratetype=1 gfp_flags=GFP_HIGHUSER_MOVABLE|__GFP_ZERO"
)
TRACE = f"           work2-250     [000] d..1.    13.947520: {ALLOC}"
TRACE_CMD = (
    "cpus=2\n           work2-250   [001]    13.947520123: mm_page_alloc:        page=0xffffea0000234c40 pfn=0x8d31"
    " order=0 migratetype=1 gfp_flags=GFP_KERNEL\n"
)
PERF = (
    "work2 250/251 [001]    13.947520:      1 kmem:mm_page_alloc: page=0xffffea0000234c40 pfn=0x8d31 order=0"
    " migratetype=1 gfp_flags=GFP_KERNEL\n\tffffffff8111 __alloc_pages+0x1 ([kernel])\n\n"
)


def line(event: str, task: str = "           work2-250    ", time: str = "13.947520") -> str:
    return f"{task} [000] d..1.    {time}: {event}"


def only(text: str) -> TraceEvent:
    (event,) = tracefs.parse(text).events
    return event


def test_a_line_of_trace():
    event = only(TRACE)
    assert event == TraceEvent(
        seq=0,
        system="kmem",
        name="mm_page_alloc",
        fields={
            "page": 0xFFFFEA0000234C40,
            "pfn": 0x8D31,
            "order": 0,
            "migratetype": 1,
            "gfp_flags": "GFP_HIGHUSER_MOVABLE|__GFP_ZERO",
        },
        cpu=0,
        time_ns=13_947_520_000,
        pid=250,
        comm="work2",
        flags="d..1.",
    )


@pytest.mark.parametrize("text", [TRACE_CMD, PERF])
def test_the_other_programs_say_the_same(text):
    trace = tracefs.parse(text)
    assert trace.unreadable == 0
    assert not trace.cut
    (event,) = trace.events
    assert (event.comm, event.pid, event.cpu, event.system) == ("work2", 250, 1, "kmem")
    assert event.time_ns in (13_947_520_123, 13_947_520_000)
    assert event.fields["pfn"] == 0x8D31
    assert event.fields["page"] == 0xFFFFEA0000234C40
    assert event.fields["gfp_flags"] == "GFP_KERNEL"
    assert [row[-1] for row in tracefs.scan(text)] == [(0x8D31, 0, 1, "GFP_KERNEL")]


def test_times_are_exact():
    # a float has 53 bits and would lose the last digits
    event = only(line(ALLOC, time="9999999999.999999"))
    assert event.time_ns == 9_999_999_999_999_999_000
    ((_, _, _, _, time, _, _),) = tracefs.scan(line(ALLOC, time="9999999999.999999"))
    assert tracefs.read_time(time) == 9_999_999_999_999_999_000


@pytest.mark.parametrize(
    ("task", "comm"),
    [
        ("kworker/u4:2-eve", "kworker/u4:2-eve"),
        ("          a b c ", "a b c "),
        ("    x-1 [001] y-", "x-1 [001] y-"),
        ("           <...>", "<...>"),
        ("      (sd-pam) 1", "(sd-pam) 1"),
    ],
)
def test_names_of_tasks_may_hold_anything(task, comm):
    text = line(ALLOC, task=f"{task}-4711   ")
    event = only(text)
    assert (event.comm, event.pid) == (comm, 4711)
    assert tracefs.format_event(event) == text
    # twice: the second line takes the quick way where there is one
    rows = list(tracefs.scan(f"{text}\n{text}\n"))
    assert [(row[1], row[2], row[-1][0]) for row in rows] == [(comm, 4711, 0x8D31)] * 2


def test_thread_groups_and_missing_flags():
    assert only(f"           work2-250     (  250) [003] d..1.    13.947520: {ALLOC}").cpu == 3
    assert only(f"           work2-250     (-------) [003] ....    13.947520: {ALLOC}").flags == "...."
    assert only(f"           work2-250     [003]    13.947520: {ALLOC}").flags == ""


def test_fields_of_older_kernels():
    old = (
        "kmem_cache_alloc: call_site=foo+0x1/0x2 ptr=ffff888004369000 bytes_req=40 bytes_alloc=64 gfp_flags=GFP_KERNEL"
    )
    event = only(line(old))
    assert list(event.fields) == ["call_site", "ptr", "bytes_req", "bytes_alloc", "gfp_flags"]
    assert tracefs.format_event(event) == line(old)
    assert [row[-1] for row in tracefs.scan(line(old))] == [
        ("foo+0x1/0x2", 0xFFFF888004369000, 40, 64, "GFP_KERNEL", None)
    ]
    decimal = only(line("mm_page_free: page=ffffea0000234c40 pfn=36145 order=0"))
    assert decimal.fields["pfn"] == 0x8D31


def test_fields_of_newer_kernels():
    new = "mm_page_free: page=ffffea0000234c40 pfn=0x8d31 order=0 migratetype=1 why=x"
    trace = tracefs.parse(line(new))
    assert not trace.unknown
    assert trace.events[0].fields == {
        "page": 0xFFFFEA0000234C40,
        "pfn": 0x8D31,
        "order": 0,
        "migratetype": 1,
        "why": "x",
    }
    assert tracefs.format_event(trace.events[0]) == line(new)
    assert [row[-1] for row in tracefs.scan(line(new))] == [(0x8D31, 0)]


def test_call_sites_in_modules_and_empty_gfp_flags():
    text = (
        "kmalloc: call_site=f+0x1/0x2 [ext4] ptr=ffff888004369000 bytes_req=8 bytes_alloc=8 gfp_flags= node=-1"
        " accounted=true"
    )
    event = only(line(text))
    assert event.fields["call_site"] == "f+0x1/0x2 [ext4]"
    assert event.fields["gfp_flags"] == ""
    assert event.fields["accounted"] is True
    assert tracefs.format_event(event) == line(text)
    assert [row[-1][0] for row in tracefs.scan(line(text))] == ["f+0x1/0x2 [ext4]"]


def test_a_failed_attempt_has_no_frame():
    text = line("mm_page_alloc: page=0000000000000000 pfn=0x0 order=9 migratetype=1 gfp_flags=GFP_TRANSHUGE")
    assert [row[-1][0] for row in tracefs.scan(f"{text}\n{text}\n")] == [None, None]
    assert only(text).fields["page"] == 0


def test_probes_and_marks():
    probe = line("va_alloc: (alloc_vmap_area+0x0/0x880) size=24576 align=1 vstart=0xffffc90000000000 who=me")
    event = only(probe)
    assert event.system == "kprobes"
    assert event.fields == {
        "probe": "alloc_vmap_area+0x0/0x880", "size": 24576, "align": 1, "vstart": 0xFFFFC90000000000, "who": "me"
    }  # fmt: skip
    assert tracefs.format_event(event) == probe
    mark = line("tracing_mark_write: kmw boundary  start")
    assert only(mark).fields == {"text": "kmw boundary  start"}
    assert tracefs.format_event(only(mark)) == mark
    assert not tracefs.parse(probe).unknown


def test_unknown_events_are_kept_and_named():
    trace = tracefs.parse(
        f"{line('new_event: a=1 b=0x1f c=x')}\n{line('odd: what (a) = 7')}\n{line('new_event: a=2')}\n"
    )
    assert trace.unknown == {"new_event": 2, "odd": 1}
    assert trace.events[0].fields == {"a": 1, "b": 31, "c": "x"}
    assert trace.events[1].fields == {"text": "what (a) = 7"}
    assert tracefs.format_event(trace.events[0]) == line("new_event: a=1 b=0x1f c=x")
    assert [row[-1] for row in tracefs.scan(line("odd: what"), {"odd"})] == [("what",)]


def test_lost_events_are_told():
    text = f"{TRACE}\nCPU:1 [LOST 12 EVENTS]\n{TRACE}\nCPU:0 [LOST EVENTS]\nCPU:0 [7 EVENTS DROPPED]\n{TRACE}\n"
    trace = tracefs.parse(text)
    lost = (tracefs.Lost(1, 1, 12), tracefs.Lost(2, 0, None), tracefs.Lost(2, 0, 7))
    assert trace.lost == lost
    assert not trace.complete
    rows = tracefs.scan(text)
    assert [row[0] for row in rows] == ["mm_page_alloc", "LOST", "mm_page_alloc", "LOST", "LOST", "mm_page_alloc"]
    assert [entry.count for entry in rows.lost] == [12, None, 7]
    assert tracefs.parse(tracefs.format(trace)).lost == lost


def test_the_header_tells_of_overwritten_events():
    trace = tracefs.parse(f"# tracer: nop\n# entries-in-buffer/entries-written: 1/100   #P:2\n#\n{TRACE}\n")
    assert (trace.overwritten, trace.cpus) == (99, 2)
    assert tracefs.parse(f"##### CPU 1 buffer started ####\n{TRACE}\n").unreadable == 0


@pytest.mark.parametrize("length", range(1, len(TRACE) - 20))
def test_a_cut_last_line_is_left_out(length):
    # up to the "=" of gfp_flags the event can't be whole
    text = f"{TRACE}\n{TRACE[:length]}"
    trace = tracefs.parse(text)
    if "gfp_flags=" in TRACE[:length]:
        assert len(trace.events) == 2
    elif TRACE[:length].strip():
        assert len(trace.events) == 1
        assert trace.cut
        rows = tracefs.scan(text)
        assert len(list(rows)) == 1
        assert rows.cut


def test_what_is_no_event_is_counted_and_shown():
    trace = tracefs.parse(f"{TRACE}\nhello\n{'x' * 100_000}\n{line(ALLOC, time='-3.000000')}\n{TRACE}\n")
    assert len(trace.events) == 2
    assert trace.unreadable == 3
    assert [entry.line for entry in trace.shown] == [2, 3, 4]
    assert "longer than" in trace.shown[1].why
    assert max(len(entry.text) for entry in trace.shown) <= 200
    rows = tracefs.scan(f"{TRACE}\nhello\n{TRACE}\n")
    assert len(list(rows)) == 2
    assert rows.unreadable == 1


@pytest.mark.parametrize(
    "event",
    [
        f"mm_page_free: page=ffffea0000234c40 pfn=0x{'9' * 31} order=0",
        f"mm_page_free: page=ffffea0000234c40 pfn={10**30} order=0",
        f"mm_page_free: page=ffffea0000234c40 pfn={10**20 - 1} order=0",
        f"mm_page_free: page=ffffea0000234c40 pfn=0x1 order={'9' * 5000}",
        "mm_page_free: order=0 pfn=0x1",
        "mm_page_free: page=ffffea0000234c40 pfn=0x-1 order=0",
        "mm_page_free: page=ffffea0000234c40 pfn=0x1_0 order=0",
    ],
)
def test_numbers_that_no_kernel_prints_are_not_believed(event):
    trace = tracefs.parse(f"{TRACE}\n{line(event)}\n")
    assert trace.unknown == {"mm_page_free": 1}
    rows = tracefs.scan(f"{TRACE}\n{line(event)}\n")
    assert [row[0] for row in rows] == ["mm_page_alloc"]
    assert rows.unreadable == 1


def test_bytes_that_are_no_text():
    raw = b"          w\xffork2-250     [000] d..1.    13.947520: " + ALLOC.encode() + b"\r\n"
    trace = tracefs.parse(raw)
    assert trace.escaped
    assert trace.events[0].comm == r"w\xffork2"
    assert trace.events[0].fields["gfp_flags"].endswith("__GFP_ZERO")


def test_only_a_line_feed_ends_a_line():
    assert only(line(ALLOC, task="      a\x0bb\x85c\u2028d-250    ")).comm == "a\x0bb\x85c\u2028d"


def test_no_trace_at_all():
    with pytest.raises(BadInput, match=r"t\.txt:1: no event"):
        tracefs.parse("hello\nworld\n", where="t.txt")
    with pytest.raises(BadInput, match="is text, not int"):
        tracefs.parse([1, 2])
    assert tracefs.parse("").events == ()
    assert tracefs.parse("# tracer: nop\n#\n").events == ()


def test_lines_of_a_file_and_of_a_list():
    assert len(tracefs.parse([TRACE, TRACE]).events) == 2
    assert tracefs.parse([TRACE + "\n", TRACE[:60]]).cut
    assert len(tracefs.parse([TRACE.encode() + b"\n"]).events) == 1


def test_cpus_with_clocks_of_their_own():
    trace = tracefs.parse(f"{line(ALLOC, time='2.000000')}\n{line(ALLOC, time='1.000000')}\n")
    assert trace.backward == 1
    assert [event.seq for event in tracefs.in_time_order(trace.events)] == [1, 0]


def test_decisions_without_a_tracepoint_are_not_printed():
    events = [
        TraceEvent(0, "sim", "split", {"pfn": 1}),
        TraceEvent(1, "kmem", "mm_page_free", {"page": 64, "pfn": 1, "order": 0}, time_ns=5_000, pid=7, comm="a"),
    ]
    text = tracefs.format(events)
    assert "split" not in text
    (event,) = tracefs.parse(text).events
    assert (event.name, event.fields, event.time_ns) == ("mm_page_free", {"page": 64, "pfn": 1, "order": 0}, 5_000)
    assert "page=0000000000000040 pfn=0x1 order=0" in text
    assert "page=00000040 pfn" in tracefs.format(events, pointer_digits=8)


def test_a_line_feed_in_a_name_makes_no_second_line():
    event = TraceEvent(0, "kmem", "mm_page_free", {"page": 64, "pfn": 1, "order": 0}, time_ns=1, pid=1, comm="a\nb")
    assert "\n" not in tracefs.format_event(event)


def test_what_a_simulated_event_leaves_out_is_added():
    log = EventLog()
    log.emit((events.ALLOC, 0, 0x8D31, 0, 1, "GFP_KERNEL"))
    log.emit((events.ALLOC, 0, -1, 9, 1, 0xCC0))
    log.emit((events.EXTFRAG, 0, 0x9000, 4, 8, 9, 0, 1, 1))
    log.emit((events.EXPAND, 0, 1, 2, 3, 4))
    text = tracefs.format(log.since(0))
    trace = tracefs.parse(text)
    assert not trace.unknown
    assert "page=ffffea0000234c40 pfn=0x8d31 order=0" in text
    alloc, failed, extfrag = trace.events
    assert alloc.fields["gfp_flags"] == "GFP_KERNEL"
    assert (failed.fields["page"], failed.fields["pfn"], failed.fields["gfp_flags"]) == (0, 0, "0xcc0")
    assert extfrag.fields["fragmenting"] == 1
    assert extfrag.fields["change_ownership"] == 1
    assert [row[-1][0] for row in tracefs.scan(text)] == [0x8D31, None, 0x9000]
