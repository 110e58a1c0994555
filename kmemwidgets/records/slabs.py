"""A slab and an object, as somebody who looks at them sees them."""

from __future__ import annotations

from dataclasses import dataclass

#: What an object is: code of `SlabInfo.objects` -> word.
OBJECT_STATES = ("in use", "free", "next to go out", "in a sheaf", "unknown", "in an array")
IN_USE, FREE, NEXT, SHEAF, UNKNOWN, ARRAY = range(len(OBJECT_STATES))


@dataclass(frozen=True, slots=True)
class SlabInfo:
    """One slab of a cache (struct slab).

    Attributes
    ----------
    cache : str
    address : int
        Of its first byte.
    pfn, order, nid : int
    place : str
        "cpu slab", "cpu partial", "node partial" or "full"; of SLAB "slabs_full", "slabs_partial" or "slabs_free".
    cpu : int or None
        Whose it is.
    objects : bytes
        A code of `OBJECT_STATES` for each object, ascending by address.
    first : int
        Address of the first object (behind its left red zone).
    size : int
        Bytes from one object to the next.
    """

    cache: str
    address: int
    pfn: int
    order: int
    nid: int
    place: str
    cpu: int | None
    objects: bytes
    first: int
    size: int


@dataclass(frozen=True, slots=True)
class SlabObject:
    """One object, opened to its bytes.

    Attributes
    ----------
    cache : str
    address : int
        What its owner has a pointer to.
    start : int
        First of the bytes: where its left red zone begins, else `address`.
    data : bytes
    parts : tuple of (str, int, int)
        Name, first byte and the one behind, counted from `start`: "red zone", "object", "free pointer" ...
    state : int
        Code of `OBJECT_STATES`.
    follows : int or None
        Address of the object that a free one's pointer leads to, 0 where it is the last one of its list;
        None of an object on no list.
    """

    cache: str
    address: int
    start: int
    data: bytes
    parts: tuple[tuple[str, int, int], ...]
    state: int
    follows: int | None = None
