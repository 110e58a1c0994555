"""How a rule is written down, and how a boot picks the rules of its kernel.

A module of this package holds one mechanism: a frozen record class that says
which functions and constants the mechanism needs, and ``TABLE``, one `Rule` for
each value that each of them has had.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from kmemwidgets.records import BadInput, Version, format_version

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rule:
    """One value of one rule, in force since a release.

    Attributes
    ----------
    name : str
        Field of the mechanism's record.
    since : tuple of int
        First release with this value.
    value : object
        A constant, or a function of plain arguments.
    says : str
        The rule as one sentence.
    source : str
        Kernel file and function.
    checked_by : tuple of str
        Oracles and recordings that check it (``"oracle:kernel_buddy_traces"``,
        ``"recording:6.1"``, ``"source"`` means only read). Empty: nothing outside checks it.
    backports : tuple of tuple of int
        Stable releases older than `since` that got it, such as ``(6, 1, 70)``:
        from there to the end of that series.
    """

    name: str
    since: Version
    value: Any
    says: str
    source: str
    checked_by: tuple[str, ...] = ()
    backports: tuple[Version, ...] = ()

    def holds_in(self, version: Version) -> bool:
        """Tell whether a kernel has it (later values of the same rule may replace it)."""
        return version >= self.since or any(version[:2] == b[:2] and version >= b for b in self.backports)


def in_force(table: Iterable[Rule], version: Version) -> dict[str, Rule]:
    """Pick of each rule the newest value that a kernel has."""
    chosen: dict[str, Rule] = {}
    for rule in table:
        if rule.holds_in(version) and (rule.name not in chosen or rule.since >= chosen[rule.name].since):
            chosen[rule.name] = rule
    return chosen


def pick(record: type[T], table: Iterable[Rule], version: Version) -> T:
    """Fill a mechanism's record with the values in force.

    Raises
    ------
    BadInput
        Where a field of the record has no rule as early as `version`.
    """
    chosen = in_force(table, version)
    missing = [entry.name for entry in fields(record) if entry.name not in chosen]  # type: ignore[arg-type]
    if missing:
        raise BadInput(
            f"no rule for {', '.join(missing)} in Linux {format_version(version)}",
            todo="take one of 2.4, 2.6.11, or any release from 5.6 up",
        )
    return record(**{entry.name: chosen[entry.name].value for entry in fields(record)})  # type: ignore[arg-type]
