"""Reserves of zones: min_free_kbytes, watermarks, lowmem_reserve, by kernel version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .table import Rule

#: WMARK_MIN, WMARK_LOW, WMARK_HIGH, WMARK_PROMO in pages.
Marks = tuple[int, int, int, int]


def balanced_marks(_share: int, size: int, _capped: bool, _scale: int) -> Marks:
    """2.4: every mark from the zone's own size, by zone_balance_ratio, _min and _max."""
    mask = min(max(size // 128, 20), 255)
    return mask, 2 * mask, 3 * mask, 3 * mask


def quarter_marks_of_min(share: int, size: int, capped: bool, _scale: int) -> Marks:
    """2.6.11: a quarter and a half above the minimum, the capped one in high memory."""
    least = capped_min(size) if capped else share
    return least, least * 5 // 4, least * 6 // 4, least * 6 // 4


def quarter_marks_of_share(share: int, size: int, capped: bool, _scale: int) -> Marks:
    """2.6.13 to 4.5: a quarter and a half of the uncapped share above the minimum."""
    least = capped_min(size) if capped else share
    return least, least + (share >> 2), least + (share >> 1), least + (share >> 1)


def scaled_marks(share: int, size: int, capped: bool, scale: int) -> Marks:
    """From 4.6: equal distances, a quarter of the share or `scale` ten-thousandths of the zone."""
    least = capped_min(size) if capped else share
    distance = max(share >> 2, size * scale // 10000)
    return least, least + distance, least + 2 * distance, least + 3 * distance


def capped_min(size: int) -> int:
    """Minimum of a zone that the kernel's own emergencies don't need: 32 (SWAP_CLUSTER_MAX) to 128 pages."""
    return min(max(size // 1024, 32), 128)


def no_reserve(sizes: Sequence[int], _ratios: Sequence[int]) -> list[tuple[int, ...]]:
    """2.4: no zone keeps pages from requests that could use a higher one."""
    return [(0,) * len(sizes) for _ in sizes]


def reserve_even_if_empty(sizes: Sequence[int], ratios: Sequence[int]) -> list[tuple[int, ...]]:
    """Before 5.8: a zone without pages gets a reserve like any other (nobody can ask it for one)."""
    return [
        tuple(
            sum(sizes[i + 1 : j + 1]) // ratios[i] if j > i and i < len(ratios) and ratios[i] else 0
            for j in range(len(sizes))
        )
        for i in range(len(sizes))
    ]


def reserve_of_populated(sizes: Sequence[int], ratios: Sequence[int]) -> list[tuple[int, ...]]:
    """From 5.8: a zone without pages reserves none."""
    return [row if sizes[i] else (0,) * len(sizes) for i, row in enumerate(reserve_even_if_empty(sizes, ratios))]


@dataclass(frozen=True, slots=True)
class ZoneRules:
    """What the reserves of a kernel are computed from, and how.

    Attributes
    ----------
    sized_by : str
        Counter of a zone that stands for its size: ``"managed"`` or ``"present"``.
    min_free_max_kbytes : int
        Upper bound of what the kernel chooses for min_free_kbytes; 0: it has no such sysctl.
    marks : function
        ``(share, size, capped, scale) -> (min, low, high, promo)``.
    movable_is_capped : bool
        Whether ZONE_MOVABLE is left out of the lowmem sum and capped as HighMem is.
    lowmem_reserve : function
        ``(sizes of a node's zones, ratios) -> one row a zone``.
    reserve_ratio : mapping of str to int
        Default lowmem_reserve_ratio of each zone.
    scale_factor_max : int
        Largest watermark_scale_factor.
    thp_raises_min_free : bool
        Whether khugepaged's start raises min_free_kbytes.
    without_thp_again : bool
        Whether min_free_kbytes is computed once more where huge pages are off.
    """

    sized_by: str
    min_free_max_kbytes: int
    marks: Callable[[int, int, bool, int], Marks]
    movable_is_capped: bool
    lowmem_reserve: Callable[[Sequence[int], Sequence[int]], list[tuple[int, ...]]]
    reserve_ratio: Mapping[str, int]
    scale_factor_max: int
    thp_raises_min_free: bool
    without_thp_again: bool


_PA = "mm/page_alloc.c"
_EARLIEST = (2, 4)
_RECORDED = ("recording:6.1", "recording:6.12", "oracle:real_kernel_zoneinfo")

TABLE: tuple[Rule, ...] = (
    Rule("sized_by", _EARLIEST, "present", "Reserves are shares of a zone's present pages.",
         f"{_PA} setup_per_zone_pages_min", ("oracle:published_zone_dumps",)),
    Rule("sized_by", (3, 10), "managed", "Reserves are shares of the pages that the page allocator manages.",
         f"{_PA} __setup_per_zone_wmarks", _RECORDED),
    Rule("min_free_max_kbytes", _EARLIEST, 0, "There is no min_free_kbytes: each zone has marks of its own size.",
         f"{_PA} free_area_init_core", ("source",)),
    Rule("min_free_max_kbytes", (2, 6, 11), 65536,
         "min_free_kbytes = sqrt(16 * lowmem in kB), from 128 to 65536.",
         f"{_PA} init_per_zone_pages_min", ("source",)),
    Rule("min_free_max_kbytes", (5, 7), 262144,
         "min_free_kbytes = sqrt(16 * lowmem in kB), from 128 to 262144.",
         f"{_PA} calculate_min_free_kbytes", ("recording:6.1",)),
    Rule("marks", _EARLIEST, balanced_marks,
         "Min = size/128 kept within 20 and 255 pages; low = 2 min, high = 3 min.",
         f"{_PA} free_area_init_core", ("source",)),
    Rule("marks", (2, 6, 11), quarter_marks_of_min, "Low = min * 5/4, high = min * 6/4.",
         f"{_PA} setup_per_zone_pages_min", ("source",)),
    Rule("marks", (2, 6, 13), quarter_marks_of_share, "Low = min + share/4, high = min + share/2.",
         f"{_PA} setup_per_zone_pages_min", ("oracle:published_zone_dumps",)),
    Rule("marks", (4, 6), scaled_marks,
         "Low = min + d, high = min + 2 d, promo = min + 3 d with d = max(share/4, size * scale/10000).",
         f"{_PA} __setup_per_zone_wmarks", _RECORDED),
    Rule("movable_is_capped", _EARLIEST, False, "ZONE_MOVABLE of a 64-bit kernel takes its share of the minimum.",
         f"{_PA} __setup_per_zone_wmarks", ()),
    Rule("movable_is_capped", (6, 6), True,
         "ZONE_MOVABLE is capped as HighMem is, and no part of the lowmem sum (6.1 does not, 6.12 does).",
         f"{_PA} __setup_per_zone_wmarks", ("recording:6.12", "oracle:real_kernel_zoneinfo")),
    Rule("lowmem_reserve", _EARLIEST, no_reserve, "Zones keep nothing from requests that could use a higher zone.",
         f"{_PA} __alloc_pages", ("source",)),
    Rule("lowmem_reserve", (2, 6, 11), reserve_even_if_empty,
         "Reserve[i][j] = pages of zones i+1..j / ratio[i], in empty zones too.",
         f"{_PA} setup_per_zone_lowmem_reserve", ("oracle:published_zone_dumps",)),
    Rule("lowmem_reserve", (5, 8), reserve_of_populated,
         "Reserve[i][j] = pages of zones i+1..j / ratio[i], 0 in empty zones.",
         f"{_PA} setup_per_zone_lowmem_reserve", _RECORDED),
    Rule("reserve_ratio", _EARLIEST, {"DMA": 256, "Normal": 32}, "Ratios 256 and 32.",
         f"{_PA} sysctl_lowmem_reserve_ratio", ("source",)),
    Rule("reserve_ratio", (2, 6, 15), {"DMA": 256, "DMA32": 256, "Normal": 32}, "Ratios 256, 256 and 32.",
         f"{_PA} sysctl_lowmem_reserve_ratio", ("oracle:published_zone_dumps",)),
    Rule("reserve_ratio", (4, 16), {"DMA": 256, "DMA32": 256, "Normal": 32, "HighMem": 0, "Movable": 0},
         "Ratios 256 for DMA and DMA32, 32 for Normal, none for HighMem and Movable.",
         f"{_PA} sysctl_lowmem_reserve_ratio", _RECORDED),
    Rule("scale_factor_max", _EARLIEST, 1000, "watermark_scale_factor may be 1 to 1000.",
         "kernel/sysctl.c vm_table", ()),
    Rule("scale_factor_max", (5, 18), 3000, "watermark_scale_factor may be 1 to 3000.",
         "kernel/sysctl.c vm_table", ()),
    Rule("thp_raises_min_free", _EARLIEST, False, "There are no transparent huge pages.",
         "mm/huge_memory.c", ("source",)),
    Rule("thp_raises_min_free", (2, 6, 38), True,
         "With huge pages on: at least 11 page blocks of every populated zone up to Normal, at most 1/20 of lowmem.",
         "mm/khugepaged.c set_recommended_min_free_kbytes", _RECORDED),
    Rule("without_thp_again", _EARLIEST, False, "With huge pages off nothing is computed again.",
         "mm/khugepaged.c start_stop_khugepaged", ("source",)),
    Rule("without_thp_again", (5, 16), True,
         "With huge pages switched off min_free_kbytes is computed again, now from lowmem less the high marks.",
         "mm/khugepaged.c set_recommended_min_free_kbytes", ()),
)  # fmt: skip
