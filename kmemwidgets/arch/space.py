"""A kernel's address space: its areas, and the arithmetic between addresses, frames and struct pages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AddressArea:
    """A named range of virtual addresses, `end` exclusive; `says` is what must be known of it besides."""

    name: str
    start: int
    end: int
    says: str = ""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class AddressSpace:
    """The virtual address space of a kernel.

    Attributes
    ----------
    bits : int
        Width of a pointer.
    areas : tuple of AddressArea
        Ascending.
    page_offset : int
        Start of the direct map.
    phys_offset : int
        Physical address that it starts with.
    direct_end : int
        End of what the direct map may cover.
    text_map : int
        Virtual address of physical address 0 in the mapping of the kernel image, where that has one of its own; else
        `page_offset` less `phys_offset`.
    text_start, text_end : int
        Where the image may lie in that mapping; both 0 if it lies in the direct map.
    vmemmap : int
        Address of the struct page of frame 0; 0 where struct pages have no fixed place.
    page_bytes : int
        Size of struct page.
    page_size : int
    """

    bits: int
    areas: tuple[AddressArea, ...]
    page_offset: int
    direct_end: int
    phys_offset: int = 0
    text_map: int = 0
    text_start: int = 0
    text_end: int = 0
    vmemmap: int = 0
    page_bytes: int = 64
    page_size: int = 4096

    def area(self, name: str) -> AddressArea:
        """Return an area by its name; KeyError where there is none."""
        for entry in self.areas:
            if entry.name == name:
                return entry
        raise KeyError(name)

    def area_of(self, address: int) -> AddressArea | None:
        """Return the area that an address lies in; None for a hole or an address that can't exist."""
        for entry in self.areas:
            if entry.start <= address < entry.end:
                return entry
        return None

    def va(self, physical: int) -> int:
        """Return the direct map's address of physical memory (__va).

        Raises
        ------
        ValueError
            Where the direct map doesn't reach.
        """
        address = physical - self.phys_offset + self.page_offset
        if not self.page_offset <= address < self.direct_end:
            raise ValueError(f"physical address {physical:#x} has no place in the direct map")
        return address

    def pa(self, virtual: int) -> int:
        """Return the physical address behind an address of the direct map or of the kernel image (__pa).

        Raises
        ------
        ValueError
            For any other address: only the page tables know what is behind it.
        """
        if self.page_offset <= virtual < self.direct_end:
            return virtual - self.page_offset + self.phys_offset
        if self.text_start <= virtual < self.text_end:
            return virtual - self.text_map
        where = self.area_of(virtual)
        raise ValueError(f"{virtual:#x} lies in {where.name if where else 'no area'}, not in the direct map")

    def page_of(self, pfn: int) -> int:
        """Return the address of a frame's struct page (pfn_to_page).

        Raises
        ------
        ValueError
            Where struct pages have no fixed place.
        """
        if not self.vmemmap:
            raise ValueError("the memory map has no fixed place; its address is chosen at boot")
        return self.vmemmap + pfn * self.page_bytes

    def pfn_of(self, page: int) -> int:
        """Return the frame that a struct page describes (page_to_pfn).

        Raises
        ------
        ValueError
            For an address that is no struct page's.
        """
        if not self.vmemmap:
            raise ValueError("the memory map has no fixed place; its address is chosen at boot")
        pfn, rest = divmod(page - self.vmemmap, self.page_bytes)
        if rest or pfn < 0:
            raise ValueError(f"{page:#x} is no struct page")
        return pfn

    def virt_to_page(self, virtual: int) -> int:
        """Return the struct page of the frame behind an address of the direct map (virt_to_page)."""
        return self.page_of(self.pa(virtual) // self.page_size)
