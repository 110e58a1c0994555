"""What the kernel says of a request for pages that failed (mm/page_alloc.c, warn_alloc).

Nobody calls here, so a stack has a head and no frames.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from kmemwidgets.records import format_list, format_version

# Names that begin with two underscores are mangled inside a class.
from .gfp import __GFP_DIRECT_RECLAIM as DIRECT_RECLAIM
from .gfp import __GFP_DMA as DMA
from .gfp import __GFP_NOWARN as NOWARN
from .gfp import format_gfp, gfp_bits
from .rules import pick
from .rules.show_mem import TABLE, ShowMemRules
from .rules.words import warning
from .show_mem import show_mem

if TYPE_CHECKING:
    from .page_alloc import PageAllocator

#: Who asks, where nobody is named.
COMM, PID = "kmem", 0
#: Reports that are kept, as a log buffer keeps the last ones.
MOST_REPORTS = 64


class FailureReports:
    """The reports of an allocator, and how many were kept back.

    The kernel tells of so many failures in some seconds. Here time stands still while a command is carried out, and
    more than those seconds pass between two.

    Parameters
    ----------
    allocator : PageAllocator

    Attributes
    ----------
    texts : list of str
        Newest last.
    rules : ShowMemRules
    missed : int
        Reports that were kept back since the last (struct ratelimit_state).
    told_of_order : bool
        Whether somebody asked for more than the largest block.
    """

    __slots__ = ("_allocator", "_held", "_printed", "missed", "rules", "texts", "told_of_order")

    def __init__(self, allocator: PageAllocator) -> None:
        self._allocator = allocator
        self._held = False
        self._printed = 0
        self.texts: list[str] = []
        self.rules = pick(ShowMemRules, TABLE, allocator.rules.version)
        self.missed = 0
        self.told_of_order = False

    def hold(self) -> None:
        """Let no time pass until `release`: these are the requests of one command."""
        self._held, self._printed = True, 0

    def release(self) -> None:
        """Let time pass again."""
        self._held = False

    def too_large(self, gfp: int, order: int, cpu: int, nodemask: Collection[int] | None) -> None:
        """Tell of a request for more than the largest block (WARN_ON_ONCE_GFP)."""
        function = self.rules.too_large
        if not function:
            if self.rules.head:
                self.failed(gfp, order, cpu, nodemask)
        elif not gfp & NOWARN and not self.told_of_order:
            self.told_of_order = True
            self._keep(warning("mm/page_alloc.c", function, cpu=cpu))

    def failed(self, gfp: int, order: int, cpu: int, nodemask: Collection[int] | None) -> None:
        """Tell of a request for pages that failed."""
        self.warn_alloc(gfp, f"page allocation failure: order:{order}", order=order, cpu=cpu, nodemask=nodemask)

    def warn_alloc(
        self, gfp: int, what: str, *, order: int = 0, cpu: int = 0, nodemask: Collection[int] | None = None
    ) -> None:
        """Tell of a request that failed, unless it asked for silence.

        Parameters
        ----------
        gfp : int
        what : str
            What failed, such as ``"page allocation failure: order:3"``.
        order : int
            Kernels that know only pages tell it themselves.
        cpu : int
        nodemask : collection of int, optional
            Nodes that a memory policy allows.
        """
        allocator, rules = self._allocator, self.rules
        if not rules.head or gfp & NOWARN:
            return
        if not self._may_print():
            return
        # The limit is asked first: such a request counts as one that was told of.
        if rules.silent_without_dma and gfp & DMA and not _has_managed_dma(allocator):
            return
        version = allocator.rules.version
        everywhere = {live.zone.nid for live in allocator.zones}
        lines = [
            rules.head.format(
                comm=COMM, what=what, order=order, mode=gfp_bits(gfp, version), allowed=format_list(everywhere),
                names=format_gfp(gfp, version) if gfp else "",
                nodemask="(null)" if nodemask is None else format_list(nodemask),
            ),
            *self._stack(cpu),
        ]  # fmt: skip
        if rules.shows_memory:
            # Who can't wait may take pages anywhere (SHOW_MEM_FILTER_NODES).
            nodes = everywhere if nodemask is None or not gfp & DIRECT_RECLAIM else nodemask
            lines += show_mem(allocator, rules, allocator.read_gfp(gfp)[1], nodes, cpu)
        self._keep("\n".join(lines))

    def _may_print(self) -> bool:
        """Tell whether the limit allows one more (__ratelimit)."""
        if not self._held:
            self._printed = 0
        if self._printed >= self.rules.burst:
            self.missed += 1
            return False
        self._printed += 1
        if self.missed:
            self._keep(self.rules.suppressed.format(missed=self.missed))
            self.missed = 0
        return True

    def _stack(self, cpu: int) -> list[str]:
        """Write what stands before the frames of a stack (dump_stack)."""
        rules, shown = self.rules, self._allocator.shown
        lines = []
        if rules.task_line:
            release = format_version(self._allocator.rules.version)
            lines.append(
                rules.task_line.format(
                    cpu=cpu, pid=PID, comm=COMM, tainted="Not tainted", release=release, preempt=shown.preempt
                )
            )
        if shown.stack_head:
            lines.append(shown.stack_head)
        if rules.task_tags and shown.task_tags:
            lines += [" <TASK>", " </TASK>"]
        return lines

    def _keep(self, text: str) -> None:
        self.texts.append(text)
        del self.texts[:-MOST_REPORTS]

    def save(self) -> tuple[tuple[str, ...], int, bool]:
        """Copy the state."""
        return tuple(self.texts), self.missed, self.told_of_order

    def load(self, saved: tuple[tuple[str, ...], int, bool]) -> None:
        """Go back to what `save` copied."""
        self.texts[:], self.missed, self.told_of_order = saved


def _has_managed_dma(allocator: PageAllocator) -> bool:
    return any(live.zone.name == "DMA" and live.zone.managed for live in allocator.zones)
