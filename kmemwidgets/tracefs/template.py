"""What an event prints, as a template that both reads and writes it.

A template is the printed text with ``{field:kind}`` where a value stands:

========  =====================================================================
``p``     a pointer, as many digits as the machine's pointers have
``x``     a number printed as 0x..., ``h`` the same without 0x
``d``     a decimal number, possibly negative
``s``     text up to the next blank
``l``     text to the end of the line
``c``     a task's name, which may hold blanks
``y``     a symbol with its offset, which may be followed by `` [module]``
``b``     ``true`` or ``false``
``8``     a word, padded with blanks on the right to eight columns
========  =====================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

#: Largest value that a field of the kernel can hold.
U64_MAX = (1 << 64) - 1


class HexInt(int):
    """A number that was printed in hexadecimal where no template says so."""

    __slots__ = ()


_NUMBER = r"-?(?:0x[0-9a-fA-F]{1,16}|\d{1,20})"
_PATTERN = {
    "p": r"(?:0x)?[0-9a-fA-F]{1,16}|\(null\)|\([^\s()]{1,32}\)",
    "x": _NUMBER,
    "h": r"[0-9a-fA-F]{1,16}",
    "d": _NUMBER,
    "s": r"\S*",
    "l": r".*",
    "c": r".{0,64}",
    "y": r"\S*(?: \[[^\s\]]{1,64}\])?",
    "b": r"true|false",
    "8": r"\S* *",
}


def number(text: str) -> int:
    """Read a decimal or 0x number that fits a kernel field; ValueError where it doesn't."""
    value = int(text, 16) if "x" in text else int(text)
    if not -(1 << 63) <= value <= U64_MAX:
        raise ValueError(f"{text} is larger than a field of the kernel")
    return value


def _pointer(text: str) -> int | str:
    if text == "(null)":
        return 0
    return text if text.startswith("(") else int(text, 16)


_READ: dict[str, Callable[[str], Any] | None] = {
    "p": _pointer,
    "x": number,
    "h": lambda text: int(text, 16),
    "d": number,
    "s": None,
    "l": None,
    "c": None,
    "y": None,
    "b": lambda text: text == "true",
    "8": str.rstrip,
}


def _write(kind: str, value: Any, pointer_digits: int) -> str:
    if isinstance(value, str):
        return value.ljust(8) if kind == "8" else value
    match kind:
        case "p":
            return f"{value:0{pointer_digits}x}"
        case "x":
            return f"{value:#x}"
        case "h":
            return f"{value:x}"
        case "b":
            return "true" if value else "false"
        case _:
            return str(value)


class Template:
    """One printed form of one event.

    Attributes
    ----------
    names : tuple of str
        Its fields, in the order printed.
    """

    __slots__ = ("_kinds", "_match", "_match_more", "_pieces", "_read", "names")

    def __init__(self, text: str) -> None:
        pieces = re.split(r"\{(\w+):(\w)\}", text)
        self._pieces = tuple(pieces[0::3])
        self.names = tuple(pieces[1::3])
        self._kinds = tuple(pieces[2::3])
        pattern = re.escape(self._pieces[0])
        for at, kind in enumerate(self._kinds):
            pattern += f"({_PATTERN[kind]}){re.escape(self._pieces[at + 1])}"
        self._match = re.compile(pattern).fullmatch
        self._match_more = re.compile(pattern + r"((?: \w+=\S*)+)").fullmatch
        self._read = tuple((name, _READ[kind]) for name, kind in zip(self.names, self._kinds, strict=True))

    def read(self, text: str, *, more: bool = False) -> dict[str, Any] | None:
        """Return the fields of an event's text, None where it has another form.

        With `more`, pairs may follow that a kernel newer than this template prints.
        """
        found = self._match_more(text) if more else self._match(text)
        if found is None:
            return None
        try:
            fields = {
                name: value if convert is None else convert(value)
                for (name, convert), value in zip(self._read, found.groups(), strict=False)
            }
        except ValueError:
            return None
        if more:
            fields |= read_pairs(found[len(self.names) + 1].strip()) or {}
        return fields

    def write(self, fields: Mapping[str, Any], pointer_digits: int) -> str:
        """Return the text that the kernel prints for these fields (all of `names`)."""
        text = [self._pieces[0]]
        for at, name in enumerate(self.names):
            text += (_write(self._kinds[at], fields[name], pointer_digits), self._pieces[at + 1])
        return "".join(text)

    def pointer_digits(self, text: str) -> int | None:
        """Return with how many digits a text of this form prints pointers, None where it shows none."""
        found = self._match(text)
        if found is None or "p" not in self._kinds:
            return None
        digits = found[self._kinds.index("p") + 1]
        return len(digits) if not digits.startswith(("0x", "(")) else None


_PAIR = re.compile(r"(\w+)=(\S*)(?:\s+|,\s*|$)")
_PROBE = re.compile(r"\(([^()]*(?:\([^()]*\))?[^()]*)\)\s*")


def read_pairs(text: str) -> dict[str, Any] | None:
    """Read ``name=value`` pairs that no template describes, and the place of a kprobe before them.

    Returns
    -------
    dict or None
        The place under "probe". None where the text is anything but pairs.
    """
    fields: dict[str, Any] = {}
    at = 0
    place = _PROBE.match(text)
    if place:
        fields["probe"] = place[1]
        at = place.end()
    while at < len(text):
        found = _PAIR.match(text, at)
        if not found:
            return None
        fields[found[1]] = _guess(found[2])
        at = found.end()
    return fields


def _guess(text: str) -> int | str:
    if re.fullmatch(r"0x[0-9a-f]{1,16}", text) and (text == "0x0" or text[2] != "0"):
        return HexInt(text, 16)
    if re.fullmatch(r"0|-?[1-9]\d{0,19}", text) and abs(int(text)) <= U64_MAX:
        return int(text)
    return text


def write_pairs(fields: Mapping[str, Any]) -> str:
    """Write what `read_pairs` reads."""
    words = []
    for name, value in fields.items():
        if name == "probe":
            words.append(f"({value})")
        else:
            words.append(f"{name}={value:#x}" if isinstance(value, HexInt) else f"{name}={value}")
    return " ".join(words)
