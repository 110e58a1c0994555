"""What a recording says of the machine before it booted: the MachineSpec, free of everything that boot computed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kmemwidgets.procfs import dmesg, iomem
from kmemwidgets.records import BadInput, MachineSpec, MemoryRange, Region, Version, parse_version

from .node_ranges import node_ranges

if TYPE_CHECKING:
    from .recording import Capture

#: What distributions and uname call an architecture, and what it is called here.
ARCHES = {
    "amd64": "x86_64",
    "x86_64": "x86_64",
    "i386": "x86_32",
    "i486": "x86_32",
    "i586": "x86_32",
    "i686": "x86_32",
    "x86_32": "x86_32",
    "arm64": "arm64",
    "aarch64": "arm64",
    "arm": "arm",
    "armhf": "arm",
    "armel": "arm",
    "armv7l": "arm",
}

#: Sysctls with a constant default: the kernel never computes them, so a value is an input and no answer.
INPUT_SYSCTLS = (
    "watermark_scale_factor",
    "watermark_boost_factor",
    "lowmem_reserve_ratio",
    "percpu_pagelist_high_fraction",
    "percpu_pagelist_fraction",
    "overcommit_memory",
    "overcommit_ratio",
    "overcommit_kbytes",
    "nr_hugepages",
    "defrag_mode",
)

#: The most cpus that a kernel can be built for (MAXSMP).
NR_CPUS = 8192

#: Debian and Ubuntu name a kernel by its ABI; the package's version says which sources it was built from.
_PACKAGE_VERSION = re.compile(r"(?<!\()\bDebian (\d+\.\d+\.\d+)[-~+]")
_SIGNATURE_VERSION = re.compile(r" (\d+\.\d+\.\d+)\s*$")
_CONFIG = re.compile(r"(?:(CONFIG_\w+)=(.*)|# (CONFIG_\w+) is not set)")
_MEMBLOCK_ROW = re.compile(r" *\d+: (0x[0-9a-f]{1,16})\.\.(0x[0-9a-f]{1,16})(?: +(-?\d+|x))?(?: .*)?")
_VALUE = re.compile(r"VALUE\((\w+)\)=0x([0-9a-f]{1,16})")
_NUMBER = re.compile(r"NUMBER\((\w+)\)=(-?\d{1,20})")
_PHYS_OFFSET = re.compile(r"NUMBER\(PHYS_OFFSET\)=0x([0-9a-f]{1,16})")
_SYMBOL = re.compile(r"SYMBOL\((\w+)\)=([0-9a-f]{1,16})")
#: What /sys/firmware/memmap calls a range, and what the log does (arch/x86/kernel/e820.c, e820_type_to_string).
_FIRMWARE_KINDS = {"System RAM": "usable", "ACPI Tables": "ACPI data", "ACPI Non-volatile Storage": "ACPI NVS"}
#: Names that /proc/iomem gives to the kernel image's parts on x86, and what the Memory: line calls them.
_IMAGE = {"Kernel code": "code", "Kernel rodata": "rodata", "Kernel data": "rwdata", "Kernel bss": "bss"}


def kernel_of(capture: Capture) -> Version:
    """Return the version of the recorded kernel's sources."""
    banner = str(capture.meta.get("proc_version", "")) or capture.text_or_none("proc/version") or ""
    if found := _PACKAGE_VERSION.search(banner):
        return parse_version(found[1])
    if (signature := capture.text_or_none("proc/version_signature")) and (
        found := _SIGNATURE_VERSION.search(signature)
    ):
        return parse_version(found[1])
    release = str(capture.meta.get("kernel_release", "")) or _third_word(banner)
    if not release:
        raise BadInput("no kernel version", where=f"{capture.name}/meta.json", todo="set kernel_release in it")
    return parse_version(release)


def _third_word(banner: str) -> str:
    words = banner.split()
    return words[2] if len(words) > 2 else ""


def arch_of(capture: Capture) -> str:
    """Return the architecture in this package's words."""
    name = str(capture.meta.get("arch", ""))
    if name not in ARCHES:
        raise BadInput(f"arch {name!r}; expected one of {', '.join(ARCHES)}", where=f"{capture.name}/meta.json")
    return ARCHES[name]


def config_of(capture: Capture) -> tuple[tuple[str, str], ...]:
    """Return the CONFIG options that the recording names; "n" for those that are said to be off."""
    lines = capture.meta.get("config")
    options: dict[str, str] = {}
    for line in lines if isinstance(lines, list) else []:
        if found := _CONFIG.fullmatch(str(line).strip()):
            options[found[1] or found[3]] = found[2].strip('"') if found[1] else "n"
    return tuple(options.items())


def log_of(capture: Capture) -> dmesg.BootLog:
    """Read the boot's log; empty where none could be recorded."""
    text = capture.text_or_none("dmesg.txt")
    return dmesg.parse(text, f"{capture.name}/dmesg.txt") if text else dmesg.BootLog()


def describe(capture: Capture) -> MachineSpec:
    """Build the description; see `Capture.spec`."""
    arch = arch_of(capture)
    log = log_of(capture)
    regions = _iomem(capture)
    config = config_of(capture)
    options = dict(config)
    cmdline = (capture.text_or_none("proc/cmdline") or str(capture.meta.get("cmdline", ""))).strip()
    kcore = capture.text_or_none("kcore.txt") or ""
    numbers = {found[1]: int(found[2]) for found in _NUMBER.finditer(kcore)}
    page_size = int(capture.meta.get("page_size") or 4096)
    cpus, cpu_node, distances = _topology(capture, log)
    memory = _memory(capture, arch, log, regions)
    return MachineSpec(
        arch=arch,
        kernel=kernel_of(capture),
        memory=memory,
        cpus=cpus,
        name=capture.name,
        page_size=page_size,
        pae=options.get("CONFIG_X86_PAE") == "y",
        va_bits=_va_bits(capture, arch, options, numbers, cmdline),
        nodes=node_ranges(log, memory, capture.node_ids(), firmware_table=arch.startswith("x86")),
        cpu_node=cpu_node,
        distances=distances,
        reserved=_reserved(capture, log, regions, page_size),
        freed=_freed(log, page_size),
        cmdline=cmdline,
        config=config,
        sysctl=_sysctls(capture),
        bases=_bases(capture, options, cmdline, kcore),
        image=_image(log, regions),
        extra=_extra(capture, log, numbers),
    )


def _iomem(capture: Capture) -> tuple[Region, ...]:
    """Return /proc/iomem's rows; none where an ordinary user recorded, to whom all addresses show as 0."""
    text = capture.text_or_none("proc/iomem")
    if not text:
        return ()
    regions = iomem.parse(text, f"{capture.name}/proc/iomem").regions
    return regions if any(region.start for region in regions) else ()


def _memory(capture: Capture, arch: str, log: dmesg.BootLog, regions: tuple[Region, ...]) -> tuple[MemoryRange, ...]:
    if log.e820:
        return tuple(sorted(log.e820, key=lambda entry: entry.start))
    if arch.startswith("x86"):
        # /sys/firmware/memmap is the same table for those who can't read the log.
        return _firmware_map(capture)
    return _memblock(capture, "memory") or tuple(
        MemoryRange(region.start, region.end) for region in regions if region.name == "System RAM"
    )


def _firmware_map(capture: Capture) -> tuple[MemoryRange, ...]:
    rows: list[MemoryRange] = []
    for line in (capture.text_or_none("sys/firmware_memmap") or "").splitlines():
        words = line.split(maxsplit=2)
        if len(words) == 3 and all(re.fullmatch(r"0x[0-9a-f]{1,16}", word) for word in words[:2]):
            kind = _FIRMWARE_KINDS.get(words[2], words[2].lower())
            rows.append(MemoryRange(int(words[0], 16), int(words[1], 16) + 1, kind))
    return tuple(sorted(rows, key=lambda entry: entry.start))


def _memblock(capture: Capture, table: str) -> tuple[MemoryRange, ...]:
    """Read a table of /sys/kernel/debug/memblock."""
    rows: list[MemoryRange] = []
    text = capture.text_or_none(f"memblock/{table}") or ""
    for number, line in enumerate(text.splitlines(), 1):
        found = _MEMBLOCK_ROW.fullmatch(line)
        if not found:
            raise BadInput(
                f"expected 'N: 0xSTART..0xEND', not {line[:60]!r}", where=f"{capture.name}/memblock/{table}:{number}"
            )
        nid = int(found[3]) if found[3] and found[3].isdigit() else None
        kind = "usable" if table == "memory" else "reserved"
        rows.append(MemoryRange(int(found[1], 16), int(found[2], 16) + 1, kind, nid=nid))
    return tuple(rows)


def _topology(capture: Capture, log: dmesg.BootLog) -> tuple[int, tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Return the number of cpus, each cpu's node, and the distances between nodes."""
    node_of: dict[int, int] = {}
    rows: dict[int, tuple[int, ...]] = {}
    for nid in capture.node_ids():
        for cpu in cpu_list(capture.text_or_none(f"node/node{nid}.cpulist") or ""):
            # Fake nodes share their cpus; a cpu is at home on the first.
            node_of.setdefault(cpu, nid)
        if distance := capture.text_or_none(f"node/node{nid}.distance"):
            rows[nid] = numbers(distance)
    cpuinfo = capture.text_or_none("proc/cpuinfo") or ""
    cpus = len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)) or len(node_of) or log.nr_cpu_ids or 1
    cpu_node = tuple(node_of.get(cpu, 0) for cpu in range(cpus)) if any(node_of.values()) else ()
    distances = tuple(rows[nid] for nid in sorted(rows)) if len(rows) > 1 else ()
    return cpus, cpu_node, distances


def cpu_list(text: str) -> tuple[int, ...]:
    """Read a list of cpus or nodes as sysfs prints it: ``0-3,8``."""
    cpus: set[int] = set()
    for part in text.strip().split(","):
        if found := re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part):
            cpus.update(range(int(found[1]), min(int(found[2] or found[1]), NR_CPUS) + 1))
    return tuple(sorted(cpus))


def numbers(text: str) -> tuple[int, ...]:
    """Read the numbers of a line; what is none is passed over."""
    return tuple(int(word) for word in text.split() if re.fullmatch(r"\d{1,9}", word))


def _va_bits(capture: Capture, arch: str, options: Mapping[str, str], numbers: Mapping[str, int], cmdline: str) -> int:
    if arch in ("x86_32", "arm"):
        return 32
    if arch == "arm64":
        return int(numbers.get("VA_BITS") or options.get("CONFIG_ARM64_VA_BITS") or 48)
    if "pgtable_l5_enabled" in numbers:
        return 57 if numbers["pgtable_l5_enabled"] else 48
    flags = re.search(r"^flags\s*:(.*)$", capture.text_or_none("proc/cpuinfo") or "", re.MULTILINE)
    five_levels = options.get("CONFIG_X86_5LEVEL") != "n" and "no5lvl" not in cmdline.split()
    return 57 if flags and " la57" in flags[1] and five_levels else 48


def _reserved(
    capture: Capture, log: dmesg.BootLog, regions: tuple[Region, ...], page_size: int
) -> tuple[MemoryRange, ...]:
    """Return what is taken before the page allocator starts: image, initrd, and the early allocator's own calls."""
    rows: list[MemoryRange] = []
    image = [region for region in regions if region.name.startswith("Kernel ")]
    if image:
        rows.append(MemoryRange(min(r.start for r in image), max(r.end for r in image), "reserved", "kernel"))
    initrd = log.ramdisk or _initrd_in_iomem(log, regions, page_size)
    if initrd:
        rows.append(initrd)
    rows.extend(log.cma)
    rows.extend(_early_reservations(log) or _memblock(capture, "reserved"))
    return tuple(sorted(rows, key=lambda entry: (entry.start, entry.end)))


def _initrd_in_iomem(log: dmesg.BootLog, regions: tuple[Region, ...], page_size: int) -> MemoryRange | None:
    """Find an initrd of which the log only tells the size: arm64 keeps its reservation in /proc/iomem.

    free_reserved_area() gives back whole pages only, so the reservation is as large or one page larger.
    """
    freed = next((row.kb * 1024 for row in log.freeing if row.name == "initrd"), None)
    for region in regions:
        if freed and region.depth and region.name == "reserved" and 0 <= region.end - region.start - freed <= page_size:
            return MemoryRange(region.start, region.end, "reserved", "initrd")
    return None


def _early_reservations(log: dmesg.BootLog) -> tuple[MemoryRange, ...]:
    """Return what memblock=debug shows as still reserved after all of the early allocator's calls."""
    taken: list[tuple[int, int]] = []
    for call in log.memblock:
        if call.call == "reserve":
            taken.append((call.start, call.end))
        elif call.call in ("free", "remove"):
            taken = [piece for row in taken for piece in _without(row, call.start, call.end)]
    merged: list[tuple[int, int]] = []
    for start, end in sorted(taken):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(MemoryRange(start, end, "reserved", "memblock") for start, end in merged)


def _without(row: tuple[int, int], start: int, end: int) -> list[tuple[int, int]]:
    low, high = row
    return [piece for piece in ((low, min(high, start)), (max(low, end), high)) if piece[0] < piece[1]]


def _freed(log: dmesg.BootLog, page_size: int) -> tuple[tuple[str, int], ...]:
    """Return what the initcalls and the end of boot give back.

    The SMP alternatives are given back before the first initcall, so before the watermarks are set
    (arch/x86/kernel/alternative.c, alternative_instructions).
    """
    return tuple(
        (row.name, row.kb * 1024 // page_size)
        for row in log.freeing
        if row.name == "initrd" or row.name.startswith(("unused", "init"))
    )


def _sysctls(capture: Capture) -> tuple[tuple[str, str], ...]:
    rows = dict(_assignments(capture.text_or_none("sys/vm_sysctl") or ""))
    given = capture.meta.get("sysctl")
    chosen = {name: rows[name] for name in INPUT_SYSCTLS if name in rows}
    if isinstance(given, dict):
        chosen.update({str(name).removeprefix("vm."): str(value) for name, value in given.items()})
    return tuple(chosen.items())


def _assignments(text: str) -> list[tuple[str, str]]:
    return [
        (name.strip(), value.strip()) for name, sign, value in (row.partition("=") for row in text.split("\n")) if sign
    ]


def _bases(capture: Capture, options: Mapping[str, str], cmdline: str, kcore: str) -> tuple[tuple[str, int], ...]:
    """Return the addresses that KASLR chose. Without KASLR they follow from the architecture and are not told here."""
    if (
        "nokaslr" in cmdline.split()
        or capture.meta.get("kaslr") is False
        or options.get("CONFIG_RANDOMIZE_BASE") == "n"
    ):
        return ()
    values = {found[1]: int(found[2], 16) for found in _VALUE.finditer(kcore)}
    symbols = {found[1]: int(found[2], 16) for found in _SYMBOL.finditer(kcore)}
    bases = [(name, values[name]) for name in ("page_offset_base", "vmalloc_base", "vmemmap_base") if name in values]
    if "_stext" in symbols:
        bases.append(("kernel_text", symbols["_stext"]))
    if found := _PHYS_OFFSET.search(kcore):
        # arm64 moves its linear map by choosing what it starts with; that may lie below 0 (memstart_addr is signed).
        start = int(found[1], 16)
        bases.append(("PHYS_OFFSET", start - (1 << 64) if start >> 63 else start))
    return tuple(bases)


def _image(log: dmesg.BootLog, regions: tuple[Region, ...]) -> tuple[tuple[str, int], ...]:
    sizes = {_IMAGE[region.name]: region.end - region.start for region in regions if region.name in _IMAGE}
    for row in log.freeing:
        if row.name in ("unused kernel image (initmem)", "unused kernel"):
            sizes["init"] = row.kb * 1024
    return tuple(sizes.items())


def _extra(capture: Capture, log: dmesg.BootLog, numbers: Mapping[str, int]) -> tuple[tuple[str, str], ...]:
    rows: list[tuple[str, str]] = []
    if log.nr_cpu_ids:
        rows.append(("nr_cpu_ids", str(log.nr_cpu_ids)))
    if thp := capture.setting("/sys/kernel/mm/transparent_hugepage/enabled"):
        chosen = re.search(r"\[(\w+)\]", thp)
        rows.append(("transparent_hugepage", chosen[1] if chosen else thp))
    rows.extend((name, str(numbers[name])) for name in ("SECTION_SIZE_BITS", "MAX_PHYSMEM_BITS") if name in numbers)
    return tuple(rows)


def meta_problem(meta: Any) -> str | None:
    """Say what is wrong with a meta.json, None if nothing is."""
    if not isinstance(meta, dict):
        return "expected a JSON object"
    for key, kind in (("page_size", int), ("arch", str), ("kernel_release", str)):
        if key in meta and (not isinstance(meta[key], kind) or isinstance(meta[key], bool)):
            return f"{key} is {meta[key]!r}; expected {'a number' if kind is int else 'a text'}"
    size = meta.get("page_size", 4096)
    if not (1024 <= size <= 1 << 20 and size & (size - 1) == 0):
        return f"page_size is {size}; expected a power of two"
    return None
