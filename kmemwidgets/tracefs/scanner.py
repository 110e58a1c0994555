"""Run over a long trace at about the cost of splitting its lines.

`parse` makes a record of every line; a replay of 300,000 events wants a few numbers of the lines that concern
it. Lines of the usual shape are cut at their blanks; whatever looks odd goes the careful way of `parse`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .head import Head, is_notice, read_head, read_lost, split_lines
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


#: One event, as few objects as possible: (name, comm, pid, cpu, time_ns, flags, values).
#: `name` is the event or `LOST`, `flags` the latency columns (empty where the text has none), `values` the fields
#: that `SCAN_FIELDS` names. `pfn` is None for the failed attempt that the kernel prints as page 0; a field that
#: this kernel doesn't print is None.
Row = tuple[str, str, int, int, int, str, tuple[Any, ...]]


# The words of a line: 0 task, 1 cpu, 2 flags, 3 time, 4 event, then its fields. Each of these functions raises
# KeyError or ValueError where a word isn't what usually stands there; looking a small number's word up is quicker
# than converting it.
_ORDER = {f"order={n}": n for n in range(32)}
_TYPE = {f"migratetype={n}": n for n in range(16)}
_REFILL = {"percpu_refill=0": 0, "percpu_refill=1": 1}


def _refuse(word: str) -> None:
    raise ValueError(word)


class _Frames(dict[str, int]):
    """Words ``pfn=0x...`` to frame numbers: most frames come up many times."""

    __slots__ = ()

    def __missing__(self, word: str) -> int:
        digits = word[6:]
        if word[:6] != "pfn=0x" or len(digits) > 13 or not digits.isalnum():  # int() takes "+1" and "1_0" too
            raise ValueError(word)
        frame = self[word] = int(digits, 16)
        return frame


def _page_alloc(words: list[str], frames: _Frames) -> tuple[Any, ...]:
    _, _, _, _, _, _, pfn, order, migratetype, gfp_flags = words
    if gfp_flags[:10] != "gfp_flags=" or pfn == "pfn=0x0":
        raise ValueError(gfp_flags)
    return (frames[pfn], _ORDER[order], _TYPE[migratetype], gfp_flags[10:])


def _page_free(words: list[str], frames: _Frames) -> tuple[Any, ...]:
    _, _, _, _, _, _, pfn, order = words
    return (frames[pfn], _ORDER[order])


def _zone_locked(words: list[str], frames: _Frames) -> tuple[Any, ...]:
    _, _, _, _, _, _, pfn, order, migratetype, refill = words
    return (frames[pfn], _ORDER[order], _TYPE[migratetype], _REFILL[refill])


def _pcpu_drain(words: list[str], frames: _Frames) -> tuple[Any, ...]:
    _, _, _, _, _, _, pfn, order, migratetype = words
    return (frames[pfn], _ORDER[order], _TYPE[migratetype])


def _pointer(word: str) -> int:
    digits = word[4:]
    if word[:4] != "ptr=" or len(digits) > 16 or not digits.isalnum():
        raise ValueError(word)
    return int(digits, 16)


class _Sizes(dict[str, int]):
    """Words such as ``bytes_req=64`` to numbers: a kernel asks for few sizes, and for those often."""

    __slots__ = ()

    def __missing__(self, word: str) -> int:
        digits = word[word.index("=") + 1 :]
        if not digits.isdecimal() or len(digits) > 18:
            raise ValueError(word)
        size = self[word] = int(digits)
        return size


def _kfree(words: list[str], _sizes: _Sizes) -> tuple[Any, ...]:
    _, _, _, _, _, call_site, ptr = words
    return (call_site[10:], _pointer(ptr))


def _cache_free(words: list[str], _sizes: _Sizes) -> tuple[Any, ...]:
    _, _, _, _, _, call_site, ptr, name = words
    if name[:5] != "name=":
        raise ValueError(name)
    return (call_site[10:], _pointer(ptr), name[5:])


_NODE = {f"node={n}": n for n in range(-1, 64)}


def _bytes(words: list[str], sizes: _Sizes) -> tuple[Any, ...]:
    _, _, _, _, _, call_site, ptr, bytes_req, bytes_alloc, gfp_flags, node, _ = words
    if gfp_flags[:10] != "gfp_flags=" or bytes_req[:10] != "bytes_req=" or bytes_alloc[:12] != "bytes_alloc=":
        raise ValueError(gfp_flags)
    return (call_site[10:], _pointer(ptr), sizes[bytes_req], sizes[bytes_alloc], gfp_flags[10:], _NODE[node])


_PAGES: dict[str, Callable[[list[str], _Frames], tuple[Any, ...]]] = {
    "mm_page_alloc": _page_alloc,
    "mm_page_free": _page_free,
    "mm_page_free_batched": _page_free,
    "mm_page_alloc_zone_locked": _zone_locked,
    "mm_page_pcpu_drain": _pcpu_drain,
}
_OBJECTS: dict[str, Callable[[list[str], _Sizes], tuple[Any, ...]]] = {
    "kmalloc": _bytes,
    "kmem_cache_alloc": _bytes,
    "kfree": _kfree,
    "kmem_cache_free": _cache_free,
}


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
        self._lines, self._ended, _ = split_lines(source, where)
        self._wanted = frozenset(wanted)
        self.lost: list[Lost] = []
        self.unreadable = 0
        self.cut = False
        self.rows = 0

    def __iter__(self) -> Iterator[Row]:
        self.lost.clear()
        self.unreadable = self.rows = 0
        self.cut = False
        frames, sizes = _Frames(), _Sizes()
        quick: dict[str, tuple[str, Callable[[list[str], Any], tuple[Any, ...]], Any]] = {
            **{f"{name}:": (name, read, frames) for name, read in _PAGES.items() if name in self._wanted},
            **{f"{name}:": (name, read, sizes) for name, read in _OBJECTS.items() if name in self._wanted},
        }
        slow = {f"{name}:" for name in self._wanted} - set(quick)
        tasks: dict[str, tuple[str, int]] = {}
        cpus: dict[str, int] = {}
        seconds: dict[str, int] = {}
        count = 0
        for line in self._lines if self._ended else self._lines[:-1]:
            words = line.split()
            try:
                time = words[3]
                if words[4] not in quick and words[4] not in slow and words[1] in cpus and time[:-7] in seconds:
                    continue  # nobody asked for it
                name, read, known = quick[words[4]]
                micro = time[-7:-1]
                if not micro.isdigit():
                    _refuse(time)
                comm, pid = tasks[words[0]]
                fresh = (
                    name, comm, pid, cpus[words[1]], seconds[time[:-7]] + int(micro) * 1000, words[2],
                    read(words, known),
                )  # fmt: skip
            except (KeyError, ValueError, IndexError):
                self.rows = count
                head = read_head(line)
                careful = self._careful(head, line, False)
                if head is not None:
                    _learn(words, head, tasks, cpus, seconds)
                if careful is None:
                    continue
                fresh = careful
            count += 1
            yield fresh
        self.rows = count
        if not self._ended and self._lines:
            last = self._careful(read_head(self._lines[-1]), self._lines[-1], True)
            if last is not None:
                self.rows += 1
                yield last

    def _careful(self, head: Head | None, line: str, last: bool) -> Row | None:
        """Read a line as `parse` does."""
        if head is None:
            lost = read_lost(line)
            if lost:
                self.lost.append(Lost(self.rows, *lost))
                return (LOST, "", -1, lost[0], 0, "", (lost[1],))
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
        return (head.name, head.comm, head.pid, head.cpu, head.time_ns, head.flags, values)


def _learn(
    words: list[str], head: Head, tasks: dict[str, tuple[str, int]], cpus: dict[str, int], seconds: dict[str, int]
) -> None:
    """Remember the words of a task, a cpu and a second, where they stand in a line of the usual shape."""
    whole, point, rest = words[3].partition(".") if len(words) > 3 else ("", "", "")
    usual = [f"{head.comm}-{head.pid}", f"[{head.cpu:03d}]", head.flags]
    if head.flags and words[:3] == usual and point and len(rest) == 7 and rest[6] == ":":
        tasks[words[0]] = head.comm, head.pid
        cpus[words[1]] = head.cpu
        seconds[f"{whole}."] = head.time_ns // 1_000_000_000 * 1_000_000_000


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
