"""How long the per-CPU page lists may get, and how much moves at once, by kernel version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .table import Rule

#: The smallest percpu_pagelist_high_fraction; also what bounds automatic tuning.
MIN_HIGH_FRACTION = 8


@dataclass(frozen=True, slots=True)
class PcpLimits:
    """Limits of a cpu's lists of one zone. Pages; `high_max` is `high` where nothing tunes it."""

    batch: int
    high: int
    high_max: int


def _clamped_batch(size: int, page_size: int, cap_bytes: int) -> int:
    """Return a thousandth of the zone, at most `cap_bytes`, a quarter of that, clamped to 2^n - 1."""
    batch = max(min(size // 1024, cap_bytes // page_size) // 4, 1)
    return (1 << (batch + batch // 2).bit_length() - 1) - 1


def no_lists(_size: int, _low: int, _cpus: int, _fraction: int, _page_size: int) -> PcpLimits:
    """2.4: none; every page goes straight to the buddy lists."""
    return PcpLimits(1, 0, 0)


def hot_list(size: int, _low: int, _cpus: int, _fraction: int, page_size: int) -> PcpLimits:
    """2.6.11: the hot list, up to six batches."""
    batch = max(min(size // 1024, 256 * 1024 // page_size) // 4, 1)
    return PcpLimits(batch, 6 * batch, 6 * batch)


def six_small_batches(size: int, _low: int, _cpus: int, _fraction: int, page_size: int) -> PcpLimits:
    """2.6.13 to 4.17: batches of up to 512 KiB."""
    batch = _clamped_batch(size, page_size, 512 * 1024)
    return PcpLimits(max(batch, 1), 6 * batch, 6 * batch)


def six_batches(size: int, _low: int, _cpus: int, fraction: int, page_size: int) -> PcpLimits:
    """4.18 to 5.13: six batches, or a fraction of the zone where the user set one."""
    batch = _clamped_batch(size, page_size, 1024 * 1024)
    if fraction:
        high = size // fraction
        return PcpLimits(min(max(high // 4, 1), (page_size.bit_length() - 1) * 8), high, high)
    return PcpLimits(max(batch, 1), 6 * batch, 6 * batch)


def share_of_low_mark(size: int, low: int, cpus: int, fraction: int, page_size: int) -> PcpLimits:
    """From 5.14: the low watermark (or the user's fraction of the zone) shared by the node's cpus."""
    batch = max(_clamped_batch(size, page_size, 1024 * 1024), 1)
    high = max((size // fraction if fraction else low) // cpus, 4 * batch)
    return PcpLimits(batch, high, high)


def tuned(size: int, low: int, cpus: int, fraction: int, page_size: int) -> PcpLimits:
    """From 6.7: tuned between that and an eighth of the zone, unless the user set a fraction."""
    limits = share_of_low_mark(size, low, cpus, fraction, page_size)
    if fraction:
        return limits
    return PcpLimits(limits.batch, limits.high, max(size // MIN_HIGH_FRACTION // cpus, 4 * limits.batch))


@dataclass(frozen=True, slots=True)
class PcpSizeRules:
    """Limits of the per-CPU lists.

    Attributes
    ----------
    limits : function
        ``(size, low mark, cpus of the node, fraction, page size) -> PcpLimits``.
    starts_at_zero : bool
        Whether `high` is 0 until a cpu first uses the lists.
    threshold_max : int
        Largest difference that a cpu keeps of a counter to itself.
    """

    limits: Callable[[int, int, int, int, int], PcpLimits]
    starts_at_zero: bool
    threshold_max: int


_PA = "mm/page_alloc.c"
_EARLIEST = (2, 4)

TABLE: tuple[Rule, ...] = (
    Rule("limits", _EARLIEST, no_lists, "There are no per-CPU page lists.", f"{_PA} free_pages", ("source",)),
    Rule("limits", (2, 6, 11), hot_list, "Batch = a quarter of size/1024 up to 256 KiB; hot list up to 6 batches.",
         f"{_PA} zone_init, setup_pageset", ("source",)),
    Rule("limits", (2, 6, 13), six_small_batches, "Batch up to 512 KiB / 4, clamped to 2^n - 1; high = 6 * batch.",
         f"{_PA} zone_batchsize", ("oracle:published_zone_dumps",)),
    Rule("limits", (4, 18), six_batches, "Batch up to 1 MiB / 4, clamped to 2^n - 1; high = 6 * batch.",
         f"{_PA} zone_batchsize, setup_pageset", ("source",)),
    Rule("limits", (5, 14), share_of_low_mark, "High = low watermark / cpus of the node, at least 4 * batch.",
         f"{_PA} zone_highsize", ("recording:6.1",)),
    Rule("limits", (6, 7), tuned, "High is tuned between low watermark / cpus and an eighth of the zone / cpus.",
         f"{_PA} zone_set_pageset_high_and_batch", ("recording:6.12", "oracle:real_kernel_zoneinfo")),
    Rule("starts_at_zero", _EARLIEST, False, "High is set when the lists are.", f"{_PA} pageset_update",
         ("recording:6.1",)),
    Rule("starts_at_zero", (6, 7), True, "High is 0 until the lists are first used.", f"{_PA} nr_pcp_high",
         ("recording:6.12", "oracle:real_kernel_zoneinfo")),
    Rule("threshold_max", _EARLIEST, 125, "2 * fls(cpus) * (1 + fls(size in 128 MiB)), at most 125.",
         "mm/vmstat.c calculate_normal_threshold", ("recording:6.1", "recording:6.12", "oracle:real_kernel_zoneinfo")),
)  # fmt: skip
