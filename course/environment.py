"""Make the clone's own Python environment, .venv, with nothing but the standard library.

The README's two commands share it. It is written for old Pythons too, so that
they can say what is wrong instead of failing at the first line of new syntax.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "kmemwidgets.json"
OLDEST = (3, 11)


def say(text):
    """Print a line now, so that it stands before what a child process prints."""
    print("kmemwidgets: " + text, flush=True)


def give_up(text):
    """End with one clear line and the exit code for "cannot be done here"."""
    sys.exit("kmemwidgets: " + text)


def python_of(venv):
    """Return the environment's interpreter."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def wanted():
    """Describe what an environment has to be made from; a change of it makes a new one.

    The path is part of it, because scripts in a moved environment point to nowhere.
    """
    return {
        "pyproject": hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest(),
        "python": sys.version,
        "path": str(VENV),
    }


def installed():
    """Return the extras that are there and fit, or None where the environment has to be made anew."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return None
    extras = stamp.pop("extras", [])
    return extras if stamp == wanted() and python_of(VENV).exists() else None


def run(words, failure):
    """Run a command; say `failure` and stop where it fails."""
    if subprocess.call([str(word) for word in words], cwd=str(ROOT)) != 0:
        give_up(failure)


def prepare(extra):
    """Make .venv where it is missing or out of date, install the project with `extra`, return its Python."""
    if sys.version_info < OLDEST:
        give_up(
            f"needs Python {OLDEST[0]}.{OLDEST[1]} or newer, and this is {sys.version.split()[0]}; "
            "run the same line with a newer one, such as python3.11"
        )
    python = python_of(VENV)
    extras = installed()
    if extras is not None and extra in extras:
        return python
    if extras is None:
        say(f"making the environment {VENV}")
        run(
            [sys.executable, "-m", "venv", "--clear", VENV],
            "could not make it; on Debian and Ubuntu: sudo apt-get install python3-venv",
        )
    say(f"installing kmemwidgets with what '{extra}' needs (a few minutes the first time)")
    run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", f".[{extra}]"],
        "the installation failed, see above; with a network, try the same line again",
    )
    STAMP.write_text(json.dumps(dict(wanted(), extras=sorted(set(extras or []) | {extra}))))
    return python
