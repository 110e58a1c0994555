"""Run over a long trace at about the cost of splitting its lines.

`parse` makes a record of every line; a replay of 300,000 events wants a few numbers of the lines that concern
it. Lines of the usual shape are cut at their blanks; whatever looks odd goes the careful way of `parse`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from .head import Head, is_notice, read_head, read_lost, read_start, read_text
from .layouts import KMEM_EVENTS
from .reader import Lost, is_cut, read_fields

#: Name of the row that stands where events were lost; its values are (count,).
LOST = "LOST"

_MAX_PFN = 1 << 52  # physical addresses have at most 64 bits
_PAGE = ("pfn", "order")
_BYTES = ("call_site", "ptr", "bytes_req", "bytes_alloc", "gfp_flags", "node")

#: What the values of a row are, by event. Other events: all fields, in the order printed.
SCAN_FIELDS: dict[str, tuple[str, ...]] = {
    "mm_page_alloc": (*_PAGE, "migratetype", "gfp_flags"),
    "mm_page_free": _PAGE,
    "mm_page_free_batched": _PAGE,
    "mm_page_alloc_zone_locked": (*_PAGE, "migratetype", "percpu_refill"),
    "mm_page_pcpu_drain": (*_PAGE, "migratetype"),
    "mm_vmscan_write_folio": ("pfn", "flags"),
    "mm_page_alloc_extfrag": (
        "pfn", "alloc_order", "fallback_order", "pageblock_order", "alloc_migratetype", "fallback_migratetype",
        "fragmenting", "change_ownership",
    ),
    "kmalloc": _BYTES,
    "kmalloc_node": _BYTES,
    "kmem_cache_alloc": _BYTES,
    "kmem_cache_alloc_node": _BYTES,
    "kfree": ("call_site", "ptr"),
    "kmem_cache_free": ("call_site", "ptr", "name"),
}  # fmt: skip


#: One event, as few objects as possible: (name, comm, pid, cpu, time, flags, values).
#: `name` is the event or `LOST`, `time` the stamp as printed, which few ask for (`read_time`), `flags` the latency
#: columns (empty where the text has none), `values` the fields that `SCAN_FIELDS` names. `pfn` is None for the failed
#: attempt that the kernel prints as page 0; a field that this kernel doesn't print is None.
Row = tuple[str, str, int, int, str, str, tuple[Any, ...]]


def _refuse(word: str) -> None:
    raise ValueError(word)


class _Tails(dict[str, tuple[Any, ...]]):
    """The end of an event's text, from its third value on, to those values: few texts, and each comes up often.

    Raises ValueError where the text has not the usual form.
    """

    __slots__ = ("_match", "_read")

    def __init__(self, pattern: str, *read: Callable[[str], int | str]) -> None:
        super().__init__()
        self._match = re.compile(pattern).fullmatch
        self._read = read

    def __missing__(self, text: str) -> tuple[Any, ...]:
        found = self._match(text)
        if found is None:
            raise ValueError(text)
        values = self[text] = tuple(read(value) for read, value in zip(self._read, found.groups(), strict=True))
        return values


def _pointer(word: str) -> int:
    digits = word[4:]
    if word[:4] != "ptr=" or len(digits) > 16 or not digits.isalnum():
        raise ValueError(word)
    return int(digits, 16)


# Two digits are more than any order or type has; nodes are fewer than 1024.
_ORDER = r"order=(\d\d?)"
_TYPE = r" migratetype=(\d\d?)"
_ASKED = r"bytes_req=(\d{1,18}) bytes_alloc=(\d{1,18}) gfp_flags=(\S*) node=(-1|\d{1,3}) accounted=(?:true|false)"

# How the usual lines of an event go on: behind the frame of a page event, behind the pointer of a slab event.
_PAGES: dict[str, tuple[str, *tuple[Callable[[str], int | str], ...]]] = {
    "mm_page_alloc": (_ORDER + _TYPE + r" gfp_flags=(\S*)", int, int, str),
    "mm_page_free": (_ORDER, int),
    "mm_page_free_batched": (_ORDER, int),
    "mm_page_alloc_zone_locked": (_ORDER + _TYPE + " percpu_refill=([01])", int, int, int),
    "mm_page_pcpu_drain": (_ORDER + _TYPE, int, int),
    "mm_vmscan_write_folio": (r"flags=(\S*)", str),
}
_OBJECTS: dict[str, tuple[str, *tuple[Callable[[str], int | str], ...]]] = {
    "kmalloc": (_ASKED, int, int, str, int),
    "kmem_cache_alloc": (_ASKED, int, int, str, int),
    "kfree": ("",),
    "kmem_cache_free": (r"name=(\S*)", str),
}

#: So many characters are taken apart at a time: few enough to stay in a processor's cache.
_BLOCK = 1 << 15


class _Heads(dict[str, tuple[str, int, int, str, int]]):
    """The start of a line, up to the point in its time stamp, to task, pid, cpu, flags and the stamp's column.

    Raises KeyError where the text is no such start.
    """

    __slots__ = ("perf",)

    def __init__(self) -> None:
        super().__init__()
        self.perf = False

    def __missing__(self, text: str) -> tuple[str, int, int, str, int]:
        start = read_start(text, self.perf)
        if start is None:
            raise KeyError(text)
        self[text] = start
        return start


class _Usual:
    """What the lines of one trace usually look like, learnt from those that were read with care.

    Attributes
    ----------
    point : int
        Where the fraction of a second begins: task, cpu and flags stand in columns. -1: not known yet.
    heads : _Heads
    kinds : dict
        The word that names an event to its name, its tails and whether it is a page event; None for an event that
        nobody asked for. Events that are always read with care are not here.
    """

    __slots__ = ("heads", "kinds", "point", "wanted")

    def __init__(self, wanted: frozenset[str]) -> None:
        self.wanted = wanted
        self.point = -1
        self.heads = _Heads()
        self.kinds: dict[str, tuple[str, _Tails, bool] | None] = {}

    def learn(self, line: str, head: Head) -> None:
        """Remember where a line's time stamp stands, if that has microseconds, and how its event is named."""
        perf = bool(head.system)
        stamp = f" {head.time}: "
        at = line.find(stamp)
        words = line[at + len(stamp) :].split(None, 1)
        if at < 0 or head.time[-7:-6] != "." or not words or words[0] != f"{head.system}:{head.name}:".lstrip(":"):
            return
        point = at + len(stamp) - 8
        if point != self.point or perf != self.heads.perf:
            self.point = point
            self.heads.perf = perf
            self.heads.clear()
            self.kinds.clear()
        name = head.name
        if name not in self.wanted:
            self.kinds[words[0]] = None
        elif words[0] not in self.kinds and (name in _PAGES or name in _OBJECTS):
            is_page = name in _PAGES
            self.kinds[words[0]] = name, _Tails(*(_PAGES[name] if is_page else _OBJECTS[name])), is_page


class Scan:
    """The rows of a trace's wanted events, read as they are asked for.

    Attributes
    ----------
    lost : list of Lost
        Grows while rows are read; `seq` counts rows.
    unreadable : int
        Lines that are neither an event nor a notice, so far, and events whose text has a form of no known kernel.
    cut : bool
        The last line ended too early.
    """

    def __init__(
        self, source: str | bytes | Iterable[str] | Iterable[bytes], wanted: Iterable[str], where: str
    ) -> None:
        self._text, _ = read_text(source, where)
        self._wanted = frozenset(wanted)
        self.lost: list[Lost] = []
        self.unreadable = 0
        self.cut = False
        self.rows = 0

    def __iter__(self) -> Iterator[Row]:
        return chain.from_iterable(self._blocks())

    def mentions(self, name: str) -> bool:
        """Tell whether the text may hold such an event: its name is there."""
        return f"{name}:" in self._text

    def _blocks(self) -> Iterator[list[Row]]:
        """Read block after block of whole lines, and what is left of a line that was cut."""
        self.lost.clear()
        self.unreadable = self.rows = 0
        self.cut = False
        usual = _Usual(self._wanted)
        text = self._text
        begin = 0
        while begin < len(text):
            end = text.find("\n", begin + _BLOCK)
            if end < 0:
                end = text.rfind("\n", begin)
            if end < 0:
                last = self._careful(read_head(text[begin:]), text[begin:], True)
                if last is not None:
                    self.rows += 1
                    yield [last]
                return
            yield self._read(text[begin:end].split("\n"), usual)
            begin = end + 1

    def _read(self, lines: list[str], usual: _Usual) -> list[Row]:
        """Return the rows of some lines."""
        before = self.rows
        rows: list[Row] = []
        values: tuple[Any, ...]
        add = rows.append
        heads = usual.heads
        kinds = usual.kinds
        point = usual.point
        stop = point + 6
        most = _MAX_PFN
        for line in lines:
            try:
                comm, pid, cpu, flags, at = heads[line[:point]]
                words = line[point:].split(None, 4)
                kind = kinds[words[1]]
                if kind is None:
                    continue  # nobody asked for it
                name, tails, is_page = kind
                if line[stop] != ":" or not line[point:stop].isdigit():
                    _refuse(line)
                if is_page:
                    # int() takes "+1" and "1_0" too; frame 0 may be a request that failed.
                    digits = words[3].removeprefix("pfn=0x")
                    pfn = int(digits, 16)
                    if not 0 < pfn < most or not digits.isalnum():
                        _refuse(digits)
                    values = (pfn,) + tails[words[4]]  # an unpacking takes twice the time
                else:
                    values = (words[2][10:], _pointer(words[3]), *tails[words[4] if len(words) > 4 else ""])
                add((name, comm, pid, cpu, line[at:stop], flags, values))
            except (KeyError, ValueError, IndexError):
                self.rows = before + len(rows)
                head = read_head(line)
                row = self._careful(head, line, False)
                if head is not None:
                    usual.learn(line, head)
                    point = usual.point
                    stop = point + 6
                if row is not None:
                    add(row)
        self.rows = before + len(rows)
        return rows

    def _careful(self, head: Head | None, line: str, last: bool) -> Row | None:
        """Read a line as `parse` does."""
        if head is None:
            lost = read_lost(line)
            if lost:
                self.lost.append(Lost(self.rows, *lost))
                return (LOST, "", -1, lost[0], "0", "", (lost[1],))
            if not is_notice(line):
                self.cut |= last
                self.unreadable += not last
            return None
        if head.name not in self._wanted:
            return None
        fields = read_fields(head.name, head.text)
        if fields is None and is_cut(head.name, head.text, last):
            self.cut = True
            return None
        if fields is None and head.name in SCAN_FIELDS:
            self.unreadable += 1
            return None
        values = _values(head.name, fields or {"text": head.text})
        return (head.name, head.comm, head.pid, head.cpu, head.time, head.flags, values)


def _values(name: str, fields: dict[str, Any]) -> tuple[Any, ...]:
    names = SCAN_FIELDS.get(name)
    if names is None:
        return tuple(fields.values())
    if "pfn" in fields and (not fields.get("page", 1) or not 0 <= fields["pfn"] < _MAX_PFN):
        fields["pfn"] = None
    return tuple(fields.get(key) for key in names)


def scan(
    source: str | bytes | Iterable[str] | Iterable[bytes],
    wanted: Iterable[str] = KMEM_EVENTS,
    *,
    where: str = "trace",
) -> Scan:
    """Return the wanted events of a trace, one light row each, and a row `LOST` where events were lost.

    Parameters
    ----------
    source : str, bytes, or lines of either
        As in `parse`.
    wanted : iterable of str
        Names of events.
    where : str
        How to call the text in errors.

    Examples
    --------
    >>> line = "    work-26  [000] d..3.    13.947687: mm_page_free: page=ffffea0000234c80 pfn=0x8d32 order=0"
    >>> [row[-1] for row in scan(line, {"mm_page_free"})]
    [(36146, 0)]
    """
    return Scan(source, wanted, where)
