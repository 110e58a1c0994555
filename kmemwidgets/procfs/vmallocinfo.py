"""/proc/vmallocinfo: the areas of vmalloc and ioremap (mm/vmalloc.c, vmalloc_info_show; s_show before 6.11)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kmemwidgets.records import VmallocArea

from ._lines import bad, checked, fill, lines_of, shown, template

LIMIT = 1 << 26

#: What the kernel says of an area after its caller. The first two stand in the caller's place.
FLAGS = (
    "unpurged vm_area", "vm_map_ram", "ioremap", "vmalloc", "vmap", "user", "dma-coherent", "vpages", "sparse",
)  # fmt: skip

# Some 32-bit kernels leave no blank before a size of seven digits: 0xf3600000-0xf36ff0001044480.
_HEAD = re.compile(r"0x([0-9a-f]{8}(?:[0-9a-f]{8})?)-0x([0-9a-f]{8}(?:[0-9a-f]{8})?) *([0-9]{1,20})(?= )")
_TOKEN = re.compile(
    r" (?:pages=(?P<pages>[0-9]{1,20})|phys=(?P<phys>(?:0x)?[0-9a-f]{1,16})|N(?P<nid>[0-9]{1,4})=(?P<count>[0-9]{1,20})"
    r"|(?P<flag>unpurged vm_area|[a-z_-]+)"
    r"|(?P<caller>(?:0x[0-9a-f]{1,16}|[\w.$]+\+0x[0-9a-f]+/0x[0-9a-f]+)(?: \[\w+\])?))"
    r"(?= |$)"
)

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class VmallocInfo:
    """All areas in the file's order.

    Attributes
    ----------
    areas : tuple of VmallocArea
    digits, phys_digits : int
        Digits of a virtual and of a physical address; 8 and 16 with PAE.
    hashed : bool
        Whether the addresses are hashed or hidden, as for readers without the right to see them: then an area's size
        is not end - start, and no address means anything.
    layout : tuple of (str, tuple)
        A template a line and what its slots show.
    """

    areas: tuple[VmallocArea, ...]
    digits: int = 16
    phys_digits: int = 16
    layout: tuple[tuple[str, tuple[Key, ...]], ...] = ()

    @property
    def hashed(self) -> bool:
        """Whether the addresses are hashed or hidden."""
        return any(area.end - area.start != area.size for area in self.areas)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Flags that no kernel up to 6.18 prints."""
        flags = dict.fromkeys(flag for area in self.areas for flag in area.flags)
        return tuple(flag for flag in flags if flag not in FLAGS)


def parse(text: str, where: str = "proc/vmallocinfo") -> VmallocInfo:
    """Read the areas."""
    areas: list[VmallocArea] = []
    layout: list[tuple[str, tuple[Key, ...]]] = []
    digits = phys_digits = 16
    for number, line in enumerate(lines_of(text, where, LIMIT), 1):
        found = _HEAD.match(line)
        if not found:
            raise bad(where, number, f"expected '0xSTART-0xEND SIZE CALLER ...', not {shown(line)}")
        if number == 1:
            digits = len(found[1])
        values: dict[str, Any] = {"caller": "", "flags": [], "nodes": {}}
        spans = [found.span(group) for group in (1, 2, 3)]
        keys: list[Key] = [("start",), ("end",), ("size",)]
        at = found.end()
        while at < len(line):
            token = _TOKEN.match(line, at)
            if not token:
                raise bad(where, number, f"{shown(line[at:].strip())} is nothing that the kernel says of an area")
            _take(token, values, keys, spans, where, number)
            at = token.end()
            if token["phys"]:
                phys_digits = keys[-1][1] or phys_digits
        areas.append(
            VmallocArea(
                start=int(found[1], 16),
                end=int(found[2], 16),
                size=int(found[3]),
                caller=values["caller"],
                pages=values.get("pages"),
                phys=values.get("phys"),
                flags=tuple(values["flags"]),
                nodes=values["nodes"],
            )
        )
        layout.append((template(line, spans), tuple(keys)))
    return checked(VmallocInfo(tuple(areas), digits, phys_digits, tuple(layout)), text, where, format)


def _take(
    token: re.Match[str],
    values: dict[str, Any],
    keys: list[Key],
    spans: list[tuple[int, int]],
    where: str,
    number: int,
) -> None:
    kind = token.lastgroup or ""
    name = kind if kind in ("pages", "phys", "caller") else ""
    if (name and values.get(name)) or (kind == "count" and int(token["nid"]) in values["nodes"]):
        raise bad(where, number, f"{token[0].strip()} is the second of its kind in this line")
    spans.append(token.span(kind))
    if kind == "count":
        values["nodes"][int(token["nid"])] = int(token["count"])
        keys.append(("nodes", int(token["nid"])))
    elif kind == "flag":
        keys.append(("flags", len(values["flags"])))
        values["flags"].append(token["flag"])
    elif kind == "phys":
        values["phys"] = int(token["phys"], 16)
        bare = token["phys"].removeprefix("0x")
        keys.append(("phys", len(bare) if bare != token["phys"] else 0))
    else:
        values[kind] = int(token[kind]) if kind == "pages" else token[kind]
        keys.append((kind,))


def format(record: VmallocInfo) -> str:  # noqa: A001 - every format has parse() and format()
    """Write the areas."""
    layout = record.layout or tuple(_kernel_row(area, record.phys_digits) for area in record.areas)
    rows = (
        [_value(area, key, record.digits) for key in keys] for area, (_, keys) in zip(record.areas, layout, strict=True)
    )
    return "".join(fill([pattern for pattern, _ in layout], rows, "vmallocinfo"))


def _value(area: VmallocArea, key: Key, digits: int) -> object:
    name, *rest = key
    if name in ("start", "end"):
        return f"{getattr(area, name):0{digits}x}"
    if name == "phys":
        return f"0x{area.phys:0{rest[0]}x}" if rest[0] else f"{area.phys:x}"
    value = getattr(area, name)
    return value[rest[0]] if rest else value


def _kernel_row(area: VmallocArea, phys_digits: int) -> tuple[str, tuple[Key, ...]]:
    keys: list[Key] = [("start",), ("end",), ("size",)]
    parts = list(_kernel_tokens(area, phys_digits))
    return "0x%s-0x%s %7s" + "".join(f" {text}" for text, _ in parts), (*keys, *(key for _, key in parts))


def _kernel_tokens(area: VmallocArea, phys_digits: int) -> Iterator[tuple[str, Key]]:
    if area.caller:
        yield "%s", ("caller",)
    if area.pages is not None:
        yield "pages=%s", ("pages",)
    if area.phys is not None:
        yield "phys=%s", ("phys", phys_digits)
    for index in range(len(area.flags)):
        yield "%s", ("flags", index)
    for nid in area.nodes:
        yield f"N{nid}=%s", ("nodes", nid)
