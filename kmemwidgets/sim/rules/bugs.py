"""What a kernel writes when a page is freed that must not be."""

from __future__ import annotations

from dataclasses import dataclass

from .table import Rule
from .words import CUT_HERE

#: Whose words a table of frames has that belongs to no kernel yet.
NEWEST = (6, 18)
#: A kernel that notices nothing, or not now.
SILENT = ""
#: Lines that stand in more than one answer; BUG() gives a line number, which changes with every stable release.
_CUT = f"{CUT_HERE}\n"
_BAD_PAGE = "BUG: Bad page state in process {comm}  pfn:{pfn:05x}\n{dump}\npage dumped because: "


@dataclass(frozen=True, slots=True)
class BugRules:
    """The answers to a page that must not be freed, and how a page is shown in them.

    ``{pfn}``, ``{comm}`` and ``{dump}`` are filled in. The words of ``struct page`` (``raw:``), the list of modules
    and the stack are left out.

    Attributes
    ----------
    free_already : str
        Nobody has the page: its reference count is zero.
    tail : str
        It lies inside a block. Its own reference count is zero, too.
    reserved : str
        Boot keeps the page (PG_reserved).
    knows_orders : bool
        Whether a compound page is asked for its order; only a kernel with CONFIG_DEBUG_VM does.
    wrong_order : str
        It begins a block of another order.
    neighbour : str
        With the wrong order the range holds a page that somebody has: this one is told of.
    misaligned : str
        No block of the wrong order can begin there.
    no_page : str
        There is no such frame.
    page_line : str
        How a page's figures are shown; ``{page}`` is the address of its struct.
    flags_line : str
        How its flags are shown: ``{word}`` is the number, ``{names}`` the flags, ``{fields}`` what stands above them.
    head_suffix, head_line : str
        What the first line ends with, and a line of its own, where the page begins a block of ``{order}``.
    page_type : str
        A line about what kind of page it is; empty where an ordinary page has none.
    """

    free_already: str
    tail: str
    reserved: str
    knows_orders: bool
    wrong_order: str
    neighbour: str
    misaligned: str
    no_page: str
    page_line: str
    flags_line: str
    head_suffix: str
    head_line: str
    page_type: str


def _rule(name: str, since: tuple[int, ...], value: str | bool, says: str, source: str) -> Rule:
    return Rule(name, since, value, says, source, ("source",))


_NOBODY = f"{_BAD_PAGE}nonzero _refcount"
_RESERVED = f"{_BAD_PAGE}PAGE_FLAGS_CHECK_AT_FREE flag(s) set"
_COMPOUND = "VM_BUG_ON_PAGE(compound && compound_order(page) != order)"
_FREE_24 = "mm/page_alloc.c __free_pages, __free_pages_ok"
_PUT = "mm/page_alloc.c __free_pages, page_bad_reason"
_DUMP = "mm/debug.c __dump_page; since 6.12 __dump_folio"
_OLD = "no page is shown"

TABLE: tuple[Rule, ...] = (
    _rule("free_already", (2, 4), SILENT, "The count falls below zero, and nobody looks.", _FREE_24),
    _rule("free_already", (2, 6, 11), f"{_CUT}kernel BUG at mm/page_alloc.c:902!",
          "Whoever gives up a page that nobody has is a BUG where it is given up.",
          "include/linux/mm.h put_page_testzero, expanded in mm/page_alloc.c __free_pages"),
    _rule("free_already", (5, 6), _NOBODY, "The count falls below zero; whoever takes the page next says so.", _PUT),
    _rule("tail", (2, 4), SILENT, "The count falls below zero, and nobody looks.", _FREE_24),
    _rule("tail", (2, 6, 11), f"{_CUT}kernel BUG at mm/page_alloc.c:902!", "A page inside a block has no count.",
          "include/linux/mm.h put_page_testzero, expanded in mm/page_alloc.c __free_pages"),
    _rule("tail", (5, 6), _NOBODY, "A page inside a block has no count; whoever frees the block says so.", _PUT),
    _rule("reserved", (2, 4), SILENT, "A reserved page is passed over.", _FREE_24),
    _rule("reserved", (5, 6), f"{_RESERVED}\nbad because of flags: 0x1000(reserved)",
          "The flags are told that made it bad.", "mm/page_alloc.c free_pages_check_bad, bad_page"),
    _rule("reserved", (5, 8), _RESERVED,
          "Flags stand in the dump of the page only.", "mm/page_alloc.c free_page_is_bad_report, bad_page"),
    _rule("knows_orders", (2, 4), False, "Nobody knows what order a block had.", _FREE_24),
    _rule("knows_orders", (5, 6), True, "With CONFIG_DEBUG_VM the order of a compound page is looked at.",
          "mm/page_alloc.c free_pages_prepare"),
    _rule("wrong_order", (2, 4), SILENT, "Nobody knows what order a block had.", _FREE_24),
    _rule("wrong_order", (5, 6), f"{{dump}}\npage dumped because: {_COMPOUND}\n{_CUT}kernel BUG at mm/page_alloc.c!",
          "With CONFIG_DEBUG_VM the order of a compound page is looked at.", "mm/page_alloc.c free_pages_prepare"),
    _rule("neighbour", (2, 4), SILENT, "Only the first page is looked at.", _FREE_24),
    _rule("neighbour", (2, 6, 11),
          "Bad page state at __free_pages_ok (in process '{comm}', page {page:08x})\n{dump}\nBacktrace:\n"
          "Trying to fix it up, but a reboot is needed",
          "Each page of the range is looked at.", "mm/page_alloc.c free_pages_check, bad_page"),
    _rule("neighbour", (5, 6), _NOBODY, "Each page of the range is looked at.",
          "mm/page_alloc.c free_pages_prepare, page_bad_reason"),
    _rule("misaligned", (2, 4), "kernel BUG at page_alloc.c:121!", "A block begins at a multiple of its size.",
          _FREE_24),
    _rule("misaligned", (2, 6, 11), f"{_CUT}kernel BUG at mm/page_alloc.c:248!",
          "A block begins at a multiple of its size.", "mm/page_alloc.c __free_pages_bulk"),
    _rule("misaligned", (5, 6), SILENT, "Only CONFIG_DEBUG_VM looks.", "mm/page_alloc.c __free_one_page"),
    _rule("no_page", (2, 4), "Unable to handle kernel paging request at virtual address {page:x}",
          "A fault at an address of the kernel.", "arch/i386/mm/fault.c do_page_fault"),
    _rule("no_page", (5, 6), "BUG: unable to handle page fault for address: {page:016x}",
          "A fault at an address of the kernel.", "arch/x86/mm/fault.c show_fault_oops"),
    _rule("page_line", (2, 4), "", _OLD, _DUMP),
    _rule("page_line", (2, 6, 11), "flags:0x{word:08x} mapping:{mapping} mapcount:0 count:{count}",
          "One line has all.", "mm/page_alloc.c bad_page"),
    _rule("page_line", (5, 6), "page:{page:016x} refcount:{count} mapcount:0 mapping:{mapping} index:0x0",
          "A page is named by the address of its struct.", _DUMP),
    _rule("page_line", (5, 9), "page:{page:016x} refcount:{count} mapcount:0 mapping:{mapping} index:0x0 pfn:{pfn:#x}",
          "Its frame is told.", _DUMP),
    _rule("page_line", (6, 12), "page: refcount:{count} mapcount:0 mapping:{mapping} index:0x0 pfn:{pfn:#x}",
          "A copy is shown, so its address says nothing.", _DUMP),
    _rule("flags_line", (2, 4), "", _OLD, _DUMP),
    _rule("flags_line", (5, 6), "flags: {word:#x}({names})", "Flags have names.", _DUMP),
    _rule("flags_line", (5, 13), "flags: {word:#x}({fields})", "Node, zone and last cpu are read from the word, too.",
          "lib/vsprintf.c format_page_flags"),
    _rule("head_suffix", (2, 4), "", _OLD, _DUMP),
    _rule("head_suffix", (5, 6), " compound_mapcount: 0", "How often the whole is mapped is told.", _DUMP),
    _rule("head_suffix", (5, 9), "", "The block has a line of its own.", _DUMP),
    _rule("head_line", (2, 4), "", _OLD, _DUMP),
    _rule("head_line", (5, 9), "head:{page:016x} order:{order} compound_mapcount:0 compound_pincount:0",
          "The block has a line of its own.", _DUMP),
    _rule("head_line", (6, 2), "head:{page:016x} order:{order} entire_mapcount:0 nr_pages_mapped:0 pincount:0",
          "It is told how many pages are mapped.", _DUMP),
    _rule("head_line", (6, 12), "head: order:{order} mapcount:0 entire_mapcount:0 nr_pages_mapped:0 pincount:0",
          "A copy is shown, so its address says nothing.", _DUMP),
    _rule("page_type", (2, 4), "", _OLD, _DUMP),
    _rule("page_type", (6, 4), "page_type: 0xffffffff()", "The type is shown, none as well.", _DUMP),
    _rule("page_type", (6, 12), "", "Only a page that has a type shows it.", _DUMP),
)  # fmt: skip
