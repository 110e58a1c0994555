"""A machine described: all that a boot needs to know, and nothing of what it gave."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .errors import BadInput
from .version import Version


@dataclass(frozen=True, slots=True)
class MemoryRange:
    """A range of physical memory as the firmware or a loader names it.

    Attributes
    ----------
    start, end : int
        Bytes; `end` is the first byte behind the range.
    kind : str
        ``"usable"``, ``"reserved"``, ``"ACPI data"``, ``"nomap"`` ... as the firmware map calls it.
    name : str
        What lies there, where it is known (``"kernel"``, ``"initrd"``).
    nid : int or None
        The node it belongs to, where the range itself says so.
    """

    start: int
    end: int
    kind: str = "usable"
    name: str = ""
    nid: int | None = None


@dataclass(frozen=True, slots=True)
class NodeRange:
    """Memory of one NUMA node (x86: an SRAT memory entry). Bytes, `end` exclusive."""

    nid: int
    start: int
    end: int
    hotplug: bool = False


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """What a machine is before it boots.

    Attributes
    ----------
    arch : str
        ``"x86_64"``, ``"x86_32"``, ``"arm64"`` or ``"arm"``.
    kernel : tuple of int
        The kernel's version.
    memory : tuple of MemoryRange
        The firmware's map (x86: e820; arm64: memblock/memory), ascending.
    cpus : int
        Processors present at boot.
    name : str
        How to call it.
    page_size : int
        Bytes.
    pae : bool
        x86-32 only: three-level page tables and memory above 4 GiB.
    va_bits : int
        Bits of a virtual address: 48 or 57 on x86-64, 39 to 52 on arm64, 32 else.
    nodes : tuple of NodeRange
        Which node owns which memory; empty: one node owns it all.
    cpu_node : tuple of int
        Node of each cpu; empty: all on node 0.
    distances : tuple of tuple of int
        SLIT; empty: 10 on the diagonal, 20 elsewhere.
    reserved : tuple of MemoryRange
        What is taken before the page allocator starts: the image, the initrd,
        firmware tables, and what the kernel's own early code reserves where that is known.
    freed : tuple of (str, int)
        What boot gives back later, after the watermarks were set: name, pages.
    cmdline : str
        The kernel's command line.
    config : tuple of (str, str)
        CONFIG options that are known: ``("CONFIG_NUMA", "y")``. ``"n"`` means not set.
    sysctl : tuple of (str, str)
        Sysctls that the user set.
    bases : tuple of (str, int)
        Addresses that KASLR chose, where known (``page_offset_base``, ``vmalloc_base``,
        ``vmemmap_base``, ``kernel_text``).
    image : tuple of (str, int)
        Sizes in bytes of the kernel image's sections (``code``, ``rwdata``, ``rodata``, ``init``, ``bss``).
    """

    arch: str = "x86_64"
    kernel: Version = (6, 1, 192)
    memory: tuple[MemoryRange, ...] = ()
    cpus: int = 1
    name: str = ""
    page_size: int = 4096
    pae: bool = False
    va_bits: int = 48
    nodes: tuple[NodeRange, ...] = ()
    cpu_node: tuple[int, ...] = ()
    distances: tuple[tuple[int, ...], ...] = ()
    reserved: tuple[MemoryRange, ...] = ()
    freed: tuple[tuple[str, int], ...] = ()
    cmdline: str = ""
    config: tuple[tuple[str, str], ...] = ()
    sysctl: tuple[tuple[str, str], ...] = ()
    bases: tuple[tuple[str, int], ...] = ()
    image: tuple[tuple[str, int], ...] = ()
    extra: tuple[tuple[str, str], ...] = field(default=())

    def spec(self) -> MachineSpec:
        """Return itself: whatever has `spec()` can be booted."""
        return self

    def option(self, name: str) -> str | None:
        """Return a CONFIG option's value, ``"n"`` if known to be off, None if unknown."""
        for key, value in self.config:
            if key == name:
                return value
        return None

    def to_json(self) -> str:
        """Write the description as JSON text."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> MachineSpec:
        """Read what `to_json` wrote; unknown or wrong keys raise `BadInput`."""
        try:
            raw: dict[str, Any] = json.loads(text)
            known = {entry.name for entry in fields(cls)}
            unknown = sorted(set(raw) - known)
            if unknown:
                raise BadInput(f"unknown keys {', '.join(unknown)} in a machine description")
            for key, value in raw.items():
                if key in ("memory", "reserved"):
                    raw[key] = tuple(MemoryRange(**item) for item in value)
                elif key == "nodes":
                    raw[key] = tuple(NodeRange(**item) for item in value)
                elif isinstance(value, list):
                    raw[key] = tuple(tuple(v) if isinstance(v, list) else v for v in value)
            return cls(**raw)
        except (TypeError, ValueError, AttributeError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"no machine description: {error}") from error
