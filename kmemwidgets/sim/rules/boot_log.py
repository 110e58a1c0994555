"""What mem_init prints: the Memory: line, and x86-32's table of its address space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .table import Rule

#: What stands for a size that only the kernel image could tell.
UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class MemoryFigures:
    """The figures of a Memory: line, in KiB.

    Attributes
    ----------
    available : int or None
        Free in the page allocator; None where the line comes so late that the kernel has taken pages already.
    physical : int
        RAM in all zones.
    end : int
        End of RAM: holes below it counted.
    reserved : int
        RAM that nobody was given.
    low_reserved : int
        The same without high memory.
    cma : int
    highmem : int or None
        None: this kernel has none.
    image : mapping of str to int
        Sizes of the image's parts that are known: code, rwdata, rodata, init, bss.
    """

    available: int | None
    physical: int
    end: int
    reserved: int
    low_reserved: int
    cma: int
    highmem: int | None
    image: Mapping[str, int]

    def part(self, *names: str) -> str:
        """Return the size of some parts together."""
        return str(sum(self.image[name] for name in names)) if all(name in self.image for name in names) else UNKNOWN


@dataclass(frozen=True, slots=True)
class LayoutRow:
    """A row of the table: name, first address and the one behind the last (None: only the image knows), and unit."""

    name: str
    bounds: tuple[int, int] | None
    unit: str


def memory_line_with_data(f: MemoryFigures) -> tuple[str, ...]:
    """2.4 and 2.6.11: what the data and the code take, and high memory where there could be some."""
    high = "" if f.highmem is None else f", {f.highmem}k highmem"
    line = (
        f"Memory: {f.available}k/{f.end}k available ({f.part('code')}k kernel code, {f.low_reserved}k reserved, "
        f"{f.part('rwdata', 'rodata')}k data, {f.part('init')}k init{high})"
    )
    return (line,)


def memory_lines_of_a_board(f: MemoryFigures) -> tuple[str, ...]:
    """2.4 and 2.6.11 on arm: the banks of memory, then what is free of it."""
    megabytes = f.physical >> 10
    data = f.part("rwdata", "rodata")
    return (
        f"Memory: {megabytes}MB = {megabytes}MB total",
        f"Memory: {f.available}KB available ({f.part('code')}K code, {data}K data, {f.part('init')}K init)",
    )


def memory_line_with_cma(f: MemoryFigures) -> tuple[str, ...]:
    """5.6 on: every part of the image, what is reserved, and what is kept for CMA."""
    high = "" if f.highmem is None else f", {f.highmem}K highmem"
    available = UNKNOWN if f.available is None else f.available
    line = (
        f"Memory: {available}K/{f.physical}K available ({f.part('code')}K kernel code, {f.part('rwdata')}K rwdata, "
        f"{f.part('rodata')}K rodata, {f.part('init')}K init, {f.part('bss')}K bss, {f.reserved}K reserved, "
        f"{f.cma}K cma-reserved{high})"
    )
    return (line,)


def no_table(_rows: tuple[LayoutRow, ...]) -> tuple[str, ...]:
    """Nothing is told of addresses."""
    return ()


def table_of_areas(rows: tuple[LayoutRow, ...]) -> tuple[str, ...]:
    """Until 5.6: the areas from the top down, then the image's parts."""
    lines = ["virtual kernel memory layout:"]
    for row in rows:
        # Long names begin farther left, the image's parts farther right.
        indent = 2 if len(row.name) > 7 else 6 if row.name.startswith(".") else 4
        label = f"{' ' * indent}{row.name:<{12 - indent}}: "
        if row.bounds is None:
            lines.append(label + UNKNOWN)
            continue
        start, end = row.bounds
        size = end - start >> (20 if row.unit == "MB" else 10)
        lines.append(f"{label}0x{start:08x} - 0x{end:08x}   ({size:4d} {row.unit})")
    return tuple(lines)


@dataclass(frozen=True, slots=True)
class BootLogRules:
    """What differs between kernels.

    Attributes
    ----------
    memory_line : callable (MemoryFigures) -> lines
    arm_memory_line : callable (MemoryFigures) -> lines
        The same on arm.
    layout_table : callable (rows) -> lines
        x86-32's.
    """

    memory_line: Callable[[MemoryFigures], tuple[str, ...]]
    arm_memory_line: Callable[[MemoryFigures], tuple[str, ...]]
    layout_table: Callable[[tuple[LayoutRow, ...]], tuple[str, ...]]


TABLE: tuple[Rule, ...] = (
    Rule("memory_line", (2, 4), memory_line_with_data, "The Memory: line tells code, reserved, data and init.",
         "arch/i386/mm/init.c mem_init", ("source",)),
    Rule("memory_line", (3, 11), memory_line_with_cma,
         "The Memory: line tells every part of the image, what is reserved and what is kept for CMA.",
         "mm/page_alloc.c mem_init_print_info; mm/mm_init.c from 6.4", ("recording:6.1", "recording:6.12")),
    Rule("arm_memory_line", (2, 4), memory_lines_of_a_board, "arm tells its banks of memory first.",
         "arch/arm/mm/init.c mem_init", ("source",)),
    Rule("arm_memory_line", (3, 11), memory_line_with_cma, "The Memory: line is the same everywhere.",
         "mm/page_alloc.c mem_init_print_info; mm/mm_init.c from 6.4", ("source",)),
    Rule("layout_table", (2, 4), no_table, "Nothing is told of addresses.", "arch/i386/mm/init.c mem_init",
         ("source",)),
    Rule("layout_table", (2, 6, 23), table_of_areas, "x86-32 prints its address space.",
         "arch/x86/mm/init_32.c mem_init", ("source",)),
    Rule("layout_table", (5, 7), no_table, "Addresses are no longer told, as they help attackers.",
         "arch/x86/mm/init_32.c mem_init", ("recording:6.1",)),
)  # fmt: skip
