"""The ways in which kernel code asks for memory, side by side: what each gives, and what it promises."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

from kmemwidgets.records import parse_version

from .rules import pick
from .rules.interfaces import TABLE, InterfaceRules

#: When a caller may have to sleep.
BY_GFP, ALWAYS = "if its flags allow it", "always"


@dataclass(frozen=True, slots=True)
class Interface:
    """One of the kernel's allocation functions.

    Attributes
    ----------
    name : str
    gives : str
        What comes back.
    largest : str
        What it can give at most.
    contiguous : bool
        Whether the memory lies in neighbouring frames, as a device may need it.
    zeroed : bool
    may_fail : bool
        Whether a caller that may wait can still get nothing.
    waits : str
        When the caller may have to sleep: an interrupt must not.
    undo : str
        What gives it back.
    use : str
        When to take it.
    source : str
        Kernel file and function.
    """

    name: str
    gives: str
    largest: str
    contiguous: bool
    zeroed: bool
    may_fail: bool
    waits: str
    undo: str
    use: str
    source: str


INTERFACES: tuple[Interface, ...] = (
    Interface(
        "alloc_pages", "struct page of 2^order frames", "the largest order", True, False, True, BY_GFP,
        "__free_pages", "whole pages, high memory too: page cache, page tables, a user's memory",
        "mm/page_alloc.c, __alloc_pages",
    ),
    Interface(
        "__get_free_pages", "address of 2^order frames", "the largest order", True, False, True, BY_GFP,
        "free_pages", "whole pages that the kernel itself reads and writes; never high memory",
        "mm/page_alloc.c, __get_free_pages",
    ),
    Interface(
        "get_zeroed_page", "address of a page of zeros", "one page", True, True, True, BY_GFP,
        "free_page", "a page that user space may get to see, or a page table", "mm/page_alloc.c, get_zeroed_page",
    ),
    Interface(
        "kmem_cache_alloc", "an object of a cache", "the cache's object", True, False, True, BY_GFP,
        "kmem_cache_free", "many objects of one kind", "mm/slub.c, kmem_cache_alloc",
    ),
    Interface(
        "kmalloc", "address of a block of at least the size", "the largest order", True, False, True, BY_GFP,
        "kfree", "anything smaller than a page, or that must be contiguous", "mm/slab_common.c, __kmalloc",
    ),
    Interface(
        "kzalloc", "the same, filled with zeros", "the largest order", True, True, True, BY_GFP,
        "kfree", "structures whose fields begin as zero", "include/linux/slab.h, kzalloc",
    ),
    Interface(
        "kcalloc", "an array of zeros; NULL if count times size overflows", "the largest order", True, True,
        True, BY_GFP, "kfree", "arrays whose length somebody else chose", "include/linux/slab.h, kcalloc",
    ),
    Interface(
        "vmalloc", "an area of addresses over single frames", "vmalloc's space, the machine's memory", False, False,
        True, ALWAYS, "vfree", "large tables that no device reads; costs page tables and TLB entries",
        "mm/vmalloc.c, vmalloc",
    ),
    Interface(
        "kvmalloc", "what kmalloc gives, else what vmalloc gives", "vmalloc's space, the machine's memory",
        False, False, True, ALWAYS, "kvfree", "sizes that are mostly small and sometimes large",
        "mm/util.c, kvmalloc_node",
    ),
    Interface(
        "mempool_alloc", "an object, from the reserve if need be", "the pool's object", True, False, False, BY_GFP,
        "mempool_free", "writing pages out to free memory: must go on when there is none",
        "mm/mempool.c, mempool_alloc",
    ),
    Interface(
        "alloc_percpu", "a variable that each cpu has a copy of", "32 KiB", False, True, True, ALWAYS,
        "free_percpu", "counters that each cpu changes without locks", "mm/percpu.c, pcpu_alloc",
    ),
)  # fmt: skip
#: What a reader compares, in the order of a row.
COLUMNS = ("gives", "at most", "contiguous", "zeroed", "may fail", "may sleep", "undone by", "for")


def _cells(each: Interface) -> tuple[str, ...]:
    flags = ("yes" if flag else "no" for flag in (each.contiguous, each.zeroed, each.may_fail))
    return (each.gives, each.largest, *flags, each.waits, each.undo, each.use)


class InterfaceTable(tuple[Interface, ...]):
    """The functions of one kernel; shown as a table to compare them by."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Write one block for each function."""
        lines: list[str] = []
        for each in self:
            lines.append(each.name)
            lines += [f"  {name + ':':<12}{cell}" for name, cell in zip(COLUMNS, _cells(each), strict=True)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return one row for each function, for a notebook."""
        head = "".join(f"<th>{name}</th>" for name in ("function", *COLUMNS))
        rows = "".join(
            f"<tr><td><code>{escape(each.name)}</code></td>"
            + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(each))
            + "</tr>"
            for each in self
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def allocation_interfaces(kernel: str = "6.1") -> InterfaceTable:
    """Return the allocation functions that a kernel has, side by side.

    Parameters
    ----------
    kernel : str

    Examples
    --------
    >>> [each.name for each in allocation_interfaces("2.4")]
    ['alloc_pages', '__get_free_pages', 'get_zeroed_page', 'kmem_cache_alloc', 'kmalloc', 'vmalloc']
    >>> next(each.largest for each in allocation_interfaces("2.4") if each.name == "kmalloc")
    '128 KiB'
    """
    rules = pick(InterfaceRules, TABLE, parse_version(kernel))
    has = {
        "kzalloc": rules.kzalloc, "kcalloc": rules.kcalloc, "kvmalloc": rules.kvmalloc,
        "mempool_alloc": rules.mempool, "alloc_percpu": rules.percpu,
    }  # fmt: skip
    largest = {"kmalloc": rules.kmalloc_most, "kzalloc": rules.kmalloc_most, "kcalloc": rules.kmalloc_most}
    largest["alloc_percpu"] = "32 KiB" if rules.percpu_chunks else rules.kmalloc_most
    if rules.kvmalloc_most:
        largest["kvmalloc"] = "2 GiB"
    return InterfaceTable(
        replace(each, largest=largest.get(each.name) or each.largest) for each in INTERFACES if has.get(each.name, True)
    )


def choose(size: int, *, contiguous: bool = False, page_size: int = 4096, must_not_fail: bool = False) -> Interface:
    """Return the interface that fits a need.

    Parameters
    ----------
    size : int
        Bytes.
    contiguous : bool
        A device reads or writes it.
    page_size : int
        Bytes.
    must_not_fail : bool
        The caller frees memory itself, and can't go on without.
    """
    if size < 1:
        raise ValueError(f"{size} bytes")
    by_name = {interface.name: interface for interface in INTERFACES}
    if must_not_fail:
        return by_name["mempool_alloc"]
    if size <= page_size or (contiguous and size <= page_size << 1):
        return by_name["kmalloc"]
    return by_name["alloc_pages" if contiguous else "kvmalloc"]
