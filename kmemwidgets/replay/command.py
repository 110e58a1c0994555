"""``kmem replay CAPTURE [TRACE]``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from kmemwidgets.capture import Capture
from kmemwidgets.capture.answer import write_json
from kmemwidgets.capture.progress import Progress
from kmemwidgets.records import BadInput

from .trace import TraceAnswer, replay_trace

EXAMPLE = """example:
  kmem replay amd64-512m t_fork
  kmem replay my-machine.tar.xz --json answer.json --fail-under 99"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("capture", metavar="CAPTURE", help="a recording: folder, .tar.xz or bundled name")
    parser.add_argument("trace", metavar="TRACE", nargs="?", help="t_NAME in it, or a trace's path; default: all")
    parser.add_argument("--json", metavar="PATH", help="write the machine-readable answer there; - is standard output")
    parser.add_argument(
        "--requests-only", action="store_true", help="give no triggers: print what follows from requests alone"
    )
    parser.add_argument(
        "--fail-under",
        metavar="PCT",
        type=float,
        help="exit with 1 where less than PCT percent of allocations are exact",
    )


def run(args: argparse.Namespace) -> int:
    """Replay and report."""
    capture = Capture.named(args.capture)
    names = _traces(capture, args.trace)
    answers = []
    with Progress(len(names)) as progress:
        for name in names:
            progress.step(name)
            answers.append(replay_trace(capture, name))
    if args.json:
        write_json(args.json, [answer.as_dict() for answer in answers])
    if args.json != "-":
        for answer in answers:
            print(answer.as_text(requests_only=args.requests_only))
    if args.fail_under is not None and _percent(answers) < args.fail_under:
        return 1
    return 0


def _traces(capture: Capture, wanted: str | None) -> Sequence[str]:
    """Name the traces to replay: folders of the recording, or a path."""
    known = capture.traces()
    if wanted is None:
        if not known:
            raise BadInput("the recording holds no trace", where=capture.name)
        return known
    if wanted.rstrip("/") in known:
        return [wanted.rstrip("/")]
    if Path(wanted).is_file() or Path(wanted).is_dir():
        return [wanted]
    raise BadInput(f"no trace {wanted!r}", where=capture.name, todo=f"one of {', '.join(known) or 'none'}")


def _percent(answers: Sequence[TraceAnswer]) -> float:
    """Return the percentage of allocations that are exact, over all traces that could be replayed."""
    exact = sum(answer.pages.allocs.exact for answer in answers if answer.pages)
    of = sum(answer.pages.allocs.of for answer in answers if answer.pages)
    return 100.0 * exact / of if of else 100.0
