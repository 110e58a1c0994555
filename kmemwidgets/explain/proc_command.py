"""``kmem proc MACHINE OUT``."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from kmemwidgets.capture import Capture
from kmemwidgets.capture.answer import write_json
from kmemwidgets.records import BadInput, format_version
from kmemwidgets.sim import Machine
from kmemwidgets.sim.presets import PRESETS

from .proc_files import proc_files

EXAMPLE = """example:
  kmem proc laptop out
  unshare -rm sh -c 'for f in out/proc/*; do mount --bind $f /proc/${f##*/}; done; free; vmstat -s; slabtop -o'

machines:
""" + "\n".join(f"  {name:<18} {what}" for name, (what, _how) in PRESETS.items())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument(
        "machine",
        metavar="MACHINE",
        help="a machine's name (below), or a recording to boot again: folder, .tar.xz or bundled name",
    )
    parser.add_argument("out", metavar="OUT", help="folder to write; it must not exist, or be empty")
    parser.add_argument("--json", metavar="PATH", help="write the files' names there as JSON; - is standard output")


def boot(name: str) -> Machine:
    """Boot a preset, or the machine that a recording describes."""
    if name in PRESETS:
        return Machine.boot(name)
    if not Path(name).exists() and name not in Capture.bundled_names():
        raise BadInput(
            f"neither a machine nor a recording is called {name!r}",
            todo=f"one of {', '.join((*PRESETS, *Capture.bundled_names()))}, or a recording's path",
        )
    return Machine.boot(Capture.named(name))


def write_folder(files: dict[str, str], out: Path) -> None:
    """Write files to a folder that is there in whole or not at all.

    Raises
    ------
    BadInput
        Where there is something already, or no folder can be made.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput("is there already", where=str(out), todo="name a folder that doesn't exist")
    partial = out.with_name(out.name + ".part")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        for name, text in files.items():
            target = partial / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    except OSError as error:
        raise BadInput(f"can't be written: {error.strerror}", where=str(out)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    machine = boot(args.machine)
    files = proc_files(machine)
    write_folder(files, Path(args.out))
    if args.json:
        kernel = format_version(machine.spec().kernel)
        write_json(args.json, {"machine": args.machine, "kernel": kernel, "out": args.out, "files": sorted(files)})
    if args.json != "-":
        print(f"{machine!r}: {len(files)} files in {args.out}")
    return 0
