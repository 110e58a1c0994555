"""What a simulated machine decides, told in words while it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType
from typing import Any

from kmemwidgets.records import MIGRATETYPES, TraceEvent
from kmemwidgets.sim import Machine
from kmemwidgets.sim.events import EventLog

#: Lines of one kind in a row that are still worth reading.
_MOST_OF_A_KIND = 12

Fields = Mapping[str, Any]


def _frames(order: int) -> str:
    return "1 frame" if order == 0 else f"{1 << order} frames"


def _request(f: Fields) -> str:
    return f"asked for {_frames(f['order'])} (order {f['order']}), {MIGRATETYPES[f['migratetype']]}"


def _watermark(f: Fields) -> str:
    free = f"{f['free']} free"
    if f["unusable"]:
        free += f" - {f['unusable']}"
    least = f"{f['min']}" + (f" + {f['reserve']} protection" if f["reserve"] else "")
    return f"zone {f['zone']}: {free}, must be more than {least}: {'passes' if f['passed'] else 'fails'}"


def _extfrag(f: Fields) -> str:
    whose = "its page block changes its type" if f["change_ownership"] else "its page block keeps its type"
    return (
        f"no {MIGRATETYPES[f['alloc_migratetype']]} block: takes one of order {f['fallback_order']} at {f['pfn']:#x} "
        f"from {MIGRATETYPES[f['fallback_migratetype']]}; {whose}"
    )


#: (system, name) of an event -> its words; the events that are not here say nothing that another one doesn't.
_WORDS: Mapping[tuple[str, str], Callable[[Fields], str]] = MappingProxyType(
    {
        ("sim", "request"): _request,
        ("sim", "watermark"): _watermark,
        ("sim", "zone_skipped"): lambda f: f"zone {f['zone']}: passed over ({f['why']})",
        ("sim", "slowpath"): lambda f: f"slow path: {f['step']}",
        ("kmem", "mm_page_alloc_extfrag"): _extfrag,
        ("sim", "expand"): lambda f: f"splits: {f['pfn']:#x} of order {f['order']} goes on the list",
        ("sim", "merge"): lambda f: f"merges {f['pfn']:#x} with its buddy {f['buddy']:#x} of order {f['order']}",
        ("sim", "buddy_put"): lambda f: (
            f"{f['pfn']:#x} of order {f['order']} goes to the {'tail' if f['to_tail'] else 'head'} of its list"
        ),
        ("sim", "pcp_refill"): lambda f: f"the cpu's list is empty: refills it with {f['got']}",
        ("sim", "pcp_take"): lambda f: f"the cpu's list gives {f['pfn']:#x}, {f['count']} left on all its lists",
        ("sim", "pcp_put"): lambda f: (
            f"the cpu's list takes {f['pfn']:#x}: {f['count']} pages now, drained above {f['high']}"
        ),
        ("sim", "buddy_take"): lambda f: f"the buddy lists give {f['pfn']:#x}",
        ("kmem", "mm_page_pcpu_drain"): lambda f: f"drains {f['pfn']:#x} to the buddy lists",
        ("kmem", "mm_page_free"): lambda f: f"given back: {_frames(f['order'])} at {f['pfn']:#x}",
        ("vmscan", "mm_vmscan_wakeup_kswapd"): lambda f: f"wakes kswapd of node {f['nid']}",
        ("sim", "kswapd_not_woken"): lambda f: f"does not wake kswapd of node {f['nid']}: {f['why']}",
    }
)


def in_words(event: TraceEvent) -> str:
    """Return an event in words, empty where it says nothing of its own."""
    tell = _WORDS.get((event.system, event.name))
    return tell(event.fields) if tell else ""


@contextmanager
def decisions(machine: Machine) -> Iterator[None]:
    """Print what the machine's page allocator decides inside a ``with`` block.

    Examples
    --------
    >>> machine = Machine.boot(memory="64M", cpus=1)
    >>> with decisions(machine):
    ...     page = machine.alloc_pages("GFP_KERNEL", order=5)      # doctest: +ELLIPSIS
    asked for 32 frames (order 5), Unmovable
    ...
    """
    log = EventLog()
    machine.page_alloc.listen(trace=log.emit, decide=log.emit)
    try:
        yield
    finally:
        machine.page_alloc.listen()
        for line in shortened(log.since(0)):
            print(line)


def shortened(events: Iterable[TraceEvent]) -> Iterator[str]:
    """Yield the events' words; of a long run of one kind only the first ones, and how many more there are."""
    told = [(event.name, line) for event in events if (line := in_words(event))]
    for name, run in groupby(told, key=itemgetter(0)):
        lines = [line for _, line in run]
        if len(lines) <= _MOST_OF_A_KIND:
            yield from lines
        else:
            yield from lines[: _MOST_OF_A_KIND - 2]
            yield f"... and so on, {len(lines) - _MOST_OF_A_KIND + 2} times more ({name})"
