"""/proc/slabinfo: caches and their objects, versions 1.1 to 2.1 (mm/slab_common.c; before 2.6.22 only mm/slab.c)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kmemwidgets.records import SlabCacheInfo

from ._lines import bad, checked, fill, lines_of, shown, template

LIMIT = 1 << 24

_VERSION = re.compile(r"slabinfo - version: (1\.[012]|2\.[01])( \((?:statistics|SMP|statistics, SMP)\))*")
_HEAD = re.compile(r"# ?name .*")
_NUMBER = r"-?[0-9]{1,20}"
# Names with blanks exist in 2.4 ("dnotify cache"), so a row is read from its numbers backwards.
_ROW_2 = re.compile(
    rf"(?P<name>\S(?:.{{0,120}}?\S)?) +(?P<objs>{_NUMBER}(?: +{_NUMBER}){{4}})"
    rf" : tunables(?P<tunables>(?: +{_NUMBER}){{3}}) : slabdata(?P<slabdata>(?: +{_NUMBER}){{3,5}})(?P<rest> :.*)?"
)
_ROW_1 = re.compile(rf"(?P<name>\S(?:.{{0,120}}?\S)?) +(?P<objs>{_NUMBER}(?: +{_NUMBER}){{5}})(?P<rest> :.*)?")


@dataclass(frozen=True, slots=True)
class SlabInfo:
    """The whole file.

    Attributes
    ----------
    version : str
        "2.1", or an older one.
    caches : tuple of SlabCacheInfo
        `slab_size`, `objs_per_slab`, `order`, `active_objs`, `num_objs`, `slabs` are known from here. What the file
        calls objsize is the space of an object with all debug information: slab_size.
    tunables : tuple of tuple of int
        For each cache limit, batchcount and sharedfactor, as printed; version 1 has none.
    slabdata : tuple of tuple of int
        For each cache active slabs, slabs, shared objects; in version 1 the pages of a slab come third.
    head : tuple of str
        The lines before the first cache.
    extra : tuple of str
        For each cache what the line says beyond that (statistics of mm/slab.c), as printed.
    """

    version: str
    caches: tuple[SlabCacheInfo, ...]
    tunables: tuple[tuple[int, ...], ...] = ()
    slabdata: tuple[tuple[int, ...], ...] = ()
    head: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    layout: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


_HEAD_21 = (
    "slabinfo - version: 2.1",
    (
        "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
        " : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>"
    ),
)


def parse(text: str, where: str = "proc/slabinfo") -> SlabInfo:
    """Read all caches; two may have the same name."""
    rows = lines_of(text, where, LIMIT)
    version = _VERSION.fullmatch(rows[0])
    if not version:
        raise bad(where, 1, f"expected 'slabinfo - version: 2.1' or an older version, not {shown(rows[0])}")
    old = version[1].startswith("1")
    head = 2 if len(rows) > 1 and _HEAD.fullmatch(rows[1]) else 1
    if not old and head == 1:
        raise bad(where, 2, "expected the heading '# name <active_objs> ...'")
    caches: list[SlabCacheInfo] = []
    tunables: list[tuple[int, ...]] = []
    slabdata: list[tuple[int, ...]] = []
    extra: list[str] = []
    layout: list[str] = []
    pattern = _ROW_1 if old else _ROW_2
    for number, line in enumerate(rows[head:], head + 1):
        found = pattern.fullmatch(line)
        if not found:
            raise bad(where, number, f"expected a cache's row of slabinfo {version[1]}, not {shown(line)}")
        objs = tuple(map(int, found["objs"].split()))
        spans = [found.span("name"), *_words(found, "objs")]
        if old:
            cache = _cache_1(found["name"], objs)
            slabdata.append(objs[3:])
        else:
            slabdata.append(tuple(map(int, found["slabdata"].split())))
            tunables.append(tuple(map(int, found["tunables"].split())))
            spans += [*_words(found, "tunables"), *_words(found, "slabdata")]
            cache = _cache_2(found["name"], objs, slabdata[-1])
            if objs[4] < 1 or objs[4] & (objs[4] - 1):
                raise bad(where, number, f"{objs[4]} pages per slab; expected a power of two")
        caches.append(cache)
        extra.append(found["rest"] or "")
        layout.append(template(line, spans))
    record = SlabInfo(
        version[1],
        tuple(caches),
        tuple(tunables),
        tuple(slabdata),
        tuple(rows[:head]),
        tuple(extra),
        tuple(layout),
    )
    return checked(record, text, where, format)


def _words(found: re.Match[str], group: str) -> list[tuple[int, int]]:
    start = found.start(group)
    return [(start + word.start(), start + word.end()) for word in re.finditer(_NUMBER, found[group])]


def _cache_1(name: str, objs: tuple[int, ...]) -> SlabCacheInfo:
    """Version 1: active, all, size, active slabs, slabs, pages of a slab."""
    active, num, size, _, slabs, pages = objs
    order = pages.bit_length() - 1 if pages > 0 and pages & (pages - 1) == 0 else None
    return SlabCacheInfo(name, slab_size=size, order=order, active_objs=active, num_objs=num, slabs=slabs)


def _cache_2(name: str, objs: tuple[int, ...], slabdata: tuple[int, ...]) -> SlabCacheInfo:
    active, num, size, per_slab, pages = objs
    return SlabCacheInfo(
        name,
        slab_size=size,
        objs_per_slab=per_slab,
        order=pages.bit_length() - 1,
        active_objs=active,
        num_objs=num,
        slabs=slabdata[1],
    )


def format(record: SlabInfo) -> str:  # noqa: A001 - every format has parse() and format()
    """Write the file; without a layout as its version of the kernel writes it."""
    old = record.version.startswith("1")
    several = " (SMP)" if any(record.extra) else ""
    head = record.head or ((f"slabinfo - version: {record.version}{several}",) if old else _HEAD_21)
    rows: list[tuple[object, ...]] = []
    for index, cache in enumerate(record.caches):
        slabdata = record.slabdata[index] if record.slabdata else (cache.slabs, cache.slabs, 0)
        counts = (cache.name, cache.active_objs, cache.num_objs, cache.slab_size)
        if old:
            rows.append((*counts, *slabdata))
        else:
            pages = 1 << (cache.order or 0)
            tunables = record.tunables[index] if record.tunables else (0, 0, 0)
            rows.append((*counts, cache.objs_per_slab, pages, *tunables, *slabdata))
    ends = record.extra or [""] * len(record.caches)
    layout = record.layout or [
        (_row_11(cache.name) if old else _row_21(cache.name)) + end
        for cache, end in zip(record.caches, ends, strict=True)
    ]
    return "".join(line + "\n" for line in head) + "".join(fill(layout, rows, "slabinfo"))


def _row_11(name: str) -> str:
    return f"%1s%{max(17 - len(name), 0) + 7}s %6s %6s %4s %4s %4s"


def _row_21(name: str) -> str:
    # "%-17s %6lu ...": the name is left-aligned, so the first number's slot takes the blanks behind it.
    first = max(17 - len(name), 0) + 7
    return f"%1s%{first}s %6s %6s %4s %4s : tunables %4s %4s %4s : slabdata %6s %6s %6s"
