"""Two snapshots, figure by figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from .frames import FrameTable, flag_names
from .snapshot import Snapshot

#: What a snapshot says of itself, not of the machine's state.
_NOT_STATE = frozenset({"name", "files", "instant", "notes", "time_ns"})

#: What tells a record from the others of its list.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "nodes": ("nid",),
    "zones": ("nid", "name"),
    "pagesets": ("cpu", "pcp"),
    "free_area": ("order",),
    "slabs": ("name",),
    "vmalloc": ("start",),
    "iomem": ("start", "end", "depth"),
    "swaps": ("path",),
    "layout": ("name",),
    "vmas": ("start",),
}

Value = int | str | bool | None | tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure in which two snapshots differ.

    Attributes
    ----------
    path : str
        Which figure: ``"zones[0,DMA32].free"``.
    a, b : object
        Its value in each; None where it is unknown. Unknown and 0 are different.
    """

    path: str
    a: Value
    b: Value


def diff(a: Snapshot, b: Snapshot) -> tuple[Difference, ...]:
    """Compare all figures of two snapshots, in the order of `Snapshot`'s fields.

    What a snapshot says of itself (name, files, notes, time) is no figure. Tables of frames are compared as how many
    frames have each value, and by the first frame in which they differ.

    Examples
    --------
    >>> a = Snapshot("a", "x86_64", (6, 1, 192), cpus=1)
    >>> b = Snapshot("b", "x86_64", (6, 1, 192), cpus=2)
    >>> diff(a, b)
    (Difference(path='cpus', a=1, b=2),)
    """
    return tuple(_records("", a, b))


def _records(path: str, a: Any, b: Any) -> Iterator[Difference]:
    for field in fields(a):
        if path or field.name not in _NOT_STATE:
            name = f"{path}.{field.name}" if path else field.name
            yield from _values(name, field.name, getattr(a, field.name), getattr(b, field.name))


def _values(path: str, field: str, a: Any, b: Any) -> Iterator[Difference]:
    if isinstance(a, FrameTable) or isinstance(b, FrameTable):
        yield from _frames(path, a, b)
    elif field in _KEYS and (isinstance(a, tuple) or isinstance(b, tuple)):
        yield from _lists(path, _KEYS[field], a, b)
    elif isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys((*a, *b)):
            yield from _values(f"{path}[{key}]", "", a.get(key), b.get(key))
    elif hasattr(a, "values") and hasattr(b, "values") and not isinstance(a, Mapping):
        # MemInfo and VmStat are nothing but their values.
        yield from _values(path, "", a.values, b.values)
    elif a != b or (a is None) != (b is None):
        yield Difference(path, _plain(a), _plain(b))


def _plain(value: Any) -> Value:
    """Return what can be shown of a value that only one side has."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping):
        return f"{len(value)} values"
    if hasattr(value, "values"):
        return f"{len(value.values)} values"
    return value if value is None or isinstance(value, (int, str, bool, tuple)) else str(value)


def _keyed(records: Iterable[Any], names: tuple[str, ...]) -> dict[tuple[Any, ...], Any]:
    """Index records by what tells them apart; a second with the same key gets a number (caches may share a name)."""
    result: dict[tuple[Any, ...], Any] = {}
    for record in records:
        key = tuple(getattr(record, name) for name in names if getattr(record, name) is not None)
        number = 2
        unique = key
        while unique in result:
            unique = (*key, f"#{number}")
            number += 1
        result[unique] = record
    return result


def _lists(path: str, names: tuple[str, ...], a: Any, b: Any) -> Iterator[Difference]:
    if a is None or b is None:
        yield Difference(path, *(None if rows is None else f"{len(rows)} rows" for rows in (a, b)))
        return
    left, right = _keyed(a, names), _keyed(b, names)
    for key in dict.fromkeys((*left, *right)):
        words = [f"{part:#x}" if isinstance(part, int) and part > 0xFFFF else str(part) for part in key]
        name = f"{path}[{','.join(words)}]"
        if key in left and key in right:
            yield from _records(name, left[key], right[key])
        else:
            yield Difference(name, "is there" if key in left else None, "is there" if key in right else None)


def _frames(path: str, a: FrameTable | None, b: FrameTable | None) -> Iterator[Difference]:
    if a is None or b is None:
        yield Difference(path, *(None if table is None else f"{len(table.codes)} frames" for table in (a, b)))
        return
    if (a.start_pfn, a.end_pfn) != (b.start_pfn, b.end_pfn):
        yield Difference(f"{path}.pfns", (a.start_pfn, a.end_pfn), (b.start_pfn, b.end_pfn))
    if (a.start_pfn, a.palette, bytes(a.codes)) == (b.start_pfn, b.palette, bytes(b.codes)):
        return
    of_a, of_b = _counts(a), _counts(b)
    for value in sorted({*of_a, *of_b}):
        if of_a[value] != of_b[value]:
            yield Difference(f"{path}.count[{_value_name(a, value)}]", of_a[value], of_b[value])
    pfn = _first_difference(a, b)
    if pfn is not None:
        yield Difference(f"{path}.first_pfn[{pfn:#x}]", _value_name(a, a[pfn]), _value_name(b, b[pfn]))


def _counts(table: FrameTable) -> Counter[int]:
    counts: Counter[int] = Counter()
    for code, count in Counter(bytes(table.codes)).items():
        counts[table.palette[code]] += count
    return counts


def _value_name(table: FrameTable, value: int) -> str:
    if table.kind == "flags":
        return "|".join(flag_names(value)) or "none"
    if table.labels and value in table.palette:
        return table.labels[table.palette.index(value)]
    return str(value)


def _first_difference(a: FrameTable, b: FrameTable) -> int | None:
    """Return the first frame of both tables whose values differ: by halves, as whole slices compare fast."""
    start, end = max(a.start_pfn, b.start_pfn), min(a.end_pfn, b.end_pfn)
    if start >= end:
        return None
    left = bytes(a.codes)[start - a.start_pfn : end - a.start_pfn]
    right = bytes(b.codes)[start - b.start_pfn : end - b.start_pfn]
    code_of = {value: code for code, value in reversed(list(enumerate(a.palette)))}
    if a.palette != b.palette or len(code_of) != len(a.palette):
        # Put both into a's codes; a value that only b has can't be equal to any of a's.
        missing = next((code for code in range(256) if code not in code_of.values()), None)
        if missing is None:
            return next((pfn for pfn in range(start, end) if a[pfn] != b[pfn]), None)
        left = left.translate(bytes(_code(a, code_of, code, missing) for code in range(256)))
        right = right.translate(bytes(_code(b, code_of, code, missing) for code in range(256)))
    if left == right:
        return None
    low, high = 0, len(left)
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return start + low


def _code(table: FrameTable, code_of: Mapping[int, int], code: int, missing: int) -> int:
    return code_of.get(table.palette[code], missing) if code < len(table.palette) else missing
