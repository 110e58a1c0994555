"""Numbers in words; `_front/format.js` writes them alike."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def count(number: int) -> str:
    """Write 131072 as ``131,072``."""
    return f"{number:,}"


def size(number: float) -> str:
    """Write bytes in the nearest unit: ``512 MiB``, ``1.5 GiB``."""
    unit = 0
    while int(number * 10 + 0.5) >= 10240 and unit < len(_UNITS) - 1:
        number /= 1024
        unit += 1
    tenths = int(number * 10 + 0.5)
    whole, rest = divmod(tenths, 10)
    return f"{whole}.{rest} {_UNITS[unit]}" if rest else f"{whole} {_UNITS[unit]}"


def share(part: int, whole: int) -> str:
    """Write a share as ``82.8 %``."""
    return f"{100 * part / whole:.1f} %" if whole else "0.0 %"
