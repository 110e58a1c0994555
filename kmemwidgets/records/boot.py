"""A boot step by step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BootCall:
    """Something that a step asked of the early allocator (memblock). Bytes; `end` exclusive.

    Attributes
    ----------
    what : str
        "add", "remove", "reserve", "free"; "hand over" for what the page allocator is given.
    start, end : int
    caller : str
    estimated : bool
        Whether the size is a guess about what a real boot takes.
    """

    what: str
    start: int
    end: int
    caller: str = ""
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class BootStep:
    """One memory-related call of start_kernel.

    Attributes
    ----------
    name : str
        The kernel's function; "mm_core_init: mem_init" for one inside another.
    says : str
        What it does, in one sentence.
    source : str
        Kernel file.
    calls : tuple of BootCall
    prints : tuple of str
        Lines of the kernel's log about memory; a question mark for what only a real image or boot knows.
    """

    name: str
    says: str
    source: str
    calls: tuple[BootCall, ...] = ()
    prints: tuple[str, ...] = ()
