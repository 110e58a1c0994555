"""What slab.tsv says of each cache before any figure is worked out."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass

from kmemwidgets.records import BadInput
from kmemwidgets.sim.slab_common import ID_LETTERS

#: Columns of slab.tsv that are flags of the cache.
FLAG_COLUMNS = (
    "red_zone", "poison", "store_user", "sanity_checks", "trace", "reclaim_account", "hwcache_align",
    "cache_dma", "destroy_by_rcu",
)  # fmt: skip
#: Bytes that an object may have; the kernel's largest slab is of order 10 with pages of 64 KiB.
MAX_OBJECT = 1 << 26
_NEEDED = ("name", "target", "object_size", "align", "usersize", *FLAG_COLUMNS)


@dataclass(frozen=True, slots=True)
class CacheInput:
    """A cache as it was asked for.

    Attributes
    ----------
    name : str
    object_size, align, usersize : int
        Bytes.
    flags : frozenset of str
        The columns that read 1, and "account", which only a shared cache's letters show.
    ctor : bool
    """

    name: str
    object_size: int
    align: int
    usersize: int = 0
    flags: frozenset[str] = frozenset()
    ctor: bool = False


def read_rows(text: str, where: str = "slab.tsv") -> list[dict[str, str]]:
    """Split slab.tsv into rows.

    Raises
    ------
    BadInput
        Where a column is missing or a row is short.
    """
    rows: list[dict[str, str]] = []
    reader = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
    if missing:
        raise BadInput(f"no column {', '.join(missing)}", where=f"{where}:1", todo="record the machine again")
    for row in reader:
        if any(row[name] is None for name in _NEEDED):
            raise BadInput("a row with fewer columns than the head", where=f"{where}:{reader.line_num}")
        rows.append(row)
    return rows


def number(row: Mapping[str, str], column: str, where: str = "slab.tsv") -> int:
    """Read a column as a number; a kernel that doesn't show it writes NA, which counts as 0."""
    text = row.get(column) or "0"
    if text == "NA":
        return 0
    try:
        return int(text.split()[0])
    except (ValueError, IndexError):
        raise BadInput(f"{column} of cache {row['name']!r} is {text!r}, no number", where=where) from None


def cache_input(row: Mapping[str, str]) -> CacheInput:
    """Take from a row what its owner asked for, and nothing that the kernel made of it."""
    size = number(row, "object_size")
    if not 0 < size <= MAX_OBJECT:
        raise BadInput(f"object_size of cache {row['name']!r} is {size}; expected 1 to {MAX_OBJECT}", where="slab.tsv")
    flags = {name for name in FLAG_COLUMNS if number(row, name)}
    # SLAB_ACCOUNT and SLAB_CACHE_DMA32 have no file of their own; a shared cache's name shows their letters.
    shared = row["name"] if row["name"].startswith(":") else row["target"]
    if shared.startswith(":") and "-" in shared:
        letters = shared[1 : shared.index("-")]
        flags |= {flag for flag in ("account", "cache_dma32") if ID_LETTERS[flag] in letters}
    return CacheInput(
        row["name"],
        size,
        number(row, "align"),
        number(row, "usersize"),
        frozenset(flags),
        bool(row.get("ctor")),
    )
