"""The start of a line of trace text: task, cpu, time, event. Three programs write it in two ways.

Source: kernel/trace/trace_output.c, trace_print_context (``trace``); tools/perf/builtin-script.c,
perf_sample__fprintf_start (``perf script``); ``trace-cmd report`` follows the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from kmemwidgets.records import BadInput

#: Longest line that is read. The kernel assembles a line in at most 8 KiB (struct trace_seq).
MAX_LINE = 16384

# TASK_COMM_LEN is 16; a byte that is no text stands as four characters.
_COMM = r"((?:\\x[0-9a-f]{2}|.){1,16}?)"
_FLAGS = r"(?:([^\s:]{1,16})\s{1,32})?"
_TIME = _FLAGS + r"(\d{1,19}(?:\.\d{1,9})?):\s{1,32}"

# The name stands in 16 columns, whatever it holds; trace-cmd and long names leave the columns.
# Behind the pid the thread group and behind the cpu the latency flags may stand.
_TRACE_TASK = (
    r"(?:(.{16})|\s{0,64}" + _COMM + r")-(\d{1,10})\s{1,32}(?:\((?:\s{0,16}\d{1,10}|-{1,16})\)\s{1,32})?"
    r"\[(\d{1,5})\]\s{1,32}"
)
_PERF_TASK = r"\s{0,64}" + _COMM + r"\s{1,32}(-?\d{1,10})(?:/-?\d{1,10})?\s{1,32}\[(\d{1,5})\]\s{1,32}"
_TRACE = re.compile(_TRACE_TASK + _TIME + r"([^\s:]{1,128}):(?: |$)(.*)")
_PERF = re.compile(_PERF_TASK + _TIME + r"(?:\d{1,20}\s{1,32})?([\w-]{1,64}):([^\s:]{1,128}):\s{0,64}(.*)")
_SECOND = r"(\d{1,19})\."
_TRACE_START = re.compile(_TRACE_TASK + _FLAGS + _SECOND)
_PERF_START = re.compile(_PERF_TASK + _FLAGS + _SECOND)


class Head(NamedTuple):
    """The start of a line, and the rest of it. `time` is the stamp as printed: `read_time` reads it."""

    comm: str
    pid: int
    cpu: int
    flags: str
    time: str
    system: str
    name: str
    text: str


def read_time(text: str) -> int:
    """Return a time stamp in nanoseconds, exactly; a clock that only counts (no point in it) as it is."""
    seconds, point, fraction = text.partition(".")
    return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0")) if point else int(seconds)


def read_head(line: str) -> Head | None:
    """Take a line apart; None where it is no event. `system` is empty in tracefs text, which doesn't print it."""
    if len(line) > MAX_LINE:
        return None
    found = _TRACE.fullmatch(line)
    if found:
        column, loose, pid, cpu, flags, time, name, text = found.groups()
        return Head((column or loose).lstrip(), int(pid), int(cpu), flags or "", time, "", name, text)
    found = _PERF.fullmatch(line)
    if found:
        comm, pid, cpu, flags, time, system, name, text = found.groups()
        return Head(comm, int(pid), int(cpu), flags or "", time, system, name, text)
    return None


def read_start(text: str, perf: bool) -> tuple[str, int, int, str, int] | None:
    """Read a line's text up to the point in its time stamp.

    Returns
    -------
    tuple or None
        Task, pid, cpu, flags, and the column of the stamp; None where it is no such text.
    """
    found = (_PERF_START if perf else _TRACE_START).fullmatch(text)
    if found is None:
        return None
    if perf:
        comm, pid, cpu, flags, second = found.groups()
    else:
        column, loose, pid, cpu, flags, second = found.groups()
        comm = (column or loose).lstrip()
    return comm, int(pid), int(cpu), flags or "", len(text) - len(second) - 1


_LOST = re.compile(
    r"CPU:(\d{1,5}) \[(?:LOST (?:(\d{1,19}) )?EVENTS|(?:(\d{1,19}) )?EVENTS DROPPED)\]\s*"  # tracefs; trace-cmd
    r"|.*\[(\d{1,5})\].*PERF_RECORD_LOST(?:_SAMPLES)?:?\s+(?:lost )?(\d{1,19})\b.*"  # perf script
)


def read_lost(line: str) -> tuple[int, int | None] | None:
    """Return the cpu of a line that tells of lost events, and how many (None: not told); None for other lines."""
    if ("LOST" not in line and "DROPPED" not in line) or len(line) > MAX_LINE:
        return None
    found = _LOST.fullmatch(line)
    if not found:
        return None
    cpu, count, dropped, perf_cpu, perf_count = found.groups()
    many = count or dropped or perf_count
    return int(cpu or perf_cpu), int(many) if many else None


def is_notice(line: str) -> bool:
    """Tell whether a line is a header, a buffer's annotation, empty, or the call chain of perf."""
    return (
        not line.strip()
        or line.startswith(("#", "\t", "version =", "cpus=", "trace-cmd: ", "CPU "))
        or (line.startswith("            ") and bool(re.fullmatch(r"\s+[0-9a-f]{4,16} .{1,4096}", line)))
    )


def read_text(source: str | bytes | Iterable[str] | Iterable[bytes], where: str) -> tuple[str, bool]:
    """Return the text of a trace, a line feed behind each whole line, and whether bytes had to be escaped.

    Only a line feed ends a line: a task's name may hold anything else that Python takes for a line's end.
    """
    if isinstance(source, str):
        text, escaped = source, False
    elif isinstance(source, bytes | bytearray | memoryview):
        text, escaped = _decode(bytes(source))
    else:
        text, escaped = _join(source, where)
    if "\r" in text:
        text = text.replace("\r\n", "\n").removesuffix("\r")
    return text, escaped


def split_lines(text: str) -> tuple[list[str], bool]:
    """Return lines without their ends, and whether the last one had an end."""
    lines = text.split("\n")
    complete = not lines[-1]
    if complete:
        lines.pop()
    return lines, complete


def _join(source: Iterable[str] | Iterable[bytes], where: str) -> tuple[str, bool]:
    lines: list[str] = []
    escaped = False
    ends = 0
    for line in source:
        if isinstance(line, bytes | bytearray):
            text, odd = _decode(bytes(line))
            escaped |= odd
        elif isinstance(line, str):
            text = line
        else:
            raise BadInput(f"a line of a trace is text, not {type(line).__name__}", where=where)
        ends += text.endswith("\n")
        lines.append(text.rstrip("\r\n"))
    # Lines of a file carry their ends, all but one that was cut; lines of a list carry none.
    complete = ends in (0, len(lines))
    return "\n".join(lines) + ("\n" if lines and complete else ""), escaped


def _decode(raw: bytes) -> tuple[str, bool]:
    try:
        return raw.decode(), False
    except UnicodeDecodeError:
        return raw.decode(errors="backslashreplace"), True
