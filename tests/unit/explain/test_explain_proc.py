from __future__ import annotations

import importlib
import shutil
import subprocess
from pathlib import Path

import pytest
from casefinder import captures

from kmemwidgets.cli import main
from kmemwidgets.explain.proc_files import proc_files
from kmemwidgets.procfs import buddyinfo, meminfo, slabinfo, zoneinfo
from kmemwidgets.sim import Machine

MACHINES = ["laptop", "server-4-nodes", "x86-32-highmem", "arm64-board", "pc-2.4"]


@pytest.mark.parametrize("name", MACHINES)
def test_every_file_is_read_again_as_it_was_meant(name: str) -> None:
    machine = Machine.boot(name)
    files = proc_files(machine)
    shown = machine.snapshot()
    for path, text in files.items():
        room = path.rpartition("/")[2]
        if path.startswith("proc/") and room not in ("cmdline", "stat", "uptime"):
            module = importlib.import_module(f"kmemwidgets.procfs.{room}")
            assert module.format(module.parse(text, path)) == text
    zones = zoneinfo.parse(files["proc/zoneinfo"]).zones
    assert [(z.nid, z.name, z.free, z.min, z.low, z.high, z.protection) for z in zones] == [
        (z.nid, z.name, z.free, z.min, z.low, z.high, z.protection) for z in shown.zones
    ]
    blocks = buddyinfo.parse(files["proc/buddyinfo"]).zones
    assert sum(count << order for row in blocks for order, count in enumerate(row.nr_free)) == sum(
        zone.free or 0 for zone in shown.zones
    )
    info = meminfo.parse(files["proc/meminfo"]).info
    assert info["MemFree"] == 4 * sum(zone.free or 0 for zone in shown.zones)
    nodes = {path.split("/")[4] for path in files if path.startswith("sys/devices/system/node/node")}
    assert nodes == {f"node{node.nid}" for node in shown.nodes}
    assert (info.get("HighTotal") is not None) == (name in ("x86-32-highmem", "pc-2.4"))


def test_lines_follow_the_version() -> None:
    def zone_of(kernel: str) -> str:
        return proc_files(Machine.boot(memory="256M", kernel=kernel, cpus=1))["proc/zoneinfo"]

    assert "boost" not in zone_of("5.6")
    assert "promo" not in zone_of("6.1")
    assert "boost" in zone_of("6.1")
    assert "promo" in zone_of("6.12")
    assert "high_min" not in zone_of("6.12")
    assert "high_min" in zone_of("6.18")


def test_slabs_are_in_meminfo_and_sysfs() -> None:
    machine = Machine.boot(memory="256M", cpus=1)
    pointers = [machine.kmalloc(1000) for _ in range(100)]
    assert all(pointers)
    files = proc_files(machine)
    caches = {cache.name: cache for cache in slabinfo.parse(files["proc/slabinfo"]).caches}
    assert (caches["kmalloc-1k"].num_objs or 0) >= 100
    assert files["sys/kernel/slab/kmalloc-1k/object_size"] == "1024\n"
    info = meminfo.parse(files["proc/meminfo"]).info
    assert info["Slab"] == info["SReclaimable"] + info["SUnreclaim"]
    assert info["SUnreclaim"] >= 100


def test_the_command_writes_all_or_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "with a space"
    assert main(["proc", "laptop", str(out)]) == 0
    assert "1 node" in capsys.readouterr().out
    assert (out / "proc/meminfo").read_text().startswith("MemTotal:")
    assert (out / "sys/devices/system/node/node0/cpulist").read_text() == "0-7\n"
    assert main(["proc", "laptop", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["proc", "no such machine", str(tmp_path / "x")]) == 2
    assert "laptop" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    assert not list(tmp_path.glob("*.part"))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main(["proc", "arm64-board", str(empty)]) == 0
    assert (empty / "proc/zoneinfo").exists()


def test_a_recorded_machine_is_booted_again(tmp_path: Path) -> None:
    path = next(path for path in captures() if path.name.startswith("amd64-2g-numa2"))
    assert main(["proc", str(path), str(tmp_path / "out")]) == 0
    zones = {(z.nid, z.name): z for z in zoneinfo.parse((tmp_path / "out/proc/zoneinfo").read_text()).zones}
    assert (zones[1, "DMA32"].start_pfn, zones[1, "DMA32"].present) == (262144, 262109)
    assert zones[0, "DMA32"].min == pytest.approx(8106, rel=0.02)


def can_bind() -> bool:
    if not all(shutil.which(tool) for tool in ("unshare", "free", "vmstat", "slabtop")):
        return False
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", "mount --bind /proc/version /proc/uptime"], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.mark.skipif(not can_bind(), reason="needs unshare and mount --bind, and procps")
def test_real_tools_read_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["proc", "server-4-nodes", str(out)]) == 0
    script = 'for f in "$0"/proc/*; do mount --bind "$f" "/proc/${f##*/}" || true; done; free -k; vmstat -s; slabtop -o'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, str(out)],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    info = meminfo.parse((out / "proc/meminfo").read_text()).info
    words = done.stdout.split()
    assert words[words.index("Mem:") + 1] == str(info["MemTotal"])
    assert words[words.index("Mem:") + 3] == str(info["MemFree"])
    assert f"{info['MemTotal']} K total memory" in done.stdout
    assert "kmem_cache_node" in done.stdout
