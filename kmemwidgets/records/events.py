"""An event: something the kernel did, or decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One event of a trace or of a simulated run.

    Attributes
    ----------
    seq : int
        Its number, from 0; total order.
    system, name : str
        ``"kmem"``, ``"mm_page_alloc"``; system ``"sim"`` where the kernel has no tracepoint.
    fields : dict
        Field name to value, in the order the kernel prints them: int, str or bool.
    cpu : int
    time_ns : int or None
        CLOCK of the trace; None where the machine has only its own counter.
    pid : int or None
    comm : str or None
        The task's name.
    flags : str
        The five latency columns of trace text (``"d..1."``).
    """

    seq: int
    system: str
    name: str
    fields: dict[str, Any]
    cpu: int = 0
    time_ns: int | None = None
    pid: int | None = None
    comm: str | None = None
    flags: str = "....."
