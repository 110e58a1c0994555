"""See a test fail for every change to a rule: ``python -m tests.mutate [--draw N --seed S] [ID...]``.

Each entry of mutations.toml names a file of the package, a text in it and what replaces it, and the tests that must
notice. The package is copied, changed and tested there; one that survives is told and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).parent / "mutations.toml"
#: Seconds that the tests of one mutation may take; a change that makes them run for ever is noticed, too.
LIMIT = 120


def load() -> list[dict[str, Any]]:
    """Read the table."""
    with TABLE.open("rb") as file:
        entries: list[dict[str, Any]] = tomllib.load(file)["mutation"]
    return entries


def problems(entries: Sequence[dict[str, Any]]) -> list[str]:
    """Say what is wrong with the table itself: ids given twice, texts that are not there exactly once."""
    found = []
    ids = [entry["id"] for entry in entries]
    found += [f"{name} stands there twice" for name in sorted({name for name in ids if ids.count(name) > 1})]
    for entry in entries:
        count = (ROOT / entry["file"]).read_text().count(entry["find"])
        if count != 1:
            found.append(f"{entry['id']}: its text stands {count} times in {entry['file']}")
        if entry["find"] == entry["replace"] or not entry["tests"]:
            found.append(f"{entry['id']}: changes nothing, or names no test")
    return found


def make_workspace(folder: Path) -> None:
    """Copy what the tests need; recordings and other data by reference."""
    ignore = shutil.ignore_patterns("__pycache__", "data", ".*")
    shutil.copytree(ROOT / "kmemwidgets", folder / "kmemwidgets", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=ignore)
    shutil.copytree(ROOT / "course", folder / "course", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    (folder / "tests" / "data").symlink_to(ROOT / "tests" / "data")
    shutil.copy(ROOT / "pyproject.toml", folder)


def survives(entry: dict[str, Any], folder: Path) -> bool:
    """Apply one mutation, run its tests, take it back; tell whether all tests passed."""
    path = folder / entry["file"]
    original = path.read_text()
    path.write_text(original.replace(entry["find"], entry["replace"]))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *entry["tests"]]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT)
        if done.returncode not in (0, 1):
            raise SystemExit(f"{entry['id']}: its tests can't be run\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    except subprocess.TimeoutExpired:
        return False
    finally:
        path.write_text(original)
    return done.returncode == 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the mutations that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=__doc__.splitlines()[0])
    parser.add_argument("ids", metavar="ID", nargs="*", help="only these; default: all")
    parser.add_argument("--draw", metavar="N", type=int, help="only N of them, drawn")
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="of the draw")
    args = parser.parse_args(argv)
    entries = load()
    wrong = problems(entries)
    unknown = sorted(set(args.ids) - {entry["id"] for entry in entries})
    if wrong or unknown:
        print("\n".join([*wrong, *(f"no mutation {name}" for name in unknown)]), file=sys.stderr)
        return 2
    chosen = [entry for entry in entries if not args.ids or entry["id"] in args.ids]
    if args.draw is not None and args.draw < len(chosen):
        chosen = random.Random(args.seed).sample(chosen, args.draw)
    survivors = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_workspace(folder)
        for entry in chosen:
            alive = survives(entry, folder)
            print(f"{'SURVIVES' if alive else 'killed  '} {entry['id']}: {entry['rule']}", flush=True)
            if alive:
                survivors.append(entry["id"])
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main())
