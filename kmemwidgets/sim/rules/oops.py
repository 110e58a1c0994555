"""What the kernel says when it reads an address behind which there is nothing."""

from __future__ import annotations

from dataclasses import dataclass

from .table import Rule


@dataclass(frozen=True, slots=True)
class OopsRules:
    """First lines of an oops; ``{address}`` stands for the address.

    Attributes
    ----------
    x86_null, x86_paging : str
        In the first page, and elsewhere.
    x86_protection : str
        An address that x86-64 can't have.
    arm_null, arm_paging, arm_between : str
        The same for arm and arm64; the last is arm64's alone.
    """

    x86_null: str
    x86_paging: str
    x86_protection: str
    arm_null: str
    arm_paging: str
    arm_between: str


_NULL = "Unable to handle kernel NULL pointer dereference at virtual address {address}"
_PAGING = "Unable to handle kernel paging request at virtual address {address}"

TABLE: tuple[Rule, ...] = (
    Rule("x86_null", (2, 4), _NULL, "NULL is told apart from other addresses.", "arch/i386/mm/fault.c do_page_fault",
         ("source",)),
    Rule("x86_null", (5, 1), "BUG: kernel NULL pointer dereference, address: {address}", "It is called a bug.",
         "arch/x86/mm/fault.c show_fault_oops", ("source",)),
    Rule("x86_paging", (2, 4), _PAGING, "A fault that nothing can mend.", "arch/i386/mm/fault.c do_page_fault",
         ("source",)),
    Rule("x86_paging", (5, 1), "BUG: unable to handle page fault for address: {address}", "It is called a bug.",
         "arch/x86/mm/fault.c show_fault_oops", ("source",)),
    Rule("x86_protection", (2, 4), "general protection fault: 0000", "Which address it was is not told.",
         "arch/x86_64/kernel/traps.c do_general_protection", ("source",)),
    Rule("x86_protection", (5, 6), "general protection fault, probably for non-canonical address {address}: 0000",
         "The address is worked out from the instruction.", "arch/x86/kernel/traps.c do_general_protection",
         ("source",)),
    Rule("arm_null", (2, 4), _NULL, "NULL is told apart from other addresses.",
         "arch/arm/mm/fault.c, arch/arm64/mm/fault.c __do_kernel_fault", ("source",)),
    Rule("arm_paging", (2, 4), _PAGING, "A fault that nothing can mend.",
         "arch/arm/mm/fault.c, arch/arm64/mm/fault.c __do_kernel_fault", ("source",)),
    Rule("arm_between", (2, 4), "[{address}] address between user and kernel address ranges",
         "What neither table of addresses holds is said besides.", "arch/arm64/mm/fault.c show_pte", ("source",)),
)  # fmt: skip
