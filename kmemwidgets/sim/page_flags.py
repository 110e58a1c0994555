"""The flags word of struct page: flags, and above them where the page lies (include/linux/page-flags-layout.h)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kmemwidgets.arch import ARCHES
from kmemwidgets.records import MachineSpec, Version

from .rules import pick
from .rules.page_flags import TABLE, PageFlagRules


@dataclass(frozen=True, slots=True)
class FlagsLayout:
    """How many bits each field has; from the top: node, zone, last cpu and task.

    Of the section nothing stands there: it is found by the frame's number, or memory has no sections.

    Attributes
    ----------
    bits : int
        Of the word.
    node, zone, cpupid : int
        NODES_WIDTH, ZONES_WIDTH, LAST_CPUPID_WIDTH; 0 where there is no such field.
    """

    bits: int = 64
    node: int = 0
    zone: int = 3
    cpupid: int = 0

    def fields(self, nid: int, zone: int) -> list[tuple[str, int, int]]:
        """Return name, value and lowest bit of each field of a page that no task has touched lately."""
        found = []
        at = self.bits
        for name, width, value in (
            ("node", self.node, nid),
            ("zone", self.zone, zone),
            ("lastcpupid", self.cpupid, (1 << self.cpupid) - 1),
        ):
            at -= width
            if width:
                found.append((name, value, at))
        return found


def flags_layout(spec: MachineSpec, kinds: int) -> FlagsLayout:
    """Return the layout of a machine's kernel, with what distributions choose where its configuration is unknown.

    Parameters
    ----------
    spec : MachineSpec
    kinds : int
        Zone types (MAX_NR_ZONES).
    """
    bits = ARCHES[spec.arch].bits
    zone = 1 if kinds <= 2 else 2 if kinds <= 4 else 3
    usual = bits == 64
    if (spec.option("CONFIG_NUMA") or ("y" if usual else "n")) != "y":
        return FlagsLayout(bits, 0, zone, 0)
    big = spec.arch == "x86_64"
    node = int(spec.option("CONFIG_NODES_SHIFT") or (10 if big else 4))
    cpus = int(spec.option("CONFIG_NR_CPUS") or (8192 if big else 256))
    balancing = (spec.option("CONFIG_NUMA_BALANCING") or "y") == "y"
    # Eight bits of the task's number, and as many as the largest number of a cpu has.
    return FlagsLayout(bits, node, zone, 8 + (cpus - 1).bit_length() if balancing else 0)


def flag_bits(names: Iterable[str], version: Version) -> int:
    """Return the bits of flags that this kernel has, by name."""
    known = pick(PageFlagRules, TABLE, version).names
    return sum(1 << known.index(name) for name in names if name in known)


def flags_word(layout: FlagsLayout, names: Iterable[str], nid: int, zone: int, version: Version) -> int:
    """Return the whole word."""
    return flag_bits(names, version) + sum(value << at for _, value, at in layout.fields(nid, zone))


def flags_text(layout: FlagsLayout, names: Iterable[str], nid: int, zone: int, version: Version) -> str:
    """Write flags and fields as ``%pGp`` does since 5.13: ``slab|head|node=0|zone=1|lastcpupid=0x1fffff``.

    Source: lib/vsprintf.c format_page_flags.
    """
    known = pick(PageFlagRules, TABLE, version).names
    fields = [
        f"{name}={value:#x}" if name == "lastcpupid" else f"{name}={value}"
        for name, value, _ in layout.fields(nid, zone)
    ]
    return "|".join([*(name for name in names if name in known), *fields])
