"""How a kernel shows a page that something is wrong with (mm/debug.c, dump_page)."""

from __future__ import annotations

from dataclasses import dataclass, field

from kmemwidgets.records import Version

from .page_flags import FlagsLayout, flags_text, flags_word
from .rules import pick
from .rules.bugs import NEWEST, TABLE, BugRules

#: In whose name pages are freed.
COMM = "kmem"


@dataclass(frozen=True, slots=True)
class PageBugs:
    """How a kernel speaks of a page.

    Attributes
    ----------
    rules : BugRules
    version : tuple of int
    layout : FlagsLayout
        Of the flags word.
    vmemmap, page_bytes : int
        Where the structs of all frames lie, and the size of one.
    pointer_digits : int
        Of an address.
    zones : tuple of (int, int)
        Node and zone index of each zone, by the number that page blocks have (`MemMap.zone_ids`).
    """

    rules: BugRules = field(default_factory=lambda: pick(BugRules, TABLE, NEWEST))
    version: Version = NEWEST
    layout: FlagsLayout = field(default_factory=FlagsLayout)
    vmemmap: int = 0
    page_bytes: int = 64
    pointer_digits: int = 16
    zones: tuple[tuple[int, int], ...] = ()

    def dump(self, pfn: int, count: int, *, flags: tuple[str, ...] = (), order: int = 0, zone: int = 0) -> str:
        """Show a page (dump_page); what is said of it, `bad_page` explains."""
        return self.bad_page("{dump}", pfn, count, flags=flags, order=order, zone=zone)

    def bad_page(
        self, text: str, pfn: int, count: int, *, flags: tuple[str, ...] = (), order: int = 0, zone: int = 0
    ) -> str:
        """Fill a page into a kernel's words.

        Parameters
        ----------
        text : str
            One of the rules.
        pfn : int
        count : int
            Its reference count, as it is when the kernel looks.
        flags : tuple of str
        order : int
            Of the block that it begins; 0 for a single page, and one inside a block.
        zone : int
            The zone's number.
        """
        nid, index = self.zones[zone] if zone < len(self.zones) else (0, 0)
        page = (self.vmemmap + pfn * self.page_bytes) & ((1 << self.layout.bits) - 1)
        rules = self.rules
        word = flags_word(self.layout, flags, nid, index, self.version)
        lines = (
            rules.page_line.format(page=page, count=count, mapping="0" * self.pointer_digits, pfn=pfn, word=word)
            + (rules.head_suffix if order else ""),
            rules.head_line.format(page=page, order=order) if order else "",
            rules.flags_line.format(
                word=word,
                names="|".join(flags),
                fields=flags_text(self.layout, flags, nid, index, self.version),
            ),
            rules.page_type,
        )
        dump = "\n".join(line for line in lines if line)
        return text.format(comm=COMM, pfn=pfn, dump=dump, page=page)
