"""/proc/zoneinfo: every zone's marks, counters and per-cpu lists (mm/vmstat.c, zoneinfo_show_print)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kmemwidgets.records import BadInput, PerCpuPages, ZoneInfo

from ._lines import NUMBER, bad, checked, fill, lines_of, shown, template
from ._names import PAGES

LIMIT = 1 << 24

#: What the section "pages free" names, by the attribute of ZoneInfo it goes to.
_MARKS = ("free", "boost", "min", "low", "high", "promo", "spanned", "present", "managed", "cma")
#: Lines that older kernels print of a zone; they go to its stats under the printed name.
_OLD = frozenset(
    """active inactive scanned pages_scanned all_unreclaimable prev_priority temp_priority inactive_ratio
    node_unreclaimable reserved_highatomic free_highatomic""".split()  # noqa: SIM905
)
_REQUIRED = ("free", "min", "low", "high", "spanned", "present")
_PCP = ("count", "high", "batch", "high_min", "high_max")

_ZONE = re.compile(r"Node ([0-9]{1,4}), zone +(\w{1,16})")
_FREE = re.compile(rf"  pages free +({NUMBER})")
_COUNTER = re.compile(rf" +(\w{{1,64}}) +({NUMBER})")
_SCANNED = re.compile(rf" +scanned +({NUMBER}) \(a: ({NUMBER}) i: ({NUMBER})\)")
_PROTECTION = re.compile(r" +protection: \(((?:[0-9]{1,20})(?:, ?[0-9]{1,20})*)\)")
_CPU = re.compile(r"    cpu: ([0-9]{1,5})(?: pcp: ([0-9]))?")
_TAIL = re.compile(rf" +([\w ]{{1,40}}?): *({NUMBER})")

#: What a line shows: a section, then what names the value in it.
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ZoneInfoFile:
    """The whole file.

    Attributes
    ----------
    zones : tuple of ZoneInfo
        In the file's order. What only older kernels print of a zone is among its `stats`.
    node_stats : mapping of int to mapping
        "per-node stats" by node.
    layout : tuple of (str, key)
        A template a line and what it shows; empty: as the newest kernel writes it.
    """

    zones: tuple[ZoneInfo, ...]
    node_stats: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    layout: tuple[tuple[str, Key], ...] = ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """Counters that no kernel up to 6.18 prints."""
        names = dict.fromkeys(
            name
            for stats in (*self.node_stats.values(), *(zone.stats for zone in self.zones))
            for name in stats
            if not {name.partition(".")[0]} & (PAGES | _OLD)
        )
        return tuple(names)


class _Reader:
    """The file while it is read."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.zones: list[dict[str, Any]] = []
        self.pagesets: list[list[dict[str, Any]]] = []
        self.starts: list[int] = []
        self.node_stats: dict[int, dict[str, int]] = {}
        self.layout: list[tuple[str, Key]] = []
        self.section = ""
        self.number = 0
        #: What the zones above end with, and the next ones have to end with too.
        self.ends: set[str] = set()

    def error(self, what: str) -> BadInput:
        return bad(self.where, self.number, what)

    def add(self, line: str, key: Key, *spans: tuple[int, int]) -> None:
        self.layout.append((template(line, spans), key))

    def read(self, number: int, line: str) -> None:
        self.number = number
        if found := _ZONE.fullmatch(line):
            self._begin(line, found)
        elif not self.zones:
            raise self.error(f"expected 'Node N, zone NAME' first, not {shown(line)}")
        elif line == "  per-node stats":
            self.section = "node"
            self.node_stats.setdefault(self.zones[-1]["nid"], {})
            self.add(line, ("node",))
        elif line == "  pagesets":
            self.section = "pagesets"
            self.add(line, ("pagesets",))
        elif found := _FREE.fullmatch(line):
            self.section = "pages"
            self._set("free", line, found.span(1))
        elif self.section == "pagesets" and self._pageset(line):
            pass
        elif not self._zone_line(line):
            raise self.error(f"expected a line of /proc/zoneinfo, not {shown(line)}")

    def _begin(self, line: str, found: re.Match[str]) -> None:
        self.finish()
        nid, name = int(found[1]), found[2]
        for zone, start in zip(self.zones, self.starts, strict=True):
            if (zone["nid"], zone["name"]) == (nid, name):
                raise self.error(f"zone {name} of node {nid} stands here a second time, after line {start}")
        self.zones.append({"nid": nid, "name": name, "stats": {}})
        self.pagesets.append([])
        self.starts.append(self.number)
        self.section = ""
        self.add(line, ("head", len(self.zones) - 1), found.span(1), found.span(2))

    def _set(self, name: str, line: str, *spans: tuple[int, int]) -> None:
        zone = self.zones[-1]
        if name in zone:
            raise self.error(f"{name} stands here a second time in zone {zone['name']}")
        zone[name] = int(line[slice(*spans[0])])
        self.add(line, ("zone", len(self.zones) - 1, name), *spans)

    def _zone_line(self, line: str) -> bool:
        zone, index = self.zones[-1], len(self.zones) - 1
        stats: dict[str, int] = zone["stats"]
        if found := _PROTECTION.fullmatch(line):
            if "protection" in zone:
                raise self.error(f"protection stands here a second time in zone {zone['name']}")
            zone["protection"] = tuple(map(int, found[1].split(",")))
            spans = [(found.start(1) + n.start(), found.start(1) + n.end()) for n in re.finditer(r"[0-9]+", found[1])]
            self.add(line, ("protection", index), *spans)
            self.section = "stats"
        elif found := _SCANNED.fullmatch(line):
            names = ("scanned", "scanned.active", "scanned.inactive")
            self._once(stats, names[0])
            stats.update({name: int(found[group]) for group, name in enumerate(names, 1)})
            self.add(line, ("stats", index, *names), found.span(1), found.span(2), found.span(3))
        elif found := _COUNTER.fullmatch(line):
            name = found[1]
            if self.section == "pages" and name in _MARKS:
                self._set(name, line, found.span(2))
            elif self.section == "node":
                of_node = self.node_stats[zone["nid"]]
                self._once(of_node, name)
                of_node[name] = int(found[2])
                self.add(line, ("of_node", zone["nid"], name), found.span(2))
            else:
                self._once(stats, name)
                stats[name] = int(found[2])
                self.add(line, ("stats", index, name), found.span(2))
        elif found := _TAIL.fullmatch(line):
            if found[1] == "start_pfn":
                self._set("start_pfn", line, found.span(2))
            else:
                self._once(stats, found[1])
                stats[found[1]] = int(found[2])
                self.add(line, ("stats", index, found[1]), found.span(2))
        else:
            return False
        return True

    def _once(self, stats: Mapping[str, int], name: str) -> None:
        if name in stats:
            raise self.error(f"{name} stands here a second time")

    def _pageset(self, line: str) -> bool:
        index = len(self.zones) - 1
        sets = self.pagesets[-1]
        if found := _CPU.fullmatch(line):
            cpu = int(found[1])
            # Linux before 2.6.25 had two lists a cpu, hot and cold: "pcp: 0" and "pcp: 1".
            if not found[2] and any(known["cpu"] == cpu for known in sets):
                raise self.error(f"cpu {cpu} stands here a second time in zone {self.zones[-1]['name']}")
            sets.append({"cpu": cpu})
            spans = [found.span(1)]
            if found[2]:
                sets[-1]["pcp"] = int(found[2])
                spans.append(found.span(2))
            self.add(line, ("cpu", index, len(sets) - 1), *spans)
            return True
        found = _TAIL.fullmatch(line)
        name = "vm_stats_threshold" if found and found[1] == "vm stats threshold" else found[1] if found else ""
        if sets and found and name in PAGES:
            # Linux before 2.6.18 counts these for each cpu.
            stats, of_cpu = self.zones[-1]["stats"], f"{name}.cpu{sets[-1]['cpu']}"
            self._once(stats, of_cpu)
            stats[of_cpu] = int(found[2])
            self.add(line, ("stats", index, of_cpu), found.span(2))
            return True
        if not found or not sets or name not in (*_PCP, "low", "vm_stats_threshold") or name in sets[-1]:
            return False
        sets[-1][name] = int(found[2])
        self.add(line, ("pcp", index, len(sets) - 1, name), found.span(2))
        return True

    def finish(self) -> None:
        """Check the zone that ends here."""
        if not self.zones:
            return
        zone = self.zones[-1]
        name = f"zone {zone['name']} of node {zone['nid']}"
        for required in _REQUIRED:
            if required not in zone:
                raise self.error(f"{name} ends without {required}, which every kernel prints")
        for low, high in (("min", "low"), ("low", "high"), ("present", "spanned"), ("managed", "present")):
            if low in zone and zone[low] > zone[high]:
                raise self.error(f"{name}: {low} {zone[low]} is more than {high} {zone[high]}; one of the two is wrong")
        self._check_end(name, zone)
        for pageset in self.pagesets[-1]:
            for required in _PCP[:3]:
                if required not in pageset:
                    raise self.error(f"{name}: the lists of cpu {pageset['cpu']} end without {required}")

    def _check_end(self, name: str, zone: Mapping[str, Any]) -> None:
        """Refuse a zone that ends before what the kernel prints last of it; an empty one ends with its protection."""
        for last in ("protection", "start_pfn") if zone["present"] else ("protection",):
            if last in zone:
                self.ends.add(last)
            elif last in self.ends:
                raise self.error(f"{name} ends without {last}, which the zones above have")
        if zone["present"] and not self.pagesets[-1] and "start_pfn" not in zone:
            raise self.error(f"{name} ends without pagesets and start_pfn, which every zone with pages has")

    def record(self) -> ZoneInfoFile:
        zones = tuple(
            ZoneInfo(
                **{**zone, "stats": zone["stats"]},
                pagesets=tuple(PerCpuPages(**pageset) for pageset in sets),
            )
            for zone, sets in zip(self.zones, self.pagesets, strict=True)
        )
        return ZoneInfoFile(zones, self.node_stats, tuple(self.layout))


def parse(text: str, where: str = "proc/zoneinfo") -> ZoneInfoFile:
    """Read all zones.

    Raises
    ------
    BadInput
        For a line that no kernel prints, a zone or field that stands twice, a zone without its marks or sizes, marks
        or sizes that contradict each other, and a cut.
    """
    reader = _Reader(where)
    for number, line in enumerate(lines_of(text, where, LIMIT), 1):
        reader.read(number, line)
    reader.finish()
    return checked(reader.record(), text, where, format)


def format(record: ZoneInfoFile) -> str:  # noqa: A001 - every format has parse() and format()
    """Write the file."""
    if not record.layout:
        record = replace(record, layout=tuple(_kernel_layout(record)))
    templates = [pattern for pattern, _ in record.layout]
    return "".join(fill(templates, (_values(record, key) for _, key in record.layout), "zoneinfo"))


def _values(record: ZoneInfoFile, key: Key) -> tuple[object, ...]:
    """Return what a line shows."""
    kind, *rest = key
    if kind == "head":
        return record.zones[rest[0]].nid, record.zones[rest[0]].name
    if kind == "zone":
        return (getattr(record.zones[rest[0]], rest[1]),)
    if kind == "stats":
        return tuple(record.zones[rest[0]].stats[name] for name in rest[1:])
    if kind == "of_node":
        return (record.node_stats[rest[0]][rest[1]],)
    if kind == "protection":
        return record.zones[rest[0]].protection or ()
    if kind == "cpu":
        pageset = record.zones[rest[0]].pagesets[rest[1]]
        return (pageset.cpu,) if pageset.pcp is None else (pageset.cpu, pageset.pcp)
    if kind == "pcp":
        return (getattr(record.zones[rest[0]].pagesets[rest[1]], rest[2]),)
    return ()


def _kernel_layout(record: ZoneInfoFile) -> Iterator[tuple[str, Key]]:
    """Yield the lines that a kernel since 4.8 writes for what is known; an empty zone ends after its protection."""
    seen: set[int] = set()
    for index, zone in enumerate(record.zones):
        yield "Node %s, zone %8s", ("head", index)
        if zone.nid in record.node_stats and zone.nid not in seen and zone.populated:
            seen.add(zone.nid)
            yield "  per-node stats", ("node",)
            for name in record.node_stats[zone.nid]:
                yield f"      {name:<12} %s", ("of_node", zone.nid, name)
        yield "  pages free     %s", ("zone", index, "free")
        for name in _MARKS[1:]:
            if getattr(zone, name) is not None:
                yield f"        {name:<8} %s", ("zone", index, name)
        protection = zone.protection or ()
        yield f"        protection: ({', '.join(['%s'] * len(protection))})", ("protection", index)
        if not zone.populated:
            continue
        for name in zone.stats:
            if name != "node_unreclaimable":
                yield f"      {name:<12} %s", ("stats", index, name)
        yield "  pagesets", ("pagesets",)
        for at, pageset in enumerate(zone.pagesets):
            yield "    cpu: %s", ("cpu", index, at)
            # Since 6.14, which prints more of them, the values stand in a column of their own.
            width = 9 if pageset.high_min is not None else 6
            for name in _PCP:
                if getattr(pageset, name) is not None:
                    yield f"              {name + ':':<{width}} %s", ("pcp", index, at, name)
            if pageset.vm_stats_threshold is not None:
                yield "  vm stats threshold: %s", ("pcp", index, at, "vm_stats_threshold")
        if "node_unreclaimable" in zone.stats:
            yield "  node_unreclaimable:  %s", ("stats", index, "node_unreclaimable")
        if zone.start_pfn is not None:
            yield "  start_pfn:           %s", ("zone", index, "start_pfn")
