"""The verbs that give and take pages by address. A part of `Machine`."""

from __future__ import annotations

from .gfp import GFP_KERNEL
from .verbs import Verbs


class AddressVerbs(Verbs):
    """Verbs about pages that the kernel itself reads and writes, so that it wants their addresses."""

    def get_free_pages(self, gfp: int | str = GFP_KERNEL, order: int = 0, cpu: int = 0) -> int | None:
        """Allocate 2^order page frames, and return their address; None where the kernel refuses (__get_free_pages).

        High memory has no address: from 5.6 on it is never taken, and before that such a page is lost. `free_pages`
        takes the address back.
        """
        return self._do("get_free_pages", self._gfp(gfp), order, self._cpu(cpu)) or None

    def get_zeroed_page(self, gfp: int | str = GFP_KERNEL, cpu: int = 0) -> int | None:
        """Allocate a page of zeros, and return its address; None where the kernel refuses."""
        return self._do("get_zeroed_page", self._gfp(gfp), self._cpu(cpu)) or None

    def free_page(self, address: int, cpu: int = 0) -> None:
        """Give a single page back by its address."""
        self.free_pages(address, 0, cpu)

    def free_pages(self, page: int, order: int = 0, cpu: int = 0) -> None:
        """See `FastPath`."""
        raise NotImplementedError


# The kernel's own name, too: written in the class it would be changed to one that nobody finds.
setattr(AddressVerbs, "__get_free_pages", AddressVerbs.get_free_pages)
