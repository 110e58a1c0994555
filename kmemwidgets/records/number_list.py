"""Lists of numbers as the kernel writes them."""

from __future__ import annotations

from collections.abc import Iterable


def format_list(numbers: Iterable[int]) -> str:
    """Write numbers of nodes or cpus as the kernel's ``%*pbl`` does: 0, 1, 2, 5 as ``0-2,5``.

    Source: lib/vsprintf.c bitmap_list_string; sysfs and the logs alike. No number at all is an empty text.
    """
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)
