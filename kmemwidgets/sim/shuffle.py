"""Page shuffling: the largest blocks lie on their lists in random order (mm/shuffle.c, CONFIG_SHUFFLE_PAGE_ALLOCATOR).

Boot swaps each largest free block of a zone with another at random; from then on a largest block that
is freed goes to the head or to the tail of its list by chance. Smaller blocks only follow from these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .slub_random import Random

if TYPE_CHECKING:
    from .buddy import FreeAreas

#: How often a block looks for a partner before it stays where it is (SHUFFLE_RETRY).
RETRIES = 10


class Shuffle:
    """Where the page allocator's chance comes from; all zones share it.

    Parameters
    ----------
    seed : int
    """

    __slots__ = ("_bits", "_left", "_random")

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        # Random bits drawn and not used yet, and how many.
        self._bits = 0
        self._left = 0

    def pick_tail(self) -> bool:
        """Tell whether a freed block goes to the tail (shuffle_pick_tail): a bit each, 64 drawn at a time."""
        if not self._left:
            self._bits = self._random.next()
            self._left = 64
        is_tail = bool(self._bits & 1)
        self._bits >>= 1
        self._left -= 1
        return is_tail

    def shuffle_zone(self, area: FreeAreas) -> None:
        """Swap each largest block of a zone with one of the same migrate type that chance picks (__shuffle_zone)."""
        lists = {code: area.list_of(code) for code in area.largest_codes()}
        places = {pfn: at for blocks in lists.values() for at, pfn in enumerate(blocks)}
        step = 1 << area.top
        first = -(-area.zone.start_pfn // step) * step
        for pfn in range(first, area.zone.end_pfn, step):
            if pfn not in places:
                continue
            other = self._partner(pfn, first, area, places)
            code = area.state[pfn]
            if other < 0 or area.state[other] != code:
                continue
            here, there = places[pfn], places[other]
            lists[code][here], lists[code][there] = other, pfn
            places[pfn], places[other] = there, here
        for code, blocks in lists.items():
            area.reorder(code, blocks)

    def _partner(self, pfn: int, first: int, area: FreeAreas, free: dict[int, int]) -> int:
        """Return another largest free block of the zone, -1 if chance hits none in RETRIES attempts."""
        spanned = area.zone.end_pfn - area.zone.start_pfn
        for _ in range(RETRIES):
            other = first + (self._random.below(spanned) >> area.top << area.top)
            if other != pfn and other in free:
                return other
        return -1

    def save(self) -> tuple[int, int, int]:
        """Copy the state."""
        return self._random.state, self._bits, self._left

    def load(self, saved: tuple[int, int, int]) -> None:
        """Bring the state back to what `save` copied."""
        self._random.state, self._bits, self._left = saved
