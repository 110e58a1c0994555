"""Time travel: a log of commands, checkpoints now and then, and running forward again from the nearest one.

There are no inverse operations. The same commands give the same bytes, so any moment is a checkpoint and the commands
after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from kmemwidgets.records import BadInput

#: A verb's name and its arguments; all of them plain numbers, texts or lists of those.
Command: TypeAlias = tuple[str, tuple[Any, ...]]

#: Commands from one checkpoint to the next, at first.
SPACING = 4096
#: When there are more checkpoints than this, every second one goes and the spacing doubles.
MOST_CHECKPOINTS = 16
#: Commands that a saved machine may have.
MOST_COMMANDS = 5_000_000


class History:
    """The commands of a machine.

    Parameters
    ----------
    run : callable
        Takes a command and carries it out.
    save : callable
        Returns a copy of all state.
    load : callable
        Brings all state back to such a copy; None: to where it was before the first command.

    Attributes
    ----------
    commands : list of Command
        All that were given, also those that were undone and not yet replaced.
    now : int
        How many of them are in force.
    """

    def __init__(
        self, run: Callable[[Command], Any], save: Callable[[], Any], load: Callable[[Any | None], None]
    ) -> None:
        self._run = run
        self._save = save
        self._load = load
        self._spacing = SPACING
        self._checkpoints: dict[int, Any] = {}
        self.commands: list[Command] = []
        self.now = 0

    def add(self, command: Command) -> None:
        """Take down a command that was carried out; what was undone before it is forgotten."""
        if self.now < len(self.commands):
            del self.commands[self.now :]
            for at in [at for at in self._checkpoints if at > self.now]:
                del self._checkpoints[at]
        self.commands.append(command)
        self.now += 1
        if self.now % self._spacing == 0:
            self._checkpoints[self.now] = self._save()
            if len(self._checkpoints) > MOST_CHECKPOINTS:
                self._spacing *= 2
                self._checkpoints = {at: kept for at, kept in self._checkpoints.items() if at % self._spacing == 0}

    def goto(self, number: int) -> None:
        """Bring the machine to where it was after `number` commands.

        Raises
        ------
        ValueError
            For a moment that never was.
        """
        if not 0 <= number <= len(self.commands):
            raise ValueError(f"no moment {number}; there are 0 to {len(self.commands)}")
        start = max((at for at in self._checkpoints if at <= number), default=0)
        if start <= self.now <= number:
            start = self.now
        else:
            self._load(self._checkpoints.get(start))
        for command in self.commands[start:number]:
            self._run(command)
        self.now = number


def read_commands(raw: object, verbs: frozenset[str]) -> list[Command]:
    """Check the commands of a saved machine.

    Raises
    ------
    BadInput
        For anything but a list of known verbs with plain arguments.
    """
    if not isinstance(raw, list) or len(raw) > MOST_COMMANDS:
        raise BadInput(f"commands: expected a list of at most {MOST_COMMANDS}")
    commands: list[Command] = []
    for number, entry in enumerate(raw, 1):
        if not (isinstance(entry, list) and entry and entry[0] in verbs):
            raise BadInput(f"command {number}: expected [verb, arguments ...], not {str(entry)[:60]!r}")
        if not all(isinstance(value, int | str | bool | None) for value in entry[1:]):
            raise BadInput(f"command {number}: arguments must be numbers or texts")
        commands.append((entry[0], tuple(entry[1:])))
    return commands
