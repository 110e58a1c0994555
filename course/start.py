#!/usr/bin/env python3
"""Do all the set-up and open the course in JupyterLab: ``python3 course/start.py``.

Arguments go to ``kmem lab``: a folder for the course, ``--no-browser``, ``--port N``.
"""

import os
import sys

from environment import prepare


def main():
    """Hand over to ``kmem lab`` in the clone's own environment."""
    python = str(prepare("course"))
    words = [python, "-m", "kmemwidgets.cli", "lab", *sys.argv[1:]]
    if os.name == "nt":  # there, exec returns to the prompt at once
        import subprocess

        return subprocess.call(words)
    os.execv(python, words)
    return 0


if __name__ == "__main__":
    sys.exit(main())
