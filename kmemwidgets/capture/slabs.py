"""A recording's slab caches: /proc/slabinfo, and slab.tsv, which holds one row for each entry of /sys/kernel/slab."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from kmemwidgets.records import BadInput, SlabCacheInfo, SlabPlaces

#: A file of /sys/kernel/slab/CACHE that tells a flag, and the flag (include/linux/slab.h).
FLAGS = {
    "sanity_checks": "SLAB_CONSISTENCY_CHECKS",
    "red_zone": "SLAB_RED_ZONE",
    "poison": "SLAB_POISON",
    "store_user": "SLAB_STORE_USER",
    "hwcache_align": "SLAB_HWCACHE_ALIGN",
    "cache_dma": "SLAB_CACHE_DMA",
    "reclaim_account": "SLAB_RECLAIM_ACCOUNT",
    "destroy_by_rcu": "SLAB_TYPESAFE_BY_RCU",
    "trace": "SLAB_TRACE",
}

#: Rows of a slab.tsv.
MAX_ROWS = 10_000

#: "4(1) C0=4(1)": free objects as the kernel guesses them, and slabs.
_SLABS_IN_BRACKETS = re.compile(r"\d{1,20}\((\d{1,20})\)")
_FIRST_NUMBER = re.compile(r"-?\d{1,20}")
Row = Mapping[str, str]


def slab_rows(text: str, where: str) -> dict[str, Row]:
    """Read slab.tsv: entry to its files' contents. ``target`` is the cache that an alias points to, else "-"."""
    lines = text.rstrip("\n").split("\n")
    head = lines[0].split("\t")
    if head[:2] != ["name", "target"]:
        raise BadInput("expected the columns 'name', 'target', ...", where=f"{where}:1")
    if len(lines) > MAX_ROWS:
        raise BadInput(f"more than {MAX_ROWS} rows", where=where)
    rows: dict[str, Row] = {}
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) != len(head):
            raise BadInput(f"{len(cells)} columns here, but {len(head)} in the heading", where=f"{where}:{number}")
        rows[cells[0]] = dict(zip(head, cells, strict=True))
    return rows


def _number(row: Row, name: str) -> int | None:
    found = _FIRST_NUMBER.match(row.get(name, ""))
    return int(found[0]) if found else None


def _places(row: Row) -> SlabPlaces | None:
    """Return where a cache's slabs are, None where a file is missing: one needs CONFIG_SLUB_CPU_PARTIAL."""
    slabs, partial = _number(row, "slabs"), _number(row, "partial")
    in_partial, of_cpus = _number(row, "objects_partial"), _number(row, "cpu_slabs")
    on_lists = _SLABS_IN_BRACKETS.match(row.get("slabs_cpu_partial", ""))
    if slabs is None or partial is None or in_partial is None or of_cpus is None or on_lists is None:
        return None
    return SlabPlaces(slabs, partial, in_partial, of_cpus, int(on_lists[1]))


def described(cache: SlabCacheInfo, rows: Mapping[str, Row], *, same_moment: bool) -> SlabCacheInfo:
    """Add to a cache what sysfs says of it: what stays fixed, and where it was read at the same moment the rest.

    Merged caches are one; its name in slabinfo is the first one's, its folder in sysfs has a name made of its
    properties (``:0000024``) to which the names of all merged caches point.
    """
    row = rows.get(cache.name)
    if row is None:
        return cache
    folder = cache.name if row["target"] == "-" else row["target"]
    names = sorted(name for name, other in rows.items() if other["target"] == folder and name != cache.name)
    ctor = row.get("ctor", "").split(" ")[0]
    return replace(
        cache,
        object_size=_number(row, "object_size"),
        slab_size=cache.slab_size if cache.slab_size is not None else _number(row, "slab_size"),
        align=_number(row, "align"),
        order=cache.order if cache.order is not None else _number(row, "order"),
        objs_per_slab=cache.objs_per_slab if cache.objs_per_slab is not None else _number(row, "objs_per_slab"),
        min_partial=_number(row, "min_partial"),
        cpu_partial=_number(row, "cpu_partial"),
        partial=_number(row, "partial") if same_moment else None,
        slabs=cache.slabs if cache.slabs is not None or not same_moment else _number(row, "slabs"),
        usersize=_number(row, "usersize"),
        aliases=tuple(names),
        flags=tuple(flag for file, flag in FLAGS.items() if row.get(file) == "1"),
        ctor=ctor or None,
        places=_places(row),
    )


def caches_of(rows: Mapping[str, Row]) -> tuple[SlabCacheInfo, ...]:
    """List the caches where only sysfs is known: each under its first name."""
    first: dict[str, str] = {}
    for name, row in rows.items():
        if row["target"] != "-":
            first.setdefault(row["target"], name)
    return tuple(
        described(SlabCacheInfo(first.get(name, name)), rows, same_moment=True)
        for name, row in rows.items()
        if row["target"] == "-"
    )
