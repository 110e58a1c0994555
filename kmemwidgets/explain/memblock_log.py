"""A boot with memblock=debug: what was asked of the early allocator, and where the model puts it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kmemwidgets.procfs import dmesg
from kmemwidgets.sim.memblock import ANY_NODE, Memblock
from kmemwidgets.sim.zone_sizes import NodeMemory

#: memblock_dump(): one row of an array.
_ROW = re.compile(
    r" (memory|reserved)\[0x[0-9a-f]+\]\t\[0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})\].*?(?: on node (\d+))?(?: .*)?"
)
_ALLOC = re.compile(
    r"memblock_(?:alloc_(try_nid|try_nid_raw|exact_nid_raw)|phys_alloc_(range|nid|try_nid)): (\d+) bytes "
    r"align=0x([0-9a-f]+)(?: nid=(-?\d+))? from=0x([0-9a-f]+) max_addr=0x([0-9a-f]+) (\S+)"
)
_CALL = re.compile(
    r"memblock_(add|remove|reserve|free|phys_free): \[0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})\](?: .*?)?(\S+)?"
)
#: The function in whose name the early allocator itself reserves what it found.
_ITSELF = "memblock_alloc_range_nid"


@dataclass(frozen=True, slots=True)
class Request:
    """A line of the log. Bytes; ranges end-exclusive.

    Attributes
    ----------
    kind : str
        "alloc", "add", "remove", "reserve", "free", or "found": where the kernel's search ended.
    start, end : int
        The range; for "alloc" the bounds of the search.
    size, align, nid : int
    exact : bool
    caller : str
    """

    kind: str
    start: int
    end: int
    size: int = 0
    align: int = 0
    nid: int = ANY_NODE
    exact: bool = False
    caller: str = ""


@dataclass(frozen=True, slots=True)
class MemblockLog:
    """The arrays as first printed, and all calls after that."""

    memory: tuple[tuple[int, int, int], ...]
    reserved: tuple[tuple[int, int], ...]
    requests: tuple[Request, ...]

    @property
    def complete(self) -> bool:
        """Whether the log begins early enough: with the arrays printed once."""
        return bool(self.memory)


def read_log(lines: Iterable[str]) -> MemblockLog:
    """Read the lines up to the hand-over; the arrays hold what was called before they were first printed."""
    memory: list[tuple[int, int, int]] = []
    reserved: list[tuple[int, int]] = []
    requests: list[Request] = []
    dumps = 0
    for line in lines:
        if line.startswith(dmesg.HANDED_OVER):
            break
        if line.startswith("MEMBLOCK configuration:"):
            dumps += 1
        elif dumps == 1 and (row := _ROW.fullmatch(line)):
            start, end = int(row[2], 16), int(row[3], 16) + 1
            if row[1] == "memory":
                memory.append((start, end, int(row[4] or 0)))
            else:
                reserved.append((start, end))
        elif dumps and (request := _request(line)):
            requests.append(request)
    return MemblockLog(tuple(memory), tuple(reserved), tuple(requests))


def _request(line: str) -> Request | None:
    if found := _ALLOC.fullmatch(line):
        kind = found[1] or found[2]
        nid = int(found[5]) if found[5] else ANY_NODE
        return Request(
            "alloc", int(found[6], 16), int(found[7], 16), int(found[3]), int(found[4], 16), nid,
            kind.startswith("exact"), found[8],
        )  # fmt: skip
    if found := _CALL.fullmatch(line):
        caller = found[4] or ""
        kind = "found" if found[1] == "reserve" and caller.startswith(_ITSELF) else found[1].removeprefix("phys_")
        start, end = dmesg.memblock_range(found[2], found[3])
        # For 0 bytes nothing is done.
        return Request(kind, start, end, caller=caller) if start < end else None
    return None


def replay(
    log: MemblockLog, page_size: int, usable_end: int, nodes: Sequence[NodeMemory] = ()
) -> tuple[Memblock, list[tuple[int | None, int]]]:
    """Ask the model for all that the kernel was asked for.

    Parameters
    ----------
    log : MemblockLog
    page_size : int
    usable_end : int
        End of what is mapped, bytes: nothing is allocated above.
    nodes : sequence of NodeMemory
        Which node owns which RAM.

    Returns
    -------
    Memblock
        Its arrays at the end.
    list of (int or None, int)
        For each search, where the model's ended and where the kernel's did.
    """
    memblock = Memblock(page_size)
    for start, end, nid in log.memory:
        memblock.add(start, end - start, nid)
    for start, end in log.reserved:
        memblock.reserve(start, end - start)
    for entry in nodes:
        start, end = entry.start_pfn * page_size, entry.end_pfn * page_size
        memblock.set_node(start, end - start, entry.nid)
    memblock.current_limit = usable_end
    places: list[tuple[int | None, int]] = []
    _run(memblock, log.requests, places)
    return memblock, places


def _run(memblock: Memblock, requests: Sequence[Request], places: list[tuple[int | None, int]]) -> None:
    waiting: int | None = None
    for request in requests:
        size = request.end - request.start
        if request.kind == "alloc":
            waiting = memblock.alloc(
                request.size, request.align, low=request.start, high=request.end, nid=request.nid,
                exact=request.exact, caller=request.caller,
            )  # fmt: skip
        elif request.kind == "found":
            places.append((waiting, request.start))
            if waiting is None:
                # A search that the log doesn't show: take its result.
                memblock.reserve(request.start, size, request.caller)
            waiting = None
        elif request.kind == "reserve":
            memblock.reserve(request.start, size, request.caller)
        elif request.kind == "free":
            memblock.phys_free(request.start, size, request.caller)
        elif request.kind == "add":
            memblock.add(request.start, size)
        else:
            memblock.remove(request.start, size)
