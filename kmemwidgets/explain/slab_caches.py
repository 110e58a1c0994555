"""Section slab_caches: what SLUB makes of each cache's object size, alignment and flags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kmemwidgets.records import MachineSpec
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.slub import TABLE, SlubRules
from kmemwidgets.sim.slub_layout import cache_geometry, calculate_sizes
from kmemwidgets.sim.slub_options import tunables

from .slab_inputs import CacheInput, number

FIGURES = ("slab_size", "order", "objs_per_slab", "min_partial", "cpu_partial")


def is_kmalloc(name: str) -> bool:
    """Tell whether a cache is one of kmalloc's own (SLAB_KMALLOC), which debugging treats differently."""
    return name.startswith(("kmalloc-", "dma-kmalloc-"))


def predict_slab_caches(spec: MachineSpec, caches: Iterable[CacheInput]) -> dict[str, dict[str, int]]:
    """Predict the figures of each cache.

    Parameters
    ----------
    spec : MachineSpec
        Kernel, cpus, page size, command line.
    caches : iterable of CacheInput

    Returns
    -------
    dict
        Cache name to figure's name to value.
    """
    rules = pick(SlubRules, TABLE, spec.kernel)
    machine = tunables(rules, spec)
    figures: dict[str, dict[str, int]] = {}
    for cache in caches:
        layout = calculate_sizes(
            rules,
            cache.object_size,
            cache.align,
            cache.flags,
            ctor=cache.ctor,
            kmalloc=is_kmalloc(cache.name),
            name=cache.name,
            word=machine.word,
        )
        geometry = cache_geometry(rules, layout, cache.flags, machine)
        figures[cache.name] = {
            "slab_size": layout.size,
            "order": geometry.order,
            "objs_per_slab": geometry.objs_per_slab,
            "min_partial": geometry.min_partial,
            "cpu_partial": geometry.cpu_partial,
        }
    return figures


def recorded_slab_caches(rows: Iterable[Mapping[str, str]]) -> dict[str, dict[str, int]]:
    """Take the recorded figures of each cache; the other names of a shared one repeat it and are left out."""
    return {row["name"]: {figure: number(row, figure) for figure in FIGURES} for row in rows if row["target"] == "-"}
