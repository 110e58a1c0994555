"""Machines worth knowing, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from kmemwidgets.records import BadInput, MachineSpec

from .describe import describe

#: Name -> (what it is, how it is described).
PRESETS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "laptop": ("a laptop: 16 GiB, one node", {"memory": "16G", "cpus": 8}),
        "server-2-sockets": (
            "a server with two sockets of 32 GiB",
            {"nodes": ["32G", "32G"], "cpus": 32, "distances": ((10, 21), (21, 10))},
        ),
        "server-4-nodes": (
            "a server with four unequal nodes, the last without a cpu",
            {
                "nodes": [("16G", 8), ("8G", 8), ("4G", 4), ("32G", 0)],
                "distances": ((10, 16, 22, 28), (16, 10, 22, 28), (22, 22, 10, 28), (28, 28, 28, 10)),
            },
        ),
        "x86-32-highmem": (
            "a 32-bit PC with 2 GiB, of which more than half is high memory",
            {"arch": "x86_32", "memory": "2G", "cpus": 1},
        ),
        "arm64-board": ("a board with 4 GiB", {"arch": "arm64", "memory": "4G", "cpus": 4}),
        "server-1t": (
            "a server with 1 TiB in eight nodes",
            {"memory": "1T", "nodes": 8, "cpus": 64},
        ),
        "pc-2.4": (
            "a PC of 2003: Linux 2.4, 1 GiB, so 128 MiB of high memory",
            {"arch": "x86_32", "memory": "1G", "cpus": 1, "kernel": "2.4"},
        ),
    }
)


def preset(name: str, **changes: Any) -> MachineSpec:
    """Describe a machine by its name; keyword arguments of `describe` change it.

    Raises
    ------
    BadInput
        Where there is none of that name.
    """
    if name not in PRESETS:
        raise BadInput(f"no machine is called {name!r}", todo=f"one of {', '.join(PRESETS)}, or a recording's path")
    return describe(**{"name": name, **PRESETS[name][1], **changes})
