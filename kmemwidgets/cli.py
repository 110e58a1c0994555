"""The command ``kmem``: each subcommand is a room's ``command`` module, loaded only when called."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from kmemwidgets import __version__
from kmemwidgets.records import BadInput

#: Subcommand -> (module with add_arguments(parser) and run(args) -> int, one line of help).
COMMANDS: dict[str, tuple[str, str]] = {
    "lab": ("kmemwidgets.learn.lab", "copy the course into a folder and open JupyterLab there"),
    "capture": ("kmemwidgets.capture.command", "record this machine's memory management"),
    "explain": (
        "kmemwidgets.explain.command",
        "predict a capture's figures and lay them beside what was recorded",
    ),
    "replay": ("kmemwidgets.replay.command", "drive a simulated machine with recorded requests"),
    "proc": ("kmemwidgets.explain.proc_command", "boot a machine and write its /proc as a folder"),
    "diff": ("kmemwidgets.explain.diff_command", "compare two captures, or a capture and a machine"),
}

#: Commands that start a program, which gets what follows ``--`` on the line as ``args.rest``.
PASSES_ON = frozenset({"lab"})


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; with `only`, just that subcommand's arguments are loaded."""
    parser = argparse.ArgumentParser(
        prog="kmem", description="See, touch and predict how Linux manages memory.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"kmem {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, text) in COMMANDS.items():
        sub = subparsers.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if only in (name, None):
            importlib.import_module(module).add_arguments(sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``kmem``. Exit codes: 0 done, 1 a bar was not met, 2 bad usage or bad input."""
    words = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in words if not word.startswith("-")), "")
    cut = words.index("--") if chosen in PASSES_ON and "--" in words else len(words)
    args = build_parser(chosen).parse_args(words[:cut], argparse.Namespace(rest=words[cut + 1 :]))
    try:
        code: int = importlib.import_module(COMMANDS[args.command][0]).run(args)
    except BadInput as error:
        print(f"kmem {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"kmem {args.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    return code


if __name__ == "__main__":
    raise SystemExit(main())
