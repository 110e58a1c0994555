"""/proc/kpageflags: a 64-bit word of flags for every page frame (fs/proc/page.c, stable_page_flags)."""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from kmemwidgets.records import KPF_NAMES, BadInput, FrameTable

#: 64 million frames, 256 GiB of 4 KiB pages.
LIMIT = 1 << 29

_CODES = 256

#: Words that are compared with each other at once; as many as a page frame's worth of flag words.
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class KpageFlags:
    """The frames, and the names of the flags that had to be left out for a byte to hold the rest."""

    frames: FrameTable
    masked: tuple[str, ...] = ()


def words_of(data: bytes, where: str) -> array[int]:
    """Read little-endian 64-bit words, one for each frame."""
    if len(data) > LIMIT:
        raise BadInput(f"{len(data)} bytes, more than the {LIMIT} that such a file may have", where=where)
    if len(data) % 8 or not data:
        raise BadInput(
            f"{len(data)} bytes; expected 8 for each page frame", where=where, todo="record the whole file again"
        )
    words = array("Q")
    words.frombytes(data)
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _blocks(words: array[int]) -> Iterator[tuple[array[int], int]]:
    """Cut the words into blocks; of a block of equal words, give one, and how many there are.

    Most frames of a large machine are like their neighbours, and comparing is far faster than looking up.
    """
    for at in range(0, len(words), _BLOCK):
        block = words[at : at + _BLOCK]
        first = block[:1]
        yield (first, len(block)) if first * len(block) == block else (block, 1)


def distinct(words: array[int]) -> tuple[int, ...]:
    """Return the different words, in the order in which they appear."""
    return tuple(dict.fromkeys(chain.from_iterable(block for block, _ in _blocks(words))))


def translated(words: array[int], code: Mapping[int, int]) -> bytes:
    """Return the code of each word."""
    return b"".join(bytes(map(code.__getitem__, block)) * times for block, times in _blocks(words))


def parse(data: bytes, where: str = "kpageflags", start_pfn: int = 0) -> KpageFlags:
    """Read the flag words of all frames.

    A machine has few different words. Where it has more than 256, the rarest flags are left out, the rarest
    first, until a byte can tell the words apart, and are named in `masked`.
    """
    words = words_of(data, where)
    palette = distinct(words)
    if len(palette) <= _CODES:
        codes = translated(words, dict(zip(palette, range(_CODES), strict=False)))
        return KpageFlags(FrameTable(start_pfn, codes, palette))
    counts = Counter(words)
    frequency = {bit: sum(n for word, n in counts.items() if word >> bit & 1) for bit in range(64)}
    masked: list[int] = []
    mask = (1 << 64) - 1
    kept = palette
    for bit in sorted((bit for bit in frequency if frequency[bit]), key=frequency.__getitem__):
        masked.append(bit)
        mask &= ~(1 << bit)
        kept = tuple(dict.fromkeys(word & mask for word in palette))
        if len(kept) <= _CODES:
            break
    code = {word: index for index, word in enumerate(kept)}
    table = {word: code[word & mask] for word in palette}
    return KpageFlags(
        FrameTable(start_pfn, translated(words, table), kept), tuple(_name(bit) for bit in sorted(masked))
    )


def _name(bit: int) -> str:
    return (KPF_NAMES[bit] if bit < len(KPF_NAMES) else "") or f"bit {bit}"


def format(record: KpageFlags) -> bytes:  # noqa: A001 - every format has parse() and format()
    """Write the words again."""
    words = array("Q", map(record.frames.palette.__getitem__, record.frames.codes))
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()
