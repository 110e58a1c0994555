"""/proc/PID/smaps: a process's areas and what of them is in memory (fs/proc/task_mmu.c, show_smap)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kmemwidgets.records import Vma

from ._lines import NUMBER, bad, checked, fill, lines_of, shown, template
from .maps import PATH_COLUMN, check_order, is_row, kernel_row, parse_row, path_column_of, row_values

LIMIT = 1 << 28

#: Fields that some kernel from 2.6.14 to 6.18 prints.
KNOWN = frozenset(
    """
    Size KernelPageSize MMUPageSize Rss Pss Pss_Dirty Pss_Anon Pss_File Pss_Shmem Shared_Clean Shared_Dirty
    Private_Clean Private_Dirty Referenced Anonymous KSM LazyFree AnonHugePages ShmemHugePages ShmemPmdMapped
    FilePmdMapped Shared_Hugetlb Private_Hugetlb Swap SwapPss Locked THPeligible ProtectionKey VmFlags
    """.split()  # noqa: SIM905 - a list of 100 quoted names is harder to read
)
#: Fields without a unit.
_PLAIN = ("THPeligible", "ProtectionKey")

_FIELD = re.compile(rf"(\w{{1,64}}): *({NUMBER})(?: kB)?")
_FLAGS = re.compile(r"VmFlags:((?: [a-z?]{2})*) ?")


@dataclass(frozen=True, slots=True)
class Smaps:
    """All areas with their fields; smaps_rollup has one, called [rollup]."""

    vmas: tuple[Vma, ...]
    path_column: int = PATH_COLUMN
    layout: tuple[str, ...] = ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """Fields that no kernel up to 6.18 prints."""
        names = dict.fromkeys(name for vma in self.vmas for name in vma.smaps or ())
        return tuple(name for name in names if name not in KNOWN)


def parse(text: str, where: str = "proc/PID/smaps") -> Smaps:
    """Read the areas; every one needs Rss, and a Size that is its end minus its start."""
    vmas: list[Vma] = []
    fields: dict[str, int] = {}
    layout: list[str] = []
    rows = lines_of(text, where, LIMIT, empty=True)
    for number, line in enumerate(rows, 1):
        if is_row(line):
            _finish(vmas, fields, where, number)
            vma, pattern = parse_row(line, where, number)
            check_order(vmas, vma, where, number)
            vmas.append(vma)
            fields = {}
            layout.append(pattern)
        elif not vmas:
            raise bad(where, number, f"expected an area's row first, not {shown(line)}")
        elif (found := _FLAGS.fullmatch(line)) and vmas[-1].vm_flags is None:
            vmas[-1] = replace(vmas[-1], vm_flags=tuple(found[1].split()))
            layout.append(line[: found.start(1)] + "%s" + line[found.end(1) :])
        elif (found := _FIELD.fullmatch(line)) and found[1] not in fields:
            fields[found[1]] = int(found[2])
            layout.append(template(line, [found.span(2)]))
        else:
            raise bad(where, number, f"expected a new 'NAME: NUMBER kB' or the next area, not {shown(line)}")
    _finish(vmas, fields, where, len(rows))
    return checked(Smaps(tuple(vmas), path_column_of(text), tuple(layout)), text, where, format)


def _finish(vmas: list[Vma], fields: dict[str, int], where: str, number: int) -> None:
    """Give the last area its fields."""
    if not vmas:
        return
    vma = vmas[-1]
    for required in ("Rss",) if vma.path == "[rollup]" else ("Size", "Rss"):
        if required not in fields:
            raise bad(where, number, f"the area at {vma.start:x} ends without {required}", "copy the whole file")
    size = (vma.end - vma.start) // 1024
    if fields.get("Size", size) != size:
        raise bad(where, number, f"Size {fields['Size']} kB, but {vma.start:x}-{vma.end:x} has {size}")
    # Whatever a kernel prints, it prints of every area.
    missing = [name for name in vmas[0].smaps or () if name in KNOWN and name not in fields]
    if vmas[0].vm_flags is not None and vma.vm_flags is None:
        missing.append("VmFlags")
    if missing:
        raise bad(
            where,
            number,
            f"the area at {vma.start:x} ends without {missing[0]}, which the areas above have",
            "copy the whole file",
        )
    vmas[-1] = replace(vma, smaps=fields)


def _values(record: Smaps, layout: tuple[str, ...]) -> Iterator[tuple[object, ...]]:
    """Yield each line's values, in the order of the layout's lines."""
    vmas = iter(record.vmas)
    fields: Iterator[int] = iter(())
    flags: tuple[str, ...] = ()
    for pattern in layout:
        if pattern.startswith("VmFlags:"):
            yield ("".join(f" {flag}" for flag in flags),)
        elif re.match(r"\w+:", pattern):
            yield (next(fields, None),)
        else:
            vma = next(vmas)
            fields = iter((vma.smaps or {}).values())
            flags = vma.vm_flags or ()
            yield row_values(vma)


def format(record: Smaps) -> str:  # noqa: A001 - every format has parse() and format()
    """Write the areas and their fields."""
    layout = record.layout or tuple(line for vma in record.vmas for line in _kernel_layout(vma, record.path_column))
    return "".join(fill(layout, _values(record, layout), "smaps"))


def _kernel_layout(vma: Vma, path_column: int) -> Iterator[str]:
    yield kernel_row(vma, path_column)
    for name in vma.smaps or ():
        yield f"{name + ':':<16}%8s{'' if name in _PLAIN else ' kB'}"
    if vma.vm_flags is not None:
        yield "VmFlags:%s "
