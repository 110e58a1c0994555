"""Cells that stand for several frames: each shows the rarest kind in it, so that nothing rare is lost from afar.

A machine with 1 TiB has 268 million frames, nearly all alike. They are looked at a piece at a
time, and a piece with one kind of frame costs no more than counting it.
"""

from __future__ import annotations

from collections.abc import Sequence

#: Frames that are looked at together; a multiple of every step.
PIECE = 1 << 20
#: Entries that are compared together, and told of together.
_CHUNK, _GRAIN = 1 << 16, 64
#: Kinds that a byte can tell apart, one bit each.
_BITS = 8


def differences(before: bytes | bytearray | memoryview, after: bytes | bytearray | memoryview) -> list[tuple[int, int]]:
    """Return where two tables of one length differ, in grains: first entry, number of entries."""
    old, new = memoryview(before), memoryview(after)
    found: list[tuple[int, int]] = []
    for base in range(0, len(new), _CHUNK):
        one, other = bytes(old[base : base + _CHUNK]), bytes(new[base : base + _CHUNK])
        if one == other:
            continue
        for at in range(0, len(other), _GRAIN):
            if one[at : at + _GRAIN] == other[at : at + _GRAIN]:
                continue
            length = min(_GRAIN, len(other) - at)
            if found and sum(found[-1]) == base + at:
                found[-1] = (found[-1][0], found[-1][1] + length)
            else:
                found.append((base + at, length))
    return found


def count_codes(codes: bytes | bytearray | memoryview) -> dict[int, int]:
    """Return how many frames have each code."""
    counts: dict[int, int] = {}
    view = memoryview(codes)
    for at in range(0, len(view), PIECE):
        piece = bytes(view[at : at + PIECE])
        alike = piece.count(piece[0]) == len(piece)
        for code in piece[:1] if alike else set(piece):
            counts[code] = counts.get(code, 0) + piece.count(code)
    return counts


def by_rarity(counts: dict[int, int]) -> tuple[int, ...]:
    """Return the codes, the most common first; of equally many the lower code first."""
    return tuple(sorted(counts, key=lambda code: (-counts[code], code)))


def cells_of(codes: bytes | bytearray | memoryview, step: int, order: Sequence[int]) -> bytes:
    """Return one code for each `step` frames: that of the rarest kind among them.

    Parameters
    ----------
    codes : bytes-like
        One byte a frame.
    step : int
        Frames of a cell; a power of two up to `PIECE`.
    order : sequence of int
        All codes, the most common first (`by_rarity`).
    """
    view = memoryview(codes)
    return b"".join(_piece(bytes(view[at : at + PIECE]), step, order) for at in range(0, len(view), PIECE))


def _piece(piece: bytes, step: int, order: Sequence[int]) -> bytes:
    cells = -(-len(piece) // step)
    here = [code for code in order if code in piece]
    if len(here) == 1:
        return bytes(here) * cells
    piece += piece[-1:] * (cells * step - len(piece))
    # The rarest have a bit each; all that are more common share the lowest one.
    rare = here[-(_BITS - 1) :]
    bits = bytearray(b"\x01" * 256)
    for number, code in enumerate(rare, 1):
        bits[code] = 1 << number
    marked = piece.translate(bytes(bits))
    masks = 0
    for first in range(step):
        masks |= int.from_bytes(marked[first::step], "big")
    shown = bytes(rare[min(mask.bit_length() - 2, len(rare) - 1)] if mask > 1 else 0 for mask in range(256))
    found = masks.to_bytes(cells, "big")
    if len(here) < _BITS:
        return found.translate(shown)
    return bytes(shown[mask] if mask > 1 else sample for mask, sample in zip(found, piece[::step], strict=True))
