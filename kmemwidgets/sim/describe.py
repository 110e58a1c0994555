"""From a few friendly words to a MachineSpec: architecture, memory, nodes, cpus, kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from kmemwidgets import arch as arch_constants
from kmemwidgets.records import BadInput, MachineSpec, MemoryRange, NodeRange, Version, parse_version

from .cmdline import memparse
from .rules.boot import check_supported

MIB = 1 << 20
GIB = 1 << 30

#: PC: RAM under the firmware's data, and the window below 4 GiB where devices are seen instead of RAM.
PC_LOW_END = 0x9FC00
PC_HIGH_START = 0x100000
PC_HOLE = (3 * GIB, 4 * GIB)
#: Where RAM starts on other boards.
BOARD_START = {"arm64": GIB, "arm": GIB}

#: The smallest machine whose kernel still finds room for itself.
LEAST_MEMORY = 8 * MIB
MOST_MEMORY = 4 << 40
#: Where memory may end at most: tables of frames have an entry for every frame below.
MOST_ADDRESS = 8 << 40
MOST_NODES = 1024
MOST_CPUS = 8192

#: A size: bytes, or the text of one.
Size: TypeAlias = "int | str"
#: A node: its memory, or its memory and how many cpus it has.
Node: TypeAlias = "Size | tuple[Size, int]"


def size_of(size: Size) -> int:
    """Return a size in bytes.

    Raises
    ------
    ValueError
        For what is no size, or is negative.
    """
    if isinstance(size, bool) or not isinstance(size, int | str):
        raise ValueError(f"{size!r} is no amount of memory; write bytes or a text such as '4G'")  # noqa: TRY004
    if isinstance(size, str):
        text = size.strip().removesuffix("iB").removesuffix("B")
        try:
            number = float(text[:-1]) if "." in text else None
        except ValueError:
            number = None
        if number is not None and text[-1:].lower() in "kmgtpe":
            return int(number * memparse("1" + text[-1]))
        value = memparse(text.replace(" ", ""))
    else:
        value = size
    if value < 0:
        raise ValueError(f"{size!r} is no amount of memory")
    return value


def describe(
    *,
    arch: str = "x86_64",
    memory: Size = "4G",
    nodes: int | Sequence[Node] = 1,
    cpus: int = 2,
    kernel: str | Version = "6.1",
    cmdline: str = "",
    config: Mapping[str, Any] | None = None,
    name: str = "",
    distances: Sequence[Sequence[int]] = (),
    pae: bool | None = None,
    initrd: Size = 0,
) -> MachineSpec:
    """Describe a machine.

    Parameters
    ----------
    arch : str
        ``"x86_64"``, ``"x86_32"``, ``"arm64"`` or ``"arm"``.
    memory : int or str
        RAM in all; nodes given by size win.
    nodes : int or sequence
        How many NUMA nodes share it evenly, or each one's size, or its size and number of cpus.
    cpus : int
        Processors, shared evenly by the nodes unless those say their own.
    kernel : str or tuple
    cmdline : str
    config : mapping
        CONFIG options that differ from the usual: ``{"CONFIG_HIGHMEM": "n"}``; True and False for "y" and "n".
        ARM64_VA_BITS, ARM64_64K_PAGES and PGTABLE_LEVELS shape the address space.
    name : str
    distances : sequence of sequences of int
        The SLIT.
    pae : bool, optional
        x86-32: three-level page tables; as needed by the memory if not given.
    initrd : int or str
        Size of an initial RAM disk.

    Raises
    ------
    ValueError
        For arguments that describe no machine.
    BadInput
        For a kernel whose rules are not known.
    """
    if arch not in arch_constants.ARCHES:
        raise ValueError(f"arch {arch!r}; one of {', '.join(arch_constants.ARCHES)}")
    version = parse_version(kernel) if isinstance(kernel, str) else tuple(kernel)
    check_supported(version)
    sizes, cpu_node = _nodes(nodes, size_of(memory), cpus)
    total = sum(sizes)
    if not LEAST_MEMORY <= total <= MOST_MEMORY:
        raise ValueError(f"{total} bytes of memory; from {LEAST_MEMORY >> 20} MiB to {MOST_MEMORY >> 40} TiB")
    ranges = _board_memory(arch, total)
    wide = ranges[-1].end > 1 << 32
    if arch == "arm" and wide:
        raise ValueError("arm here has no LPAE, so at most 3 GiB of memory")
    options = dict(_config(config))
    return MachineSpec(
        arch=arch,
        kernel=version,
        memory=tuple(ranges),
        cpus=len(cpu_node),
        name=name or f"{arch} {_words(total)}",
        pae=arch == "x86_32" and (wide if pae is None else pae),
        page_size=_page_size(arch, options),
        va_bits=_va_bits(arch, options, cmdline),
        nodes=_node_ranges(ranges, sizes) if len(sizes) > 1 else (),
        cpu_node=cpu_node if len(sizes) > 1 else (),
        distances=tuple(tuple(row) for row in distances),
        reserved=_initrd(ranges, size_of(initrd)),
        cmdline=cmdline,
        config=tuple(options.items()),
    )


def _words(total: int) -> str:
    for unit, letter in ((1 << 40, "T"), (GIB, "G"), (MIB, "M")):
        if total % unit == 0:
            return f"{total // unit}{letter}"
    return f"{total >> 10}K"


def _config(config: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    found = []
    for key, value in (config or {}).items():
        name = key if key.startswith("CONFIG_") else f"CONFIG_{key}"
        if value is None or isinstance(value, bool):
            found.append((name, "y" if value else "n"))
        else:
            found.append((name, str(value)))
    return tuple(found)


def _page_size(arch: str, options: Mapping[str, str]) -> int:
    """Return the page size that a kernel is built for: arm64 has three."""
    for name, size in (("CONFIG_ARM64_64K_PAGES", 65536), ("CONFIG_ARM64_16K_PAGES", 16384)):
        if arch == "arm64" and options.get(name) == "y":
            return size
    return 4096


def _va_bits(arch: str, options: Mapping[str, str], cmdline: str) -> int:
    """Return the bits of a virtual address."""
    if arch == "arm64":
        bits = options.get("CONFIG_ARM64_VA_BITS", "48")
        if bits not in ("36", "39", "42", "47", "48", "52"):
            raise ValueError(f"CONFIG_ARM64_VA_BITS={bits}; one of 36, 39, 42, 47, 48, 52")
        return int(bits)
    if arch == "x86_64":
        # Five levels need a cpu that has them, as a description of one says.
        five = options.get("CONFIG_PGTABLE_LEVELS") == "5" and "no5lvl" not in cmdline.split()
        return 57 if five else 48
    return 32


def _nodes(nodes: int | Sequence[Node], total: int, cpus: int) -> tuple[list[int], tuple[int, ...]]:
    """Return each node's bytes, and each cpu's node."""
    if isinstance(cpus, bool) or not isinstance(cpus, int) or not 1 <= cpus <= MOST_CPUS:
        raise ValueError(f"{cpus!r} cpus; a number from 1 to {MOST_CPUS}")
    if isinstance(nodes, int):
        if not 1 <= nodes <= MOST_NODES:
            raise ValueError(f"{nodes} nodes; a number from 1 to {MOST_NODES}")
        share = total // nodes & -MIB if nodes > 1 else total
        sizes = [share] * (nodes - 1) + [total - share * (nodes - 1)]
        return sizes, tuple(sorted(cpu * nodes // cpus if cpus >= nodes else cpu for cpu in range(cpus)))
    if not nodes or isinstance(nodes, str):
        raise ValueError("nodes: a number, or a list with one size a node")
    pairs = [(node, None) if isinstance(node, int | str) else node for node in nodes]
    sizes = [size_of(size) for size, _count in pairs]
    if min(sizes) < MIB:
        raise ValueError("every node needs at least 1 MiB of memory")
    own = [count for _size, count in pairs]
    if any(count is not None for count in own):
        cpu_node = tuple(nid for nid, count in enumerate(own) for _ in range(count or 0))
        if not cpu_node:
            raise ValueError("at least one node needs a cpu")
        return sizes, cpu_node
    return sizes, tuple(sorted(cpu * len(sizes) // cpus if cpus >= len(sizes) else cpu for cpu in range(cpus)))


def _board_memory(arch: str, total: int) -> list[MemoryRange]:
    """Lay RAM out as such a machine's firmware does."""
    if arch in BOARD_START:
        return [MemoryRange(BOARD_START[arch], BOARD_START[arch] + total)]
    below, above = PC_HOLE
    ranges = [
        MemoryRange(0, PC_LOW_END),
        MemoryRange(PC_LOW_END, 0xA0000, "reserved"),
        MemoryRange(0xF0000, PC_HIGH_START, "reserved"),
        MemoryRange(PC_HIGH_START, min(total, below)),
    ]
    if total > below:
        ranges.append(MemoryRange(above, above + total - below))
    return ranges


def _node_ranges(ranges: Sequence[MemoryRange], sizes: Sequence[int]) -> tuple[NodeRange, ...]:
    """Deal the RAM out to the nodes in the order of its addresses, as the entries of an SRAT."""
    usable = [entry for entry in ranges if entry.kind == "usable"]
    # The gaps below 1 MiB belong to the node that the RAM around them belongs to.
    banks = [
        (min(entry.start for entry in part), max(entry.end for entry in part))
        for part in (
            [entry for entry in usable if entry.start < PC_HOLE[1]],
            [entry for entry in usable if entry.start >= PC_HOLE[1]],
        )
        if part
    ]
    found: list[NodeRange] = []
    left = list(sizes)
    nid = 0
    for start, end in banks:
        while start < end:
            # What rounding leaves over goes to the last node.
            taken = end - start if nid == len(left) - 1 else min(end - start, left[nid])
            found.append(NodeRange(nid, start, start + taken))
            left[nid] -= taken
            start += taken
            if not left[nid]:
                nid += 1
    return tuple(found)


def _initrd(ranges: Sequence[MemoryRange], size: int) -> tuple[MemoryRange, ...]:
    """Put an initial RAM disk where boot loaders put it: as high as 32-bit addresses reach."""
    if not size:
        return ()
    low = [entry for entry in ranges if entry.kind == "usable" and entry.start < 1 << 32]
    top = low[-1].end & -4096
    start = (top - size) & -4096
    if start < low[-1].start + 64 * MIB:
        raise ValueError(f"no room for an initrd of {size} bytes")
    return (MemoryRange(start, top, "reserved", "initrd"),)


def check_spec(spec: MachineSpec) -> None:
    """Refuse a description that no boot can start from.

    Raises
    ------
    BadInput
        For the first thing that is wrong with it.
    """
    if spec.arch not in arch_constants.ARCHES:
        raise BadInput(f"arch {spec.arch!r}", todo=f"one of {', '.join(arch_constants.ARCHES)}")
    check_supported(spec.kernel)
    if spec.page_size not in arch_constants.ARCHES[spec.arch].page_sizes:
        raise BadInput(f"page size {spec.page_size} on {spec.arch}")
    if not 1 <= spec.cpus <= MOST_CPUS:
        raise BadInput(f"{spec.cpus} cpus")
    everything = [(entry.start, entry.end) for entry in (*spec.memory, *spec.reserved)]
    for start, end in [*everything, *((entry.start, entry.end) for entry in spec.nodes)]:
        if not 0 <= start < end <= 1 << 57:
            raise BadInput(f"a range from {start:#x} to {end:#x}")
    if any(entry.kind == "usable" and entry.end > MOST_ADDRESS for entry in spec.memory):
        raise BadInput(f"memory above {MOST_ADDRESS >> 40} TiB", todo="describe a smaller machine")
    for before, after in zip(spec.memory, spec.memory[1:], strict=False):
        if after.start < before.end:
            raise BadInput(f"memory ranges overlap at {after.start:#x}")
    if any(not 0 <= nid < MOST_NODES for nid in (*spec.cpu_node, *(entry.nid for entry in spec.nodes))):
        raise BadInput(f"a node number outside 0..{MOST_NODES - 1}")
    if spec.cpu_node and len(spec.cpu_node) != spec.cpus:
        raise BadInput(f"{len(spec.cpu_node)} cpus have a node, but there are {spec.cpus}")
