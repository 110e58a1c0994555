"""Exercises: every one knows its answer, its slips tell apart, and answers of all kinds get the right word."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest

from kmemwidgets.learn import check, claim, exercises, solution
from kmemwidgets.learn.checks import Exercise, find_exercise, judge, plain, same
from kmemwidgets.learn.claims import find_claim
from kmemwidgets.records import BadInput

MODULES = sorted(info.name for info in pkgutil.iter_modules(exercises.__path__) if info.name != "recordings")
ALL: list[Exercise] = [
    exercise
    for name in MODULES
    for exercise in importlib.import_module(f"kmemwidgets.learn.exercises.{name}").EXERCISES
]

#: Right answers, worked out by hand from the recordings' files: id -> answers that must count as right.
RIGHT: dict[str, list[Any]] = {
    "your-machine.frames": [117101, 117101.0],
    "your-machine.pfn": [0x1234, 4660],
    "your-machine.records": [256],
    "your-machine.kept": [(130939 - 117101) / 130939, 0.106],
    "nodes.node": [1],
    "nodes.spanned": [262109],
    "nodes.order": [[2, 3, 0, 1], (2, 3, 0, 1)],
    "nodes.counters": [{"numa_hit", "other_node"}, ["other_node", "numa_hit"], ("NUMA_HIT", "other_node")],
    "zones.zone": ["HighMem", "highmem", " HIGHMEM "],
    "zones.first": [4096, 0x1000],
    "zones.high": [5000],
    "zones.serves": [False],
    "zones.reserved": [158],
    "pages.decode": [{"SLAB", "COMPOUND_HEAD"}, ["compound_head", "slab"]],
    "pages.slab": [1641 + 1451 + 1349],
    "pages.counts": [(1, 3), [1, 3]],
    "pages.offset": [0x1C000 * 8],
    "pages.bit5": ["lru", "LRU"],
    "meminfo.overlap": [{"Mapped", "Cached", "Slab", "SReclaimable"}],
    "meminfo.slab": [18916 // 4],
    "meminfo.available": [3980],
    "meminfo.commit": [234200 + 1048576],
    "meminfo.tmpfs": [{"Shmem", "Cached"}],
    "buddy.buddy": [0x1000],
    "buddy.merge": [(0x100, 5), [256, 5]],
    "buddy.split": [{0x2000 + (1 << n) for n in range(9)}],
    "buddy.old": [0x21FF],
    "buddy.row": [3808],
    "gfp.sleep": [False],
    "gfp.atomic": [376],
    "gfp.order": [False],
    "gfp.zone": ["DMA32", "dma32"],
    "gfp.highest": ["DMA32"],
    "compaction.blocks": [1],
    "compaction.free": [600],
    "compaction.scanner": ["free"],
    "compaction.index": [False],
    "compaction.score": [True],
    "mempolicy.interleave": [2],
    "mempolicy.touch": [1],
    "mempolicy.full": [{"preferred 1", "interleave 0,1", "local, on node 1"}],
    "mempolicy.counter": ["other_node"],
    "pcp.batch": [63],
    "pcp.high": [2500],
    "pcp.lifo": ["B", "b"],
    "pcp.order": ["buddy lists"],
    "pcp.count": [132],
    "migratetypes.types": [("Movable", "Unmovable", "Reclaimable"), ["movable", "unmovable", "reclaimable"]],
    "migratetypes.unusable": [1000],
    "migratetypes.index": [865],
    "migratetypes.fallback": [9],
    "migratetypes.blocks": [2],
    "replay.requests": [{"mm_page_alloc", "mm_page_free"}],
    "replay.orders": [503],
    "replay.vmemmap": [0xFFFFEA0000000000],
    "slub.left": [256],
    "slub.lifo": ["CB", "cb"],
    "slub.order": [3],
    "slub.full": ["none"],
    "slub.pointer": [96],
    "vmalloc.size": [16384],
    "vmalloc.third": [6],
    "vmalloc.lazy": [16384],
    "vmalloc.which": ["kmalloc"],
    "vmalloc.stacks": [260],
    "slub_debug.last": [0xA5],
    "slub_debug.state": ["free"],
    "slub_debug.kind": ["use after free", "Use after free"],
    "slub_debug.size": [256],
    "layout_arm.ttbr": ["TTBR1", "ttbr1"],
    "layout_arm.half": [512],
    "layout_arm.va": [0xFFFF000008000000],
    "layout_arm.modules": [2048],
    "kmalloc.seventy": [96],
    "kmalloc.arm": [128],
    "kmalloc.pages": [8],
    "kmalloc.worst": [4097],
    "kmalloc.name": ["kmalloc-cg-1k"],
    "highmem.beyond": [128],
    "highmem.frames": [298975],
    "highmem.count": [3],
    "highmem.flush": [511],
    "highmem.which": ["kmap_local"],
    "layout_x86_64.canonical": [False],
    "layout_x86_64.pfn": [0xFFF, 4095],
    "layout_x86_64.page": [0xFFFFEA0000004000],
    "layout_x86_64.room": [64],
    "layout_x86_64.area": ["kernel text", "Kernel Text"],
    "boot.memmap": [64],
    "boot.top": [0x9D000],
    "boot.orders": [(0, 2, 3, 3, 2, 1, 0), [0, 2, 3, 3, 2, 1, 0]],
    "boot.step": ["6.18"],
}

#: Half right: id, answer, and a word of what must be said to it.
HALF_RIGHT: list[tuple[str, Any, str]] = [
    ("your-machine.frames", 468404, "number of kB"),
    ("your-machine.frames", 130939, "all frames that exist"),
    ("your-machine.pfn", 0x1235, "round up"),
    ("your-machine.pfn", 1234, "with the 0x"),
    ("your-machine.records", 256 << 20, "in bytes"),
    ("your-machine.kept", 0.894, "Which share was kept"),
    ("nodes.spanned", 262108, "One too few"),
    ("nodes.spanned", 262144, "whole GiB"),
    ("nodes.order", [2, 0, 3, 1], "below one's own number"),
    ("nodes.counters", {"numa_hit"}, "One of two"),
    ("zones.zone", "normal", "0x38000"),
    ("zones.first", 4095, "One too few"),
    ("zones.high", 3000, "That is low"),
    ("zones.high", 1500, "a quarter of min"),
    ("zones.serves", True, "min and protection together"),
    ("zones.reserved", 255, "from spanned"),
    ("pages.decode", {"SLAB"}, "one more"),
    ("pages.slab", 1451, "of one frame"),
    ("pages.slab", 1349, "heads"),
    ("pages.counts", (2, 3), "starts at -1"),
    ("pages.offset", 0x1C000 * 64, "struct page"),
    ("pages.bit5", "active", "5.6"),
    ("meminfo.overlap", ["Slab", "SReclaimable"], "one pair"),
    ("meminfo.slab", 18916, "in kB"),
    ("meminfo.available", 4040, "twice"),
    ("meminfo.commit", 234202 + 1048576, "whole ones"),
    ("meminfo.commit", 468404 + 1048576, "half of the memory"),
    ("meminfo.tmpfs", {"Cached"}, "tmpfs alone"),
    ("buddy.buddy", 0x1040, "other side"),
    ("buddy.merge", (0x108, 3), "one merge"),
    ("buddy.split", {0x2000 + 512 - (1 << n) for n in range(1, 10)}, "2.4"),
    ("buddy.old", 0x2000, "So does 6.1"),
    ("buddy.row", 7, "how many blocks"),
    ("gfp.sleep", True, "0x400"),
    ("gfp.atomic", 375, "One too few"),
    ("gfp.atomic", 501, "__GFP_HIGH alone"),
    ("gfp.order", True, "512 pages"),
    ("gfp.zone", "Normal", "low mark of 1000"),
    ("gfp.highest", "Normal", "without"),
    ("compaction.blocks", 2, "stay in use"),
    ("compaction.free", 512, "still free"),
    ("compaction.scanner", "migrate", "begins at the bottom"),
    ("compaction.index", True, "threshold"),
    ("compaction.score", False, "10 more"),
    ("mempolicy.interleave", 1, "place in the list"),
    ("mempolicy.touch", 0, "first touched"),
    ("mempolicy.full", ["preferred 1", "interleave 0,1"], "local is a wish"),
    ("mempolicy.counter", "numa_miss", "where it was wanted"),
    ("pcp.batch", 64, "One less"),
    ("pcp.high", 10_000, "all processors together"),
    ("pcp.lifo", "A", "lies in front"),
    ("pcp.order", "per-CPU list", "in a row"),
    ("pcp.count", 75, "Those are the blocks"),
    ("migratetypes.types", ["Movable", "Movable", "Reclaimable"], "neither"),
    ("migratetypes.index", 875, "inside the brackets"),
    ("migratetypes.fallback", 2, "spoils another"),
    ("replay.requests", {"mm_page_alloc"}, "Giving a page back"),
    ("replay.vmemmap", 0xFFFFEA0000220300 - 0x880C, "64 bytes"),
    ("slub.left", 12, "objects fit"),
    ("slub.lifo", "AB", "first in, first out"),
    ("slub.order", 8, "power of two"),
    ("slub.full", "node partial", "isn't partial"),
    ("slub.pointer", 0, "before 5.7"),
    ("vmalloc.size", 12288, "guard page"),
    ("vmalloc.third", 4, "guard pages"),
    ("vmalloc.lazy", 8192, "one CPU"),
    ("vmalloc.which", "kvmalloc", "fall back"),
    ("slub_debug.last", 0x6B, "last byte but one"),
    ("slub_debug.state", "in use", "0xcc"),
    ("slub_debug.kind", "overflow", "red zone"),
    ("slub_debug.size", 64, "object alone"),
    ("layout_arm.ttbr", "TTBR0", "zeros"),
    ("layout_arm.half", 256, "shared between"),
    ("layout_arm.va", 0xFFFF000048000000, "first RAM"),
    ("layout_arm.modules", 128, "before 6.5"),
    ("kmalloc.seventy", 128, "between 64 and 128"),
    ("kmalloc.arm", 96, "on x86-64"),
    ("kmalloc.pages", 6, "powers of two"),
    ("kmalloc.pages", 3, "the order"),
    ("kmalloc.worst", 257, "a little less than a half"),
    ("kmalloc.name", "kmalloc-1k", "nobody is charged"),
    ("highmem.beyond", 896, "That is low memory"),
    ("highmem.beyond", 0, "fixmap need some"),
    ("highmem.frames", 1195900, "in kB"),
    ("highmem.frames", 225278, "the first of them"),
    ("highmem.count", 2, "many users are left"),
    ("highmem.count", 4, "before kunmap"),
    ("highmem.flush", 512, "Slot 0 comes last"),
    ("highmem.flush", 1023, "without PAE"),
    ("highmem.which", "kmap", "It sleeps"),
    ("highmem.which", "vmalloc", "pages of its own"),
    ("layout_x86_64.canonical", True, "bit 47"),
    ("layout_x86_64.pfn", 0xFFF000, "physical address"),
    ("layout_x86_64.page", 0xFFFFEA0000000100, "0x100 bytes"),
    ("layout_x86_64.room", 1, "whole frame"),
    ("layout_x86_64.area", "modules", "behind the text"),
    ("boot.memmap", 67108864, "in bytes"),
    ("boot.top", 0x1000, "from the top"),
    ("boot.orders", (1, 4, 8, 8, 4, 2, 1), "Those are pages"),
]


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.id)
def test_an_exercise_knows_its_answer_and_tells_its_slips_apart(exercise: Exercise) -> None:
    right = exercise.right()
    told = judge(exercise, right)
    assert told.startswith("Right. ")
    assert "{" not in told
    assert judge(exercise, ...) == f"No answer yet. {exercise.hint}"
    slips = [plain(slip.answer(right)) for slip in exercise.slips]
    assert len(slips) == len(set(slips)), "two slips are the same answer"
    for slip, wrong in zip(exercise.slips, slips, strict=True):
        assert not same(wrong, right), slip.says
        answer = judge(exercise, wrong)
        assert answer.startswith("Almost. "), slip.says
        assert str(right) not in slip.says.split() or isinstance(right, bool), "a hint must not give the answer away"
    for nonsense in ("nonsense", -17, 3.7, None, [], {"x": 1}, object()):
        assert judge(exercise, nonsense) == f"Not yet. {exercise.hint}"


def test_every_exercise_has_an_answer_worked_out_by_hand() -> None:
    assert sorted(RIGHT) == sorted(exercise.id for exercise in ALL)


@pytest.mark.parametrize(("name", "answer"), [(name, a) for name, answers in RIGHT.items() for a in answers])
def test_right_answers_are_right_in_every_form(name: str, answer: Any) -> None:
    assert judge(find_exercise(name), answer).startswith("Right. ")


@pytest.mark.parametrize(("name", "answer", "word"), HALF_RIGHT)
def test_half_right_answers_are_told_what_they_are(name: str, answer: Any, word: str) -> None:
    told = judge(find_exercise(name), answer)
    assert told.startswith("Almost. ")
    assert word in told


def test_true_is_not_one() -> None:
    assert not same(True, 1)
    assert not same(1, True)
    assert not same(0, False)
    assert same(0.5, 0.502)
    assert not same(0.5, 0.51)


def test_a_name_that_is_none_is_told_what_there_is() -> None:
    with pytest.raises(BadInput, match=r"no exercise 'zones.x'; this chapter has zones.zone, zones.first"):
        check("zones.x")
    with pytest.raises(BadInput, match="no chapter 'zoo' has exercises"):
        check("zoo.x")


def test_a_solution_says_the_answer_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    solution("zones.first")
    assert capsys.readouterr().out.startswith("4096. 16 MiB / 4 KiB")


def test_a_claim_is_the_rule_in_force_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    claim("mmzone.min_free_max_kbytes", kernel="5.6")
    claim("mmzone.min_free_max_kbytes", kernel="6.1")
    old, source, new, _ = capsys.readouterr().out.splitlines()
    assert old.endswith("from 128 to 65536.")
    assert new.endswith("from 128 to 262144.")
    assert source.startswith("  since 2.6.11 at the latest; mm/page_alloc.c ")
    assert find_claim("mmzone.min_free_max_kbytes", "5.6").value == 65536
    with pytest.raises(BadInput, match=r"no rule 'x' in Linux 6\.1; one of "):
        claim("mmzone.x")
    with pytest.raises(BadInput, match="no rules for 'zoo'"):
        claim("zoo.x")
