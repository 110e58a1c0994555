"""Kernel versions as tuples that compare."""

from __future__ import annotations

import re

from .errors import BadInput

#: A kernel release as numbers: ``(6, 1, 192)``.
Version = tuple[int, ...]

#: The tree that a bare series name means. Late stable trees carry backports, so
#: "6.1" is a particular 6.1.
TREES: dict[str, Version] = {
    "2.4": (2, 4, 22),
    "2.6.11": (2, 6, 11),
    "5.6": (5, 6, 4),
    "6.1": (6, 1, 192),
    "6.12": (6, 12, 117),
    "6.18": (6, 18, 35),
}

_RELEASE = re.compile(r"^v?(\d+)\.(\d+)(?:\.(\d+))?")


def parse_version(text: str) -> Version:
    """Read a kernel version or release name.

    Parameters
    ----------
    text : str
        A series that `TREES` names (``"6.1"``), or a release such as
        ``"6.12.3"`` or ``"5.15.0-91-generic"``.

    Returns
    -------
    Version
        Two or three numbers.

    Raises
    ------
    BadInput
        Where the text doesn't begin with a version.
    """
    if text in TREES:
        return TREES[text]
    found = _RELEASE.match(text)
    if not found:
        raise BadInput(f"{text!r} is no kernel version", todo='write it as "6.1" or "6.12.117"')
    return tuple(int(part) for part in found.groups(default="0"))


def format_version(version: Version) -> str:
    """Write a version as the kernel does: ``6.1.192``."""
    return ".".join(str(part) for part in version)
