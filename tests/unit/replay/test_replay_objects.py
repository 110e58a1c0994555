"""Replaying objects and areas of made-up logs: what is learnt, what is missed, what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kmemwidgets.records import BadInput, MachineSpec, VmallocArea
from kmemwidgets.replay.objects import call_site_caches, direct_map_base, replay_objects
from kmemwidgets.replay.trace import TraceAnswer
from kmemwidgets.replay.vmalloc import AreaEvent, Reading, read_events, read_series, replay_vmalloc
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.kmalloc import TABLE as KMALLOC_TABLE
from kmemwidgets.sim.rules.kmalloc import KmallocRules
from kmemwidgets.sim.slab_common import bucket_of
from kmemwidgets.tracefs import Row

BASE = 0xFFFF888000000000
SLABINFO = """slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables
things 0 0 1024 8 2 : tunables 0 0 0 : slabdata 0 0 0
other 0 0 1024 8 2 : tunables 0 0 0 : slabdata 0 0 0
single 0 0 512 8 1 : tunables 0 0 0 : slabdata 0 0 0
huge 0 0 64 8 1099511627776 : tunables 0 0 0 : slabdata 0 0 0
kmalloc-64 0 0 64 64 1 : tunables 0 0 0 : slabdata 0 0 0
"""


def event(name: str, *values: object, cpu: int = 0, flags: str = ".....") -> Row:
    return (name, "task", 1, cpu, "0", flags, values)


def alloc(address: int, site: str = "make", size: int = 1024, cpu: int = 0) -> Row:
    return event("kmem_cache_alloc", site, BASE + address, size, size, "GFP_KERNEL", -1, cpu=cpu)


def free(address: int, name: str = "things", cpu: int = 0, flags: str = ".....") -> Row:
    return event("kmem_cache_free", "drop", BASE + address, name, cpu=cpu, flags=flags)


def run(*rows: Row, cpus: int = 1) -> tuple[int, int, int]:
    result = replay_objects(MachineSpec(cpus=cpus), rows, SLABINFO)
    return result.determined, result.exact, result.unattributed


def test_an_object_that_was_freed_is_expected_again() -> None:
    assert run(alloc(0), free(0), alloc(0)) == (1, 1, 0)
    assert run(alloc(0), alloc(1024), free(0), free(1024), alloc(1024), alloc(0)) == (2, 2, 0)
    assert run(alloc(0), alloc(1024), free(0), free(1024), alloc(0)) == (1, 0, 0)


def test_after_a_miss_the_recorded_object_is_gone() -> None:
    rows = [alloc(0), alloc(1024), free(0), free(1024), alloc(0), free(0), alloc(0)]
    assert run(*rows) == (2, 1, 0)


def test_slabs_put_aside_come_back_newest_first() -> None:
    # Objects of three slabs of two pages; the cpu's own is the third.
    rows = [alloc(0x4000), free(0), free(0x2000), alloc(0x4400), alloc(0x2000), alloc(0), free(0x4000)]
    assert run(*rows) == (2, 2, 0)


def test_of_a_debugged_cache_the_slab_that_got_an_object_back_first_gives_first() -> None:
    """No cpu keeps a slab of it: what was full goes to the end of the node's list, and its beginning gives."""
    rows = [alloc(0), alloc(0x4000), alloc(0x8000), free(0), free(0x4000), free(0x8000)]
    again = [alloc(0), alloc(0x4000), alloc(0x8000)]
    debugged = replay_objects(MachineSpec(cmdline="slub_debug=FZ"), [*rows, *again], SLABINFO)
    assert (debugged.determined, debugged.exact) == (3, 3)
    assert run(*rows, *again)[1] < 3
    single = replay_objects(MachineSpec(cmdline="slub_debug=FZ,things"), [*rows, *again], SLABINFO)
    assert single.exact == 3


def test_a_debugged_slab_gives_until_it_is_full() -> None:
    spec = MachineSpec(cmdline="slub_debug=P")
    rows = [alloc(0), alloc(1024), alloc(0x4000), free(0), free(0x4000), free(1024)]
    result = replay_objects(spec, [*rows, alloc(1024), alloc(0), alloc(0x4000)], SLABINFO)
    assert (result.determined, result.exact) == (3, 3)
    # After a miss the list goes on from where the recorded object lay.
    missed = replay_objects(spec, [*rows, alloc(0x4000), free(0x4000), alloc(0x4000)], SLABINFO)
    assert (missed.determined, missed.exact) == (2, 1)


def test_a_slab_whose_pages_went_is_forgotten() -> None:
    rows = [alloc(0x4000), free(0), event("mm_page_free", 0, 1), alloc(0x6000), alloc(0), free(0x4000)]
    result = replay_objects(MachineSpec(), rows, SLABINFO)
    assert (result.determined, result.exact) == (1, 0)
    assert result.first_misses[0].predicted == 0


def test_frees_of_another_cpu_wait_on_the_slab() -> None:
    rows = [alloc(0, cpu=0), alloc(1024, cpu=0), free(0, cpu=1), free(1024, cpu=0), alloc(1024, cpu=0), alloc(0, cpu=0)]
    assert run(*rows, cpus=2) == (2, 2, 0)


def test_an_object_taken_without_an_event_is_on_top_when_it_comes_back() -> None:
    rows = [alloc(0), alloc(1024), alloc(2048), free(0), free(1024), free(2048), free(0), alloc(0), alloc(2048)]
    assert run(*rows) == (2, 2, 0)


def test_whose_object_it_is() -> None:
    assert call_site_caches([alloc(0), free(0), alloc(0, site="else")]) == {"make": "things"}
    assert run(alloc(0)) == (0, 0, 1), "two caches have objects of this size"
    assert run(alloc(0, size=512), free(0, "single"), alloc(0, site="else", size=512)) == (1, 1, 0)
    assert run(alloc(0, size=64), free(0, "huge"), free(0, "unknown")) == (0, 0, 1)


def test_kmalloc_and_kfree() -> None:
    request = event("kmalloc", "f", BASE, 50, 64, "GFP_KERNEL", -1)
    assert run(request, event("kfree", "g", BASE), request) == (1, 1, 0)
    assert run(event("kfree", "g", BASE), event("mm_page_free", 0, 31)) == (0, 0, 0)


def test_callers_with_caches_of_their_own_are_told_by_site_and_flags() -> None:
    spec = MachineSpec(kernel=(6, 12, 117), config=(("CONFIG_SLAB_BUCKETS", "y"),))
    table = SLABINFO + "memdup_user-64 0 0 64 64 1 : tunables 0 0 0 : slabdata 0 0 0\n"

    def asks(address: int, gfp: str, site: str = "strndup_user+0x47/0x60") -> Row:
        return event("kmalloc", site, BASE + address, 50, 64, gfp, -1)

    user, kernel = "GFP_USER|__GFP_NOWARN", "GFP_KERNEL"
    rows = [asks(0, user), asks(0x2000, kernel), event("kfree", "f", BASE), event("kfree", "f", BASE + 0x2000)]
    again = [asks(0, user), asks(0x2000, kernel)]
    result = replay_objects(spec, [*rows, *again], table)
    assert dict(result.by_cache) == {"memdup_user-64": (1, 1), "kmalloc-64": (1, 1)}
    rules = pick(KmallocRules, KMALLOC_TABLE, (6, 12))
    assert bucket_of(rules, "load_msg+0x1/0x2", kernel) == "msg_msg"
    assert bucket_of(rules, "load_msg+0x1/0x2", "GFP_KERNEL_ACCOUNT") == "", "a message's further parts"
    assert bucket_of(rules, "vmemdup_user+0x1/0x2", "GFP_USER") == "memdup_user"
    assert bucket_of(pick(KmallocRules, KMALLOC_TABLE, (6, 1)), "f", user) == ""


@pytest.mark.parametrize(
    ("spec", "base"),
    [
        (MachineSpec(), BASE),
        (MachineSpec(va_bits=57), 0xFF11000000000000),
        (MachineSpec(bases=(("page_offset_base", 0xFFFF9C0000000000),)), 0xFFFF9C0000000000),
        (MachineSpec(arch="x86_32"), 0xC0000000),
        (MachineSpec(arch="arm64", va_bits=48), 0xFFFF000000000000),
    ],
)
def test_direct_map(spec: MachineSpec, base: int) -> None:
    assert direct_map_base(spec) == base


# --- areas ----------------------------------------------------------------------------------------

AREA = VmallocArea(0x10000, 0x12000, 0x2000, "boot", pages=1, flags=("vmalloc",), nodes={0: 1})
BOUNDS = {"vstart": 0x10000, "vend": 0x1000000}


def asked(time: int, size: int, start: int, align: int = 1) -> list[AreaEvent]:
    return [
        AreaEvent("va_alloc", time, 0, 1, {"size": size, "align": align, **BOUNDS}),
        AreaEvent("va_alloc_ret", time, 0, 1, {"start": start}),
    ]


def new(start: int, size: int, pages: int) -> VmallocArea:
    return VmallocArea(start, start + size, size, "f", pages=pages, flags=("vmalloc",), nodes={0: pages})


def test_areas_and_rows() -> None:
    lazy = VmallocArea(0x12000, 0x14000, 0x2000, flags=("unpurged vm_area",))
    events = [
        *asked(2, 0x2000, 0x12000),
        AreaEvent("va_free", 4, 0, 1, {"start": 0x12000, "end": 0x14000}),
        *asked(6, 0x3000, 0x14000),
        AreaEvent("va_purge", 7, 0, 1, {}),
        *asked(8, 0x2000, 0x12000),
    ]
    readings = [
        Reading(1, "start", (AREA,)),
        Reading(3, "one", (AREA, new(0x12000, 0x2000, 1))),
        Reading(5, "freed", (AREA, lazy)),
        Reading(9, "end", (AREA, new(0x12000, 0x2000, 1), new(0x14000, 0x3000, 2))),
    ]
    result = replay_vmalloc(MachineSpec(), events, readings)
    assert result.as_json() == {"vmalloc": {"exact": 3, "of": 3}, "vmallocinfo": {"equal": 7, "of": 7}}


def test_wrong_rows_and_areas_are_told() -> None:
    events = asked(2, 0x2000, 0x20000)
    readings = [Reading(1, "start", (AREA,)), Reading(3, "end", (new(0x10000, 0x2000, 9),))]
    result = replay_vmalloc(MachineSpec(), events, readings)
    assert result.as_json() == {"vmalloc": {"exact": 0, "of": 1}, "vmallocinfo": {"equal": 0, "of": 2}}
    assert result.misses == ["0x2000 bytes: predicted 0x12000, recorded 0x20000"]


def test_a_row_that_no_event_announced_is_missed_once_and_then_kept_out_of_the_way() -> None:
    chunk = VmallocArea(0x12000, 0x14000, 0x2000, "pcpu_get_vm_areas", flags=("vmalloc",))
    readings = [
        Reading(1, "start", (AREA,)),
        Reading(3, "a chunk", (AREA, chunk)),
        Reading(5, "end", (AREA, chunk, new(0x14000, 0x2000, 1))),
    ]
    result = replay_vmalloc(MachineSpec(), asked(4, 0x2000, 0x14000), readings)
    assert result.as_json() == {"vmalloc": {"exact": 1, "of": 1}, "vmallocinfo": {"equal": 4, "of": 5}}


def test_rows_name_no_nodes_without_numa() -> None:
    row = replace(new(0x12000, 0x2000, 1), nodes={})
    readings = [Reading(1, "start", (replace(AREA, nodes={}),)), Reading(3, "end", (replace(AREA, nodes={}), row))]
    result = replay_vmalloc(MachineSpec(config=(("CONFIG_NUMA", "n"),)), asked(2, 0x2000, 0x12000), readings)
    assert result.as_json()["vmallocinfo"] == {"equal": 2, "of": 2}


def test_areas_on_each_other_are_refused() -> None:
    with pytest.raises(BadInput, match="fit together"):
        replay_vmalloc(MachineSpec(), [], [Reading(1, "start", (AREA, new(0x11000, 0x2000, 1)))])


def test_the_log_and_the_series_are_read() -> None:
    text = (
        "  a-1 [000] .....  1.000002: va_free: (f+0x0/0x340) start=0x1000 end=0x3000\n"
        "  a-1 [000] .....  1.000003: va_free: (f+0x0/0x340) start=(fault)\n"
        "  a-1 [000] .....  1.000004: va_purge: (f+0x0/0x340) start=0x1 end=0x0\n"
    )
    assert [event.kind for event in read_events(text)] == ["va_free", "va_purge"]
    series = "=== 5 one vmallocinfo\n0xffffc90000000000-0xffffc90000002000    8192 f+0x1/0x2 pages=1 vmalloc N0=1\n"
    readings = read_series(f"{series}=== 6 tick vmstat\nnr_free 7\n{series.replace('5 one', '7 two words')}")
    assert [(reading.time_ns, reading.label, len(reading.areas)) for reading in readings] == [
        (5, "one", 1), (7, "two words", 1),
    ]  # fmt: skip


def pages(pfn: int, order: int = 0) -> Row:
    return event("mm_page_alloc", pfn, order, 0, "GFP_KERNEL")


def small(address: int) -> Row:
    return alloc(address, size=512)


def test_a_new_slab_follows_the_order_that_the_one_before_has_shown() -> None:
    # Eight objects of 512 bytes; both slabs go through one cycle, the second from its middle.
    cycle = [3, 0, 7, 5, 1, 6, 2, 4]
    first = [pages(4), *(small(0x4000 + 512 * number) for number in cycle)]
    gone = [free(0x4000 + 512 * number, "single") for number in cycle] + [event("mm_page_free", 4, 0)]
    again = [small(0x4000 + 512 * number) for number in cycle[5:] + cycle[:5]]
    # Who follows the last of the cycle the first slab can't tell, nor with what the second one begins.
    result = replay_objects(MachineSpec(), [*first, *gone, pages(4), *again], SLABINFO)
    assert (result.determined, result.exact, result.by_chance) == (8, 6, 2)
    assert result.complete == (6, 6)
    assert run(*first, *gone, *again) == (8, 0, 0), "without new pages nothing says that the slab is new"


def test_chance_excuses_no_object_where_the_cpu_had_one_left() -> None:
    first = [pages(4), *(small(0x4000 + 512 * number) for number in range(8))]
    gone = [free(0x4000, "single"), event("mm_page_free", 4, 0)]
    left = [small(0x8000), small(0x8200), free(0x8000, "single")]
    result = replay_objects(MachineSpec(), [*first, *gone, *left, pages(4), small(0x4000)], SLABINFO)
    assert (result.determined, result.exact, result.by_chance) == (1, 0, 0)


def test_an_object_given_back_to_a_new_slab_goes_out_before_its_next_one() -> None:
    first = [pages(4), *(small(0x4000 + 512 * number) for number in (2, 0, 1))]
    gone = [free(0x4000 + 512 * number, "single") for number in (2, 0, 1)] + [event("mm_page_free", 4, 0)]
    again = [pages(4), small(0x4400), small(0x4000), free(0x4000, "single"), small(0x4000), small(0x4200)]
    assert run(*first, *gone, *again) == (4, 3, 0), "with which object the second slab begins, chance chooses"


def test_what_an_interrupt_gave_back_between_a_request_and_its_event_lies_above() -> None:
    rows = [alloc(0), alloc(1024), alloc(2048), free(0)]
    # The task had taken the first object before the interrupt gave two back; its event came after that.
    late = [free(1024, flags="..s.."), free(2048, flags="..s.."), alloc(0)]
    result = replay_objects(MachineSpec(), [*rows, *late, alloc(2048), alloc(1024)], SLABINFO)
    assert (result.determined, result.exact) == (3, 2)
    # Another slab's object that an interrupt gave back was put aside above the slab that the request had taken.
    aside = [alloc(0), alloc(0x4000), alloc(0x8000), alloc(0x8400), free(0), free(0x4000, flags="..s.."), alloc(0)]
    assert run(*aside, alloc(0x4000)) == (2, 1, 0)
    # From a task no such thing is believed: what it gave back it gave back before it asked.
    assert run(*rows, free(1024), free(2048), alloc(0), alloc(2048), alloc(1024))[0] == 3


def test_an_interrupt_that_asks_itself_is_over() -> None:
    rows = [alloc(0), alloc(1024), free(0), free(1024, flags="..s..")]
    asks = event("kmem_cache_alloc", "make", BASE + 1024, 1024, 1024, "GFP_ATOMIC", -1, flags="..s..")
    assert run(*rows, asks, alloc(0)) == (2, 2, 0)


def test_slabs_passed_over_keep_what_is_free() -> None:
    rows = [alloc(0x4000), free(0), free(0x2000), alloc(0x4400)]
    # The slab put aside last should give; the first one does, and the other is still there.
    assert run(*rows, alloc(0), alloc(0x2000), free(0x4000)) == (2, 1, 0)


def test_what_another_cpu_gave_back_after_the_list_was_taken_stays_on_the_slab() -> None:
    rows = [alloc(0), alloc(1024), alloc(2048), free(0, cpu=1), free(1024, cpu=1), free(2048, cpu=1)]
    assert run(*rows, alloc(1024), alloc(0), alloc(2048), cpus=2) == (3, 2, 0)


def test_a_cache_whose_requests_are_not_all_there_is_told() -> None:
    rows = [alloc(0), alloc(1024), free(0), free(1024), free(0)]
    single = alloc(0x8000, site="else", size=512)
    result = replay_objects(MachineSpec(), [*rows, alloc(1024), single, free(0x8000, "single"), single], SLABINFO)
    assert result.incomplete == ("things",)
    assert result.complete == (1, 1)
    answer = result.as_json()
    assert (answer["determined"], answer["exact"], answer["incomplete"]) == (2, 1, ["things"])
    assert answer["complete"] == {"determined": 1, "exact": 1}


def test_the_answer_says_which_caches_are_not_complete() -> None:
    part = {"determined": 1, "exact": 1}
    answer = TraceAnswer("t_x", "6.12", 1, extras={"objects": {"exact": 2, "complete": part, "incomplete": ["things"]}})
    assert answer.as_text().splitlines()[-1] == (
        "  objects      exact 2, complete (determined 1, exact 1), incomplete: things"
    )


def test_of_an_incomplete_cache_what_lay_above_is_gone() -> None:
    rows = [alloc(0), alloc(1024), alloc(2048), free(2048), free(0), free(1024), free(0)]
    # The list was 0, 1024, 2048: the one in the middle comes, so the first one went without an event.
    assert run(*rows, alloc(1024), alloc(2048)) == (2, 1, 0)
    other = [alloc(0), free(0), free(0), alloc(0x4000), free(0x8000), free(0xC000), free(0x8400)]
    assert run(*other, alloc(0x8400), alloc(0x8000)) == (2, 1, 0), "the slab put aside above it was used up"


def test_objects_behind_a_red_zone_are_replayed_too() -> None:
    rows = [small(0x4040), small(0x4240), free(0x4040, "single"), small(0x4040)]
    assert run(*rows) == (1, 1, 0)
