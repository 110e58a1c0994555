"""The kernel's answer to an address behind which there is nothing."""

from __future__ import annotations

from kmemwidgets.records import Version

from .rules import pick
from .rules.oops import TABLE, OopsRules

PAGE = 4096


def is_canonical(address: int, va_bits: int) -> bool:
    """Tell whether the upper bits of a 64-bit address repeat its highest used one."""
    top = address >> (va_bits - 1)
    return top in (0, (1 << (65 - va_bits)) - 1)


def answer(kernel: Version, arch: str, va_bits: int, address: int) -> str:
    """Return the first line of the oops (arm64: two, where the address is neither user's nor kernel's)."""
    return template(kernel, arch, va_bits, address).format(address=f"{address:0{8 if va_bits == 32 else 16}x}")


def template(kernel: Version, arch: str, va_bits: int, address: int) -> str:
    """Return the same with ``{address}`` in the address's place: it holds for all addresses of an area."""
    rules = pick(OopsRules, TABLE, kernel)
    if arch.startswith("x86"):
        if arch == "x86_64" and not is_canonical(address, va_bits):
            return rules.x86_protection.replace("{address}", "0x{address}")
        return rules.x86_null if address < PAGE else rules.x86_paging
    if address < PAGE:
        return rules.arm_null
    # arm64 has two tables, for addresses whose upper bits are all 0 and all 1.
    if arch == "arm64" and address >> va_bits not in (0, (1 << (64 - va_bits)) - 1):
        return f"{rules.arm_paging}; {rules.arm_between}"
    return rules.arm_paging
