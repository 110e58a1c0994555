"""The kernel's address layout as /proc/kcore shows it: its ELF headers list every range that can be read.

Which range is what: fs/proc/kcore.c registers the kernel's image (KCORE_TEXT), vmalloc, lowmem or every piece of RAM
in the direct map, and the part of vmemmap that describes that piece; architectures add modules and the vsyscall page.
"""

from __future__ import annotations

import re

from kmemwidgets.records import Region

_LOAD = re.compile(r"^LOAD vaddr=0x([0-9a-f]{1,16}) size=0x([0-9a-f]{1,16})$", re.MULTILINE)
_NUMBER = re.compile(r"^NUMBER\((\w+)\)=0x([0-9a-f]{1,16})$", re.MULTILINE)
_VALUE = re.compile(r"^VALUE\((\w+)\)=0x([0-9a-f]{1,16})$", re.MULTILINE)
_PHYS_BASE = re.compile(r"^NUMBER\(phys_base\)=(-?\d{1,20})$", re.MULTILINE)
_VA_BITS = re.compile(r"^NUMBER\(VA_BITS\)=(\d{2})$", re.MULTILINE)
_PAGE_SIZE = re.compile(r"^PAGESIZE=(\d{4,6})$", re.MULTILINE)
_TEXT = re.compile(r"^SYMBOL\(_stext\)=([0-9a-f]{1,16})$", re.MULTILINE)

#: x86-64: image, modules and fixed mappings lie in the top 2 GiB, wherever KASLR put the rest.
_X86_64_TOP = 0xFFFFFFFF80000000
_VSYSCALL = 0xFFFFFFFFFF600000
#: x86-32 as distributions build it: 3 GiB for users.
_X86_32_OFFSET = 0xC0000000
#: Bytes of struct page on 64-bit kernels.
PAGE_BYTES = 64


def address_ranges(text: str, arch: str) -> tuple[Region, ...] | None:
    """Name the ranges of a kcore.txt, ascending; None where it lists none.

    Parameters
    ----------
    text : str
        ``LOAD vaddr=... size=...`` lines and the text of VMCOREINFO.
    arch : str
    """
    loads = sorted((int(found[1], 16), int(found[2], 16)) for found in _LOAD.finditer(text))
    if not loads:
        return None
    numbers = {found[1]: int(found[2], 16) for found in _NUMBER.finditer(text)}
    stext = int(found[1], 16) if (found := _TEXT.search(text)) else 0
    image = min(((size, start) for start, size in loads if start <= stext < start + size), default=None)
    largest = max(size for _, size in loads)
    regions: list[Region] = []
    for start, size in loads:
        is_image = image == (size, start)
        if arch == "x86_64":
            name = _x86_64(start, is_image, next(at for at, length in loads if length == largest))
        elif arch == "arm64":
            name = "kernel text" if is_image else _arm64(start, numbers)
        else:
            # 32-bit kernels lie in the direct map, which is one range.
            name = "direct map" if is_image else "vmalloc"
        physical = _behind(start, name, arch, text)
        regions.append(Region(start, start + size, name, space="virtual", physical=physical))
    return tuple(regions)


def _behind(start: int, name: str, arch: str, text: str) -> int | None:
    """Return the physical address behind a range's start, or of the first frame that struct pages describe."""
    values = {found[1]: int(found[2], 16) for found in _VALUE.finditer(text)}
    if arch == "x86_32":
        return start - _X86_32_OFFSET if name == "direct map" else None
    if arch == "x86_64":
        base = values.get({"direct map": "page_offset_base", "vmemmap": "vmemmap_base"}.get(name, ""))
        if name == "kernel text" and (found := _PHYS_BASE.search(text)):
            return start - _X86_64_TOP + int(found[1])
        if base is None:
            return None
        return start - base if name == "direct map" else (start - base) // PAGE_BYTES * 4096
    numbers = {found[1]: int(found[2], 16) for found in _NUMBER.finditer(text)}
    if name == "kernel text" and "kimage_voffset" in numbers:
        return (start - numbers["kimage_voffset"]) % (1 << 64)
    bits, size = _VA_BITS.search(text), _PAGE_SIZE.search(text)
    if "PHYS_OFFSET" not in numbers or not bits or not size:
        return None
    offset, page = numbers["PHYS_OFFSET"], int(size[1])
    if name == "direct map":
        return (start - (1 << 64) + (1 << int(bits[1])) + offset) % (1 << 64)
    if name == "vmemmap" and "VMEMMAP_START" in numbers:
        first = (start - numbers["VMEMMAP_START"]) // PAGE_BYTES * page
        return (first + offset) % (1 << 64)
    return None


def _x86_64(start: int, is_image: bool, vmalloc: int) -> str:
    """Name a range by its order: direct map, vmalloc, vmemmap, image, modules; KASLR keeps it (mm/kaslr.c)."""
    if start >= _X86_64_TOP:
        return "kernel text" if is_image else "vsyscall" if start == _VSYSCALL else "modules"
    if start == vmalloc:
        return "vmalloc"
    return "direct map" if start < vmalloc else "vmemmap"


def _arm64(start: int, numbers: dict[str, int]) -> str:
    for name, first, end in (
        ("modules", "MODULES_VADDR", "MODULES_END"),
        ("vmalloc", "VMALLOC_START", "VMALLOC_END"),
        ("vmemmap", "VMEMMAP_START", "VMEMMAP_END"),
    ):
        if numbers.get(first, start + 1) <= start < numbers.get(end, start):
            return name
    return "direct map"
