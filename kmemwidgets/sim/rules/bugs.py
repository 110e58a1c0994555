"""What a kernel writes when a page is freed that must not be."""

from __future__ import annotations

from dataclasses import dataclass

from .table import Rule

#: Whose words a table of frames has that belongs to no kernel yet.
NEWEST = (6, 18)
#: mm/page_alloc.c bad_page: the first line, then __dump_page's reason.
_BAD_PAGE = "BUG: Bad page state in process {comm}  pfn:{pfn:05x}\npage dumped because: "
_OLD_BAD_PAGE = "Bad page state at free_hot_cold_page (in process '{comm}', pfn {pfn:05x})"
_OLD_BUG = "kernel BUG at page_alloc.c!"
_DEBUG = "page dumped because: VM_BUG_ON_PAGE({})\nkernel BUG at mm/page_alloc.c!"


@dataclass(frozen=True, slots=True)
class BugRules:
    """The words for a page that must not be freed; ``{pfn}`` and ``{comm}`` are filled in, line numbers left out.

    Attributes
    ----------
    free_already : str
        Nobody has the page: its reference count was zero.
    reserved : str
        Boot keeps the page (PG_reserved).
    wrong_order : str
        It begins a block of another order. A kernel without CONFIG_DEBUG_VM may free it without a word.
    tail : str
        It lies inside a block.
    no_page : str
        There is no such frame.
    """

    free_already: str
    reserved: str
    wrong_order: str
    tail: str
    no_page: str


def _rule(name: str, since: tuple[int, ...], value: str, says: str, source: str) -> Rule:
    return Rule(name, since, value, says, source, ("source",))


TABLE: tuple[Rule, ...] = (
    _rule("free_already", (2, 4), _OLD_BUG, "Checks of a freed page are BUG().", "mm/page_alloc.c __free_pages_ok"),
    _rule(
        "free_already",
        (2, 6, 11),
        "kernel BUG at include/linux/mm.h!",
        "A page nobody has must not be put.",
        "include/linux/mm.h put_page_testzero",
    ),
    _rule(
        "free_already",
        (2, 6, 29),
        f"{_BAD_PAGE}nonzero _refcount",
        "The count falls below zero; whoever looks at the page next says so.",
        "mm/page_alloc.c page_bad_reason, check_new_page_bad",
    ),
    _rule("reserved", (2, 4), _OLD_BUG, "Checks of a freed page are BUG().", "mm/page_alloc.c __free_pages_ok"),
    _rule("reserved", (2, 6, 11), _OLD_BAD_PAGE, "A bad page is told and kept.", "mm/page_alloc.c bad_page"),
    _rule(
        "reserved",
        (2, 6, 29),
        f"{_BAD_PAGE}PAGE_FLAGS_CHECK_AT_FREE flag(s) set\nbad because of flags: 0x1000(reserved)",
        "The flags are told that made it bad.",
        "mm/page_alloc.c free_pages_check_bad, bad_page",
    ),
    _rule(
        "reserved",
        (5, 8),
        f"{_BAD_PAGE}PAGE_FLAGS_CHECK_AT_FREE flag(s) set",
        "Flags stand in the dump of the page only.",
        "mm/page_alloc.c free_page_is_bad, bad_page",
    ),
    _rule("wrong_order", (2, 4), _OLD_BUG, "Checks of a freed page are BUG().", "mm/page_alloc.c __free_pages_ok"),
    _rule("wrong_order", (2, 6, 11), _OLD_BAD_PAGE, "A bad page is told and kept.", "mm/page_alloc.c bad_page"),
    _rule(
        "wrong_order",
        (2, 6, 29),
        _DEBUG.format("compound && compound_order(page) != order"),
        "With CONFIG_DEBUG_VM the order of a compound page is looked at.",
        "mm/page_alloc.c free_pages_prepare",
    ),
    _rule("tail", (2, 4), _OLD_BUG, "Checks of a freed page are BUG().", "mm/page_alloc.c __free_pages_ok"),
    _rule("tail", (2, 6, 11), _OLD_BAD_PAGE, "A bad page is told and kept.", "mm/page_alloc.c bad_page"),
    _rule(
        "tail",
        (2, 6, 29),
        _DEBUG.format("PageTail(page)"),
        "With CONFIG_DEBUG_VM nobody frees the middle of a compound page.",
        "mm/page_alloc.c free_pages_prepare",
    ),
    _rule(
        "no_page",
        (2, 4),
        "Unable to handle kernel paging request at virtual address",
        "A fault at an address of the kernel.",
        "arch/i386/mm/fault.c do_page_fault",
    ),
    _rule(
        "no_page",
        (2, 6, 25),
        "BUG: unable to handle kernel paging request at",
        "A fault at an address of the kernel.",
        "arch/x86/mm/fault.c show_fault_oops",
    ),
    _rule(
        "no_page",
        (5, 1),
        "BUG: unable to handle page fault for address:",
        "A fault at an address of the kernel.",
        "arch/x86/mm/fault.c show_fault_oops",
    ),
)
