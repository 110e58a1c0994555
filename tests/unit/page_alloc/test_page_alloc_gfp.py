"""GFP flags: the kernel's text, its numbers, and what they ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.records import BadInput
from kmemwidgets.sim import gfp
from kmemwidgets.sim.rules.gfp import by_atomic_flag, by_reclaim_flags


@pytest.mark.parametrize(
    ("text", "version", "bits"),
    [
        ("GFP_KERNEL", (6, 1, 192), 0xCC0),
        ("GFP_KERNEL|__GFP_ZERO", (6, 1, 192), 0xDC0),
        ("GFP_KERNEL_ACCOUNT|__GFP_ZERO", (6, 1, 192), 0x400DC0),
        ("GFP_ATOMIC", (5, 6, 4), 0xA20),
        ("GFP_ATOMIC", (6, 12, 117), 0x820),
        ("GFP_NOWAIT", (6, 1, 192), 0x800),
        ("GFP_NOWAIT", (6, 12, 117), 0x2800),
        ("GFP_HIGHUSER_MOVABLE|__GFP_COMP", (6, 1, 192), 0x140CCA),
        ("GFP_TRANSHUGE_LIGHT", (6, 1, 192), 0x1C20CA),
        ("none", (6, 1, 192), 0),
        ("0xcc0", (6, 1, 192), 0xCC0),
        ("__GFP_IO|__GFP_SKIP_KASAN", (6, 12, 117), 0x40),
    ],
)
def test_the_kernels_text_is_read(text: str, version: tuple[int, ...], bits: int) -> None:
    assert gfp.parse_gfp(text, version) == bits


@given(st.integers(0, (1 << 24) - 1), st.sampled_from([(5, 6, 4), (6, 1, 192), (6, 12, 117), (6, 18, 35)]))
def test_text_and_number_go_round(bits: int, version: tuple[int, ...]) -> None:
    assert gfp.parse_gfp(gfp.format_gfp(bits, version), version) == bits


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        (0xDC0, "GFP_KERNEL|__GFP_ZERO"),
        (0x140CCA, "GFP_HIGHUSER_MOVABLE|__GFP_COMP"),
        (0x152C4A, "GFP_NOFS|__GFP_HIGHMEM|__GFP_NOWARN|__GFP_NORETRY|__GFP_COMP|__GFP_HARDWALL|__GFP_MOVABLE"),
        # As traces of 6.1 and 6.12 have them: __GFP_COMP before __GFP_ZERO, what is reclaimable at the end.
        (0x140DCA, "GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO"),
        (0x52810, "GFP_NOWAIT|__GFP_NOWARN|__GFP_NORETRY|__GFP_COMP|__GFP_RECLAIMABLE"),
        (0, "none"),
    ],
)
def test_combined_names_come_first(bits: int, text: str) -> None:
    assert gfp.format_gfp(bits) == text


def test_single_names_come_by_their_bits_since_615() -> None:
    """include/trace/events/mmflags.h: TRACE_GFP_FLAGS behind the combined names."""
    assert gfp.format_gfp(0x140DCA, (6, 18, 35)) == "GFP_HIGHUSER_MOVABLE|__GFP_ZERO|__GFP_COMP"
    assert gfp.format_gfp(0x152C4A, (6, 18, 35)) == (
        "GFP_NOFS|__GFP_HIGHMEM|__GFP_MOVABLE|__GFP_NOWARN|__GFP_NORETRY|__GFP_COMP|__GFP_HARDWALL"
    )


def test_an_unknown_flag_is_refused() -> None:
    with pytest.raises(BadInput, match="__GFP_NONSENSE"):
        gfp.parse_gfp("GFP_KERNEL|__GFP_NONSENSE")


@pytest.mark.parametrize(
    ("bits", "zone"),
    [
        (0, "Normal"), (1, "DMA"), (2, "HighMem"), (4, "DMA32"), (8, "Normal"), (9, "DMA"), (10, "Movable"),
        (12, "DMA32"),
    ],
)  # fmt: skip
def test_zone_of_every_legal_combination(bits: int, zone: str) -> None:
    assert gfp.gfp_zone(bits) == zone


@pytest.mark.parametrize("bits", [3, 5, 6, 7, 11, 13, 14, 15])
def test_two_zones_at_once_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="two zones"):
        gfp.gfp_zone(bits)


def test_migrate_type_is_two_bits() -> None:
    assert [gfp.gfp_migratetype(bits) for bits in (0, 8, 16)] == [0, 1, 2]
    with pytest.raises(ValueError, match="at once"):
        gfp.gfp_migratetype(24)


def test_alloc_flags_of_an_atomic_request() -> None:
    # 5.6: __GFP_ATOMIC brings ALLOC_HARDER and takes the cpuset off; 6.3: no direct reclaim does.
    assert by_atomic_flag(0xA20, 0, False) == 0x20 | 0x10 | 0x800
    assert by_atomic_flag(0xA20 | 0x80000, 0, False) == 0x20 | 0x800
    assert by_atomic_flag(0xCC0, 0, True) == 0x40 | 0x10 | 0x800
    assert by_reclaim_flags(0x820, 0, False) == 0x20 | 0x10 | 0x800
    assert by_reclaim_flags(0x820, 2, False) == 0x20 | 0x10 | 0x200 | 0x800
    assert by_reclaim_flags(0x800, 2, False) == 0x40 | 0x10 | 0x800
    assert by_reclaim_flags(0xCC0, 0, False) == 0x40 | 0x800
    assert by_reclaim_flags(0xCC0, 0, True) == 0x40 | 0x20 | 0x800
