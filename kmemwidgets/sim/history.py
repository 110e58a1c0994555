"""Time travel: a log of commands, checkpoints now and then, and running forward again from the nearest one.

There are no inverse operations. The same commands give the same bytes, so any moment is a checkpoint and the commands
after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, overload

from kmemwidgets.records import BadInput

from .plans import freed_page

#: A verb's name and its arguments; all of them plain numbers, texts or lists of those.
Command: TypeAlias = tuple[str, tuple[Any, ...]]

#: Commands from one checkpoint to the next, at first.
SPACING = 4096
#: When there are more checkpoints than this, every second one goes and the spacing doubles.
MOST_CHECKPOINTS = 16
#: Commands that a saved machine may have.
MOST_COMMANDS = 5_000_000


class CommandLog(Sequence[Command]):
    """The commands of a machine, as the fast path takes them down, read as verbs and arguments.

    Attributes
    ----------
    raw : list
        An allocation's four arguments, a free as one number, or verb and arguments of anything else.
    """

    def __init__(self) -> None:
        self.raw: list[Any] = []

    def __len__(self) -> int:
        return len(self.raw)

    @overload
    def __getitem__(self, index: int) -> Command: ...

    @overload
    def __getitem__(self, index: slice) -> list[Command]: ...

    def __getitem__(self, index: int | slice) -> Command | list[Command]:
        if isinstance(index, slice):
            return [_command(entry) for entry in self.raw[index]]
        return _command(self.raw[index])


def _command(entry: Any) -> Command:
    """Read one entry of the log."""
    if isinstance(entry, int):
        return "free_pages", freed_page(entry)
    if len(entry) == 4:
        return "alloc_pages", entry
    return entry  # type: ignore[no-any-return]


class History:
    """The commands of a machine.

    Parameters
    ----------
    run : callable
        Takes entries of the log and carries them out.
    save : callable
        Returns a copy of all state.
    load : callable
        Brings all state back to such a copy; None: to where it was before the first command.
    settle : callable
        Takes the number of a moment, and counts what is `unsettled` then.

    Attributes
    ----------
    commands : CommandLog
        All that were given, also those that were undone and not yet replaced.
    settled : int
        So many commands are counted (`unsettled`). Counting is put off, as it costs more than keeping what is counted.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Any]], Any],
        save: Callable[[], Any],
        load: Callable[[Any | None], None],
        settle: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._run = run
        self._settle = settle
        self._save = save
        self._load = load
        self._spacing = SPACING
        self._next = SPACING
        self._checkpoints: dict[int, Any] = {}
        self.commands = CommandLog()
        self.settled = 0
        #: Told when undone commands are forgotten: of the number of those that stay.
        self.on_cut: Callable[[int], None] | None = None
        # None: at the end of the log, whatever is added to it.
        self._now: int | None = None

    @property
    def now(self) -> int:
        """How many commands are in force."""
        return len(self.commands.raw) if self._now is None else self._now

    @property
    def is_behind(self) -> bool:
        """Whether there are undone commands that may be carried out again."""
        return self._now is not None

    def cut(self) -> None:
        """Forget what was undone, before a new command is taken down."""
        if self._now is not None:
            if self.on_cut:
                self.on_cut(self._now)
            del self.commands.raw[self._now :]
            for at in [at for at in self._checkpoints if at > self._now]:
                del self._checkpoints[at]
            self._next = min(self._next, self._now + self._spacing)
            self._now = None

    def unsettled(self, number: int) -> Sequence[Any]:
        """Return the entries up to moment `number` that nobody has counted yet; they are now."""
        entries = self.commands.raw[self.settled : number]
        self.settled = number
        return entries

    def add(self, entry: Any) -> None:
        """Take down a command that was carried out: verb and arguments, or what the fast path would write."""
        self.cut()
        self.commands.raw.append(entry)
        if len(self.commands.raw) >= self._next:
            self._checkpoint(len(self.commands.raw))

    def _checkpoint(self, number: int) -> None:
        """Keep a copy of all state; the fast path gets here late, so the distances are not all the same."""
        self._checkpoints[number] = self._save()
        if len(self._checkpoints) > MOST_CHECKPOINTS:
            self._spacing *= 2
            for at in sorted(self._checkpoints)[::2]:
                del self._checkpoints[at]
        self._next = number + self._spacing

    def goto(self, number: int) -> None:
        """Bring the machine to where it was after `number` commands.

        Raises
        ------
        ValueError
            For a moment that never was.
        """
        if not 0 <= number <= len(self.commands):
            raise ValueError(f"no moment {number}; there are 0 to {len(self.commands)}")
        now = self.now
        self._settle(now)
        start = max((at for at in self._checkpoints if at <= number), default=0)
        if start <= now <= number or now + 1 == number:
            # One command more is carried out even where a checkpoint lies behind it: someone may listen to it.
            start = now
        else:
            self._load(self._checkpoints.get(start))
            self._settle(start)
        self._run(self.commands.raw[start:number])
        self._now = number if number < len(self.commands) else None
        self.settled = number

    def relive(self, begin: Callable[[int], None]) -> None:
        """Carry out every command once more and come back; `begin` takes the number of each first, and 0 at last."""
        now = self.now
        self.goto(0)
        for number, entry in enumerate(self.commands.raw, 1):
            begin(number)
            self._run((entry,))
        self._now = None
        self.settled = len(self.commands.raw)
        begin(0)
        self.goto(now)


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
