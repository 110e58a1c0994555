"""What a replay keeps of each cpu between two events."""

from __future__ import annotations

from typing import Any

#: What the third latency flag says in an interrupt: hard, soft, soft within hard, and their NMI forms.
IN_INTERRUPT = frozenset("hsHzZ")

Run = list[tuple[Any, ...]]


class Cpu:
    """What is under way on one cpu.

    Attributes
    ----------
    refill, drain, steal : list
        The recorded run under way.
    refilled, drained, stolen : list
        What the simulation did since the last comparison.
    pending : list of tuple
        Frees whose pages have not reached the lists yet (pfn, order): a batch tells first and commits later.
    bulk : list of int
        Pages that a vmalloc's array announced; two numbers if the array itself is vmalloc'ed.
    asker : int
        Task that the pages of `bulk` are for.
    named_node : int or None
        Node that they are asked of.
    areas : tuple of (int, int)
        Task, and how many areas it got in a row (__get_vm_area_node).
    exact : tuple or None
        Frame, end, pid: the allocation whose remainder may be freed next.
    pid : int
        Task whose frees are pending, or whose refill is recorded.
    batched : int
        Last frame of the batch under way that has reached the lists; -1 if there is none.
    closed : tuple or None
        Row and frame of the batch's event that was the last of a task, as long as only interrupts came after it.
    freed : int
        Last frame that reached the lists in a batch; -1 if none did.
    late : list of tuple
        Frees by an interrupt that came into a refill whose allocation has not been told yet: pfn, order, and whether
        the lists were locked.
    freed_at : int
        Row at which a free reached the lists last.
    fresh : list of int
        Frames that an interrupt freed since the last request of the task it interrupted.
    """

    __slots__ = (
        "areas", "asker", "batched", "bulk", "closed", "drain", "drained", "exact", "freed", "freed_at", "fresh",
        "late", "named_node", "pending", "pid", "refill", "refilled", "steal", "stolen",
    )  # fmt: skip

    def __init__(self) -> None:
        self.refill: Run = []
        self.drain: Run = []
        self.steal: Run = []
        self.refilled: Run = []
        self.drained: Run = []
        self.stolen: Run = []
        self.pending: list[tuple[int, int]] = []
        self.bulk: list[int] = []
        self.asker = 0
        self.named_node: int | None = None
        self.areas = (0, 0)
        self.exact: tuple[int, int, int] | None = None
        self.pid = 0
        self.batched = -1
        self.closed: tuple[int, int] | None = None
        self.freed = -1
        self.freed_at = -1
        self.late: list[tuple[int, int, bool]] = []
        self.fresh: list[int] = []
