"""Find what ``kmem replay CAPTURE TRACE`` names: the trace's text, and the recorded state that goes with it."""

from __future__ import annotations

from pathlib import Path

from kmemwidgets.capture import Capture
from kmemwidgets.capture.archive import unpack
from kmemwidgets.records import BadInput

#: What a trace's file is called in its folder.
NAMES = ("trace", "trace.xz", "trace.gz", "trace.txt")


def find_trace(capture: Capture, trace: str) -> tuple[bytes, str]:
    """Return a trace's text, and the folder of the recording that holds the state before it.

    Parameters
    ----------
    capture : Capture
    trace : str
        A folder of the recording; or the path of a file or folder anywhere, which goes with the recorded trace of
        that name, or with the only one there is.

    Raises
    ------
    BadInput
        If the file can't be read.
    """
    known = capture.traces()
    if trace in known:
        return capture.bytes(f"{trace}/trace"), trace
    path = Path(trace)
    if path.is_dir():
        path = next((path / name for name in NAMES if (path / name).is_file()), path / NAMES[0])
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror}", where=str(path), todo="name a trace's file") from error
    for name in (path.resolve().parent.name, path.name.partition(".")[0]):
        if name in known:
            return unpack(raw, path.name, str(path)), name
    return unpack(raw, path.name, str(path)), known[0] if len(known) == 1 else path.resolve().parent.name
