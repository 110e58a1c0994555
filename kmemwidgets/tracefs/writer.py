"""Write events as tracefs ``trace`` shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kmemwidgets.records import TraceEvent

from .layouts import EVENTS
from .reader import TraceFile
from .template import write_pairs

_HEADER = """\
# tracer: nop
#
# entries-in-buffer/entries-written: {count}/{count}   #P:{cpus}
#
#                                _-----=> irqs-off/BH-disabled
#                               / _----=> need-resched
#                              | / _---=> hardirq/softirq
#                              || / _--=> preempt-depth
#                              ||| / _-=> migrate-disable
#                              |||| /     delay
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
"""
#: Where an x86-64 kernel without KASLR has the struct page of frame 0, and the size of one: for simulated frames.
VMEMMAP = 0xFFFF_EA00_0000_0000
STRUCT_PAGE = 64
_LINE_ENDS = re.compile(r"[\r\n]")


def format(trace: TraceFile | Iterable[TraceEvent], *, pointer_digits: int = 16) -> str:  # noqa: A001
    """Write a trace, header first; decisions that have no tracepoint (system ``sim``) are left out.

    Parameters
    ----------
    trace : TraceFile or iterable of TraceEvent
    pointer_digits : int
        With how many digits the machine prints a pointer; a `TraceFile` knows.

    Returns
    -------
    str
        What `parse` reads back.
    """
    if isinstance(trace, TraceFile):
        pointer_digits = trace.pointer_digits
        lines = list(_with_lost(trace, pointer_digits))
        cpus = trace.cpus or 1 + max((event.cpu for event in trace.events), default=0)
    else:
        events = [event for event in trace if event.system != "sim"]
        lines = [format_event(event, pointer_digits=pointer_digits) for event in events]
        cpus = 1 + max((event.cpu for event in events), default=0)
    return _HEADER.format(count=len(lines), cpus=cpus) + "".join(line + "\n" for line in lines)


def _with_lost(trace: TraceFile, pointer_digits: int) -> Iterator[str]:
    lost = list(reversed(trace.lost))
    for at, event in enumerate(trace.events):
        while lost and lost[-1].seq <= at:
            yield _lost_line(lost.pop().cpu, trace.lost[len(trace.lost) - len(lost) - 1].count)
        if event.system != "sim":
            yield format_event(event, pointer_digits=pointer_digits)
    while lost:
        entry = lost.pop()
        yield _lost_line(entry.cpu, entry.count)


def _lost_line(cpu: int, count: int | None) -> str:
    return f"CPU:{cpu} [LOST EVENTS]" if count is None else f"CPU:{cpu} [LOST {count} EVENTS]"


def format_event(event: TraceEvent, *, pointer_digits: int = 16) -> str:
    """Write one event as a line of ``trace``, without the line's end."""
    if event.time_ns is None:
        time = f"{event.seq:12d}"
    else:
        time = f"{event.time_ns // 1_000_000_000:5d}.{event.time_ns % 1_000_000_000 // 1000:06d}"
    comm = event.comm if event.comm is not None else "<...>"
    task = f"{comm:>16}-{event.pid or 0:<7d} [{event.cpu:03d}] {event.flags}"
    return _LINE_ENDS.sub("?", f"{task} {time}: {event.name}: {_text(event, pointer_digits)}")


def _complete(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Add what a simulated event leaves out because it follows from the rest."""
    known = dict(fields)
    pfn = known.get("pfn")
    if "page" not in known and isinstance(pfn, int):
        # The kernel prints a failed attempt as page 0, frame 0.
        known["page"] = VMEMMAP + STRUCT_PAGE * pfn if pfn >= 0 else 0
        known["pfn"] = max(pfn, 0)
    if "pageblock_order" in known and "fallback_order" in known:
        known.setdefault("fragmenting", int(known["fallback_order"] < known["pageblock_order"]))
    return known


def _text(event: TraceEvent, pointer_digits: int) -> str:
    layout = EVENTS.get(event.name)
    if layout is not None:
        fields: Mapping[str, Any] = event.fields
        for name in ("gfp_flags", "gfp_mask"):
            # A recorded event has the kernel's words; bits without a name are printed as a number.
            if isinstance(gfp := fields.get(name), int):
                fields = {**fields, name: f"{gfp:#x}" if gfp else "none"}
        for form in layout.forms:
            if form.names == tuple(fields):
                return form.write(fields, pointer_digits)
        fields = _complete(fields)
        for form in layout.forms:
            if set(form.names) <= set(fields):
                rest = {name: value for name, value in fields.items() if name not in form.names}
                return " ".join(filter(None, (form.write(fields, pointer_digits), write_pairs(rest))))
    if tuple(event.fields) == ("text",):
        return str(event.fields["text"])
    return write_pairs(event.fields)
