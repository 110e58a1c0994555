"""``kmem explain CAPTURE``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from kmemwidgets.capture import Capture
from kmemwidgets.capture.answer import write_json
from kmemwidgets.capture.progress import Progress
from kmemwidgets.records import format_version

from . import Result, check_names, explain, sections

EXAMPLE = """example:
  kmem explain amd64-512m --section watermarks
  kmem explain my-machine.tar.xz --json - --fail-under 100"""

#: Misses of a section that are shown as text; --json has all.
SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("capture", metavar="CAPTURE", help="a recording: folder, .tar.xz or bundled name")
    parser.add_argument("--json", metavar="PATH", help="write the machine-readable answer there; - is standard output")
    parser.add_argument("--section", metavar="NAME", action="append", default=[], help="only this section (repeatable)")
    parser.add_argument(
        "--fail-under", metavar="PCT", type=float, help="exit with 1 where a section predicts less than PCT percent"
    )


def as_json(capture: Capture, results: Sequence[Result]) -> dict[str, Any]:
    """Build the machine-readable answer."""
    return {
        "capture": capture.name,
        "kernel": format_version(capture.spec().kernel),
        "sections": [
            {
                "name": result.name,
                "predicted": result.predicted,
                "of": result.of,
                "unknowable": result.unknowable,
                "misses": [
                    {"what": miss.what, "predicted": miss.predicted, "recorded": miss.recorded}
                    for miss in result.misses
                ],
            }
            for result in results
        ],
    }


def as_text(capture: Capture, results: Sequence[Result]) -> str:
    """Write the answer for a reader."""
    lines = [f"{capture.name}: Linux {format_version(capture.spec().kernel)}"]
    for result in results:
        unknowable = f", {result.unknowable} unknowable" if result.unknowable else ""
        lines.append(f"  {result.name:<16} {result.predicted:>6} of {result.of:<6} {result.percent:6.2f} %{unknowable}")
        lines.extend(
            f"      {miss.what}: predicted {miss.predicted}, recorded {miss.recorded}" for miss in result.misses[:SHOWN]
        )
        if len(result.misses) > SHOWN:
            lines.append(f"      and {len(result.misses) - SHOWN} more (--json has them all)")
    return "\n".join(lines)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; 1 where a section stays under --fail-under."""
    capture = Capture.named(args.capture)
    names = check_names(args.section) or [section.name for section in sections()]
    with Progress(len(names)) as progress:
        results = explain(capture, names, progress.step)
    if args.json:
        write_json(args.json, as_json(capture, results))
    if args.json != "-":
        print(as_text(capture, results))
    failed = args.fail_under is not None and any(result.percent < args.fail_under for result in results)
    return 1 if failed else 0
