"""In which order new slabs hand out their objects, learnt from the first new slab of each cache.

A cache's order is shuffled once; each new slab follows that one cycle from a place that chance chooses
(mm/slub.c, init_cache_random_seq and shuffle_freelist, CONFIG_SLAB_FREELIST_RANDOM). So the first object of a slab
can't be told, but all that follow it can, once another slab has shown who follows whom.
"""

from __future__ import annotations

from collections import defaultdict

from kmemwidgets.sim.slab_cache import Slab


class NewSlabs:
    """Follows the slabs whose pages were allocated in the trace."""

    def __init__(self) -> None:
        self._pages: set[int] = set()
        self._after: dict[str, dict[int, int]] = defaultdict(dict)
        self._untouched: dict[int, set[int]] = {}
        self._last: dict[int, int] = {}

    def pages_allocated(self, pfn: int, order: int) -> None:
        """Note pages that may become a slab."""
        self._pages.update(range(pfn, pfn + (1 << order)))

    def pages_freed(self, pfn: int, order: int) -> None:
        """Forget pages that went back, and the slab that they were."""
        for page in range(pfn, pfn + (1 << order)):
            self._pages.discard(page)
            self._untouched.pop(page, None)
            self._last.pop(page, None)

    def entered(self, slab: Slab) -> None:
        """Follow a slab that was seen for the first time, if its pages are new."""
        if slab.pfn in self._pages:
            self._untouched[slab.pfn] = set(range(slab.objects))
            self._pages.difference_update(range(slab.pfn, slab.pfn + (1 << slab.order)))

    def handed_out(self, slab: Slab, address: int) -> None:
        """Learn from an object which one came before it."""
        untouched = self._untouched.get(slab.pfn)
        number = (address - slab.base) // slab.cache.layout.size
        if not untouched or number not in untouched:
            return
        untouched.discard(number)
        before = self._last.get(slab.pfn)
        if before is not None:
            self._after[slab.cache.name][before] = number
        self._last[slab.pfn] = number

    def is_chance(self, cache: str, pfn: int, number: int) -> bool:
        """Tell whether an object is the first of its slab, or follows one whose successor no slab has shown."""
        untouched = self._untouched.get(pfn)
        if untouched is None:
            return pfn in self._pages
        return number in untouched and self._last.get(pfn) not in self._after[cache]

    def following(self, slab: Slab, address: int) -> list[int]:
        """Return the objects that a new slab hands out after this one, as far as that is known, the next one first."""
        untouched = self._untouched.get(slab.pfn, set())
        after = self._after.get(slab.cache.name, {})
        size = slab.cache.layout.size
        first = address - (address - slab.base) // size * size
        found: list[int] = []
        number = after.get((address - slab.base) // size)
        while number is not None and number in untouched and first + number * size not in found:
            found.append(first + number * size)
            number = after.get(number)
        return found
