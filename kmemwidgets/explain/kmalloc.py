"""Section kmalloc: the caches behind kmalloc, and what each recorded request got."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from kmemwidgets.records import MachineSpec
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.kmalloc import TABLE, KmallocRules
from kmemwidgets.sim.rules.slub import TABLE as SLUB_TABLE
from kmemwidgets.sim.rules.slub import SlubRules
from kmemwidgets.sim.slab_common import kmalloc_caches, kmalloc_kind, kmalloc_kinds, kmalloc_size
from kmemwidgets.sim.slub_layout import calculate_sizes
from kmemwidgets.sim.slub_options import parse_options, word_size

from .slab_inputs import number

_EVENT = re.compile(r": kmalloc(?:_node)?: call_site=(\S+) ptr=\S+ bytes_req=(\d+) bytes_alloc=(\d+) gfp_flags=(\S*)")
_NAME = re.compile(r"(?:dma-)?kmalloc-(?:rcl-|cg-|rnd-\d\d-)?\d+[kM]?$")

#: A request: bytes asked for, and the names of its gfp flags joined by bars.
Request = tuple[int, str]


def predict_kmalloc_caches(spec: MachineSpec) -> dict[str, int]:
    """Predict the names of kmalloc's caches and the size of their objects, bytes."""
    return {cache.name: cache.size for cache in kmalloc_caches(pick(KmallocRules, TABLE, spec.kernel), spec)}


def recorded_kmalloc_caches(spec: MachineSpec, rows: Iterable[Mapping[str, str]]) -> dict[str, int]:
    """Take the recorded ones: what is called kmalloc, and the buckets of the callers that have some."""
    callers = pick(KmallocRules, TABLE, spec.kernel).buckets
    bucket = re.compile(rf"(?:{'|'.join(callers)})-\d+[kM]?$") if callers else None
    return {
        row["name"]: number(row, "object_size")
        for row in rows
        if _NAME.match(row["name"]) or (bucket and bucket.match(row["name"]))
    }


def predict_bytes_alloc(spec: MachineSpec, requests: Iterable[Request]) -> dict[Request, int]:
    """Predict the bytes that each request took: its cache's slab_size, or whole pages.

    Debugging of the cache makes its objects larger, and the event tells the enlarged size.
    """
    rules = pick(KmallocRules, TABLE, spec.kernel)
    slub = pick(SlubRules, SLUB_TABLE, spec.kernel)
    options = parse_options(slub, spec)
    kinds = kmalloc_kinds(rules, spec)
    by_size = {(cache.kind, cache.size): cache for cache in kmalloc_caches(rules, spec)}
    sizes = sorted({size for kind, size in by_size if kind == "normal"})
    predicted: dict[Request, int] = {}
    for size, gfp in set(requests):
        taken = kmalloc_size(size, sizes, spec.page_size)
        cache = by_size.get((kmalloc_kind(kinds, gfp.split("|")), taken))
        if cache is not None:
            layout = calculate_sizes(
                slub, cache.size, cache.align, options.debug_flags(cache.name), kmalloc=True, word=word_size(spec)
            )
            taken = layout.size
        predicted[size, gfp] = taken
    return predicted


def recorded_bytes_alloc(trace: str) -> Counter[tuple[Request, int]]:
    """Count the kmalloc events of a trace by request and bytes_alloc."""
    if ": kmalloc" not in trace:
        return Counter()  # a quick look spares most traces the search
    return Counter(((int(found[2]), found[4]), int(found[3])) for found in _EVENT.finditer(trace))
