"""All words that widgets show, by key: one place to read, correct and translate them.

Keys are ``widget.what``; a key that begins with ``shell.`` belongs to all widgets.
``{name}`` is filled in by whoever shows the text. The front end gets the same
catalogue (see `_assemble`), so a text stands here even if only JavaScript shows it.
"""

from __future__ import annotations

from types import MappingProxyType

_SHELL = {
    "shell.help": "Keys and gestures",
    "shell.close": "Close",
    "shell.help.gesture": "What",
    "shell.help.mouse": "Mouse",
    "shell.help.key": "Key",
    "shell.help.method": "Python",
    "shell.error": "Error",
    "shell.waiting": "Waiting for the kernel …",
    "shell.noverb": "{verb}: not possible here, this machine is only looked at",
    "shell.broken": "This widget met an error: {error}",
}

_FRAMEMAP = {
    "framemap.title": "Page frames",
    "framemap.legend": "Kinds of frames; choose one to see only it",
    "framemap.all": "Show all",
    "framemap.fit": "Show the whole map",
    "framemap.zoom_in": "Closer",
    "framemap.zoom_out": "Farther",
    "framemap.png": "Save as PNG",
    "framemap.svg": "Save as SVG",
    "framemap.overview": "Overview: the whole map, the part on screen framed",
    "framemap.color_by": "Colour by",
    "framemap.unknown": "Positions unknown",
    "framemap.unknown.why": "No per-frame file of this machine is readable, so only totals are shown.",
    "framemap.hole": "hole: no memory at these addresses",
    "framemap.outside": "outside the map",
    "framemap.frame": "frame {pfn}, address {address}",
    "framemap.selected": "selected",
    "framemap.sample": "one of {count} frames",
    "framemap.frames": "{count} frames",
    "framemap.node_zone": "node {node} {zone}",
    "framemap.noflags": "no flags",
    "framemap.label": "Map of page frames; arrow keys move, Enter chooses, plus and minus zoom, ? shows all keys",
    "framemap.gap": "hole, shortened",
    "framemap.zone": "zone",
    "framemap.free": "free frames",
    "framemap.notknown": "not known",
    "framemap.totals": "Free blocks by order",
    "framemap.by.flags": "flags",
    "framemap.by.order": "order",
    "framemap.by.migratetype": "migrate type",
    "framemap.by.owner": "owner",
    "framemap.by.age": "age",
}

_ADDRESSMAP = {
    "addressmap.title": "Address space",
    "addressmap.search": "Address or name",
    "addressmap.trail": "What is on screen",
    "addressmap.window": "{size} on screen",
    "addressmap.whole": "Show the whole space",
    "addressmap.back": "Back",
    "addressmap.closer": "Closer",
    "addressmap.farther": "Farther",
    "addressmap.more": "{count} smaller areas: zoom in",
    "addressmap.hint": "Choose an area by mouse or with the arrow keys, then press Enter to zoom to it.",
    "addressmap.nowhere": "No area holds this address.",
    "addressmap.nothing": "Nothing found for {words}",
    "addressmap.said": "{name}, {start} to {end}, {size}",
    "addressmap.address": "address",
    "addressmap.pa": "physical (__pa)",
    "addressmap.pfn": "pfn",
    "addressmap.page": "struct page (virt_to_page)",
    "addressmap.table": "All areas as a table",
    "addressmap.table.name": "Area",
    "addressmap.table.start": "First address",
    "addressmap.table.end": "Last address",
    "addressmap.table.size": "Size",
}

#: key -> text
TEXT = MappingProxyType({**_SHELL, **_FRAMEMAP, **_ADDRESSMAP})


def text(key: str, **values: object) -> str:
    """Return the text of `key` with its ``{names}`` filled in."""
    return TEXT[key].format(**values)
