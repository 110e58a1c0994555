"""The machine-readable answer of a command: ``--json PATH``."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from kmemwidgets.records import BadInput


def write_json(path: str, answer: Any) -> None:
    """Write JSON to a file that is there in whole or not at all, or to standard output for ``-``.

    Raises
    ------
    BadInput
        Where the file can't be written.
    """
    text = json.dumps(answer, indent=1) + "\n"
    if path == "-":
        sys.stdout.write(text)
        return
    target = Path(path)
    partial = target.with_name(target.name + ".part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(target)
    except OSError as error:
        raise BadInput(
            f"can't be written: {error.strerror}", where=path, todo="name a file in a writable folder"
        ) from error
    finally:
        # Whatever keeps it from being removed has been told of already.
        with suppress(OSError):
            partial.unlink()
