"""Zone reserves against a live machine's zoneinfo and published logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from casefinder import load_oracle, oracle_id, oracles

from kmemwidgets.sim.meminfo import totalreserve_pages
from kmemwidgets.sim.mmzone import Zone
from kmemwidgets.sim.reserves import Reserves, ReserveSettings, init_reserves
from kmemwidgets.sim.rules import mmzone, pcp_size, pick

LIVE = (6, 18, 44)
#: Where equal distances of the marks began.
SCALED = (4, 6)


def kernel_of(text: str) -> tuple[int, ...]:
    """Read a version; "4.x" is some kernel before the equal distances."""
    return tuple(int(part) for part in text.split(".") if part.isdigit())


@pytest.mark.parametrize("path", oracles("real_kernel_zoneinfo*"), ids=oracle_id)
def test_every_figure_of_a_live_machine(path: Path) -> None:
    oracle = load_oracle(path)
    names = tuple(oracle["Z"])
    zones = []
    for index, name in enumerate(names):
        zone = Zone(0, index, name)
        zone.present, zone.managed = oracle["Z"][name]["present"], oracle["Z"][name]["managed"]
        zones.append(zone)
    cpus = max(len(row["pcp"]) for row in oracle["Z"].values())
    reserves = Reserves(
        zones,
        ReserveSettings(names, online_cpus=cpus, node_cpus={0: cpus}),
        pick(mmzone.ZoneRules, mmzone.TABLE, LIVE),
        pick(pcp_size.PcpSizeRules, pcp_size.TABLE, LIVE),
    )
    init_reserves(reserves, builtin_thp="always", cmdline_thp=None)
    assert reserves.settings.min_free_kbytes == oracle["min_free_kbytes"]
    assert reserves.totalreserve_pages == oracle["totalreserve_pages"]
    assert sum(zone.wmark_low for zone in zones) == oracle["wmark_low_sum"]
    for zone in zones:
        row = oracle["Z"][zone.name]
        marks = (zone.wmark_min, zone.wmark_low, zone.wmark_high, zone.wmark_promo)
        assert marks == (row["min"], row["low"], row["high"], row["promo"]), zone.name
        assert list(zone.lowmem_reserve) == row["protection"]
        for pcp in row["pcp"]:
            assert (zone.pcp_batch, zone.pcp_high, zone.pcp_high_max) == (
                pcp["batch"],
                pcp["high_min"],
                pcp["high_max"],
            )
            # What the kernel tunes stays within the bounds, once the lists are used.
            assert not pcp["high"] or zone.pcp_high <= pcp["high"] <= zone.pcp_high_max
        if "stat_threshold" in row:
            assert zone.stat_threshold == row["stat_threshold"]


DUMPS = [
    pytest.param(dump, id=f"{oracle_id(path)}-{number}")
    for path in oracles("published_zone_dumps*")
    for number, dump in enumerate(load_oracle(path)["dumps"])
]


def size_kb(zone: dict[str, Any]) -> int:
    return int(zone.get("managed_kb", zone["present_kb"]))


@pytest.mark.parametrize("dump", DUMPS)
def test_marks_of_published_logs(dump: dict[str, Any]) -> None:
    checked = 0
    for zone in dump["zones"]:
        flags = dump["checks"].get(zone["n"], {})
        minimum, size = zone["min"] // 4, size_kb(zone) // 4
        if flags.get("low_min_dist_exact_quarter"):
            # Either rule gives the printed marks: the distance is a quarter of the share.
            version = kernel_of(dump["kernel"])
            version = version if len(version) > 1 else SCALED
            rules = pick(mmzone.ZoneRules, mmzone.TABLE, version)
            _min, low, high, _promo = rules.marks(minimum, size, False, 10)
            assert low * 4 == zone["low"]
            assert not flags.get("high_low_equal_low_min") or abs(high * 4 - zone["high"]) <= 4
            checked += 1
        if flags.get("low_min_dist_formula_46plus"):
            _min, low, _high, _promo = mmzone.scaled_marks(minimum, size, False, 10)
            assert low * 4 == zone["low"]
            checked += 1
    assert checked or not dump["zones"]


@pytest.mark.parametrize("dump", DUMPS)
def test_reserves_of_published_logs(dump: dict[str, Any]) -> None:
    zones = {zone["n"]: zone for zone in dump["zones"]}
    for name, check in dump["checks"].items():
        if not name.startswith("reserve_") or not check["exact"]:
            continue
        lower, _, upper = name.removeprefix("reserve_").partition("_for_")
        sizes = [size_kb(zones[lower]) // 4, size_kb(zones[upper]) // 4]
        rows = mmzone.reserve_of_populated(sizes, (256, 32))
        assert rows[0][1] == check["printed"]
        assert rows[0][1] in zones[lower]["reserve"]


@pytest.mark.parametrize("dump", DUMPS)
def test_blocks_of_published_logs_add_up(dump: dict[str, Any]) -> None:
    for name, check in dump["checks"].items():
        if name.startswith("buddy_") and check["exact"]:
            counts = dump["buddy"][name.removeprefix("buddy_")]
            assert sum(count << order for order, count in enumerate(counts)) * 4 == check["printed"]


def test_totalreserve_never_exceeds_a_zone() -> None:
    assert totalreserve_pages([(100, 50, 120), (0, 10, 1000)]) == 130
