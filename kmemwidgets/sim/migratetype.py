"""Migrate types: what the pages of a page block, or of a free list, have in common (enum migratetype)."""

from __future__ import annotations

UNMOVABLE = 0
MOVABLE = 1
RECLAIMABLE = 2
#: The types that have per-CPU lists of their own are those below.
PCPTYPES = 3
HIGHATOMIC = 3
CMA = 4
ISOLATE = 5
NR_TYPES = 6

#: Where a request looks when its own lists are empty (mm/page_alloc.c fallbacks[], 5.6 to 6.18).
FALLBACKS: tuple[tuple[int, int], ...] = ((RECLAIMABLE, MOVABLE), (RECLAIMABLE, UNMOVABLE), (UNMOVABLE, MOVABLE))
