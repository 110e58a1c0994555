"""Sections slab_caches, merging and kmalloc, read from a recording."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from kmemwidgets.capture import Capture
from kmemwidgets.records import MachineSpec

from .kmalloc import (
    Request,
    predict_bytes_alloc,
    predict_kmalloc_caches,
    recorded_bytes_alloc,
    recorded_kmalloc_caches,
)
from .merging import order_of_creation, predict_merging, recorded_merging
from .section import Figures, Section
from .slab_caches import predict_slab_caches, recorded_slab_caches
from .slab_inputs import CacheInput, cache_input, read_rows

_TABLE = "slab.tsv"


def _rows(capture: Capture) -> list[dict[str, str]]:
    text = capture.text_or_none(_TABLE)
    # A machine that doesn't show /sys/kernel/slab leaves a line that says so.
    return read_rows(text, f"{capture.name}/{_TABLE}") if text and not text.startswith("#") else []


def _caches(capture: Capture, _spec: MachineSpec) -> tuple[CacheInput, ...]:
    return tuple(cache_input(row) for row in _rows(capture))


def _slab_caches(spec: MachineSpec, caches: tuple[CacheInput, ...]) -> Figures:
    predicted = predict_slab_caches(spec, caches)
    return {f"{name} {figure}": value for name, figures in predicted.items() for figure, value in figures.items()}


def _recorded_slab_caches(capture: Capture) -> Figures:
    recorded = recorded_slab_caches(_rows(capture))
    return {f"{name} {figure}": value for name, figures in recorded.items() for figure, value in figures.items()}


@dataclass(frozen=True, slots=True)
class MergingInputs:
    """Caches by every name they have, and the order in which they were made."""

    caches: tuple[CacheInput, ...]
    created: tuple[str, ...]


def _merging_inputs(capture: Capture, spec: MachineSpec) -> MergingInputs:
    caches = tuple(cache for cache in _caches(capture, spec) if not cache.name.startswith(":"))
    created = order_of_creation((cache.name for cache in caches), capture.text_or_none("proc/slabinfo") or "")
    return MergingInputs(caches, tuple(created))


def _merging(spec: MachineSpec, inputs: MergingInputs) -> Figures:
    return predict_merging(spec, inputs.caches, inputs.created)


def _recorded_merging(capture: Capture) -> Figures:
    return recorded_merging(_rows(capture))


def _events(capture: Capture) -> dict[str, Counter[tuple[Request, int]]]:
    return {trace: recorded_bytes_alloc(capture.text(f"{trace}/trace")) for trace in capture.traces()}


def _requests(capture: Capture, _spec: MachineSpec) -> dict[str, list[tuple[Request, int]]]:
    """Return what was asked for in each trace, and how often."""
    asked: dict[str, list[tuple[Request, int]]] = {}
    for trace, events in _events(capture).items():
        counts: Counter[Request] = Counter()
        for (request, _taken), count in events.items():
            counts[request] += count
        asked[trace] = list(counts.items())
    return asked


def _kmalloc(spec: MachineSpec, asked: dict[str, list[tuple[Request, int]]]) -> Figures:
    figures: dict[str, int] = {f"{name} size": size for name, size in predict_kmalloc_caches(spec).items()}
    for trace, requests in asked.items():
        taken = predict_bytes_alloc(spec, (request for request, _count in requests))
        for request, count in requests:
            for number in range(count):
                figures[_event_label(trace, request, number)] = taken[request]
    return figures


def _event_label(trace: str, request: Request, number: int) -> str:
    size, gfp = request
    return f"{trace} kmalloc({size}, {gfp}) no. {number}"


def _recorded_kmalloc(capture: Capture) -> Figures:
    rows = _rows(capture)
    figures: dict[str, int] = {f"{n} size": size for n, size in recorded_kmalloc_caches(capture.spec(), rows).items()}
    for trace, events in _events(capture).items():
        seen: Counter[Request] = Counter()
        for (request, taken), count in events.items():
            for _ in range(count):
                figures[_event_label(trace, request, seen[request])] = taken
                seen[request] += 1
    return figures


SECTIONS = (
    Section("slab_caches", _caches, _slab_caches, _recorded_slab_caches),
    Section("merging", _merging_inputs, _merging, _recorded_merging),
    Section("kmalloc", _requests, _kmalloc, _recorded_kmalloc),
)
