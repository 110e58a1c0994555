"""What stands around every BUG and warning, whoever has it."""

from __future__ import annotations

#: The line before them, for whoever copies a report (include/linux/kernel.h, CUT_HERE; since 2.6.1).
CUT_HERE = "------------[ cut here ]------------"


def warning(file: str, function: str, *said: str, cpu: int | str = 0) -> str:
    """Write a warning, with what it says before it; the line in the file and the stack are left out.

    Source: kernel/panic.c __warn, the same in 5.6 and 6.18.

    Parameters
    ----------
    file, function : str
        Where it stands.
    said : str
        The lines of a WARN with words.
    cpu : int or str
    """
    return "\n".join((CUT_HERE, *said, f"WARNING: CPU: {cpu} PID: 0 at {file} {function}"))
