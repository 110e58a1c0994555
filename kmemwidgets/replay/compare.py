"""Lay the lists that a replay ends with beside the recorded ones."""

from __future__ import annotations

from kmemwidgets.procfs.freelists import FreeLists
from kmemwidgets.records import MIGRATETYPES
from kmemwidgets.sim.memmap import IN_USE, ORDER_MASK
from kmemwidgets.sim.page_alloc import PageAllocator

from .result import PageResult, Tally


def compare_lists(allocator: PageAllocator, after: FreeLists, result: PageResult) -> None:
    """Count the free lists, per-CPU lists and page blocks that are equal in content and order."""
    free, pcp, blocks = Tally(), Tally(), Tally()
    for live, recorded in zip(allocator.zones, after.zones, strict=True):
        mine = {(order, MIGRATETYPES[mt]): tuple(pfns) for (mt, order), pfns in live.free_area.lists().items()}
        place = f"node {recorded.nid} {recorded.name}"
        for key in sorted(set(mine) | {key for key, pfns in recorded.free.items() if pfns}):
            equal = mine.get(key, ()) == recorded.free.get(key, ())
            free.count(equal)
            if not equal:
                got, was = mine.get(key, ()), recorded.free.get(key, ())
                result.notes.append(f"free list {place} order {key[0]} {key[1]}: {_unlike(got, was)}")
        for cpu, lists in recorded.pcp.items():
            if live.pcps[cpu].high != lists.high:
                result.notes.append(f"{place} cpu {cpu}: high is {live.pcps[cpu].high}, recorded {lists.high}")
            for index, was in enumerate(lists.lists):
                got = tuple(reversed(live.pcps[cpu].lists[index])) if index < len(live.pcps[cpu].lists) else ()
                if got or was:
                    pcp.count(got == was)
                    if got != was:
                        late = len(was) - len(got)
                        unlike = _unlike(got, was)
                        used = all(allocator.state[pfn] & ORDER_MASK == IN_USE for pfn in was[: max(late, 0)])
                        if late > 0 and was[late:] == got and used:
                            unlike = f"{late} pages more, in use at the last event: freed before the lists were read"
                        result.notes.append(f"per-CPU list {place} cpu {cpu} list {index}: {unlike}")
        if recorded.pageblock_types is not None:
            types = live.free_area.pageblock_types()
            blocks.of += len(recorded.pageblock_types)
            same = sum(a == b for a, b in zip(types, recorded.pageblock_types, strict=False))
            blocks.exact += same
    result.free_lists, result.pcp_lists = free, pcp
    result.pageblocks = blocks if blocks.of else None


def _unlike(got: tuple[int, ...], was: tuple[int, ...]) -> str:
    """Say how two lists differ."""
    if sorted(got) == sorted(was):
        at = next(i for i, (a, b) in enumerate(zip(got, was, strict=True)) if a != b)
        return f"the same {len(was)} blocks in another order from number {at}"
    missing, extra = len(set(was) - set(got)), len(set(got) - set(was))
    return f"predicted {len(got)}, recorded {len(was)}, {missing} missing, {extra} too many"
