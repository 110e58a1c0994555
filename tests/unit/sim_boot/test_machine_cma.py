"""Memory kept for contiguous allocations: asked for on the command line, lent to movable pages."""

from __future__ import annotations

from kmemwidgets import Machine
from kmemwidgets.sim.migratetype import CMA


def boot(memory: str, **more: object) -> Machine:
    return Machine.boot(memory=memory, cpus=1, cmdline="cma=30M", config={"CMA": "y"}, **more)  # type: ignore[arg-type]


def test_the_area_lies_high_or_from_4_gib_up_and_is_free() -> None:
    small, large = boot("256M").snapshot(), boot("8G").snapshot()
    # 30 MiB are made whole multiples of 4 MiB.
    assert small.zone(0, "DMA32").cma == large.zone(0, "Normal").cma == 32 << 8
    types = small.zone(0, "DMA32").pageblock_types
    assert types is not None
    assert types[-16:] == bytes((CMA,)) * 16
    types = large.zone(0, "Normal").pageblock_types
    assert types is not None
    assert types[:17] == bytes((CMA,)) * 16 + b"\1"
    assert (small.vmstat.values["nr_free_cma"] if small.vmstat else 0) == 32 << 8


def test_a_kernel_without_it_keeps_nothing() -> None:
    machine = Machine.boot(memory="256M", cpus=1, cmdline="cma=30M")
    assert sum(zone.cma or 0 for zone in machine.snapshot().zones) == 0


def test_only_movable_pages_are_lent_the_area_and_all_come_back() -> None:
    machine = boot("160M", kernel="6.18")
    before = machine.snapshot()
    types = machine.page_alloc.memmap.types
    pinned = [machine.alloc_pages("GFP_KERNEL") for _ in range(500)]
    pages = []
    while (page := machine.alloc_pages("GFP_HIGHUSER_MOVABLE|__GFP_NOWARN|__GFP_NORETRY")) is not None:
        pages.append(page)
    while (page := machine.alloc_pages("GFP_KERNEL|__GFP_NOWARN|__GFP_NORETRY")) is not None:
        pinned.append(page)
    assert CMA not in {types[page >> 9] for page in pinned if page is not None}
    lent = sum(types[page >> 9] == CMA for page in pages)
    waiting = sum(
        types[pfn >> 9] == CMA for pcp in machine.page_alloc.zones[-1].pcps for row in pcp.lists for pfn in row
    )
    stat = machine.snapshot().vmstat
    left = stat.values["nr_free_cma"] if stat else -1
    assert machine.snapshot().zone(0, "DMA32").cma == 32 << 8
    assert lent + waiting + left == 32 << 8
    assert lent > 0
    for page in (*pinned, *pages):
        if page is not None:
            machine.free_pages(page)
    machine.drain_all_pages()
    after = machine.snapshot()
    assert [zone.free for zone in after.zones] == [zone.free for zone in before.zones]
    assert (after.vmstat.values["nr_free_cma"] if after.vmstat else 0) == 32 << 8
