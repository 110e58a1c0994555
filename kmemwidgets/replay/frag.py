"""Predict the fragmentation indexes of every zone and order at each moment they were read.

The free lists come from the replay of the trace's requests; the indexes from them, as the kernel computes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kmemwidgets.capture import Capture
from kmemwidgets.procfs import extfrag
from kmemwidgets.sim.fragmentation import fragmentation_index, unusable_free_index
from kmemwidgets.tracefs import Row, read_time, scan

from .compacting import FOLLOWED, CompactingReplay, mark_compound
from .result import PageResult
from .start import start_allocator

INDEXES: dict[str, Callable[[list[int], int], int]] = {
    "extfrag_index": fragmentation_index,
    "unusable_index": unusable_free_index,
}

_SECTION = re.compile(r"^=== (\d{1,19}) (\S{1,64}) (\S{1,64})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of one of the index files."""

    time_ns: int
    label: str
    file: str
    zones: tuple[extfrag.IndexZone, ...]


def readings(series: str, where: str = "series.txt") -> list[Reading]:
    """Find the readings of the index files in a series of /proc files, by time."""
    found: list[Reading] = []
    sections = list(_SECTION.finditer(series))
    for at, section in enumerate(sections):
        time, label, name = section.groups()
        if name in INDEXES:
            end = sections[at + 1].start() if at + 1 < len(sections) else len(series)
            text = series[section.end() + 1 : end]
            found.append(Reading(int(time), label, name, extfrag.parse(text, f"{where}: {label} {name}").zones))
    return sorted(found, key=lambda reading: reading.time_ns)


class FragReplay(CompactingReplay):
    """A replay that stops at moments to look at the free lists.

    Attributes
    ----------
    moments : list of int
        Times to look at, ascending.
    seen : dict
        Of each moment: (node, zone) to free blocks by order.
    """

    moments: list[int]
    seen: dict[int, dict[tuple[int, str], list[int]]]

    def look_at(self, moments: list[int]) -> None:
        """Set the moments, before the replay begins."""
        self.moments = sorted(moments, reverse=True)
        self.seen = {}

    def run(self, rows: Iterable[Row]) -> PageResult:
        """Go through a trace, looking at the lists before the first event behind each moment."""
        rows = list(rows)
        self.begin(rows)
        for over, row in enumerate(rows):
            while self.moments and read_time(row[4]) > self.moments[-1]:
                self.go_on(over - self._row)
                self.look()
        self.go_on()
        return self.end()

    def look(self) -> None:
        """Note the free blocks of all zones now."""
        for cpu, state in enumerate(self.cpus):
            self._settle(state, cpu)
        self.seen[self.moments.pop()] = {
            (live.zone.nid, live.zone.name): [sum(row) for row in live.free_area.counts()]
            for live in self.allocator.zones
        }


def extra_keys(capture: Capture, trace: str, text: str) -> dict[str, Any]:
    """Return ``{"frag": {"exact", "of", "first_misses"}}`` where the indexes were recorded, else nothing."""
    series = capture.text_or_none(f"{trace}/series.txt")
    wanted = readings(series, f"{trace}/series.txt") if series else []
    if not wanted:
        return {}
    allocator = start_allocator(capture, trace)
    if allocator is None:
        return {}
    mark_compound(allocator, capture, trace)
    spec = capture.spec()
    replay = FragReplay(allocator, spec.kernel, 4 if spec.arch in ("x86_32", "arm") else 8)
    replay.look_at([reading.time_ns for reading in wanted])
    replay.run(scan(text, FOLLOWED, where=f"{capture.name}/{trace}"))
    while replay.moments:
        replay.look()
    return {"frag": _compare(replay, wanted)}


def _compare(replay: FragReplay, wanted: list[Reading]) -> dict[str, Any]:
    exact = of = 0
    misses: list[dict[str, Any]] = []
    for reading in wanted:
        zones = replay.seen[reading.time_ns]
        for zone in reading.zones:
            nr_free = zones.get((zone.nid, zone.name))
            for order, recorded in enumerate(zone.values):
                # A zone without recorded free lists can't be predicted: a miss.
                predicted = INDEXES[reading.file](nr_free, order) if nr_free else None
                of += 1
                exact += predicted == recorded
                if predicted != recorded and len(misses) < 10:
                    misses.append(
                        {
                            "when": reading.label, "file": reading.file, "zone": f"{zone.nid} {zone.name}",
                            "order": order, "predicted": predicted, "recorded": recorded,
                        }
                    )  # fmt: skip
    return {"exact": exact, "of": of, "first_misses": misses}
