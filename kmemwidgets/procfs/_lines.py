"""What all text formats share: numbered lines, errors that name the line, and a layout that reproduces the text.

A record keeps its text's layout as one printf template a line: the literal words with a slot for every value. So
``format(parse(text)) == text`` holds for the column widths of any kernel, and a changed value still lands in its
column. A record made by hand has no layout and is written as the newest kernel does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from kmemwidgets.records import BadInput

#: A decimal number as the kernel prints one; at most 20 digits, as 2**64 has.
NUMBER = r"-?[0-9]{1,20}"

_ROW_NUMBER = re.compile(rf"(?<![^\s]){NUMBER}(?![^\s])")

Record = TypeVar("Record")


def bad(where: str, number: int, what: str, todo: str = "") -> BadInput:
    """Return the error for a line, counted from 1."""
    return BadInput(what, where=f"{where}:{number}", todo=todo)


def shown(text: str, width: int = 60) -> str:
    """Quote a piece of the input in an error: one line, bounded."""
    return repr(text if len(text) <= width else text[: width - 3] + "...")


def lines_of(text: str, where: str, limit: int, *, empty: bool = False) -> list[str]:
    """Split a file into its lines.

    Parameters
    ----------
    text : str
    where : str
        The file's name, for errors.
    limit : int
        Characters that such a file may have.
    empty : bool
        Whether a file without a line is allowed.

    Raises
    ------
    BadInput
        Where the text is too long, empty, or doesn't end with its line's end, so that something was cut off.
    """
    if len(text) > limit:
        raise BadInput(
            f"{len(text)} characters, more than the {limit} that such a file may have",
            where=where,
            todo="check that this is the right file",
        )
    if not text:
        if empty:
            return []
        raise BadInput("the file is empty", where=where, todo="record it again")
    rows = text.split("\n")
    if rows[-1]:
        raise bad(
            where, len(rows), f"the last line is cut: {shown(rows[-1])} has no end of line", "copy the whole file"
        )
    return rows[:-1]


def template(line: str, spans: Iterable[tuple[int, int]]) -> str:
    """Turn a line into a printf template: each span becomes a slot as wide as the value and the blanks before it."""
    parts: list[str] = []
    end_before = 0
    for start, end in spans:
        literal = line[end_before:start]
        kept = literal.rstrip(" ")
        parts.append(kept.replace("%", "%%"))
        parts.append(f"%{end - start + len(literal) - len(kept)}s")
        end_before = end
    parts.append(line[end_before:].replace("%", "%%"))
    return "".join(parts)


def number_spans(line: str, start: int = 0) -> list[tuple[int, int]]:
    """Where the free-standing decimal numbers of a line are, from column `start`."""
    return [found.span() for found in _ROW_NUMBER.finditer(line, start)]


def fill(templates: Sequence[str], values: Iterable[Sequence[object]], what: str) -> Iterator[str]:
    """Fill each template with its line's values; ValueError where record and layout don't belong together."""
    rows = list(values)
    if len(rows) != len(templates):
        raise ValueError(f"{what}: a layout of {len(templates)} lines can't hold {len(rows)}; drop the layout")
    for pattern, row in zip(templates, rows, strict=True):
        try:
            yield pattern % tuple(row) + "\n"
        except TypeError as error:
            raise ValueError(f"{what}: the layout {pattern!r} doesn't fit {row!r}; drop the layout") from error


def checked(record: Record, text: str, where: str, write: Callable[[Record], str]) -> Record:
    """Return the record if it is written back as it was read, else say which line can't be."""
    back = write(record)
    if back == text:
        return record
    for number, (old, new) in enumerate(zip(text.split("\n"), back.split("\n"), strict=False), 1):
        if old != new:
            raise bad(
                where, number, f"{shown(old)} is not written as the kernel writes it, which would be {shown(new)}"
            )
    raise BadInput("the text ends otherwise than the kernel ends it", where=where)
