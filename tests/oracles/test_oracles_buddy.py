"""The buddy lists against the kernel's own functions, run in user space: every step, every list, every page block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from casefinder import load_oracle, oracle_id, oracles

from kmemwidgets.records import parse_version
from kmemwidgets.sim.memmap import MemMap
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules.allocator import allocator_rules

LETTERS = "UMR"


def zone_of(case: dict[str, Any]) -> PageAllocator:
    """Build the zone that a case begins with; its free areas are what the case drives."""
    start, pages = case.get("zone") or (0, case["zone_pages"])
    zone = Zone(0, 0, "Normal", start, pages)
    zone.present = zone.managed = pages
    return PageAllocator([zone], MemMap(start + pages), allocator_rules(parse_version(case["kernel"])))


def shown(area: Any, by_type: bool) -> dict[str, list[int]]:
    """Write the lists as the oracle does."""
    return {f"{mt}.{order}" if by_type else str(order): pfns for (mt, order), pfns in area.lists().items()}


@pytest.mark.parametrize("path", oracles("kernel_buddy_traces*"), ids=oracle_id)
def test_every_step_is_the_kernels(path: Path) -> None:
    cases = load_oracle(path)["cases"]
    assert cases
    wrong = []
    steps = 0
    for case in cases:
        allocator = zone_of(case)
        area = allocator.zones[0].free_area
        by_type = "zone" in case
        zone = allocator.zones[0].zone
        blocks = case.get("initial_free_blocks") or [[pfn, 0] for pfn in range(zone.start_pfn, zone.end_pfn)]
        for pfn, order in blocks:
            allocator.free_boot_range(0, pfn, pfn + (1 << order))
        if shown(area, by_type) != case["initial_lists"]:
            wrong.append((case["id"], "initial lists"))
            continue
        snapshots = {snapshot[0]: snapshot for snapshot in case["snapshots"]}
        slots: dict[int, tuple[int | None, int]] = {}
        for step, (op, result) in enumerate(zip(case["ops"], case["result"], strict=True)):
            steps += 1
            mine: Any
            if op[0] == "A":
                mine = area.alloc(op[2], op[3] if by_type else 0)
                slots[op[1]] = mine, op[2]
            else:
                pfn, order = slots.pop(op[1])
                mine = "skip" if pfn is None else "ok"
                if pfn is not None:
                    area.free(pfn, order)
            if mine != result:
                wrong.append((case["id"], step, op, mine, result))
                break
            if step in snapshots:
                now = [shown(area, by_type)]
                if by_type:
                    now.append("".join(LETTERS[mt] for mt in area.pageblock_types()))
                if now != snapshots[step][1 : len(now) + 1]:
                    wrong.append((case["id"], step, "lists", now, snapshots[step]))
                    break
    assert wrong == []
    assert steps > len(cases)
