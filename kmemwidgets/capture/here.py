"""The machine this runs on, or a recorded one where that can't be."""

from __future__ import annotations

import json
import sys

from kmemwidgets.records import BadInput

from .archive import Files, MemoryFiles
from .record_host import Recorder

#: Page frames whose flags are read: 32 GiB of 4 KiB pages, about two seconds.
MAX_FRAMES = 1 << 23
#: The recording that stands in for a machine that can't be read.
STAND_IN = "amd64-512m"

_MIB = 1 << 20


def record_here(root: str = "/") -> tuple[Files, tuple[str, ...]]:
    """Record this machine in memory.

    Parameters
    ----------
    root : str
        Where /proc and /sys are found.

    Returns
    -------
    files, notes
        The recording, and what its reader should know: what a container hides, what could not be read.

    Raises
    ------
    BadInput
        Where this is no Linux machine with a readable /proc.
    """
    if not sys.platform.startswith("linux"):
        raise BadInput(f"this is {sys.platform}, not Linux", todo="a recorded machine is shown in its place")
    recorder = Recorder(root=root, max_frames=MAX_FRAMES, pack=False)
    files = dict(recorder.collect())
    if "proc/meminfo" not in files:
        raise BadInput("/proc/meminfo can't be read", todo="a recorded machine is shown in its place")
    meta = recorder.meta("here")
    files["meta.json"] = json.dumps(meta).encode()
    return MemoryFiles(files), (*_container_notes(meta, files), *_hidden(recorder))


def _container_notes(meta: dict[str, object], files: dict[str, bytes]) -> list[str]:
    """Say what a control group allows of what /proc shows: /proc knows nothing of it."""
    cgroup = meta["cgroup"]
    assert isinstance(cgroup, dict)
    limit, usage = cgroup["limit_bytes"], cgroup["usage_bytes"]
    notes: list[str] = []
    place = "in a container" if meta["container"] else "in a control group"
    total = _total(files["proc/meminfo"])
    if limit is not None and (total is None or limit < total):
        used = f", of which {usage // _MIB} MiB are used" if usage is not None else ""
        of_all = f" of the {total // _MIB} MiB that /proc/meminfo shows" if total is not None else ""
        notes.append(f"this runs {place} that may use {limit // _MIB} MiB{of_all}{used}")
    elif meta["container"]:
        notes.append("this runs in a container without a memory limit: /proc shows the whole machine's memory")
    return notes


def _total(meminfo: bytes) -> int | None:
    for line in meminfo.splitlines():
        words = line.split()
        if words[:1] == [b"MemTotal:"] and len(words) > 1 and words[1].isdigit():
            return int(words[1]) * 1024
    return None


def _hidden(recorder: Recorder) -> list[str]:
    names = [path for path in ("/proc/kpageflags", "/proc/pagetypeinfo", "/proc/slabinfo") if path in recorder.missed]
    return [f"{path} can't be read here: {recorder.missed[path]}" for path in names]
