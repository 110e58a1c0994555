"""What the course says about Linux, taken from the rules that the simulator runs on."""

from __future__ import annotations

import importlib

from kmemwidgets.records import BadInput, format_version, parse_version
from kmemwidgets.sim.rules.table import Rule, in_force


def find_claim(name: str, kernel: str = "6.1") -> Rule:
    """Return the rule in force in a kernel.

    Parameters
    ----------
    name : str
        Mechanism and rule, such as ``"mmzone.marks"``: a module of `kmemwidgets.sim.rules` and a rule of its table.
    kernel : str
        A release; see `kmemwidgets.records.parse_version`.

    Raises
    ------
    BadInput
        Where there is no such mechanism or rule, or the kernel is older than the rule.
    """
    mechanism, _, rule = name.partition(".")
    try:
        table = importlib.import_module(f"kmemwidgets.sim.rules.{mechanism}").TABLE
    except (ImportError, AttributeError):
        raise BadInput(f"no rules for {mechanism!r}", todo="name it as its module in kmemwidgets.sim.rules") from None
    chosen = in_force(table, parse_version(kernel))
    if rule not in chosen:
        raise BadInput(
            f"no rule {rule!r} in Linux {kernel}", where=mechanism, todo=f"one of {', '.join(sorted(chosen))}"
        )
    return chosen[rule]


def claim(name: str, kernel: str = "6.1") -> None:
    """Print a rule as a sentence, with its source and with what outside this project checks it.

    Examples
    --------
    >>> claim("mmzone.min_free_max_kbytes", kernel="5.6")            # doctest: +ELLIPSIS
    Linux 5.6: min_free_kbytes = sqrt(16 * lowmem in kB), from 128 to 65536.
      ...
    """
    rule = find_claim(name, kernel)
    checks = ", ".join(rule.checked_by) or "nothing outside this project"
    since = f"since {format_version(rule.since)}"
    if rule.since <= (2, 6, 11):  # the oldest trees that were read
        since += " at the latest"
    version = parse_version(kernel)
    if version < rule.since:
        since += ", and in later stable releases of " + format_version(version[:2])
    print(f"Linux {kernel}: {rule.says}\n  {since}; {rule.source}; checked by {checks}")
