"""A machine in a file: description, seed and commands as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kmemwidgets.records import BadInput, MachineSpec

from .history import Command, read_commands

#: What a saved machine says it is.
FORMAT = "kmemwidgets machine 1"
#: Characters of a saved machine.
MOST_SAVED = 1 << 28


def write(path: str | Path, spec: MachineSpec, seed: int, commands: Sequence[Command]) -> None:
    """Write a machine, to a file that is there in whole or not at all."""
    text = json.dumps(
        {
            "format": FORMAT,
            "spec": json.loads(spec.to_json()),
            "seed": seed,
            "commands": [[name, *arguments] for name, arguments in commands],
        },
        indent=1,
    )
    target = Path(path)
    partial = target.with_name(target.name + ".part")
    try:
        partial.write_text(text + "\n")
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise BadInput(f"can't be written: {error.strerror}", where=str(path)) from error


def read(path: str | Path, verbs: frozenset[str]) -> tuple[MachineSpec, int, list[Command]]:
    """Read description, seed and commands of a saved machine.

    Raises
    ------
    BadInput
        For a file that is no saved machine.
    """
    where = str(path)
    try:
        with Path(path).open() as file:
            text = file.read(MOST_SAVED + 1)
        raw = json.loads(text) if len(text) <= MOST_SAVED else None
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror}", where=where) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"is no saved machine: {error}", where=where) from error
    if not isinstance(raw, dict) or set(raw) != {"format", "spec", "seed", "commands"} or raw["format"] != FORMAT:
        raise BadInput(f"is no saved machine; expected format {FORMAT!r}", where=where)
    if not isinstance(raw["seed"], int) or isinstance(raw["seed"], bool):
        raise BadInput(f"seed {raw['seed']!r} is no number", where=where)
    with refused(path):
        return MachineSpec.from_json(json.dumps(raw["spec"])), raw["seed"], read_commands(raw["commands"], verbs)


@contextmanager
def refused(path: str | Path) -> Iterator[None]:
    """Refuse a file in one line, whatever its contents make go wrong inside."""
    where = str(path)
    try:
        yield
    except BadInput as error:
        raise BadInput(error.what, where=error.where or where, todo=error.todo) from error
    except (ValueError, TypeError, RuntimeError, KeyError, IndexError, AttributeError) as error:
        # The kernel's words may be several lines.
        raise BadInput(f"can't be carried out: {' '.join(str(error).splitlines())}", where=where) from error
