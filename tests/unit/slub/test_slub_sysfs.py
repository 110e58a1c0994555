"""Files of /sys/kernel/slab and the rows of /proc/slabinfo, by version."""

from __future__ import annotations

import pytest

from kmemwidgets import Capture, Machine
from kmemwidgets.explain.proc_files import proc_files
from kmemwidgets.procfs import slabinfo


def test_the_files_are_those_that_a_recorded_kernel_has() -> None:
    capture = Capture.bundled("amd64-512m")
    head = capture.text("slab.tsv").splitlines()[0].split("\t")
    files = Machine.boot(capture).objects
    files.kmem_cache_init()
    recorded = set(head) - {"name", "target"}
    assert recorded <= set(files.sysfs()["kmalloc-64"])


def test_what_a_cache_shows_of_its_slabs() -> None:
    machine = Machine.boot(memory="256M", cpus=2, kernel="6.1")
    cache = machine.kmem_cache_create("thing", 256, flags="no_merge")
    held = [machine.kmem_cache_alloc(cache) for _ in range(16 * 12)]
    for address in held[::16]:
        machine.kmem_cache_free(cache, address, 1)
    files = machine.objects.sysfs()["thing"]
    # 12 slabs of 16 objects each lost one: cpu 1 put aside what it may, and the rest moved to the node's list.
    assert files["slabs"] == "12 N0=12\n"
    assert files["total_objects"] == "192 N0=192\n"
    limit = 2 * 52 // 16 + 1
    assert files["slabs_cpu_partial"] == f"{(11 - limit) * 8}({11 - limit}) C1={(11 - limit) * 8}({11 - limit})\n"
    assert files["partial"] == f"{limit} N0={limit}\n"
    assert files["objects_partial"] == f"{15 * limit} N0={15 * limit}\n"
    assert files["objects"] == f"{192 - limit} N0={192 - limit}\n"
    assert files["cpu_slabs"] == "1 N0=1\n", "of a cpu without a slab the kernel doesn't count the list either"
    assert files["ctor"] == ""


def test_5_6_counts_the_free_objects_themselves() -> None:
    machine = Machine.boot(memory="256M", cpus=2, kernel="5.6")
    cache = machine.kmem_cache_create("thing", 256, flags="no_merge")
    held = [machine.kmem_cache_alloc(cache) for _ in range(16 * 4)]
    for address in held[:48:16]:
        machine.kmem_cache_free(cache, address, 1)
    files = machine.objects.sysfs()["thing"]
    assert files["slabs_cpu_partial"] == "3(3) C1=3(3)\n"
    assert files["alloc_calls"] == "No data\n"


@pytest.mark.parametrize(
    ("kernel", "has", "hasnt"),
    [
        ("5.6", {"free_calls"}, {"sheaf_capacity"}), ("6.12", set(), {"alloc_calls", "sheaf_capacity"}),
        ("6.18", {"sheaf_capacity"}, {"alloc_calls"}),
    ],
)  # fmt: skip
def test_files_come_and_go(kernel: str, has: set[str], hasnt: set[str]) -> None:
    machine = Machine.boot(memory="256M", cpus=1, kernel=kernel)
    machine.kmem_cache_init()
    names = set(machine.objects.sysfs()["kmalloc-8"])
    assert has <= names
    assert not hasnt & names


def test_a_shared_cache_has_a_folder_of_every_name() -> None:
    machine = Machine.boot(memory="256M", cpus=1, kernel="6.1", config={"SLAB_MERGE_DEFAULT": "y"})
    machine.kmem_cache_create("first", 48)
    machine.kmem_cache_create("second", 48)
    folders = machine.objects.sysfs()
    assert folders[":0000048"] == folders["first"] == folders["second"]
    assert folders["first"]["aliases"] == "1\n"


@pytest.mark.parametrize(
    ("kernel", "cpus", "head", "row"),
    [
        ("2.4", 1, "slabinfo - version: 1.1", "kmem_cache            26     36    108    1    1    1"),
        ("2.4", 2, "slabinfo - version: 1.1 (SMP)",
         "kmem_cache            26     32    244    2    2    1 :  252  126"),
        ("2.6.11", 1, "slabinfo - version: 2.1",
         "kmem_cache            30     31    128   31    1 : tunables  120   60    0 : slabdata      1      1      0"),
    ],
)  # fmt: skip
def test_slabinfo_of_old_kernels(kernel: str, cpus: int, head: str, row: str) -> None:
    files = proc_files(Machine.boot(arch="x86_32", memory="256M", cpus=cpus, kernel=kernel))
    lines = files["proc/slabinfo"].splitlines()
    assert lines[0] == head
    assert row in lines
    again = slabinfo.parse(files["proc/slabinfo"])
    assert slabinfo.format(again) == files["proc/slabinfo"]
    assert not any(name.startswith("sys/kernel/slab") for name in files), "only SLUB has that folder"


def test_the_newest_cache_comes_first() -> None:
    machine = Machine.boot(memory="256M", cpus=1)
    machine.kmem_cache_create("thing", 4000, flags="no_merge")
    names = [cache.name for cache in machine.snapshot().slabs or ()]
    assert names[0] == "thing"
    assert names[-2:] == ["kmem_cache_node", "kmem_cache"]
