"""Trace text that someone changed: nothing but BadInput is raised, nothing is believed that no kernel prints."""

from __future__ import annotations

import re
import string
import time
from collections import Counter

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kmemwidgets import tracefs
from kmemwidgets.records import BadInput, TraceEvent
from kmemwidgets.tracefs.head import read_head

WORK = "           work2-250     [000] d..3.    13.9"
ASKED = "order=0 migratetype=1 gfp_flags=GFP_KERNEL"
SIZES = "bytes_req=40 bytes_alloc=64 gfp_flags=GFP_KERNEL node=-1 accounted=true"
LINES = [
    "# entries-in-buffer/entries-written: 6/6   #P:2",
    f"{WORK}47687: mm_page_alloc_zone_locked: page=ffffea0000234c80 pfn=0x8d32 order=0 migratetype=1 percpu_refill=1",
    "   kworker/u4:1-33      [001] .....    13.947700: mm_page_alloc: page=ffffea0000234c40 pfn=0x8d31 " + ASKED,
    "           <...>-7      [000] ....1    13.948000: kmalloc: call_site=foo+0x1/0x2 ptr=ffff888004369000 " + SIZES,
    "CPU:1 [LOST 12 EVENTS]",
    f"{WORK}49000: mm_compaction_begin: zone_start=0x1 migrate_pfn=0x1 free_pfn=0xe00 zone_end=0x1000, mode=sync",
    f"{WORK}50000: va_alloc: (alloc_vmap_area+0x0/0x880) size=24576 align=1",
    f"{WORK}51000: mm_page_free: page=ffffea0000234c40 pfn=0x8d31 order=0",
]
TEXT = "\n".join(LINES) + "\n"

EDITS = st.lists(
    st.tuples(
        st.integers(0, len(TEXT) - 1), st.integers(0, 30), st.text(string.printable + "é\x00\x85\u2028", max_size=20)
    ),
    max_size=6,
)


def edited(edits):
    text = TEXT
    for at, gone, new in edits:
        text = text[:at] + new + text[at + gone :]
    return text


def check(text):
    try:
        trace = tracefs.parse(text)
    except BadInput as error:
        told = str(error)
    else:
        told = ""
    assert "\n" not in told
    assert len(told) < 500
    if told:
        return None
    assert [event.seq for event in trace.events] == list(range(len(trace.events)))
    for event in trace.events:
        assert all(isinstance(value, int | str) for value in event.fields.values())
        for value in event.fields.values():
            assert isinstance(value, str) or -(1 << 64) < value < 1 << 64
        assert event.time_ns >= 0
    return trace


@settings(max_examples=300, deadline=None)
@given(EDITS)
@example([(0, len(TEXT), "")])
@example([(100, 0, "\n" * 20)])
def test_any_edit_is_read_or_refused(edits):
    text = edited(edits)
    trace = check(text)
    rows = tracefs.scan(text)
    found = Counter(row[0] for row in rows if row[0] != "LOST")
    if trace is not None:
        asked = [event for event in trace.events if event.name in tracefs.KMEM_EVENTS]
        known = Counter(event.name for event in asked) - Counter(trace.unknown)
        assert not known - found
        # the pointer that says what pfn says too is not looked at
        assert sum((found - known).values()) <= sum(trace.unknown.values())
        assert [(entry.cpu, entry.count) for entry in rows.lost] == [(entry.cpu, entry.count) for entry in trace.lost]


# what the quick way doesn't look at: the flags, and the pointer that says what pfn says too
PASSED_OVER = re.compile(r"\[\d+\] [^\s:]{1,16}\s.*: (page|call_site)=(0x)?([0-9a-fA-F]{1,16}) ")


@settings(max_examples=300, deadline=None)
@given(EDITS)
def test_the_quick_way_says_what_the_careful_way_says(edits):
    for line in edited(edits).split("\n"):
        careful = list(tracefs.scan(line + "\n"))
        # behind these lines the tasks and cpus are known
        quick = list(tracefs.scan(f"{TEXT}{line}\n"))[len(list(tracefs.scan(TEXT))) :]
        if careful:
            assert quick == careful
        for row in quick:
            assert careful or not PASSED_OVER.search(line)
            for value in row[-1]:
                assert value is None or isinstance(value, str) or -(1 << 63) <= value < 1 << 64


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes(raw):
    check(raw)
    list(tracefs.scan(raw))


FIELDS = st.dictionaries(
    st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.integers(-5, 1 << 63) | st.sampled_from(["a", "b|c"]), max_size=4
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.builds(
            TraceEvent,
            seq=st.just(0),
            system=st.sampled_from(["kmem", "x"]),
            name=st.sampled_from(["mm_page_free", "mm_page_alloc", "new_one"]),
            fields=FIELDS,
            cpu=st.integers(0, 4095),
            time_ns=st.integers(0, 10**15).map(lambda t: t * 1000),
            pid=st.integers(0, 1 << 22),
            comm=st.text(string.ascii_letters + "-/[] ", min_size=1, max_size=15).filter(lambda c: c.strip() == c),
            flags=st.text("d.N123bh", min_size=5, max_size=5),
        ),
        max_size=5,
    )
)
def test_what_is_written_is_read(events):
    trace = tracefs.parse(tracefs.format(events))
    assert len(trace.events) == len(events)
    for read, wrote in zip(trace.events, events, strict=True):
        assert (read.name, read.cpu, read.time_ns, read.pid, read.comm, read.flags) == (
            wrote.name, wrote.cpu, wrote.time_ns, wrote.pid, wrote.comm, wrote.flags
        )  # fmt: skip


def test_hostile_lines_take_no_time():
    # each would cost minutes in a pattern that goes back over what it tried
    hostile = [
        "a" * 16000,
        " " * 16000,
        "-1 " * 5000,
        "x-1 [000] " * 1600,
        f"           work2-250     [000] d..3.    13.947687: mark_victim: pid=1 comm={'a total-vm=' * 1400}",
        f"           work2-250     [000] d..3.    13.947687: sched_process_fork: comm={' pid=1 child_comm=' * 800}",
        f"           work2-250     [000] d..3.    13.947687: mm_page_free: {'page=0 ' * 2000}",
        f"           work2-250     [000] d..3.    13.947687: probe: ({'(' * 8000}",
        f"           work2-250     [000] d..3.    13.947687: x: {'a=1 ' * 3900}!",
        "[" * 16000,
        "CPU:1 [LOST" + " " * 16000,
        f"x [1]{' PERF_RECORD_LOST' * 900}",
    ]
    begin = time.process_time()
    for line in hostile:
        tracefs.parse(f"{LINES[1]}\n{line}\n{LINES[1]}\n")
        list(tracefs.scan(f"{LINES[1]}\n{line}\n{LINES[1]}\n", tracefs.EVENTS))
    assert time.process_time() - begin < 5
    assert read_head("a" * 20000) is None
