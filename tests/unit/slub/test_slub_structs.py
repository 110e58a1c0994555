"""Sizes of struct kmem_cache and struct kmem_cache_node, against those that kernels show."""

from __future__ import annotations

import pytest

from kmemwidgets import Capture, Machine
from kmemwidgets.records import MachineSpec
from kmemwidgets.sim.slub_structs import struct_sizes


@pytest.mark.parametrize("name", Capture.bundled_names())
def test_the_sizes_of_recorded_kernels(name: str) -> None:
    capture = Capture.bundled(name)
    rows = [row.split("\t") for row in capture.text("slab.tsv").splitlines()]
    recorded = {row[0]: dict(zip(rows[0], row, strict=False)) for row in rows[1:]}
    machine = Machine.boot(capture)
    machine.kmem_cache_init()
    for cache in ("kmem_cache", "kmem_cache_node"):
        shown = machine.objects.sysfs()[cache]
        for file in ("object_size", "slab_size"):
            assert shown[file].strip() == recorded[cache][file], (cache, file)


@pytest.mark.parametrize(
    ("kernel", "arch", "sizes"),
    [
        # 6.18: /sys/kernel/slab of a running kernel has 232 for one node; 5.6: counted field by field.
        ((6, 18, 35), "x86_64", (224, 72)), ((6, 12, 117), "x86_64", (216, 64)), ((6, 1, 192), "x86_32", (136, 32)),
        ((5, 6, 4), "x86_64", (400, 64)),
    ],
)  # fmt: skip
def test_sizes_by_version(kernel: tuple[int, ...], arch: str, sizes: tuple[int, int]) -> None:
    assert struct_sizes(MachineSpec(kernel=kernel, arch=arch)) == sizes


def test_the_configuration_counts() -> None:
    plain = MachineSpec(kernel=(5, 6, 4), config=(("CONFIG_MEMCG", "n"), ("CONFIG_NUMA", "n")))
    assert struct_sizes(plain)[0] == 400 - 144 - 8 - 8 - 8
    bare = MachineSpec(kernel=(6, 1, 192), config=(("CONFIG_SLUB_DEBUG", "n"), ("CONFIG_SLUB_CPU_PARTIAL", "n")))
    assert struct_sizes(bare)[1] == 32
    assert struct_sizes(bare)[0] < 216
