"""Section layout: where the kernel's areas lie, as /proc/kcore's ranges and the numbers beside them show it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from kmemwidgets import arch as arch_constants
from kmemwidgets.arch.space import AddressSpace
from kmemwidgets.capture import Capture
from kmemwidgets.records import MachineSpec
from kmemwidgets.sim.areas import ARM64_HEAD
from kmemwidgets.sim.rules.layout import address_space, page_offset_32, vmalloc_bytes
from kmemwidgets.sim.zone_sizes import lowmem_end, node_memory, usable_memory

from .section import Figures, Section

_LOAD = re.compile(r"^LOAD vaddr=0x([0-9a-f]{1,16}) size=0x([0-9a-f]{1,16})$", re.MULTILINE)
_VALUE = re.compile(r"^VALUE\((\w+)\)=0x([0-9a-f]{1,16})$", re.MULTILINE)
_NUMBER = re.compile(r"^NUMBER\((\w+)\)=(-?\d{1,20}|0x[0-9a-f]{1,16})$", re.MULTILINE)
_SYMBOL = re.compile(r"^SYMBOL\((\w+)\)=([0-9a-f]{1,16})$", re.MULTILINE)

#: Numbers beside the ranges that are bounds.
BOUNDS = frozenset(
    (
        "page_offset_base", "vmalloc_base", "vmemmap_base", "high_memory", "max_pfn", "max_low_pfn", "MODULES_VADDR",
        "MODULES_END", "VMALLOC_START", "VMALLOC_END", "VMEMMAP_START", "VMEMMAP_END", "PHYS_OFFSET",
        "KERNEL_IMAGE_SIZE",
    )
)  # fmt: skip
#: What KASLR chooses, and under which name the description gives it.
CHOSEN: Mapping[str, str] = MappingProxyType(
    {
        "page_offset_base": "page_offset_base",
        "vmalloc_base": "vmalloc_base",
        "VMALLOC_START": "vmalloc_base",
        "vmemmap_base": "vmemmap_base",
        "vmemmap": "vmemmap_base",
        "_stext": "kernel_text",
        "PHYS_OFFSET": "PHYS_OFFSET",
    }
)


def predict_layout(spec: MachineSpec, _inputs: None = None) -> Figures:
    """Predict the ranges of /proc/kcore and the bounds beside them."""
    ram = usable_memory(spec)
    space = address_space(spec, ram)
    figures: dict[str, int] = {}
    for start, end in kcore_ranges(spec, space, ram):
        figures[_range_label(start)] = end
    figures.update(_bounds(spec, space, ram))
    return figures


def _range_label(start: int) -> str:
    return f"end of the kcore range at {start:#x}"


def kcore_ranges(spec: MachineSpec, space: AddressSpace, ram: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the ranges that /proc/kcore lists, but for the kernel image's (fs/proc/kcore.c, kcore_update_ram)."""
    start = space.area("vmalloc").start
    found = [(start, start + vmalloc_bytes(spec, ram))]
    if arch_constants.ARCHES[spec.arch].bits == 32:
        return [*found, (space.page_offset, space.direct_end)]
    modules = space.area("modules")
    found.append((modules.start, modules.end))
    page = spec.page_size
    vmemmap: list[tuple[int, int]] = []
    for low, high in ram:
        first, last = -(-low // page), high // page
        if first >= last:
            continue
        found.append((space.va(first * page), space.va(first * page) + (last - first) * page))
        start = space.page_of(first) // page * page
        end = -(-(space.page_of(last) - 1) // page) * page
        for before, after in vmemmap:
            # Rounded to whole pages a range may touch the one before.
            if start < after and end > before:
                end = before
        if start < end:
            vmemmap.append((start, end))
    return found + vmemmap


def text_start(spec: MachineSpec, space: AddressSpace) -> int:
    """Return where the kernel's text begins without KASLR (_stext)."""
    if "kernel_text" in dict(spec.bases):
        return dict(spec.bases)["kernel_text"]
    if spec.arch == "arm64":
        return space.text_start + ARM64_HEAD
    physical = int(spec.option("CONFIG_PHYSICAL_START") or "0x1000000", 0)
    return (space.text_start if spec.arch == "x86_64" else page_offset_32(spec)) + physical


def _bounds(spec: MachineSpec, space: AddressSpace, ram: Sequence[tuple[int, int]]) -> dict[str, int]:
    """Return the numbers that stand beside the ranges."""
    memory = node_memory(spec)
    end = memory[-1].end_pfn
    low = lowmem_end(spec, memory[0].start_pfn, end)
    vmalloc = space.area("vmalloc")
    values = {"max_pfn": end, "max_low_pfn": low, "_stext": text_start(spec, space)}
    values["VMALLOC_START"] = vmalloc.start
    values["VMALLOC_END"] = vmalloc.start + vmalloc_bytes(spec, ram)
    if spec.arch == "x86_32":
        values["high_memory"] = space.direct_end
        return values
    vmemmap, modules = space.area("vmemmap"), space.area("modules")
    values.update(
        high_memory=space.va(end * spec.page_size - 1) + 1,
        page_offset_base=space.page_offset,
        vmalloc_base=vmalloc.start,
        vmemmap_base=vmemmap.start,
        vmemmap=vmemmap.start,
        MODULES_VADDR=modules.start,
        MODULES_END=modules.end,
        VMEMMAP_START=vmemmap.start,
        VMEMMAP_END=vmemmap.end,
        PHYS_OFFSET=space.phys_offset,
    )
    if spec.arch == "x86_64":
        values["KERNEL_IMAGE_SIZE"] = space.text_end - space.text_start
    return values


def _recorded(capture: Capture) -> Figures:
    text = capture.text_or_none("kcore.txt") or ""
    figures: dict[str, int] = {}
    for found in _LOAD.finditer(text):
        start, size = int(found[1], 16), int(found[2], 16)
        label = _range_label(start)
        # On arm64 the image begins where vmalloc does, and is listed first.
        if label in figures:
            figures[f"{label} (image)"] = figures[label]
        figures[label] = start + size
    figures.update({found[1]: int(found[2], 16) for found in _VALUE.finditer(text) if found[1] in BOUNDS})
    figures.update({found[1]: int(found[2], 0) for found in _NUMBER.finditer(text) if found[1] in BOUNDS})
    figures.update(
        {found[1]: int(found[2], 16) for found in _SYMBOL.finditer(text) if found[1] in ("_stext", "vmemmap")}
    )
    return figures


def _unknowable(spec: MachineSpec, recorded: Figures) -> Collection[str]:
    """Return what KASLR chose, and where the image ends: the sum of its sections' sizes."""
    bases = dict(spec.bases)
    hidden = {name for name, base in CHOSEN.items() if base in bases}
    space = address_space(spec, usable_memory(spec))
    hidden |= {what for what in recorded if what.endswith("(image)")}
    text = text_start(spec, space)
    start = text - ARM64_HEAD if spec.arch == "arm64" else text
    vmalloc = space.area("vmalloc").start
    if start != vmalloc:
        hidden.add(_range_label(start))
    return hidden


SECTIONS = (Section("layout", lambda _capture, _spec: None, predict_layout, _recorded, _unknowable),)
