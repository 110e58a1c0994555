"""Files of one field a line, ``NAME VALUE``: shared by vmstat and a node's meminfo, vmstat and numastat."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ._lines import bad, lines_of, shown, template


def read_fields(
    text: str, where: str, limit: int, row: re.Pattern[str], expected: str
) -> tuple[Mapping[str, int], tuple[str, ...]]:
    """Read fields and layout.

    Parameters
    ----------
    text, where, limit
        As for `lines_of`.
    row : pattern
        A line; the groups ``name`` and ``value``.
    expected : str
        How such a line looks, for errors.

    Returns
    -------
    values, layout
        Field to value in the file's order; a template a line, "" for an empty one.
    """
    values: dict[str, int] = {}
    lines_at: dict[str, int] = {}
    layout: list[str] = []
    for number, line in enumerate(lines_of(text, where, limit), 1):
        if not line:
            layout.append("")
            continue
        found = row.fullmatch(line)
        if not found:
            raise bad(where, number, f"expected {expected}, not {shown(line)}")
        name = found["name"]
        if name in values:
            raise bad(where, number, f"{name} stands here a second time, after line {lines_at[name]}")
        values[name] = int(found["value"])
        lines_at[name] = number
        layout.append(template(line, [found.span("value")]))
    return values, tuple(layout)


def field_rows(layout: Iterable[str], values: Mapping[str, int]) -> Iterator[tuple[int, ...]]:
    """Yield what each line of a layout shows: its field's value, nothing in an empty line."""
    left = iter(values.values())
    for pattern in layout:
        yield (next(left),) if pattern else ()


def require(values: Mapping[str, int], names: Iterable[str], where: str, text: str) -> None:
    """Refuse a file in which a field is missing that every kernel prints."""
    for name in names:
        if name not in values:
            raise bad(
                where, text.count("\n"), f"the file ends without {name}, which every kernel prints", "copy it all"
            )


def at_most(values: Mapping[str, int], part: str, whole: str, where: str, layout: Iterable[str]) -> None:
    """Refuse a part that is larger than its whole, naming both."""
    if part in values and whole in values and values[part] > values[whole]:
        number = next((n for n, line in enumerate(layout, 1) if line.lstrip().startswith(f"{part}:")), 1)
        raise bad(where, number, f"{part} {values[part]} is more than {whole} {values[whole]}; one of the two is wrong")
