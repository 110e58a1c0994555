"""What kinds of frames there are, how a word of flags tells them, and their colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kmemwidgets.records import KPF, FrameTable, flag_names


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of frame: a row of the legend.

    Attributes
    ----------
    name : str
        Its identity, for `FrameMap.only` and for tests.
    label : str
        In the legend.
    light, dark : str
        Its colour (#rrggbb) on light and on dark paper.
    says : str
        What frames of this kind are.
    """

    name: str
    label: str
    light: str
    dark: str
    says: str = ""


#: Kinds of a table of flags. Hues after Okabe and Ito, which colour-blind people tell apart;
#: free frames are the calm ground on which the others stand out.
FLAG_KINDS: tuple[Kind, ...] = (
    Kind("free", "free", "#dde5ec", "#2b343d",
         "Frames that nobody uses, on the buddy allocator's lists."),
    Kind("anon", "anonymous", "#d55e00", "#f07f2e",
         "Memory of processes that belongs to no file: heaps, stacks, private copies."),
    Kind("file", "file cache", "#0072b2", "#3f9fe6",
         "Contents of files, kept so that they need not be read again."),
    Kind("shmem", "shared, tmpfs", "#56b4e9", "#9ad8fb",
         "Memory that processes share, and files of tmpfs: it has no disk but swap behind it."),
    Kind("slab", "slab", "#e69f00", "#f2bd3d",
         "Frames cut into objects of one size for the kernel's own use."),
    Kind("pgtable", "page tables", "#b5408c", "#e68cc4",
         "Frames that hold page tables."),
    Kind("huge", "huge pages", "#6a4fc0", "#a993f5",
         "Frames reserved as huge pages (hugetlb)."),
    Kind("kernel", "kernel (other)", "#00875f", "#32bd92",
         "Frames the kernel took for itself page by page: stacks, buffers, modules. They carry no flag of their own."),
    Kind("reserved", "reserved", "#7b8794", "#76828f",
         "Frames the page allocator never got: the kernel image, firmware, the array of struct page."),
    Kind("bad", "poisoned or offline", "#141414", "#f7f7f7",
         "Frames taken out of use, because they are broken or unplugged."),
    Kind("hole", "hole", "#f6f7f9", "#191d22",
         "There is no memory at these addresses."),
)  # fmt: skip

#: Of an order: small blocks stand out, large ones are calm.
_ORDERS = (
    ("#8c1d18", "#ff6b5e"), ("#b5361f", "#ff8a5c"), ("#d55e00", "#f9a04a"), ("#e88a2a", "#f7bd57"),
    ("#e6ab2e", "#efd769"), ("#b5b03e", "#cfd96a"), ("#7fb05e", "#9ed08a"), ("#4fa593", "#68c4b2"),
    ("#4596bd", "#4fa8d0"), ("#74afd9", "#3f82ae"), ("#a9cdea", "#335f85"),
)  # fmt: skip

_HUES = (
    ("#d55e00", "#f07f2e"), ("#0072b2", "#3f9fe6"), ("#00875f", "#32bd92"), ("#e69f00", "#f2bd3d"),
    ("#b5408c", "#e68cc4"), ("#56b4e9", "#9ad8fb"), ("#6a4fc0", "#a993f5"), ("#8a6d3b", "#c7a76c"),
    ("#3f5c2e", "#9cc27e"), ("#7b8794", "#76828f"),
)  # fmt: skip

#: Owners of one family: its first colour and its last, on light and on dark paper.
_FAMILIES: Mapping[str, tuple[tuple[str, str], tuple[str, str]]] = MappingProxyType(
    {
        "boot: ": (("#5f6b77", "#8f9ba7"), ("#b4bec8", "#4a545e")),
        "slab: ": (("#e69f00", "#f2bd3d"), ("#8a5a00", "#a87a1c")),
        "alloc_pages, movable": (("#00875f", "#32bd92"), ("#00875f", "#32bd92")),
        "alloc_pages": (("#0072b2", "#3f9fe6"), ("#0072b2", "#3f9fe6")),
        "on a per-CPU list": (("#b9d4e6", "#33505f"), ("#b9d4e6", "#33505f")),
        "before the trace": (("#cdc3b3", "#5f574a"), ("#cdc3b3", "#5f574a")),
        "before the first command": (("#cdc3b3", "#5f574a"), ("#cdc3b3", "#5f574a")),
        "kmalloc, whole pages": (("#d55e00", "#f07f2e"), ("#d55e00", "#f07f2e")),
        "vmalloc": (("#6a4fc0", "#a993f5"), ("#6a4fc0", "#a993f5")),
        "page table": (("#b5408c", "#e68cc4"), ("#b5408c", "#e68cc4")),
    }
)
#: Doublings of age that are told apart: nobody looks for differences among the oldest.
_OLDEST = 14
#: Members of a family that are told apart.
_SHADES = 6

#: Tables whose codes are in no order; their values are.
_VALUED = frozenset({"order", "migratetype"})

#: What a value below zero means.
_UNKNOWN = MappingProxyType({"order": "no block, or not known"})

#: Kinds that are what they are, whatever a source calls them.
_PLAIN = frozenset({"free", "reserved", "bad", "hole"})

#: Colours for what a source itself calls its frames.
_USES = (("#e69f00", "#f2bd3d"), ("#0072b2", "#3f9fe6"), ("#00875f", "#32bd92"), ("#d55e00", "#f07f2e"),
         ("#b5408c", "#e68cc4"))  # fmt: skip

#: What a table says nothing about.
_CALM = ("#e9ecef", "#262b31")

#: What is the same kind of frame however a map is coloured, by the label that a table of owners or ages gives it.
_NAMED: Mapping[str, Kind] = MappingProxyType(
    {
        "free": next(kind for kind in FLAG_KINDS if kind.name == "free"),
        "reserved at boot": next(kind for kind in FLAG_KINDS if kind.name == "reserved"),
        "no memory here": next(kind for kind in FLAG_KINDS if kind.name == "hole"),
    }
)


def kind_of_flags(word: int) -> str:
    """Return the kind that a word of /proc/kpageflags means.

    The first that holds, from what overrides all to what is left (bits as fs/proc/page.c,
    stable_page_flags, sets them): a page of the page cache may for a moment be on no LRU
    list (it waits in a per-cpu batch), so UPTODATE counts as well.

    Examples
    --------
    >>> kind_of_flags(1 << 10)
    'free'
    """
    for kind, bits in (
        ("hole", KPF["NOPAGE"]),
        ("bad", KPF["HWPOISON"] | KPF["OFFLINE"]),
        ("free", KPF["BUDDY"]),
        ("reserved", KPF["RESERVED"]),
        ("slab", KPF["SLAB"]),
        ("pgtable", KPF["PGTABLE"]),
        ("huge", KPF["HUGE"]),
        ("anon", KPF["ANON"]),
        ("shmem", KPF["SWAPBACKED"]),
        ("file", KPF["LRU"] | KPF["UPTODATE"]),
    ):
        if word & bits:
            return kind
    return "kernel"


def kinds_of(table: FrameTable) -> tuple[tuple[Kind, ...], bytes]:
    """Return the legend of a table, and for each code the index of its kind in it."""
    if table.kind == "flags":
        return _kinds_of_flags(table)
    shades: dict[str, int] = {}
    kinds = []
    for code, value in enumerate(table.palette):
        label = table.labels[code] if table.labels else f"{table.kind} {value}"
        if table.kind in ("owner", "age") and label in _NAMED:
            kinds.append(_NAMED[label])
            continue
        if value < 0 and label in _FAMILIES:
            light, dark = _FAMILIES[label][0]
        elif value < 0 or label == "unknown":
            light, dark = _CALM
            label = _UNKNOWN.get(table.kind, label) if not table.labels else label
        elif table.kind == "order":
            light, dark = _ORDERS[min(value, len(_ORDERS) - 1)]
        elif table.kind == "age":
            light, dark = _age_colors(value)
        elif table.kind == "owner":
            light, dark = _owner_colors(label, shades)
        else:
            light, dark = _HUES[code % len(_HUES)]
        # By its value: a palette may begin with what is most common.
        kinds.append(Kind(f"{table.kind}-{value if table.kind in _VALUED else code}", label, light, dark))
    if table.kind not in _VALUED:
        return tuple(kinds), bytes(range(len(kinds)))
    ranked = sorted(range(len(kinds)), key=lambda code: table.palette[code])
    return tuple(kinds[code] for code in ranked), bytes(ranked.index(code) for code in range(len(kinds)))


def _age_colors(age: int) -> tuple[str, str]:
    """Return the colours of an age: from red to pale blue, a step for each doubling."""
    place = min(age.bit_length(), _OLDEST) * (len(_ORDERS) - 1) / _OLDEST
    first = min(int(place), len(_ORDERS) - 2)
    (light, dark), (pale, dim) = _ORDERS[first : first + 2]
    return _mix(light, pale, place - first), _mix(dark, dim, place - first)


def _owner_colors(label: str, shades: dict[str, int]) -> tuple[str, str]:
    """Return the colours of an owner: a hue a family, a shade for each of its members as they come."""
    family = next((name for name in _FAMILIES if label.startswith(name)), "")
    number = shades[family] = shades.get(family, -1) + 1
    if not family:
        return _HUES[number % len(_HUES)]
    (light, dark), (pale, dim) = _FAMILIES[family]
    share = (number % _SHADES) / (_SHADES - 1)
    return _mix(light, pale, share), _mix(dark, dim, share)


def _mix(one: str, other: str, share: float) -> str:
    parts = [(int(one[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in parts)


def _kinds_of_flags(table: FrameTable) -> tuple[tuple[Kind, ...], bytes]:
    """Return the kinds that the flags tell; where the source names what it means, what is in use goes by its name."""
    kinds, indices = list(FLAG_KINDS), []
    for code, word in enumerate(table.palette):
        kind = kind_of_flags(word)
        label = table.labels[code] if table.labels else ""
        if label and kind not in _PLAIN:
            light, dark = _USES[len(kinds) % len(_USES)]
            kinds.insert(-3, Kind(f"state-{code}", label, light, dark))
        indices.append((label and kind not in _PLAIN and f"state-{code}") or kind)
    where = {kind.name: index for index, kind in enumerate(kinds)}
    return tuple(kinds), bytes(where[name] for name in indices)


def words_of(table: FrameTable, code: int) -> list[str]:
    """Return what a code says, as a list of words: the names of the flags, or the label."""
    if table.kind == "flags":
        names = list(flag_names(table.palette[code]))
        return names or ([table.labels[code]] if table.labels else [])
    return [table.labels[code] if table.labels else f"{table.kind} {table.palette[code]}"]
