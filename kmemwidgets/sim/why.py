"""The answer to "Why here?": one command run again with its decisions on, told in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from kmemwidgets.records import MIGRATETYPES, TraceEvent, Version

from .events import EventLog
from .gfp import format_gfp
from .history import History
from .migratetype import PCPTYPES
from .pcp import HUGE_LIST
from .rules.allocator import allocator_rules


class Rerun(Protocol):
    """What it takes to run a command again: a machine's allocator and history."""

    @property
    def page_alloc(self) -> Any:
        """The allocator, which can be listened to."""

    @property
    def history(self) -> History:
        """The commands, and the way to any moment."""


def why(machine: Rerun, version: Version, number: int | None = None) -> tuple[str, ...]:
    """Tell what one command decided, and what came of it.

    The machine is brought to the moment before, runs the command with somebody listening, and is brought back.

    Parameters
    ----------
    machine : Machine
    version : tuple of int
        Its kernel's, for the names of GFP flags.
    number : int, optional
        Which command, counted from 1; the last one in force if not given.

    Raises
    ------
    ValueError
        For a command that was not given.
    """
    history = machine.history
    now = history.now
    number = now if number is None else number
    if not 1 <= number <= len(history.commands):
        raise ValueError(f"no command {number}; there are 1 to {len(history.commands)}")
    allocator = machine.page_alloc
    heard = allocator.listeners
    log = EventLog()
    try:
        history.goto(number - 1)
        allocator.listen(log.emit, log.emit)
        history.goto(number)
    finally:
        allocator.listen(*heard)
        history.goto(now)
        # A command that replaces undone ones must not take the fast path, which forgets nothing.
        allocator.marks_changed()
    return tuple(sentences(log.since(0), version, allocator.zone_names))


#: So many splits, or drained blocks, are told one by one; of more, how many there were.
MOST_SPLITS, MOST_DRAINED = 3, 4
#: What a drain does for each of its blocks.
_DRAINING = frozenset({"mm_page_pcpu_drain", "merge", "buddy_put"})


def sentences(events: Iterable[TraceEvent], version: Version, zone_names: Sequence[str] = ()) -> list[str]:
    """Tell the events of one command in words, one sentence an event; splits of one block together.

    A refill may split dozens of blocks and a drain give dozens back: then it is told how many.
    """
    told = list(_told(events, version, zone_names))
    names = Counter(name for name, _ in told)
    if names["expand"] > MOST_SPLITS:
        more = f"in the same way {names['expand'] - MOST_SPLITS + 1} more blocks are split"
        told = _summed(told, frozenset({"expand"}), MOST_SPLITS - 1, more)
    if names["mm_page_pcpu_drain"] > MOST_DRAINED:
        drained = f"{names['mm_page_pcpu_drain']} blocks go from the cpu's lists back to the buddy lists"
        merges = f", where they merge with their buddies {names['merge']} times" if names["merge"] else ""
        told = _summed(told, _DRAINING, 0, drained + merges)
    return [line for _, line in told]


def _summed(told: Sequence[tuple[str, str]], names: frozenset[str], kept: int, more: str) -> list[tuple[str, str]]:
    """Keep the first sentences of some kinds, and put one in place of all others of theirs."""
    places = [at for at, (name, _) in enumerate(told) if name in names][kept:]
    left = frozenset(places[1:])
    return [("", more) if at == places[0] else entry for at, entry in enumerate(told) if at not in left]


def _told(events: Iterable[TraceEvent], version: Version, zone_names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each event's name and its sentence."""
    splits: list[dict[str, Any]] = []
    given: list[tuple[str, str]] = []
    run: _Run | None = None
    for event in events:
        fields = event.fields
        if given and event.name not in _DRAINING:
            yield from given
            given = []
        if event.name == "mm_compaction_begin":
            run = _Run(fields)
        if run is not None:
            # What its scanners do on the way is told in one sentence at the end.
            run.pages += 1 << fields["order"] if event.name == "migrate" else 0
            if event.name == "mm_compaction_end":
                yield event.name, run.says(fields)
                run = None
            continue
        if event.name == "expand":
            splits.append(fields)
            continue
        if splits:
            yield "expand", _split(splits)
            splits = []
        line = _SENTENCES.get(event.name, _nothing)(fields, version, zone_names)
        if event.name in ("merge", "buddy_put"):
            given.append((event.name, line))
            continue
        if line:
            yield event.name, line
        if event.name == "mm_page_pcpu_drain":
            # The kernel tells of a drained block when it has its place.
            yield from given
            given = []
    yield from given
    if splits:
        yield "expand", _split(splits)


class _Run:
    """A run of compaction: where its scanners began, and the pages moved so far."""

    def __init__(self, begin: dict[str, Any]) -> None:
        self.begin = begin
        self.pages = 0

    def says(self, end: dict[str, Any]) -> str:
        scanners = " and ".join(
            f"the {name} scanner from {self.begin[field]:#x} to {end[field]:#x}"
            for name, field in (("migrate", "migrate_pfn"), ("free", "free_pfn"))
        )
        status = end["status"].replace("_", " ")
        return f"compaction ({end['mode']}) takes {scanners} and moves {_number(self.pages)}: {status}"


def _nothing(_fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    return ""


def _request(fields: dict[str, Any], version: Version, names: Sequence[str]) -> str:
    highest = fields["highest_zoneidx"]
    zone = names[highest] if highest < len(names) else f"index {highest}"
    return (
        f"{format_gfp(fields['gfp_flags'], version)} asks for {_pages(fields['order'])}: migrate type "
        f"{_type(fields['migratetype'])}, zones up to {zone}, from node {fields['nid']} on"
    )


def _watermark(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    where = f"node {fields['nid']} {fields['zone']}"
    left = fields["free"] - fields["unusable"]
    need = fields["min"] + fields["reserve"]
    mark = f"the mark {fields['mark']:,}" + (
        f", lowered to {fields['min']:,}," if fields["min"] != fields["mark"] else ""
    )
    sums = f"free {fields['free']:,} - {fields['unusable']:,} unusable = {left:,}"
    need_words = f"{mark} + {fields['reserve']:,} reserved = {need:,}"
    if fields["passed"]:
        return f"{where}: {sums} is above {need_words}, so the zone may be used"
    if left > need:
        return f"{where}: {sums} is above {need_words}, but no free block has order {fields['order']} or more"
    return f"{where}: {sums} is not above {need_words}"


def _skipped(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    return f"node {fields['nid']} {fields['zone']} is passed over: {fields['why']}"


def _refill(fields: dict[str, Any], version: Version, _names: Sequence[str]) -> str:
    got = f"{fields['got']:,} of {fields['asked']:,} blocks"
    return f"the cpu's list ({_list(fields['list'], version)}) was empty and took {got} from the buddy lists"


def _pcp_take(fields: dict[str, Any], version: Version, _names: Sequence[str]) -> str:
    left = _number(fields["count"])
    where = _list(fields["list"], version)
    return f"pfn {fields['pfn']:#x} is the head of the cpu's list ({where}); {left} stay on the cpu's lists"


def _buddy_take(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    where = f"the {_type(fields['from_migratetype'])} lists of node {fields['nid']} {fields['zone']}"
    return f"pfn {fields['pfn']:#x} of order {fields['order']} is taken from {where}"


def _extfrag(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    mine, other = _type(fields["alloc_migratetype"]), _type(fields["fallback_migratetype"])
    claimed = f"its page block becomes {mine}" if fields["change_ownership"] else "its page block stays as it is"
    block = f"a block of order {fields['fallback_order']} at pfn {fields['pfn']:#x}"
    return f"no {mine} block is free, so {block} is taken from {other}; {claimed}"


def _split(splits: Sequence[dict[str, Any]]) -> str:
    first, last = splits[0], splits[-1]
    back = ", ".join(f"{part['pfn']:#x} (order {part['order']})" for part in splits)
    lists = f"the {_type(first['migratetype'])} lists"
    orders = f"from order {first['order'] + 1} down to {last['order']}"
    return f"pfn {first['of']:#x} is split {orders}; the other halves go back to {lists}: {back}"


def _merge(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    return f"pfn {fields['pfn']:#x} merges with its buddy {fields['buddy']:#x} of order {fields['order']}"


def _put(fields: dict[str, Any], version: Version, _names: Sequence[str]) -> str:
    holds = f"the cpu's lists now hold {_number(fields['count'])}, and may hold {fields['high']:,}"
    return f"pfn {fields['pfn']:#x} goes to the head of the cpu's list ({_list(fields['list'], version)}); {holds}"


def _buddy_put(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    end = "tail, as one more merge is likely" if fields["to_tail"] else "head"
    block = f"pfn {fields['pfn']:#x} of order {fields['order']}"
    return f"{block} goes onto the {_type(fields['migratetype'])} list, at its {end}"


def _drain(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    return f"pfn {fields['pfn']:#x} of order {fields['order']} goes from the cpu's list back to the buddy lists"


def _slowpath(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    return f"slow path: {fields['step']}"


def _suitable(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    where = f"node {fields['node']} {fields['zone']}"
    return {
        "continue": f"{where} has enough free memory to be compacted for order {fields['order']}",
        "skipped": f"{where} is not compacted: too little is free there, or fragmentation is not the reason",
    }.get(fields["ret"], f"{where} needn't be compacted: a block of order {fields['order']} is there")


def _deferred(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    return (
        f"node {fields['node']} {fields['zone']} is not compacted: it failed lately, and this is attempt "
        f"{fields['consider']} of {fields['limit']} to be let pass"
    )


def _pinned(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    return f"nothing is compacted for order {fields['order']}: all pages are pinned by those who asked for them"


def _moved(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    return f"{_pages(fields['order'])} at pfn {fields['pfn']:#x} moved to {fields['to']:#x}"


def _reclaimed(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    return f"direct reclaim freed {_number(fields['nr_reclaimed'])}"


def _kswapd(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    return f"kswapd of node {fields['nid']} is woken for order {fields['order']}"


def _kswapd_not_woken(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    return f"kswapd of node {fields['nid']} is not woken: {fields['why']}"


def _kswapd_runs(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    return f"kswapd of node {fields['nid']} runs, for order {fields['order']}"


def _boost_taken_back(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    left = _number(fields["boost"]) if fields["boost"] else "nothing"
    return f"it takes the boost of node {fields['nid']} {fields['zone']} back: {left} is left of it"


def _kcompactd(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    what = "to look at the score" if fields["order"] < 0 else f"for order {fields['order']}"
    return f"kcompactd of node {fields['nid']} is woken {what}"


def _kcompactd_runs(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    return f"kcompactd of node {fields['nid']} compacts for order {fields['order']}"


def _highatomic(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    return f"{fields['pages']:,} pages at pfn {fields['pfn']:#x} are now kept for high-order atomic requests"


def _unreserved(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    block, mt = f"the page block at pfn {fields['pfn']:#x}", _type(fields["migratetype"])
    return f"{block}, kept for high-order atomic requests, is given back: it becomes {mt}"


def _boosted(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    where = f"node {fields['nid']} {fields['zone']}"
    return f"the marks of {where} now stand {_number(fields['boost'])} higher, as types were mixed in a page block"


def _allocated(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    if fields["pfn"] < 0:
        return "no zone had a block: the request failed"
    return f"so it got pfn {fields['pfn']:#x}, {_pages(fields['order'])}"


def _freed(fields: dict[str, Any], _version: Version, _names: Sequence[str]) -> str:
    return f"pfn {fields['pfn']:#x}, {_pages(fields['order'])}, is given back"


_SENTENCES = {
    "request": _request,
    "watermark": _watermark,
    "zone_skipped": _skipped,
    "pcp_refill": _refill,
    "pcp_take": _pcp_take,
    "pcp_put": _put,
    "buddy_take": _buddy_take,
    "merge": _merge,
    "buddy_put": _buddy_put,
    "slowpath": _slowpath,
    "reserve_highatomic": _highatomic,
    "unreserve_highatomic": _unreserved,
    "boost_watermark": _boosted,
    "mm_page_alloc": _allocated,
    "mm_page_free": _freed,
    "mm_page_alloc_extfrag": _extfrag,
    "mm_page_pcpu_drain": _drain,
    "mm_vmscan_wakeup_kswapd": _kswapd,
    "kswapd_not_woken": _kswapd_not_woken,
    "mm_vmscan_kswapd_wake": _kswapd_runs,
    "take_boost_back": _boost_taken_back,
    "mm_compaction_wakeup_kcompactd": _kcompactd,
    "mm_compaction_kcompactd_wake": _kcompactd_runs,
    "mm_vmscan_direct_reclaim_end": _reclaimed,
    "mm_compaction_suitable": _suitable,
    "mm_compaction_deferred": _deferred,
    "migrate": _moved,
    "pinned": _pinned,
}


def _list(index: int, version: Version) -> str:
    """Name a cpu's list (order_to_pindex)."""
    if allocator_rules(version).pcp.scheme == "hot_cold":
        return "cold pages" if index else "hot pages"
    if index < HUGE_LIST:
        return f"order {index // PCPTYPES}, {_type(index % PCPTYPES)}"
    return "movable huge pages" if index > HUGE_LIST else "huge pages that can't move"


def _pages(order: int) -> str:
    return "1 page" if order == 0 else f"{1 << order:,} pages (order {order})"


def _number(pages: int) -> str:
    return "1 page" if pages == 1 else f"{pages:,} pages"


def _type(migratetype: int) -> str:
    return MIGRATETYPES[migratetype] if 0 <= migratetype < len(MIGRATETYPES) else str(migratetype)
