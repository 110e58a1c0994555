"""What the machine calls a block of frames that it gave out."""

from __future__ import annotations


class Page(int):
    """A block of frames that was allocated: the number of its first frame."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Page({int(self):#x})"
