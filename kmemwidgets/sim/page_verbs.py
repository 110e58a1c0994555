"""The verbs of the page allocator past single blocks: exact numbers, bulks, policies, compaction. Part of `Machine`."""

from __future__ import annotations

from collections.abc import Iterable

from .gfp import GFP_KERNEL
from .page import Page
from .page_commands import PageCommands
from .verbs import Verbs


class PageVerbs(Verbs):
    """Verbs about several pages, memory policies and compaction."""

    pages: PageCommands

    @property
    def now(self) -> int:
        """How many commands are in force."""
        raise NotImplementedError

    def alloc_pages_exact(
        self, size: int, gfp: int | str = GFP_KERNEL, node: int | None = None, cpu: int = 0
    ) -> Page | None:
        """Allocate the pages that `size` bytes need and not one more; None where the kernel refuses.

        They are pages of their own: `free_pages_exact` frees them together, `free_pages` one by one.
        """
        page: Page | None = self._do("alloc_pages_exact", size, self._gfp(gfp), self._node(node), self._cpu(cpu))
        return page

    def free_pages_exact(self, page: int, size: int, cpu: int = 0) -> None:
        """Give back what `alloc_pages_exact` gave for `size` bytes."""
        self._do("free_pages_exact", int(page), size, self._cpu(cpu))

    def split_page(self, page: int, order: int) -> None:
        """Make 2^order single pages of a block in use, each to be freed by itself."""
        self._do("split_page", int(page), order)

    def alloc_pages_bulk(self, gfp: int | str, count: int, node: int | None = None, cpu: int = 0) -> list[Page]:
        """Allocate up to `count` single pages in one go, for a node or as `set_mempolicy` says; there may be fewer."""
        pages: list[Page] = self._do("alloc_pages_bulk", self._gfp(gfp), count, self._node(node), self._cpu(cpu))
        return pages

    def drain_all_pages(self) -> None:
        """Empty the lists of all cpus into the buddy lists."""
        self._do("drain_all_pages")

    def compact_memory(self, node: int | None = None, cpu: int = 0) -> dict[int, int]:
        """Compact a node, or all: ``echo 1 > /proc/sys/vm/compact_memory``, or a node's ``compact``.

        Returns
        -------
        dict of int to int
            For each block of pages that moved, the frame where it began and where it begins now. Who asked for it
            frees it there.
        """
        moves: dict[int, int] = self._do("compact_memory", self._node(node), self._cpu(cpu))
        return moves

    def let_pages_move(self, on: bool = True) -> None:
        """Let requests for blocks compact for themselves, and kcompactd when it was woken, from now on or no longer.

        Who has a page's number has it pinned, so the kernel would leave it where it is. After this call movable pages
        may be elsewhere after any request, and who holds some has to follow: `take_moves`.
        """
        self._do("let_pages_move", bool(on))

    def take_moves(self) -> dict[int, int]:
        """Return where pages were and are that have moved since the last call, or since time was changed.

        Only those that `let_pages_move` let go: `compact_memory` and `run_kcompactd` tell theirs themselves.
        """
        return self.pages.take_moves()

    def follow_page(self, page: int, since: int) -> int:
        """Return the frame where a block begins now that began at `page` after command number `since`.

        Unlike `take_moves` this takes nothing from anybody, and follows time back and forth.
        """
        assert self.pages.move_log is not None
        return self.pages.move_log.follow(int(page), since, self.now)

    def run_kswapd(self, node: int | None = None) -> None:
        """Let kswapd of a node, or of each, do what it was woken for; one that sleeps goes on sleeping.

        It also runs by itself, before the next request after the one that woke it. There is nothing that it could
        reclaim yet. It takes the boost of the marks back, gives a node up after 16 runs in vain, and wakes kcompactd.
        """
        self._do("run_kswapd", self._node(node))

    def run_kcompactd(self, node: int | None = None) -> dict[int, int]:
        """Let kcompactd of a node, or of each, run; it does what it was woken for.

        If nobody woke it, half a second has passed, and it looks whether free memory is too fragmented
        (``vm.compaction_proactiveness``, from 5.9 on). By itself it runs only after `let_pages_move`, before the next
        request after the one that woke it.

        Returns
        -------
        dict of int to int
            As of `compact_memory`.
        """
        moves: dict[int, int] = self._do("run_kcompactd", self._node(node))
        return moves

    def fragmentation_score(self, node: int = 0) -> int:
        """Return how fragmented a node's free memory is for huge pages, in percent: what kcompactd looks at."""
        return self.pages.fragmentation_score(node)

    def set_mempolicy(self, mode: str = "default", nodes: Iterable[int] = (), home_node: int | None = None) -> None:
        """Set the memory policy of all requests that name no node.

        Parameters
        ----------
        mode : str
            "default", "local", "preferred", "bind", "interleave"; "preferred_many" from 5.15, "weighted_interleave"
            from 6.9 on.
        nodes : iterable of int
        home_node : int, optional
            Where to begin, for "bind" and "preferred_many" (5.17).
        """
        self._do("set_mempolicy", mode, ",".join(map(str, nodes)), home_node)

    def set_interleave_weight(self, node: int, weight: int) -> None:
        """Set how many pages in a row a node gives in weighted interleaving."""
        self._do("set_interleave_weight", node, weight)
