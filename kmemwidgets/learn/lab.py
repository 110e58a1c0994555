"""``kmem lab``: bring the course into a folder of the learner's, and open JupyterLab there."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path

from kmemwidgets.records import BadInput

from .course import chapters, course_folder
from .course_copy import Outcome, copy_course

_EXAMPLE = """example:
  kmem lab                                course into ./kmem-course, then JupyterLab
  kmem lab ~/memory --no-browser --port 8890
  kmem lab -- --ServerApp.ip=0.0.0.0      what follows -- goes to jupyter lab
"""

#: What a learner is told about a file, by what became of it. The other outcomes need no word.
_TOLD = {
    Outcome.UPDATED: "updated to this version",
    Outcome.KEPT: "kept as you changed it",
    Outcome.BESIDE: "kept as you changed it; the new version is beside it as {beside}",
    Outcome.BLOCKED: "kept as you changed it; you changed {beside} too, so the new version was not written",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = _EXAMPLE
    parser.add_argument("dir", nargs="?", metavar="DIR", default="kmem-course", help="folder (default: ./kmem-course)")
    parser.add_argument("--no-browser", action="store_true", help="print the address instead of opening a browser")
    parser.add_argument("--port", type=int, help="port to listen on (default: the first free one from 8888)")
    parser.add_argument("--copy-only", action="store_true", help="bring the course into DIR and stop")


def lab_command(
    first: str | None, *, browser: bool = True, port: int | None = None, rest: tuple[str, ...] = ()
) -> list[str]:
    """Return the command that opens JupyterLab on a notebook, in the current folder.

    It loads `kmemwidgets.learn.nodelay`, asks nothing of any other machine, and
    lets root start it, as in a container.
    """
    words = [sys.executable, "-m", "jupyterlab", "--ServerApp.jpserver_extensions=kmemwidgets.learn.nodelay=True"]
    words += [
        "--LabApp.news_url=None",
        "--LabApp.extension_manager=readonly",
        "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    ]
    if first is not None:
        words.append(f"--LabApp.default_url=/lab/tree/{first}")
    if not browser:
        words.append("--no-browser")
    if port is not None:
        words.append(f"--port={port}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        words.append("--allow-root")
    return [*words, *rest]


def run(args: argparse.Namespace) -> int:
    """Copy the course, say what happened to files the learner has, open JupyterLab."""
    source = course_folder()
    target = Path(args.dir).expanduser()
    report = copy_course(source, target)
    new = sum(outcome is Outcome.NEW for outcome, _ in report.values())
    print(f"kmem lab: the course is in {target}" + (f" ({new} new files)" if new else ""))
    for name, (outcome, beside) in sorted(report.items()):
        if outcome in _TOLD:
            print(f"kmem lab: {name}: {_TOLD[outcome].format(beside=beside)}")
    if args.copy_only:
        return 0
    if importlib.util.find_spec("jupyterlab") is None:
        raise BadInput(
            "JupyterLab is not installed for this Python",
            where=sys.executable,
            todo=f"run: {shlex.quote(sys.executable)} -m pip install 'kmemwidgets[course]'",
        )
    first = next((chapter.file for chapter in chapters(source) if chapter.there), None)
    sys.stdout.flush()
    command = lab_command(first, browser=not args.no_browser, port=args.port, rest=tuple(args.rest))
    return wait_for(subprocess.Popen(command, cwd=target))  # noqa: S603 - our own words, and the learner's on their own machine


def wait_for(process: subprocess.Popen[bytes]) -> int:
    """Wait until JupyterLab ends. Ctrl-C reaches it too, and it is the one that asks and tidies up."""
    while True:
        try:
            return 0 if process.wait() in (0, -2) else 2
        except KeyboardInterrupt:
            continue
