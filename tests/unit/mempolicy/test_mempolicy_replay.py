"""The replay of a log of memory policies, on small machines: nodes without cpus, nodes that fill up."""

from __future__ import annotations

import pytest

from kmemwidgets.records import BadInput, parse_version
from kmemwidgets.replay.numa import TOUCH, NumaReplay, parse_touches, split_by_case
from kmemwidgets.sim.memmap import MemMap
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.allocator import allocator_rules
from kmemwidgets.sim.rules.mempolicy import TABLE, MempolicyRules
from kmemwidgets.tracefs import scan

NODE = 4096
HEAD = (
    "case {name}\n# {call} mode {mode} (0 default 1 preferred) nodemask {mask} rc 0 cpu {cpu} vma {vma} pages 8"
    " order ascending\n"
)
LOG = HEAD + "# touch: page index, node\n0 9\t1 9\t2 9\t3 9\n4 9\t5 9\t6 9\t7 9\n"


def machine(node_order, kernel="6.1", cpu_node=(0, 1)):
    version = parse_version(kernel)
    zones = []
    for nid in range(len(node_order)):
        zone = Zone(nid, 2, "Normal", nid * NODE, NODE)
        zone.present = zone.managed = NODE
        zone.wmark_min, zone.wmark_low, zone.wmark_high = 100, 125, 150
        zones.append(zone)
    allocator = PageAllocator(
        zones,
        MemMap(len(zones) * NODE),
        allocator_rules(version),
        cpu_node=cpu_node,
        zone_names=("DMA", "DMA32", "Normal", "Movable"),
        node_order=node_order,
    )
    for nid in range(len(zones)):
        allocator.free_boot_range(nid, nid * NODE, (nid + 1) * NODE)
    return NumaReplay(allocator, pick(MempolicyRules, TABLE, version), version)


def case(call="mbind", mode=3, mask="0x5", cpu=0, vma="0x7f0000001000", **more):
    (only,) = parse_touches(LOG.format(name="x", call=call, mode=mode, mask=mask, cpu=cpu, vma=vma, **more))
    return only


def nodes(replay, asked, cpu=0):
    return [node for _, node in sorted(replay.run_case(asked, [], cpu, 1).items())]


ORDER = [(0, 2, 1), (1, 2, 0), (2, 1, 0)]


def test_interleave_goes_by_page_number():
    assert nodes(machine(ORDER), case()) == [2, 0, 2, 0, 2, 0, 2, 0]
    assert nodes(machine(ORDER), case(vma="0x7f0000000000")) == [0, 2, 0, 2, 0, 2, 0, 2]
    three = [(0x7F0000001 + page) % 3 for page in range(8)]
    assert nodes(machine(ORDER), case(call="set_mempolicy", mask="0x7")) == three


def test_a_node_without_cpus_is_used_when_asked_for():
    assert nodes(machine(ORDER), case(mode=1, mask="0x4")) == [2] * 8
    assert nodes(machine(ORDER), case(mode=0, mask="0x0"), cpu=1) == [1] * 8


def test_a_full_node_is_left_in_the_fallback_order():
    replay = machine(ORDER)
    allocator = replay.allocator
    for _ in range(NODE):
        if allocator.alloc_pages_nodemask(TOUCH, 0, 0, 0) // NODE != 0:
            break
    assert nodes(replay, case(mode=1, mask="0x1")) == [2] * 8
    assert nodes(replay, case(mode=4, mask="0x0")) == [2] * 8
    # bound to a node that is below its low mark, a task goes down to the minimum of that node
    assert nodes(replay, case(mode=2, mask="0x1")) == [0] * 8
    assert nodes(replay, case(mode=2, mask="0x3"), cpu=0) == [1] * 8


def test_what_was_touched_is_free_again():
    replay = machine(ORDER)
    before = [live.free_pages_now() + sum(p.count for p in live.pcps) for live in replay.allocator.zones]
    nodes(replay, case())
    after = [live.free_pages_now() + sum(p.count for p in live.pcps) for live in replay.allocator.zones]
    assert before == after


def test_a_refused_policy_is_none():
    refused = parse_touches(
        LOG.format(name="x", call="mbind", mode=6, mask="0x2", cpu=0, vma="0x0").replace("rc 0", "rc -1")
    )
    assert nodes(machine(ORDER), refused[0]) == [0] * 8


def test_answers_change_no_prediction():
    asked = case(mask="0x7")
    other = case(mask="0x7")
    other.answers = dict.fromkeys(other.answers, 7)
    assert nodes(machine(ORDER), asked) == nodes(machine(ORDER), other)


def test_the_short_form_tells_runs():
    text = (
        "case o\n# mbind mode 1 nodemask 0x2, 10 pages ascending (node 1 had 9 free pages); runs: first-last node\n"
        "0-7 1\n8-9 0\n"
    )
    (only,) = parse_touches(text)
    assert list(only.order) == list(range(10))
    assert only.answers[7] == 1
    assert only.answers[8] == 0
    assert only.nodes == (1,)
    with pytest.raises(BadInput, match=r"touches\.txt:4"):
        parse_touches(text.replace("8-9 0", "8-10 0"))


@pytest.mark.parametrize("text", ["0 1\n", "case x\nhello\n", "case x\n# mbind mode 1 nodemask 0x1, 9 pages\n0-9 1\n"])
def test_a_damaged_log(text):
    with pytest.raises(BadInput, match="touches"):
        parse_touches(text)


def test_requests_of_the_trace_belong_to_their_case():
    lines = "".join(
        f"           work2-9       [001] .....    14.7636{n:02d}: {event}\n"
        for n, event in enumerate(
            (
                "mm_page_alloc: page=0000000000000040 pfn=0x1 order=0 migratetype=0 gfp_flags=GFP_KERNEL",
                "tracing_mark_write: kmw numa one",
                "mm_page_alloc: page=0000000000000080 pfn=0x2 order=0 migratetype=1 gfp_flags=GFP_HIGHUSER_MOVABLE",
                "tracing_mark_write: kmw numa one touc",
                "mm_page_alloc: page=0000000000000040 pfn=0x1 order=0 migratetype=0 gfp_flags=GFP_KERNEL",
                "tracing_mark_write: kmw numa two",
            )
        )
    )
    cases = split_by_case(list(scan(lines, {"mm_page_alloc", "tracing_mark_write"})))
    assert [[row[0] for row in rows] for rows in cases] == [
        ["tracing_mark_write", "mm_page_alloc"],
        ["tracing_mark_write"],
    ]
    assert cases[0][0][3] == 1
