"""Section zones: where every zone of every node starts, and how many frames it spans and holds."""

from __future__ import annotations

from kmemwidgets.capture import Capture
from kmemwidgets.procfs import zoneinfo
from kmemwidgets.records import MachineSpec, ZoneInfo
from kmemwidgets.sim.zone_sizes import zone_spans

from .section import Figures, Section


def recorded_zones(capture: Capture, path: str = "proc/zoneinfo") -> tuple[ZoneInfo, ...]:
    """Return the zones of a recorded zoneinfo; none where it wasn't recorded."""
    text = capture.text_or_none(path)
    return zoneinfo.parse(text, f"{capture.name}/{path}").zones if text else ()


def label(nid: int, name: str) -> str:
    """Name a zone in what a figure is of."""
    return f"node {nid} zone {name}"


def predict_zones(spec: MachineSpec, _inputs: None = None) -> Figures:
    """Predict start_pfn, spanned and present; the start of an empty zone isn't printed."""
    figures: dict[str, int | None] = {}
    for zone in zone_spans(spec):
        where = label(zone.nid, zone.name)
        figures[f"{where} spanned"] = zone.spanned
        figures[f"{where} present"] = zone.present
        if zone.present:
            figures[f"{where} start_pfn"] = zone.start_pfn
    return figures


def _recorded(capture: Capture) -> Figures:
    figures: dict[str, int | None] = {}
    for zone in recorded_zones(capture):
        where = label(zone.nid, zone.name)
        figures[f"{where} spanned"] = zone.spanned
        figures[f"{where} present"] = zone.present
        if zone.start_pfn is not None:
            figures[f"{where} start_pfn"] = zone.start_pfn
    return figures


SECTIONS = (Section("zones", lambda _capture, _spec: None, predict_zones, _recorded),)
