"""Areas of vmalloc: where each one lies, told from its size, alignment and bounds, and from frees and purges.

The log is made by probes on alloc_vmap_area (``va_alloc`` with the request, ``va_alloc_ret`` with the answer),
free_vmap_area_noflush (``va_free``) and __purge_vmap_area_lazy (``va_purge``). The first reading of
/proc/vmallocinfo is the state that the replay begins with; all later ones are compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kmemwidgets.capture import Capture
from kmemwidgets.procfs import vmallocinfo
from kmemwidgets.records import BadInput, MachineSpec, VmallocArea
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.vmalloc import TABLE, VmallocRules
from kmemwidgets.sim.slub_options import word_size
from kmemwidgets.sim.vmalloc import Vmalloc
from kmemwidgets.sim.vmap_area import VmapArea
from kmemwidgets.tracefs import parse

#: The probes, and the numbers that each must have printed to be of use.
_EVENTS = {
    "va_alloc": ("size", "align", "vstart", "vend"),
    "va_alloc_ret": ("start",),
    "va_free": ("start", "end"),
    "va_purge": (),
}
_SECTION = re.compile(r"^=== (\d+) (.*) vmallocinfo$", re.MULTILINE)
_UNPURGED = "unpurged vm_area"
#: Bounds of a replay that has not seen any request, to which no answer depends.
_ANY = (1, 1 << 48)


@dataclass(frozen=True, slots=True)
class Reading:
    """/proc/vmallocinfo at one moment (ns of the trace's clock), after the step called `label`."""

    time_ns: int
    label: str
    areas: tuple[VmallocArea, ...]


@dataclass(frozen=True, slots=True)
class AreaEvent:
    """A line of the log: `kind` is the probe, `numbers` what it printed, by name."""

    kind: str
    time_ns: int
    cpu: int
    pid: int
    numbers: dict[str, int]


@dataclass(slots=True)
class VmallocResult:
    """What the replay found.

    Attributes
    ----------
    exact, of : int
        Areas whose start was predicted.
    rows_equal, rows_of : int
        Rows after each step; a row too many counts as one that is not equal.
    misses : list of str
    """

    exact: int = 0
    of: int = 0
    rows_equal: int = 0
    rows_of: int = 0
    misses: list[str] | None = None

    def as_json(self) -> dict[str, dict[str, int]]:
        """Return the keys that ``kmem replay --json`` tells."""
        return {
            "vmalloc": {"exact": self.exact, "of": self.of},
            "vmallocinfo": {"equal": self.rows_equal, "of": self.rows_of},
        }


def read_series(text: str, where: str = "series.txt") -> list[Reading]:
    """Take the readings of /proc/vmallocinfo out of a series."""
    heads = list(_SECTION.finditer(text))
    readings: list[Reading] = []
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        end = text.find("\n=== ", head.end()) if following is None else following.start()
        other = text.find("\n=== ", head.end(), end if end >= 0 else len(text))
        body = text[head.end() + 1 : other if other >= 0 else (end if end >= 0 else len(text))]
        areas = vmallocinfo.parse(body.strip("\n") + "\n", f"{where} ({head[2]})").areas
        readings.append(Reading(int(head[1]), head[2], areas))
    return readings


class VmallocReplay:
    """A simulated vmalloc in a recorded state.

    Parameters
    ----------
    spec : MachineSpec
    start : sequence of VmallocArea
        The state before the log.
    bounds : tuple of int
        VMALLOC_START and VMALLOC_END, as most requests name them.
    """

    def __init__(self, spec: MachineSpec, start: Sequence[VmallocArea], bounds: tuple[int, int]) -> None:
        # When to purge is in the log: the simulated one waits for it.
        rules = replace(pick(VmallocRules, TABLE, spec.kernel), lazy_max_pages=lambda _cpus, _page: 1 << 62)
        self.page_size = spec.page_size
        self.word = word_size(spec)
        self.nodes = len(spec.nodes) or 1
        #: show_numa_info prints nothing without CONFIG_NUMA.
        self.numa = spec.option("CONFIG_NUMA") != "n"
        self.vmalloc = Vmalloc(rules, *bounds, cpus=spec.cpus, page_size=spec.page_size, word=self.word)
        self.known = frozenset(area.start for area in start if _UNPURGED not in area.flags)
        self.result = VmallocResult(misses=[])
        self.asked: dict[int, list[AreaEvent]] = {}
        for area in start:
            self.vmalloc.free.take(area.start, area.end)
            if _UNPURGED in area.flags:
                self.vmalloc.free_vmap_area(area.start, area.end)
            else:
                self.vmalloc.busy[area.start] = VmapArea(area)

    def feed(self, event: AreaEvent) -> None:
        """Carry out one event."""
        if event.kind == "va_alloc":
            self.asked.setdefault(event.pid, []).append(event)
        elif event.kind == "va_alloc_ret":
            requests = self.asked.get(event.pid)
            if requests:
                self._alloc(requests.pop(), event.numbers["start"])
        elif event.kind == "va_free":
            self._free(event.numbers["start"])
        elif event.kind == "va_purge":
            self.vmalloc.purge()

    def _alloc(self, request: AreaEvent, recorded: int) -> None:
        """Choose a place for a request, compare, and go on with the recorded place."""
        size, align = request.numbers["size"], max(request.numbers["align"], 1)
        start, node = self.vmalloc.alloc_vmap_area(
            size, align, request.numbers["vstart"], request.numbers["vend"], request.cpu
        )
        self.result.of += 1
        self.result.exact += start == recorded
        if start != recorded:
            assert self.result.misses is not None
            self.result.misses.append(f"{size:#x} bytes: predicted {start:#x}, recorded {recorded:#x}")
            if start >= 0:
                self.vmalloc.free.give(start, start + size)
            self.vmalloc.free.claim(recorded, recorded + size)
        self.vmalloc.busy[recorded] = VmapArea(self._row(recorded, size), node)

    def _row(self, start: int, size: int) -> VmallocArea:
        """Describe a new area as vmalloc's: the log doesn't say whose it is."""
        pages = size // self.page_size - 1
        flags = ("vmalloc", "vpages") if pages * self.word > self.page_size else ("vmalloc",)
        nodes = {0: pages} if self.numa else {}
        return VmallocArea(start, start + size, size, pages=pages, flags=flags, nodes=nodes)

    def _free(self, start: int) -> None:
        area = self.vmalloc.busy.pop(start, None)
        if area is not None:
            self.vmalloc.free_vmap_area(start, area.row.end, area.node)

    def compare(self, recorded: Iterable[VmallocArea]) -> None:
        """Lay the rows beside a reading, and take over those that no event announced.

        pcpu_get_vm_areas takes its areas without alloc_vmap_area.
        """
        predicted = {row.start: row for row in self.vmalloc.areas()}
        for row in recorded:
            ours = predicted.pop(row.start, None)
            self.result.rows_of += 1
            self.result.rows_equal += ours is not None and self._equal(ours, row)
            if ours is None and _UNPURGED not in row.flags:
                self._take_over(row)
        self.result.rows_of += len(predicted)

    def _take_over(self, row: VmallocArea) -> None:
        if any(row.start < area.row.end and area.row.start < row.end for area in self.vmalloc.busy.values()):
            return
        self.vmalloc.free.claim(row.start, row.end)
        self.vmalloc.busy[row.start] = VmapArea(row)

    def _equal(self, ours: VmallocArea, row: VmallocArea) -> bool:
        """Compare a row: all of it where it was there before the log; the log names no callers."""
        if row.start in self.known and ours.caller:
            return ours == row
        nodes = row.nodes if self.nodes > 1 and sum(row.nodes.values()) == row.pages else ours.nodes
        return replace(ours, caller=row.caller, nodes=nodes) == row


def read_events(text: str, where: str = "trace") -> list[AreaEvent]:
    """Take the log of areas out of a trace."""
    found = []
    for event in parse(text, where=where).events:
        if event.name not in _EVENTS:
            continue
        numbers = {name: value for name, value in event.fields.items() if isinstance(value, int)}
        if all(name in numbers for name in _EVENTS[event.name]):
            found.append(AreaEvent(event.name, event.time_ns or 0, event.cpu, event.pid or 0, numbers))
    return found


def replay_vmalloc(spec: MachineSpec, events: Sequence[AreaEvent], readings: Sequence[Reading]) -> VmallocResult:
    """Replay the log from its first reading on, and compare areas and all further readings.

    Raises
    ------
    BadInput
        For areas that lie on each other.
    """
    try:
        return _replay(spec, events, readings)
    except ValueError as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"the areas of the log don't fit together: {error}", todo="record the trace again") from error


def _replay(spec: MachineSpec, events: Sequence[AreaEvent], readings: Sequence[Reading]) -> VmallocResult:
    asked = Counter((event.numbers["vstart"], event.numbers["vend"]) for event in events if event.kind == "va_alloc")
    bounds = asked.most_common(1)[0][0] if asked else _ANY
    replay = VmallocReplay(spec, readings[0].areas, bounds)
    waiting = list(readings[1:])
    for event in events:
        if event.time_ns <= readings[0].time_ns:
            continue
        while waiting and waiting[0].time_ns < event.time_ns:
            replay.compare(waiting.pop(0).areas)
        replay.feed(event)
    for reading in waiting:
        replay.compare(reading.areas)
    return replay.result


def extra_keys(capture: Capture, trace: str, text: str) -> dict[str, Any]:
    """Return "vmalloc" and "vmallocinfo" of a trace with a log of areas."""
    series = f"{trace}/series.txt"
    if "va_alloc:" not in text or not capture.has(series):
        return {}
    readings = read_series(capture.text(series), f"{capture.name}/{series}")
    if not readings:
        return {}
    events = read_events(text, f"{capture.name}/{trace}/trace")
    return dict(replay_vmalloc(capture.spec(), events, readings).as_json())
