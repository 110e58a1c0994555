"""``kmem diff A B``: two machines, figure by figure."""

from __future__ import annotations

import argparse
import importlib
import sys
from dataclasses import asdict
from pathlib import Path

from kmemwidgets.capture import Capture
from kmemwidgets.capture.answer import write_json
from kmemwidgets.records import BadInput, Difference, MachineSpec, Snapshot, diff

_EXAMPLE = """example:
  kmem diff before.tar.xz after.tar.xz
  kmem diff amd64-512m amd64-512m@t_quiet/after
  kmem diff my-laptop/ my-laptop/@boot
"""

_SHOWN = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.epilog = _EXAMPLE
    what = (
        "a recording: folder, .tar.xz or bundled name; behind it @MOMENT chooses one of its moments, and @boot is the "
        "simulated machine that its description boots. Or a preset's name"
    )
    parser.add_argument("a", metavar="A", help=what)
    parser.add_argument("b", metavar="B", help="likewise")
    parser.add_argument("--json", metavar="PATH", help="write the answer there as JSON; - is the standard output")


def run(args: argparse.Namespace) -> int:
    """Compare and print; exit code 0, whether or not there are differences."""
    first, second = snapshot_of(args.a), snapshot_of(args.b)
    differences = diff(first, second)
    if args.json:
        write_json(args.json, {"a": args.a, "b": args.b, "differences": [asdict(entry) for entry in differences]})
        if args.json == "-":
            return 0
    sys.stdout.write(_table(args.a, args.b, differences))
    return 0


def snapshot_of(name: str) -> Snapshot:
    """Return the state that a command-line argument names."""
    name, _, moment = name.partition("@")
    if Path(name).exists() or name in Capture.bundled_names():
        return _recorded(Capture.named(name), moment)
    try:
        return _booted(name)
    except ValueError as error:
        raise BadInput(
            f"{name!r} is no folder, no .tar.xz, no bundled recording and no preset ({error})",
            todo=f"bundled recordings are {', '.join(Capture.bundled_names())}",
        ) from error


def _recorded(capture: Capture, moment: str) -> Snapshot:
    return _booted(capture.spec()) if moment == "boot" else capture.snapshot(moment or None)


def _booted(what: str | MachineSpec) -> Snapshot:
    # The simulator is loaded only where it is asked for.
    machine = importlib.import_module("kmemwidgets.sim.machine").Machine
    snapshot: Snapshot = machine.boot(what).snapshot()
    return snapshot


def _table(a: str, b: str, differences: tuple[Difference, ...]) -> str:
    if not differences:
        return f"{a} and {b} show the same in every figure\n"
    rows = [("figure", a, b), *((entry.path, _cell(entry.a), _cell(entry.b)) for entry in differences)]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]}" for row in rows]
    count = len(differences)
    return "\n".join(lines) + f"\n{count} figure{'s' if count != 1 else ''} differ{'s' if count == 1 else ''}\n"


def _cell(value: object) -> str:
    text = "unknown" if value is None else str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
