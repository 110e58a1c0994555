"""The one error that bad input gives."""

from __future__ import annotations


class BadInput(ValueError):
    """Input that can't be used, told in one line: what is wrong, where, and what to do.

    Parameters
    ----------
    what : str
        What is wrong, with what was expected.
    where : str, optional
        The file, and the line in it counted from 1, such as ``proc/zoneinfo:17``.
    todo : str, optional
        What the user can do about it.

    Examples
    --------
    >>> str(BadInput("no field MemTotal", where="proc/meminfo", todo="copy the whole file"))
    'proc/meminfo: no field MemTotal; copy the whole file'
    """

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        self.what = what
        self.where = where
        self.todo = todo
        super().__init__(f"{where + ': ' if where else ''}{what}{'; ' + todo if todo else ''}")
