"""Section merging: which names share one cache."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kmemwidgets.records import MachineSpec
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.kmalloc import TABLE as KMALLOC_TABLE
from kmemwidgets.sim.rules.kmalloc import KmallocRules
from kmemwidgets.sim.rules.slub import TABLE, SlubRules
from kmemwidgets.sim.slab_common import BOOT_CACHES, Mergeable, find_mergeable
from kmemwidgets.sim.slub_layout import calculate_sizes
from kmemwidgets.sim.slub_options import parse_options, word_size

from .slab_caches import is_kmalloc
from .slab_inputs import CacheInput


def order_of_creation(names: Iterable[str], slabinfo: str = "") -> list[str]:
    """Sort caches by age, the oldest first.

    /proc/slabinfo walks slab_caches, to whose head each new cache is added. A name that it doesn't
    show found another cache to share, so it came after that one; those go last, in the order given.
    """
    listed = [line.split()[0] for line in slabinfo.splitlines() if line and not line.startswith(("#", "slabinfo"))]
    age = {name: position for position, name in enumerate(reversed(listed))}
    return sorted(names, key=lambda name: age.get(name, len(age)))


def predict_merging(
    spec: MachineSpec, caches: Sequence[CacheInput], created: Sequence[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Predict which names share a cache.

    Parameters
    ----------
    spec : MachineSpec
    caches : sequence of CacheInput
    created : sequence of str
        Names in order of creation, the oldest first; empty: the order of `caches`.

    Returns
    -------
    dict
        Name to all the names that share its cache, itself included, sorted.
    """
    rules = pick(SlubRules, TABLE, spec.kernel)
    kmalloc = pick(KmallocRules, KMALLOC_TABLE, spec.kernel)
    options = parse_options(rules, spec)
    word = word_size(spec)
    unshared = tuple(f"{caller}-" for caller in kmalloc.buckets)
    age = {name: position for position, name in enumerate(created)}
    made: list[Mergeable] = []
    names: list[list[str]] = []
    for cache in sorted(caches, key=lambda entry: age.get(entry.name, len(age))):
        flags = cache.flags | options.debug_flags(cache.name)
        if rules.sheaf_capacity(cache.name) or cache.name.startswith(unshared) or cache.name == "kmalloc_buckets":
            flags |= {"no_merge"}
        layout = calculate_sizes(
            rules, cache.object_size, cache.align, cache.flags, ctor=cache.ctor, kmalloc=is_kmalloc(cache.name),
            name=cache.name, word=word,
        )  # fmt: skip
        wanted = Mergeable(
            cache.name, cache.object_size, cache.align, flags, cache.ctor, bool(cache.usersize),
            cache.name in BOOT_CACHES,
        )  # fmt: skip
        found = find_mergeable(wanted, made, word=word, merge=options.merge)
        if found is None:
            made.append(
                Mergeable(cache.name, layout.size, cache.align, flags, wanted.ctor, wanted.usersize, wanted.exempt)
            )
            names.append([cache.name])
        else:
            names[found].append(cache.name)
    return {name: tuple(sorted(group)) for group in names for name in group}


def recorded_merging(rows: Iterable[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """Take the recorded groups: a shared cache's names are links to it."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        if not row["name"].startswith(":"):
            groups.setdefault(row["target"] if row["target"] != "-" else row["name"], []).append(row["name"])
    return {name: tuple(sorted(group)) for group in groups.values() for name in group}
