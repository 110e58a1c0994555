from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.reserves import Reserves, ReserveSettings, boot_thp_mode, init_reserves
from kmemwidgets.sim.rules import mmzone, pcp_size, pick

X86_64 = ("DMA", "DMA32", "Normal", "Movable", "Device")
GIB_PAGES = 1 << 18


def reserves(
    version: tuple[int, ...], sizes: dict[str, int], names: tuple[str, ...] = X86_64, **settings: object
) -> Reserves:
    zones = []
    for name in names:
        zone = Zone(0, names.index(name), name)
        zone.present = zone.managed = sizes.get(name, 0)
        zones.append(zone)
    return Reserves(
        zones,
        ReserveSettings(names, **settings),  # type: ignore[arg-type]
        pick(mmzone.ZoneRules, mmzone.TABLE, version),
        pick(pcp_size.PcpSizeRules, pcp_size.TABLE, version),
    )


@pytest.mark.parametrize(
    ("mib", "kbytes"),
    [(16, 512), (32, 724), (64, 1024), (128, 1448), (256, 2048), (512, 2896), (1024, 4096), (2048, 5792),
     (4096, 8192), (8192, 11585), (16384, 16384)],
)  # fmt: skip
def test_min_free_kbytes_is_four_times_the_root_of_lowmem(mib: int, kbytes: int) -> None:
    made = reserves((6, 1), {"Normal": mib << 8})
    made.calculate_min_free_kbytes()
    assert made.settings.min_free_kbytes == kbytes


@pytest.mark.parametrize(("version", "most"), [((5, 6, 4), 65536), ((5, 7), 262144), ((6, 18), 262144)])
def test_min_free_kbytes_is_bounded(version: tuple[int, ...], most: int) -> None:
    made = reserves(version, {"Normal": 8 << 40 >> 12})
    made.calculate_min_free_kbytes()
    assert made.settings.min_free_kbytes == most
    small = reserves(version, {"Normal": 64})
    small.calculate_min_free_kbytes()
    assert small.settings.min_free_kbytes == 128


@pytest.mark.parametrize(("zones", "kbytes"), [(3, 67584), (4, 90112), (2, 45056)])
def test_huge_pages_ask_for_eleven_blocks_a_zone(zones: int, kbytes: int) -> None:
    made = reserves((6, 1), dict.fromkeys(X86_64[:3], 100 * GIB_PAGES))
    for zone in made.zones[:3][min(zones, 3) :]:
        zone.present = 0
    if zones == 4:
        extra = Zone(1, 2, "Normal")
        extra.present = extra.managed = 1000
        made.zones = [*made.zones, extra]
    assert made.recommended_min_free_kbytes() == kbytes


def test_huge_pages_ask_for_no_more_than_a_twentieth_of_lowmem() -> None:
    made = reserves((6, 1), {"DMA": 3840, "Normal": 20000})
    assert made.recommended_min_free_kbytes() == 4 * ((3840 + 20000) // 20)


def test_a_published_dump_of_2_6_27() -> None:
    made = reserves((2, 6, 27), {"DMA": 1951, "DMA32": 125224})
    init_reserves(made, builtin_thp=None, cmdline_thp=None)
    dma, dma32 = made.zones[:2]
    assert made.settings.min_free_kbytes == 2852
    assert (dma.wmark_min, dma.wmark_low, dma.wmark_high) == (10, 12, 15)
    assert (dma32.wmark_min * 4, dma32.wmark_low * 4, dma32.wmark_high * 4) == (2808, 3508, 4212)
    assert dma.lowmem_reserve[1] == 489
    assert (dma32.pcp_batch, dma32.pcp_high) == (31, 186)
    assert (dma.pcp_batch, dma.pcp_high) == (1, 0)


def test_marks_of_2_4_come_from_the_zone_alone() -> None:
    made = reserves((2, 4, 22), {"DMA": 4096, "Normal": 225280}, ("DMA", "Normal", "HighMem"))
    init_reserves(made, builtin_thp=None, cmdline_thp=None)
    assert made.settings.min_free_kbytes == 0
    assert [(z.wmark_min, z.wmark_low, z.wmark_high) for z in made.zones] == [
        (32, 64, 96),
        (255, 510, 765),
        (20, 40, 60),
    ]
    assert not any(max(zone.lowmem_reserve) for zone in made.zones)


def test_highmem_is_capped_and_no_part_of_the_sum() -> None:
    names = ("DMA", "Normal", "HighMem", "Movable")
    made = reserves((6, 1), {"DMA": 3840, "Normal": 211000, "HighMem": 298975}, names, movable_zone="HighMem")
    made.settings.min_free_kbytes = 4000
    made.setup_per_zone_wmarks()
    dma, normal, high, movable = made.zones
    assert dma.wmark_min + normal.wmark_min == pytest.approx(1000, abs=1)
    share = 1000 * 298975 // (3840 + 211000)
    assert high.wmark_min == 128
    assert high.wmark_low == 128 + max(share // 4, 298975 // 1000)
    assert (movable.wmark_min, movable.wmark_low) == (32, 32)


@pytest.mark.parametrize(("version", "least"), [((6, 1), 500), ((6, 12), 128)])
def test_movable_is_capped_from_6_6(version: tuple[int, ...], least: int) -> None:
    made = reserves(version, {"Normal": 500_000, "Movable": 500_000})
    made.settings.min_free_kbytes = 4000
    made.setup_per_zone_wmarks()
    assert made.zones[3].wmark_min == least
    assert made.zones[2].wmark_min == 1000 - (500 if least == 500 else 0)


def test_empty_zones_reserve_something_only_before_5_8() -> None:
    for version, reserve in (((5, 6, 4), 1000), ((5, 8), 0)):
        made = reserves(version, {"Normal": 256_000})
        made.setup_per_zone_lowmem_reserve()
        assert made.zones[1].lowmem_reserve == (0, 0, reserve, reserve, reserve)


def test_protection_adds_up_what_lies_above() -> None:
    made = reserves((6, 1), {"DMA": 3840, "DMA32": 769_024, "Normal": 3_335_649, "Movable": 320_000})
    made.setup_per_zone_lowmem_reserve()
    assert made.zones[0].lowmem_reserve == (0, 3004, 16033, 17283, 17283)
    assert made.zones[2].lowmem_reserve == (0, 0, 0, 10_000, 10_000)
    assert made.zones[3].lowmem_reserve == (0,) * 5


@pytest.mark.parametrize(
    ("version", "limits"),
    [((2, 4, 22), (1, 0, 0)), ((2, 6, 11), (16, 96, 96)), ((5, 6, 4), (63, 378, 378)), ((6, 1), (63, 5000, 5000)),
     ((6, 12), (63, 5000, 62500))],
)  # fmt: skip
def test_per_cpu_limits_over_time(version: tuple[int, ...], limits: tuple[int, int, int]) -> None:
    rules = pick(pcp_size.PcpSizeRules, pcp_size.TABLE, version)
    found = rules.limits(1_000_000, 10_000, 2, 0, 4096)
    assert (found.batch, found.high, found.high_max) == limits


def test_a_fraction_set_by_the_user_stops_the_tuning() -> None:
    made = reserves((6, 12), {"Normal": 1_000_000}, node_cpus={0: 4})
    init_reserves(made, builtin_thp="always", cmdline_thp=None)
    made.write("percpu_pagelist_high_fraction", "20")
    assert (made.zones[2].pcp_high, made.zones[2].pcp_high_max) == (12500, 12500)
    with pytest.raises(ValueError, match="below 8"):
        made.write("percpu_pagelist_high_fraction", "7")


@pytest.mark.parametrize(
    ("built_in", "cmdline", "total", "mode"),
    [("always", None, 1 << 30, "always"), ("always", "never", 1 << 30, "never"), ("madvise", None, 1 << 30, "madvise"),
     ("always", "always", (512 << 20) - 1, "never"), (None, "always", 1 << 30, None)],
)  # fmt: skip
def test_huge_pages_after_boot(built_in: str | None, cmdline: str | None, total: int, mode: str | None) -> None:
    assert boot_thp_mode(built_in, cmdline, total) == mode


def test_switching_huge_pages_off_computes_again_without_the_high_marks() -> None:
    off = reserves((6, 1), {"Normal": 262_144})
    init_reserves(off, builtin_thp="always", cmdline_thp="never")
    before = reserves((5, 6, 4), {"Normal": 262_144})
    init_reserves(before, builtin_thp="always", cmdline_thp="never")
    assert before.settings.min_free_kbytes == 4096
    # 4096 kB are 1024 pages; the high mark that follows is 1536.
    assert off.settings.min_free_kbytes == 4083


def test_what_the_user_writes() -> None:
    made = reserves((6, 1), {"DMA32": 250_000})
    init_reserves(made, builtin_thp="always", cmdline_thp=None)
    made.write("min_free_kbytes", "8000")
    assert made.zones[1].wmark_min == 2000
    made.write("watermark_scale_factor", "200")
    assert made.zones[1].wmark_low - made.zones[1].wmark_min == 5000
    made.write("lowmem_reserve_ratio", "100 256 32 0 0")
    assert made.zones[0].lowmem_reserve == (0,) * 5  # empty
    made.zones[0].managed = 3840
    made.write("lowmem_reserve_ratio", "100")
    assert made.zones[0].lowmem_reserve[1] == 2500
    assert made.ratios() == (100, 256, 32, 0, 0)
    # A larger value than the kernel's own stays.
    made.calculate_min_free_kbytes()
    assert made.settings.min_free_kbytes == 8000
    for name, value in (
        ("watermark_scale_factor", "0"), ("watermark_scale_factor", "3001"), ("min_free_kbytes", "-1"),
        ("min_free_kbytes", "much"), ("swappiness", "60"), ("min_free_kbytes", "1 2"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="vm"):
            made.write(name, value)


@given(
    st.lists(st.integers(0, 1 << 30), min_size=5, max_size=5),
    st.sampled_from([(2, 6, 11), (5, 6, 4), (5, 15), (6, 1), (6, 12), (6, 18)]),
    st.integers(1, 64),
)
def test_reserves_hold_together(sizes: list[int], version: tuple[int, ...], cpus: int) -> None:
    made = reserves(version, dict(zip(X86_64, sizes, strict=True)), node_cpus={0: cpus}, online_cpus=cpus)
    init_reserves(made, builtin_thp="always", cmdline_thp=None)
    for zone in made.zones:
        assert zone.wmark_min <= zone.wmark_low <= zone.wmark_high <= zone.wmark_promo
        row = zone.lowmem_reserve
        assert row[: zone.index + 1] == (0,) * (zone.index + 1)
        assert list(row) == sorted(row)
        # Tiny zones apart, of which an eighth is less than what the marks leave.
        assert zone.pcp_high <= zone.pcp_high_max or zone.present < 4096
        assert 0 <= zone.stat_threshold <= 125
    assert 0 <= made.totalreserve_pages <= sum(zone.managed for zone in made.zones)
    lowmem = [zone for zone in made.zones if not made.is_capped(zone)]
    pages_min = made.settings.min_free_kbytes // 4
    assert sum(zone.wmark_min for zone in lowmem) <= pages_min
