"""Pages by address: what __get_free_pages, get_zeroed_page and free_pages do (mm/page_alloc.c)."""

from __future__ import annotations

from collections.abc import Sequence

from kmemwidgets.records import MachineSpec

from .errors import KernelBug
from .gfp import FLAGS
from .page import Page
from .rules import pick
from .rules.layout import address_space
from .rules.page_address import TABLE, PageAddressRules
from .slub_pages import Pages

#: The commands of this module, each a method that takes plain arguments.
COMMANDS = frozenset({"get_free_pages", "get_zeroed_page"})
_HIGHMEM = FLAGS["__GFP_HIGHMEM"]
_ZERO = FLAGS["__GFP_ZERO"]


class PageAddresses:
    """The direct map's addresses of pages, as one machine's allocator gives and takes them.

    Parameters
    ----------
    spec : MachineSpec
    allocator : Pages
    memory : sequence of (int, int)
        RAM that the kernel uses, bytes, ascending.
    """

    def __init__(self, spec: MachineSpec, allocator: Pages, memory: Sequence[tuple[int, int]]) -> None:
        self._rules = pick(PageAddressRules, TABLE, spec.kernel)
        self._allocator = allocator
        self._memory = memory
        self._page_size = spec.page_size
        self._space = address_space(spec, memory)

    def get_free_pages(self, gfp: int, order: int, cpu: int = 0) -> int:
        """Allocate a block; returns its address, 0 where there is none, or where it lies in high memory.

        That takes a kernel which lets high memory be asked for: the block is lost then.
        """
        if self._rules.masks_highmem:
            gfp &= ~_HIGHMEM
        pfn = self._allocator.alloc_pages(gfp, order, None, cpu)
        return 0 if pfn < 0 else self._address(pfn)

    def get_zeroed_page(self, gfp: int, cpu: int = 0) -> int:
        """Allocate a page of zeros; returns its address, 0 where there is none.

        Raises
        ------
        KernelBug
            Where high memory is asked for, and the kernel doesn't leave it out.
        """
        if gfp & _HIGHMEM and self._rules.zeroed_highmem:
            raise KernelBug(self._rules.zeroed_highmem)
        return self.get_free_pages(gfp | _ZERO, 0, cpu)

    def _address(self, pfn: int) -> int:
        physical = pfn * self._page_size
        low = physical - self._space.phys_offset < self._space.direct_end - self._space.page_offset
        return self._space.va(physical) if low else 0

    def page(self, number: int) -> Page:
        """Return the page that is given back: by its frame's number, or by its address, which is always larger.

        Raises
        ------
        KernelBug
            For an address behind which the direct map has no RAM (free_pages, virt_addr_valid).
        """
        if number < self._space.page_offset:
            return Page(number)
        if number < self._space.direct_end:
            physical = self._space.pa(number)
            if any(start <= physical < end for start, end in self._memory):
                return Page(physical // self._page_size)
        raise KernelBug(f"{self._rules.bad_address} (free_pages of {number:#x}, which is no page's address)")
