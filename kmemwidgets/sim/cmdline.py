"""The kernel's command line, as the early parameter parser reads it."""

from __future__ import annotations

import re
from collections.abc import Collection

from kmemwidgets.records import BadInput

_SIZE = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)([kKmMgGtTpPeE]?)")
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50, "e": 60}


def parameter(cmdline: str, name: str) -> str | None:
    """Return the last value of a parameter, ``""`` where it has none, None where it isn't given."""
    values = parameters(cmdline, name)
    return values[-1] if values else None


def parameters(cmdline: str, name: str) -> list[str]:
    """Return every value of a parameter, in order; what stands behind ``--`` belongs to init."""
    return [value for _name, value in options_of(cmdline, (name,))]


def options_of(cmdline: str, names: Collection[str]) -> list[tuple[str, str]]:
    """Return name and value of every parameter with one of these names, in order."""
    wanted = {name.replace("-", "_") for name in names}
    found = []
    for word in cmdline.split(" -- ")[0].split():
        key, _, value = word.partition("=")
        key = key.replace("-", "_")
        if key in wanted:
            found.append((key, value.strip('"')))
    return found


def is_on(value: str) -> bool:
    """Tell whether a value turns a bool parameter on (param_set_bool, kstrtobool); without a value it is on."""
    return not value or value[0] in "yY1" or value[:2].lower() == "on"


def memparse(text: str) -> int:
    """Read a size as memparse() does: a number with K, M, G, T, P or E behind it; bytes.

    Raises
    ------
    BadInput
        Where the text doesn't begin with a number.
    """
    found = _SIZE.match(text)
    if not found:
        raise BadInput(f"{text!r} is no size", todo='write it as "512M" or "4G"')
    return int(found[1], 0 if found[1][:2].lower() == "0x" else 10) << _UNITS[found[2].lower()]
