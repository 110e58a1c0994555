"""Which kernel text is this? For a file that someone pasted."""

from __future__ import annotations

import re

from kmemwidgets.records import BadInput

from ._lines import shown

#: How a text of each format begins, in a line of its first few; the first that fits wins.
_SIGNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("slabinfo", re.compile(r"slabinfo - version: ")),
    ("pagetypeinfo", re.compile(r"Page block order: ")),
    ("freelists", re.compile(r"zone [0-9]+ \w+ start_pfn [0-9]+ spanned [0-9]+")),
    ("swaps", re.compile(r"Filename\s+Type\s+Size\s+Used\s+Priority")),
    ("vmallocinfo", re.compile(r"0x[0-9a-f]{8,16}-0x[0-9a-f]{8,16} +[0-9]+")),
    ("buddyinfo", re.compile(r"Node [0-9]+, zone +\w+ +[0-9]+ +[0-9]+")),
    ("zoneinfo", re.compile(r"Node [0-9]+, zone +\w+\s*$")),
    ("node_meminfo", re.compile(r"Node [0-9]+ \w+: +[0-9]+")),
    ("maps", re.compile(r"[0-9a-f]{4,16}-[0-9a-f]{4,16} [r-][w-][x-][ps-] ")),
    ("iomem", re.compile(r" *[0-9a-f]{8,16}-[0-9a-f]{8,16} : ")),
    ("numastat", re.compile(r"numa_hit [0-9]+")),
    ("vmstat", re.compile(r"nr_\w+ [0-9]+")),
    ("meminfo", re.compile(r"MemTotal: +[0-9]+ kB|        total:    used:")),
    ("dmesg", re.compile(r"(?:<[0-9]+>)?\[ *[0-9]+\.[0-9]{6}\]|Linux version ")),
)

#: Texts that people take for one of these, and what to paste in their place.
_LOOKALIKES: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("the output of free", "/proc/meminfo", re.compile(r"\s+total\s+used\s+free")),
    ("the output of vmstat", "/proc/vmstat", re.compile(r"procs -+memory-+")),
    ("the output of top", "/proc/meminfo", re.compile(r"top - [0-9]|(?:MiB|KiB) Mem ")),
    ("the output of numactl --hardware", "/proc/zoneinfo", re.compile(r"available: [0-9]+ nodes")),
    ("the output of pmap", "/proc/PID/smaps", re.compile(r"[0-9]+: +\S+.*\n[0-9a-f]{16} +[0-9]+K ")),
    ("/proc/PID/status", "/proc/PID/smaps", re.compile(r"Name:\t")),
    ("/proc/cpuinfo", "/proc/meminfo", re.compile(r"processor\t")),
    ("an HTML page", "the text itself", re.compile(r"\s*<(?:!DOCTYPE|html)", re.IGNORECASE)),
)

_LINES = 12


def sniff(text: str) -> str:
    r"""Return the name of the module that reads a text: "meminfo", "zoneinfo" ...

    Raises
    ------
    BadInput
        Naming what the text looks like.

    Examples
    --------
    >>> sniff("MemTotal:       16315228 kB\nMemFree:          523140 kB\n")
    'meminfo'
    """
    head = [line for line in text[:20_000].split("\n") if line.strip()][:_LINES]
    if not head:
        raise BadInput("the text is empty", todo="paste the contents of a file such as /proc/meminfo")
    for line in head:
        for name, sign in _SIGNS:
            if sign.match(line):
                return "smaps" if name == "maps" and _has_fields(text) else name
    for what, instead, sign in _LOOKALIKES:
        if sign.match("\n".join(head)):
            raise BadInput(f"this looks like {what}", todo=f"paste {instead}")
    known = ", ".join(name for name, _ in _SIGNS)
    raise BadInput(
        f"this is none of the kernel's memory files: it begins with {shown(head[0])}", todo=f"known are {known}"
    )


def _has_fields(text: str) -> bool:
    return re.search(r"^Rss: +[0-9]", text, re.MULTILINE) is not None
