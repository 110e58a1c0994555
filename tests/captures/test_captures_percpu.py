"""Recorded per-CPU chunks: each part lies at the top of vmalloc's space, as far from the others as boot laid them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from casefinder import capture_id, captures

from kmemwidgets.capture import Capture
from kmemwidgets.procfs import vmallocinfo
from kmemwidgets.sim.percpu import atom_of, first_chunk
from kmemwidgets.sim.rules.layout import address_space, vmalloc_bytes
from kmemwidgets.sim.vmap_percpu import find_base
from kmemwidgets.sim.zone_sizes import usable_memory

_SIZES = re.compile(r"pcpu-alloc: s(\d+) r\d+ d(\d+) u(\d+)")
_PART = re.compile(r"\[(\d+)\] ([\d -]+)")


@pytest.mark.parametrize("path", captures(), ids=capture_id)
def test_per_cpu_chunks(path: Path) -> None:
    capture = Capture.load(path)
    log, text = capture.text_or_none("dmesg.txt") or "", capture.text_or_none("proc/vmallocinfo") or ""
    rows = [row for row in vmallocinfo.parse(text).areas if (row.caller or "").startswith("pcpu_get_vm_areas")]
    sizes = _SIZES.search(log)
    lines = [line.split("pcpu-alloc: ")[1] for line in log.splitlines() if "pcpu-alloc: [" in line]
    # The kernel numbers a node's part for each of its blocks: "[0] 0 1 2 3 [0] 4 5 - -".
    parts: dict[str, list[str]] = {}
    for line in lines:
        for part in _PART.finditer(line):
            parts.setdefault(part[1], []).extend(part[2].split())
    if sizes is None or not parts or not rows:
        pytest.skip("tells no chunk besides the first")
    spec = capture.spec()
    static, dynamic, unit = map(int, sizes.groups())
    cpus = [sum(cpu != "-" for cpu in part) for part in parts.values()]
    plan = first_chunk(static, cpus, arch=spec.arch, page_size=spec.page_size)
    assert (plan.dynamic, plan.unit) == (dynamic, unit)
    # The chunk that was made first has the highest row, and one row for each part of the first chunk.
    memory = usable_memory(spec)
    area = address_space(spec, memory).area("vmalloc")
    end = area.start + vmalloc_bytes(spec, memory)
    recorded = sorted(row.start for row in rows)
    units = [len(part) for part in parts.values()]
    highest = sorted(rows, key=lambda row: row.start)[-1]
    assert highest.size in {number * unit for number in units}
    if len(parts) == 1:
        base = find_base([(1, 1 << 64)], [0], [units[0] * unit], atom_of(spec.arch, spec.page_size), (area.start, end))
        assert base == recorded[-1]
        return
    # With several nodes only their distance is not known: given that, all parts end as high as they can.
    atom = atom_of(spec.arch, spec.page_size)
    assert highest.end == end & -atom
