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
    "framemap.part": "Map only what is on screen, frame by frame",
    "framemap.flags": "Flags of the frame under the cursor",
    "framemap.undo": "Take the last step back",
    "framemap.reset": "Back to the start",
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

_KMALLOCPANEL = {
    "kmallocpanel.title": "kmalloc",
    "kmallocpanel.size": "Bytes asked for",
    "kmallocpanel.slider": "Bytes asked for, by powers of two",
    "kmallocpanel.request": "Kind of request",
    "kmallocpanel.classes": "Caches by size",
    "kmallocpanel.class": "{objects} objects in a slab of {pages}",
    "kmallocpanel.nothing": "ZERO_SIZE_PTR: no memory is taken, and kfree accepts it.",
    "kmallocpanel.refused": "NULL: more than KMALLOC_MAX_SIZE, {largest} bytes.",
    "kmallocpanel.cache": "{cache} gives {taken} bytes, {wasted} of them wasted ({share}).",
    "kmallocpanel.pages": "No cache is so large: {pages} (order {order}) of the page allocator, {taken} bytes, "
    "{wasted} of them wasted ({share}).",
    "kmallocpanel.slab": "{objects} objects in a slab of {pages}",
    "kmallocpanel.alone": "{pages}, in one piece",
    "kmallocpanel.one": "1 page",
    "kmallocpanel.many": "{count} pages",
    "kmallocpanel.tail": "{tail} bytes left over at the end",
    "kmallocpanel.curve": "Share that is wasted, for every size",
    "kmallocpanel.recorded": "The recorded requests ask for {asked} and take {taken}: {share} is wasted.",
}

_CHART = {
    "chart.table": "The numbers as a table",
}

_ZONEDIAGRAM = {
    "zonediagram.stage": "Nodes, zones and pages; arrow keys move along a floor, Enter goes down, Escape goes up",
    "zonediagram.nodes": "nodes",
    "zonediagram.zones": "zones",
    "zonediagram.pages": "pages",
    "zonediagram.node": "node {node}",
    "zonediagram.of_node": "of node {node}",
    "zonediagram.of_zone": "of {zone}",
    "zonediagram.of_machine": "of the machine",
    "zonediagram.empty": "empty",
    "zonediagram.noscale": "Where the zones begin is not known here, so they stand side by side.",
    "zonediagram.nopages": "Positions unknown: no flags of single frames here. {free} of {managed} pages are free.",
    "zonediagram.nopages.at_all": "Positions unknown: no flags of single frames here.",
    "zonediagram.water": "free",
    "zonediagram.figures": "Figures",
    "zonediagram.marks": "Watermarks, enlarged",
    "zonediagram.free": "free {pages}",
    "zonediagram.above": "free {free}, far above",
    "zonediagram.may": "Who may take a page here?",
    "zonediagram.blocks": "Free blocks by order",
    "zonediagram.blocks.all": "Height: pages in free blocks of that order. Above: number of blocks.",
    "zonediagram.block": "order {order}: {blocks} blocks, {pages} pages",
    "zonediagram.pcp": "Lists of each cpu",
    "zonediagram.pcp.row": "cpu {cpu}: {count} pages, high {high}, batch {batch}",
    "zonediagram.chart": "Watermarks and reserves of all zones",
    "zonediagram.distances": "Distances",
    "zonediagram.fallback": "Without a free page on node {node}, the zonelist goes on: {order}",
    "zonediagram.yes": "yes",
    "zonediagram.no": "no",
    "zonediagram.reserve": "slow path",
    "zonediagram.never": "never",
    "zonediagram.unknown": "unknown",
    "zonediagram.piece": "frames {start} to {end} of {zone}: {uses}",
    "zonediagram.machine": "{nodes}, {zones} with memory",
    "zonediagram.one_node": "1 node",
    "zonediagram.many_nodes": "{count} nodes",
    "zonediagram.one_zone": "1 zone",
    "zonediagram.many_zones": "{count} zones",
    "zonediagram.pages_size": "{pages} pages, {size}",
}


_VMALLOCPANEL = {
    "vmallocpanel.title": "vmalloc areas",
    "vmallocpanel.search": "Caller",
    "vmallocpanel.pages": "pages",
    "vmallocpanel.allocate": "vmalloc as many pages as the field says",
    "vmallocpanel.free": "vfree the chosen area",
    "vmallocpanel.kind.vmalloc": "vmalloc",
    "vmallocpanel.kind.vmap": "vmap",
    "vmallocpanel.kind.ioremap": "ioremap",
    "vmallocpanel.kind.user": "user",
    "vmallocpanel.kind.vm_map_ram": "vm_map_ram",
    "vmallocpanel.kind.unpurged": "freed, not purged",
    "vmallocpanel.kind.other": "other",
    "vmallocpanel.kind.hole": "hole",
    "vmallocpanel.guarded": "(the last one is the guard page)",
    "vmallocpanel.backed": "pages allocated",
    "vmallocpanel.phys": "physical",
    "vmallocpanel.nodes": "by node",
    "vmallocpanel.flags": "flags",
    "vmallocpanel.hint": "Each block is an area, as wide as the logarithm of its pages; choose one.",
    "vmallocpanel.said": "{kind}, {pages} pages from {start} {caller}",
    "vmallocpanel.left_out": "and {count} more",
    "vmallocpanel.callers": "Who took it",
    "vmallocpanel.caller": "Caller",
    "vmallocpanel.areas": "Areas",
    "vmallocpanel.size": "Size",
}

_SLABPANEL = {
    "slabpanel.title": "Slab caches",
    "slabpanel.search": "Find a cache",
    "slabpanel.caches": "Caches, the largest first",
    "slabpanel.objects": "{size} B, {active} of {total} in use",
    "slabpanel.slabs": "Slabs of the cache",
    "slabpanel.allocate": "Take an object of this cache",
    "slabpanel.free": "Give the chosen object back",
    "slabpanel.state.used": "in use",
    "slabpanel.state.free": "free",
    "slabpanel.state.next": "free, the next to go out",
    "slabpanel.state.sheaf": "free, in a sheaf",
    "slabpanel.state.unknown": "state unknown",
    "slabpanel.unknown.why": "A recording counts objects, but doesn't say which of them are free.",
    "slabpanel.place.0": "cpu {where}: its slab",
    "slabpanel.place.1": "cpu {where}: partial list, {many}",
    "slabpanel.place.2": "node {where}: partial list, {many}",
    "slabpanel.place.3": "full, on no list: {many}",
    "slabpanel.none": "No slab yet: the first request takes pages.",
    "slabpanel.more": "and {count} more slabs",
    "slabpanel.recorded": "{place}: {many}",
    "slabpanel.nototals": "This source doesn't say how many slabs there are.",
    "slabpanel.slab.said": "slab at pfn {pfn}, {used} of {objects} objects in use",
    "slabpanel.opened": "Object {address}, {state}",
    "slabpanel.bytes": "Bytes of the object",
    "slabpanel.said": "object {address}, {state}",
}

#: key -> text
TEXT = MappingProxyType(
    {**_SHELL, **_FRAMEMAP, **_ADDRESSMAP, **_KMALLOCPANEL, **_CHART, **_ZONEDIAGRAM, **_VMALLOCPANEL, **_SLABPANEL}
)


def text(key: str, **values: object) -> str:
    """Return the text of `key` with its ``{names}`` filled in."""
    return TEXT[key].format(**values)
