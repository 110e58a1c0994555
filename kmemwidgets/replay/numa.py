"""Predict the node of every touched page from memory policy, cpu and address.

A recording of memory policies (``t_numa``) has a log of what was asked, ``touches.txt``: for each case its policy,
the cpu, the area's address and the pages in the order of touching, each with the node where it was found. Only the
last is an answer. Between the touches, other requests of the trace (page tables, other tasks) take pages as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kmemwidgets.capture import Capture
from kmemwidgets.records import BadInput
from kmemwidgets.sim.gfp import __GFP_COMP, __GFP_ZERO, GFP_HIGHUSER_MOVABLE, parse_gfp
from kmemwidgets.sim.mempolicy import MemPolicy, TaskPolicy, make_policy
from kmemwidgets.sim.mempolicy_pages import alloc_pages_mpol, mempolicy_of
from kmemwidgets.sim.migratetype import MOVABLE
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.mempolicy import TABLE, MempolicyRules
from kmemwidgets.tracefs import Row, scan

from .start import start_allocator

#: What an anonymous page is asked for with (alloc_zeroed_user_highpage_movable).
TOUCH = GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_ZERO
MARK = "kmw numa "
MAX_PAGES = 1 << 28

_CASE = re.compile(r"case (\S{1,64})")
_ASKED = re.compile(r"# (set_mempolicy|mbind) ")
_WORD = re.compile(r"\b(mode|nodemask|rc|cpu|vma|pages) (-?\d\w{0,64})")
_PAGES = re.compile(r"\b(\d{1,9}) pages")
_TOUCHES = re.compile(r"\d{1,9} -?\d{1,4}(?:\t\d{1,9} -?\d{1,4})*\s*")
_RUN = re.compile(r"(\d{1,9})-(\d{1,9}) (-?\d{1,4})\s*")


@dataclass(slots=True)
class Case:
    """One case of the log.

    Attributes
    ----------
    name, call : str
        ``"set_mempolicy"`` sets the task's policy, ``"mbind"`` the area's.
    mode : int
    nodes : tuple of int
    refused : bool
        The system call failed: no policy was set.
    cpu : int or None
    vma : int
        First address of the area.
    order : list of int or range
        Page indexes in the order of touching.
    answers : dict of int to int
        Page index to the node found: what is compared with, and nothing else.
    """

    name: str
    call: str = ""
    mode: int = 0
    nodes: tuple[int, ...] = ()
    refused: bool = False
    cpu: int | None = None
    vma: int = 0
    order: list[int] | range = field(default_factory=list)
    answers: dict[int, int] = field(default_factory=dict)


def parse_touches(text: str, where: str = "touches.txt") -> list[Case]:
    """Read the log; `BadInput` names the first line that can't be read."""
    cases: list[Case] = []
    for number, line in enumerate(text.splitlines(), 1):
        found = _CASE.fullmatch(line)
        if found:
            cases.append(Case(found[1]))
        elif not cases:
            raise BadInput("expected 'case NAME'", where=f"{where}:{number}")
        elif not _read_asked(cases[-1], line) and not _read_touched(cases[-1], line) and not line.startswith("#"):
            raise BadInput(f"expected pages and nodes, not {line[:60]!r}", where=f"{where}:{number}")
    return cases


def _read_asked(case: Case, line: str) -> bool:
    """Read what was asked: ``# mbind mode 3 (...) nodemask 0x3 rc 0 cpu 0 vma 0x7f0000000000 pages 200 order ...``.

    A long case names its pages in order (``# mbind mode 1 nodemask 0x2, 114927 pages ascending``), runs follow.
    """
    call = _ASKED.match(line)
    words = {name: value for name, value in _WORD.findall(line) if len(value) <= 66}
    if not call or not {"mode", "nodemask"} <= set(words):
        return False
    try:
        numbers = {name: int(value, 0) for name, value in words.items()}
    except ValueError:
        return False
    case.call = call[1]
    case.mode = numbers["mode"]
    mask = numbers["nodemask"]
    case.nodes = tuple(nid for nid in range(mask.bit_length()) if mask >> nid & 1)
    case.refused = numbers.get("rc", 0) != 0
    case.cpu = numbers.get("cpu")
    case.vma = numbers.get("vma", 0)
    pages = _PAGES.search(line)
    if "pages" not in numbers and pages:
        case.order = range(min(int(pages[1]), MAX_PAGES))
    return True


def _read_touched(case: Case, line: str) -> bool:
    found = _RUN.fullmatch(line)
    if found and isinstance(case.order, range):
        first, last, nid = map(int, found.groups())
        if not 0 <= first <= last < len(case.order):
            return False
        case.answers.update(dict.fromkeys(range(first, last + 1), nid))
        return True
    if isinstance(case.order, range) or not _TOUCHES.fullmatch(line):
        return False
    for pair in line.split("\t"):
        index, node = pair.split()
        case.order.append(int(index))
        case.answers[int(index)] = int(node)
    return True


class NumaReplay:
    """A simulated machine that is asked what the log says was asked.

    Parameters
    ----------
    allocator : PageAllocator
        In the state before the trace.
    rules : MempolicyRules
    version : tuple of int

    Attributes
    ----------
    task : TaskPolicy
        Of the task that touches.
    """

    def __init__(self, allocator: PageAllocator, rules: MempolicyRules, version: tuple[int, ...]) -> None:
        self.allocator = allocator
        self.version = version
        self.mempolicy = mempolicy_of(allocator, rules)
        self.task = TaskPolicy()
        self._gfp: dict[str, int] = {}

    def alloc(
        self, policy: MemPolicy | None, gfp: int, order: int, cpu: int, offset: int | None = None
    ) -> tuple[int, int] | None:
        """Allocate under a policy; return frame and node, None where all tries failed."""
        allocator = self.allocator
        pfn = alloc_pages_mpol(allocator, self.mempolicy, policy, self.task, gfp, order, cpu, offset)
        return (pfn, allocator.zone_of(pfn).zone.nid) if pfn >= 0 else None

    def run_case(self, case: Case, requests: list[Row], cpu: int, pid: int) -> dict[int, int | None]:
        """Touch a case's pages, with the trace's other requests between them, and unmap them again.

        Parameters
        ----------
        case : Case
        requests : list of Row
            mm_page_alloc events while the case ran; their frames are not looked at.
        cpu, pid : int
            Where the touching task runs, and which it is.

        Returns
        -------
        dict
            Page index to the node predicted, None where nothing was to be had.
        """
        policy = None
        if not case.refused:
            policy = make_policy(self.mempolicy.rules, case.mode, case.nodes)
        self.task.set(policy if case.call == "set_mempolicy" else None)
        nodes: dict[int, int | None] = {}
        taken: list[tuple[int, int]] = []
        touches = iter(case.order)
        for _, _, owner, where, _, _, (pfn, order, mt, gfp) in requests:
            own = owner == pid
            if pfn is None or where >= len(self.allocator.cpu_node):
                continue
            if own and mt == MOVABLE and order in (0, self.mempolicy.hugepage_order):
                taken += self._touch(case, policy, touches, nodes, order, cpu)
                continue
            mine = self.alloc(self.task.policy if own else None, self._bits(gfp), order, where)
            if own and mine is not None:
                # Page tables, and what else goes when the area is unmapped.
                taken.append((mine[0], order))
        for _ in range(len(case.order) - len(nodes)):
            taken += self._touch(case, policy, touches, nodes, 0, cpu)
        for pfn, order in taken:
            self.allocator.free_pages(pfn, order, cpu)
        self.task.set(None)
        return nodes

    def _touch(
        self,
        case: Case,
        policy: MemPolicy | None,
        touches: Iterator[int],
        nodes: dict[int, int | None],
        order: int,
        cpu: int,
    ) -> list[tuple[int, int]]:
        index = next(touches, None)
        if index is None:
            return []
        address = (case.vma >> 12) + index
        mine = self.alloc(policy, TOUCH, order, cpu, address >> order)
        if not order:
            nodes[index] = mine[1] if mine else None
        else:
            first = (address >> order << order) - (case.vma >> 12)
            nodes.update(dict.fromkeys(range(first, first + (1 << order)), mine[1] if mine else None))
        return [(mine[0], order)] if mine else []

    def _bits(self, text: str) -> int:
        if text not in self._gfp:
            self._gfp[text] = parse_gfp(text, self.version)
        return self._gfp[text]


def split_by_case(rows: list[Row]) -> list[list[Row]]:
    """Return the requests of each case: what stands between the marks that begin and end its touches.

    A case's rows begin with the mark itself, so that the task and its cpu are known.
    """
    cases: list[list[Row]] = []
    inside = False
    for row in rows:
        if row[0] == "tracing_mark_write":
            if str(row[6][0]).startswith(MARK):
                inside = not inside
                if inside:
                    cases.append([row])
        elif inside and row[0] == "mm_page_alloc":
            cases[-1].append(row)
    return cases


def extra_keys(capture: Capture, trace: str, text: str) -> dict[str, Any]:
    """Return ``{"numa": {"exact", "of", "first_misses"}}`` for a recording of memory policies, else nothing."""
    log = capture.text_or_none(f"{trace}/touches.txt")
    if log is None:
        return {}
    allocator = start_allocator(capture, trace)
    if allocator is None:
        return {}
    version = capture.spec().kernel
    cases = parse_touches(log, f"{trace}/touches.txt")
    rows = split_by_case(list(scan(text, {"mm_page_alloc", "tracing_mark_write"}, where=trace)))
    replay = NumaReplay(allocator, pick(MempolicyRules, TABLE, version), version)
    exact = of = 0
    misses: list[dict[str, Any]] = []
    for number, case in enumerate(cases):
        marked = rows[number] if number < len(rows) else []
        cpu = case.cpu if case.cpu is not None else marked[0][3] if marked else 0
        if cpu >= len(allocator.cpu_node):
            raise BadInput(f"cpu {cpu} of case {case.name} has no lists", where=f"{trace}/touches.txt")
        nodes = replay.run_case(case, marked[1:], cpu, marked[0][2] if marked else 0)
        for page, recorded in case.answers.items():
            of += 1
            if nodes.get(page) == recorded:
                exact += 1
            elif len(misses) < 10:
                misses.append({"case": case.name, "page": page, "predicted": nodes.get(page), "recorded": recorded})
    return {"numa": {"exact": exact, "of": of, "first_misses": misses}}
