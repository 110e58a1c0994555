"""What a request may do beyond its GFP flags (alloc_flags of mm/internal.h, in the numbers of 6.18)."""

from __future__ import annotations

WMARK_MIN = 0
WMARK_LOW = 1
WMARK_HIGH = 2
WMARK_MASK = 3
NO_WATERMARKS = 0x4
OOM = 0x8
NON_BLOCK = 0x10
MIN_RESERVE = 0x20
CPUSET = 0x40
CMA = 0x80
NOFRAGMENT = 0x100
HIGHATOMIC = 0x200
KSWAPD = 0x800
#: Those that may go below the mark.
RESERVES = OOM | NON_BLOCK | MIN_RESERVE
