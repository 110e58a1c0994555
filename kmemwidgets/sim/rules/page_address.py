"""Pages by address: what becomes of a request for high memory, and of an address that is no page's."""

from __future__ import annotations

from dataclasses import dataclass

from .table import Rule


@dataclass(frozen=True, slots=True)
class PageAddressRules:
    """What differs between kernels.

    Attributes
    ----------
    masks_highmem : bool
        Whether __get_free_pages leaves high memory out of what it asks for.
    zeroed_highmem : str
        What the kernel says where get_zeroed_page is asked for high memory; nothing where that is left out.
    bad_address : str
        What it says of an address without a page that is given back.
    """

    masks_highmem: bool
    zeroed_highmem: str
    bad_address: str


TABLE: tuple[Rule, ...] = (
    Rule("masks_highmem", (2, 4), False,
         "__get_free_pages may be asked for high memory: the page is lost then, as it has no address to return.",
         "mm/page_alloc.c, __get_free_pages", ("source",)),
    Rule("masks_highmem", (5, 6), True, "__get_free_pages never takes high memory, whatever it is asked for.",
         "mm/page_alloc.c, __get_free_pages", ("source",)),
    Rule("zeroed_highmem", (2, 4), "Unable to handle kernel NULL pointer dereference at virtual address 00000000",
         "get_zeroed_page clears the page at address 0 where high memory is asked for.",
         "mm/page_alloc.c, get_zeroed_page", ("source",)),
    Rule("zeroed_highmem", (2, 6), "kernel BUG at mm/page_alloc.c!",
         "get_zeroed_page stops where high memory is asked for.", "mm/page_alloc.c, get_zeroed_page", ("source",)),
    Rule("zeroed_highmem", (5, 6), "", "get_zeroed_page asks __get_free_pages, which leaves high memory out.",
         "mm/page_alloc.c, get_zeroed_page", ("source",)),
    Rule("bad_address", (2, 4), "Unable to handle kernel paging request at virtual address",
         "Nobody looks at the address that free_pages is given.", "mm/page_alloc.c, free_pages", ("source",)),
    Rule("bad_address", (2, 6), "kernel BUG at mm/page_alloc.c!",
         "free_pages looks at the address; since 5.6 at the latest only with CONFIG_DEBUG_VM.",
         "mm/page_alloc.c, free_pages", ("source",)),
)  # fmt: skip
