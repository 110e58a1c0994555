"""``kmem capture OUT``: record this machine."""

from __future__ import annotations

import argparse
import sys
from importlib import resources

from kmemwidgets.records import BadInput

from . import record_host
from .answer import write_json

_EXAMPLE = """example:
  sudo kmem capture my-machine.tar.xz
  kmem capture --redact my-machine/
  kmem capture --script > record_host.py    # for a machine without this package
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.epilog = _EXAMPLE
    record_host.add_arguments(parser)
    parser.add_argument("--json", metavar="PATH", help="write what was taken there as JSON; - is standard output")
    parser.add_argument(
        "--script",
        action="store_true",
        help="print a file for Python 3.6 or newer that does the same, and nothing else",
    )


def script() -> str:
    """Return the recorder as a file of its own."""
    return resources.files(__package__).joinpath("record_host.py").read_text(encoding="utf-8")


def run(args: argparse.Namespace) -> int:
    """Record, or print the recorder."""
    if args.script:
        sys.stdout.write(script())
        return 0
    try:
        meta = record_host.record(args)
    except record_host.Failure as error:
        raise BadInput(str(error)) from error
    if args.json:
        told = {key: meta[key] for key in ("files", "unreadable", "notes", "redacted") if key in meta}
        write_json(args.json, {"out": args.out, **told})
    if args.json != "-":
        record_host.report(args.out, meta)
    return 0
