"""One trace: is it replayable, and what came of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kmemwidgets.capture import Capture
from kmemwidgets.records import format_version
from kmemwidgets.sim.rules.mempolicy import has_mempolicy
from kmemwidgets.tracefs import LOST, Scan, scan

from .boot import BOOT_EVENTS, BootStages
from .boot_policy import POLICY_EVENTS, BootPolicy
from .compacting import COMPACTION_EVENTS, CompactingReplay, mark_compound
from .compare import compare_lists
from .extras import extra_keys
from .find import find_trace
from .pages import REPLAYED, PageReplay
from .result import PageResult, Tally
from .search import Place, search_factors, search_locked
from .start import load_lists, start_allocator

#: Without these events nobody knows which frames are free.
NEEDED = ("mm_page_alloc", "mm_page_free")

#: What a trace's text holds if memory was compacted while it ran.
COMPACTION_BEGINS = b"mm_compaction_begin:"
#: What grows from one time to the next, by how the lists' amounts are chosen (`PcpRules.scheme`).
DOUBLES = MappingProxyType({"free_factor": "drain", "tuned": "refill"})
#: What it holds if memory was reclaimed: then drains miss for other reasons.
KSWAPD_WAKES = b"mm_vmscan_kswapd_wake:"


@dataclass(slots=True)
class TraceAnswer:
    """What a replay of one trace found.

    Attributes
    ----------
    trace, kernel : str
    cpus : int
    events : int
        Events read.
    pages, requests_only : PageResult or None
        With triggers, and without; None where the trace is not replayable.
    why_not : str
        Why not.
    extras : dict
        Further keys of the JSON answer.
    notes : list of str
        Lost events and the like.
    seconds : float
        CPU time.
    """

    trace: str
    kernel: str
    cpus: int
    events: int = 0
    pages: PageResult | None = None
    requests_only: PageResult | None = None
    why_not: str = ""
    extras: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the machine-readable answer."""
        answer: dict[str, Any] = {"trace": self.trace, "kernel": self.kernel, "cpus": self.cpus, "events": self.events}
        answer["replayable"] = self.pages is not None
        if self.pages is None:
            answer["why_not"] = self.why_not
        else:
            answer.update(self.pages.as_dict())
            answer["events"] = self.events
        answer.update(self.extras)
        if self.requests_only is not None:
            answer["requests_only"] = self.requests_only.as_dict()
        answer["notes"] = self.notes + (self.pages.notes if self.pages else [])
        answer["seconds"] = round(self.seconds, 3)
        return answer

    def as_text(self, *, requests_only: bool = False) -> str:
        """Write the answer for a reader."""
        lines = [f"{self.trace}: Linux {self.kernel}, {self.cpus} cpus, {self.events} events, {self.seconds:.1f} s"]
        pages = self.requests_only if requests_only else self.pages
        if pages is None:
            lines.append(f"  pages are not replayable: {self.why_not}")
        else:
            lines += _page_lines(pages)
        for key, value in self.extras.items():
            if isinstance(value, dict):
                lines.append(f"  {key:<12} {', '.join(_figures(value))}")
        lines += [f"  note: {note}" for note in self.notes + (pages.notes if pages else [])]
        return "\n".join(lines)


def _figures(answer: Mapping[str, Any]) -> list[str]:
    """Write what an answer says besides pages: numbers, numbers of a part of it, and names."""
    found = [f"{name} {number}" for name, number in answer.items() if isinstance(number, int)]
    for name, part in answer.items():
        if isinstance(part, dict):
            found.append(f"{name} ({', '.join(_figures(part))})")
        elif isinstance(part, list) and part and all(isinstance(each, str) for each in part):
            found.append(f"{name}: {' '.join(part)}")
    return found


def _page_lines(pages: PageResult) -> list[str]:
    rows: list[tuple[str, Tally | None]] = [
        ("allocations", pages.allocs),
        ("refills", pages.refills),
        ("drains", pages.drains),
        ("steals", pages.steals),
        ("free lists", pages.free_lists),
        ("pcp lists", pages.pcp_lists),
        ("page blocks", pages.pageblocks),
    ]
    lines = [f"  {name:<12} {tally.exact:>7} of {tally.of}" for name, tally in rows if tally is not None]
    if pages.inferred:
        lines.append(f"  {'inferred':<12} {pages.inferred:>7}")
    lines += [
        f"      event {miss.row} cpu {miss.cpu} {miss.what}: predicted {miss.predicted}; recorded {miss.recorded}"
        for miss in pages.misses
    ]
    return lines


def replay_trace(capture: Capture, trace: str, *, extras: bool = True) -> TraceAnswer:
    """Replay one trace of a recording.

    Parameters
    ----------
    capture : Capture
    trace : str
        Its folder, or a path (`find_trace`).
    extras : bool
        Whether to tell more than pages, too: objects, vmalloc areas, nodes, fragmentation.
    """
    spec = capture.spec()
    begin = time.process_time()
    raw, folder = find_trace(capture, trace)
    answer = TraceAnswer(Path(trace).name if "/" in trace else trace, format_version(spec.kernel), spec.cpus)
    rows = scan(raw, REPLAYED, where=f"{capture.name}/{trace}")
    counts = Counter(row[0] for row in rows)
    answer.events = sum(counts.values())
    answer.notes = _reading_notes(rows, counts)
    answer.why_not = _why_not(capture, folder, counts)
    if not answer.why_not:
        answer.pages, _, _ = search_start(capture, folder, raw)
        triggered = answer.pages.triggers
        answer.requests_only = _replay(capture, folder, raw, triggers=False) if triggered else answer.pages
    if extras:
        answer.extras = extra_keys(capture, folder, raw.decode("utf-8", "surrogateescape"))
    answer.seconds = time.process_time() - begin
    return answer


def _why_not(capture: Capture, folder: str, counts: Counter[str]) -> str:
    """Tell why a trace's pages can't be replayed; empty if they can."""
    missing = [name for name in NEEDED if not counts[name]]
    if missing:
        return f"the trace holds no {' and no '.join(missing)} events"
    if not capture.has(f"{folder}/freelists.before"):
        return f"the recording {capture.name} holds no free lists from before the trace ({folder}/freelists.before)"
    return ""


def _reading_notes(rows: Scan, counts: Counter[str]) -> list[str]:
    """Say what of the text could not be read."""
    notes = []
    if counts[LOST]:
        notes.append(f"events were lost in {counts[LOST]} places: what follows them is replayed from an older state")
    if rows.unreadable:
        notes.append(f"{rows.unreadable} lines could not be read")
    if rows.cut:
        notes.append("the trace ends inside a line")
    return notes


def not_replayable(capture: Capture, folder: str, raw: bytes) -> str:
    """Tell why a trace's pages can't be replayed; empty if they can."""
    return _why_not(capture, folder, Counter(row[0] for row in scan(raw, NEEDED, where=f"{capture.name}/{folder}")))


def search_start(capture: Capture, folder: str, raw: bytes) -> tuple[PageResult, dict[Place, int], Collection[int]]:
    """Replay a trace's pages, again where misses tell of locked lists or of other starting values.

    Parameters
    ----------
    capture : Capture
    folder : str
        Of the trace, in the recording.
    raw : bytes
        The trace's text.

    Returns
    -------
    tuple
        The best result; how often drains, or refills, had doubled; after which batches lists were locked.
    """
    first, held = search_locked(
        lambda rows: _replay(capture, folder, raw, triggers=True, held=rows),
        _replay(capture, folder, raw, triggers=True),
    )
    allocator = start_allocator(capture, folder)
    what = DOUBLES.get(allocator.rules.pcp.scheme) if allocator else None
    tally = first.refills if what == "refill" else first.drains
    if allocator is None or what is None or tally.exact == tally.of or KSWAPD_WAKES in raw:
        return _tell_locked(first, held), {}, held
    places = [(at, cpu) for at, live in enumerate(allocator.zones) for cpu, pcp in enumerate(live.pcps) if pcp.count]
    best, known = search_factors(
        lambda factors: _replay(capture, folder, raw, triggers=True, factors=factors, held=held), first, places, what
    )
    for (at, cpu), factor in known.items():
        zone = allocator.zones[at].zone
        best.notes.append(
            f"node {zone.nid} {zone.name} cpu {cpu}: {what}s had doubled {factor} times before (searched)"
        )
    return _tell_locked(best, held), known, held


def _tell_locked(result: PageResult, held: Collection[int]) -> PageResult:
    result.notes += [f"an interrupt after event {row} found per-CPU lists locked (searched)" for row in sorted(held)]
    return result


def prepare(
    capture: Capture,
    folder: str,
    raw: bytes,
    *,
    triggers: bool = True,
    factors: Mapping[Place, int] = MappingProxyType({}),
    held: Collection[int] = (),
) -> tuple[PageReplay, tuple[str, ...]]:
    """Return a replay in the state before a trace, and the names of the events that it reads."""
    spec = capture.spec()
    allocator = start_allocator(capture, folder)
    assert allocator is not None
    for (at, cpu), factor in factors.items():
        pcp = allocator.zones[at].pcps[cpu]
        if DOUBLES.get(allocator.rules.pcp.scheme) == "refill":
            pcp.alloc_factor = factor
        else:
            pcp.streak = factor
    pointer = 4 if spec.arch in ("x86_32", "arm") else 8
    boot = None if capture.has(f"{folder}/zoneinfo.before") else BootStages(allocator, spec)
    names = REPLAYED + BOOT_EVENTS if boot else REPLAYED
    policy = None
    if boot and len({live.zone.nid for live in allocator.zones}) > 1 and has_mempolicy(spec.kernel):
        policy = BootPolicy(allocator, spec.kernel)
        names += POLICY_EVENTS
    kind = PageReplay
    if COMPACTION_BEGINS in raw:
        kind = CompactingReplay
        names = (*names, *COMPACTION_EVENTS)
        mark_compound(allocator, capture, folder)
    counts = spec.option("CONFIG_PREEMPT_COUNT") == "y"
    replay = kind(
        allocator, spec.kernel, pointer,
        triggers=triggers, boot=boot, boot_policy=policy, counts_preemption=counts, held=held,
    )  # fmt: skip
    return replay, names


def _replay(
    capture: Capture,
    folder: str,
    raw: bytes,
    *,
    triggers: bool,
    factors: Mapping[Place, int] = MappingProxyType({}),
    held: Collection[int] = (),
) -> PageResult:
    """Replay a trace's pages once, from zeroes where nothing else is known."""
    replay, names = prepare(capture, folder, raw, triggers=triggers, factors=factors, held=held)
    result = replay.run(scan(raw, names, where=f"{capture.name}/{folder}"))
    after = load_lists(capture, f"{folder}/freelists.after")
    if after is not None:
        compare_lists(replay.allocator, after, result)
    return result
