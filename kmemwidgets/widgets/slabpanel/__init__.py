"""SlabPanel: the slab caches, the slabs of one of them by place, the objects in these, an object down to its bytes."""

from __future__ import annotations

from typing import Any, ClassVar

import traitlets

from kmemwidgets.records import BadInput, SlabCacheInfo, SlabObject

from .._assemble import assemble, styles
from .._base import HELP, Gesture, KmemWidget
from .._picture import svg, tag, words
from .._words import count, size
from ..strings import text
from .view import (
    MOST,
    SlabSource,
    cache_row,
    facts,
    geometry,
    memory,
    object_row,
    ordered,
    recorded_slabs,
    slab_row,
)

GESTURES = (
    Gesture("next", "Choose the next object", "click an object", ("ArrowRight",), "open_object"),
    Gesture("previous", "Choose the object before", "click an object", ("ArrowLeft",), "open_object"),
    Gesture("down", "Go to the next slab", "click an object", ("ArrowDown",), "open_object"),
    Gesture("up", "Go to the slab before", "click an object", ("ArrowUp",), "open_object"),
    Gesture("next_cache", "Show the next cache", "click a cache", ("PageDown",), "show"),
    Gesture("previous_cache", "Show the cache before", "click a cache", ("PageUp",), "show"),
    Gesture("find", "Find a cache", "click the search field", ("/",), "show"),
    Gesture("allocate", "Take an object", "button kmem_cache_alloc", ("a",), "allocate", "kmem_cache_alloc"),
    Gesture("free", "Give the chosen object back", "button kmem_cache_free", ("Delete",), "free", "kmem_cache_free"),
    HELP,
)


class SlabPanel(KmemWidget):
    """The slab caches of a machine.

    A simulated machine shows its slabs one by one, with the state of every object. A
    recording knows how many slabs there are, and from /sys/kernel/slab where they were:
    of a full one all objects are in use, of the others nobody knows which.

    Parameters
    ----------
    source : Machine, Capture, Snapshot or str
        A str is the text of /proc/slabinfo.
    cache : str, optional
        The cache to show; otherwise the largest.
    on_select, width, height, theme
        See `KmemWidget`.

    Attributes
    ----------
    cache : str
        Name of the cache that is shown.
    """

    NAME: ClassVar[str] = "slabpanel"
    TITLE: ClassVar[str] = text("slabpanel.title")
    GESTURES: ClassVar[tuple[Gesture, ...]] = GESTURES
    TAKES: ClassVar[tuple[str, ...]] = ("slabinfo",)
    TERMS: ClassVar[tuple[str, ...]] = ("slab", "order")
    _esm = assemble(__file__)
    _css = styles(__file__)

    cache = traitlets.Unicode("", help="name of the cache that is shown").tag(sync=True)

    def __init__(self, source: object, /, *, cache: str = "", **options: Any) -> None:
        super().__init__(source, **options)
        if not self.snapshot.slabs and "kmem_cache_init" in self.source.verbs:
            self.source.verbs["kmem_cache_init"]()
        if not self.snapshot.slabs:
            raise BadInput(
                f"{self.snapshot.name} doesn't show its slab caches", todo="record it as root, or paste /proc/slabinfo"
            )
        self._opened: SlabObject | None = None
        self.cache = self.info(cache).name if cache else ordered(self.caches, self.snapshot.page_size)[0].name
        self.observe(self._show_cache, "cache")

    @property
    def caches(self) -> tuple[SlabCacheInfo, ...]:
        """All caches."""
        return self.snapshot.slabs or ()

    def info(self, name: str) -> SlabCacheInfo:
        """Return a cache by its name or that of one it is shared with; KeyError where there is none."""
        for cache in self.caches:
            if name == cache.name or name in cache.aliases:
                return cache
        raise KeyError(f"no cache {name!r}")

    def show(self, cache: str) -> SlabCacheInfo:
        """Show another cache, and return its figures."""
        info = self.info(cache)
        self.cache = info.name
        return info

    def open_object(self, address: int | str) -> SlabObject:
        """Choose the object that lies at an address, and return it with its bytes.

        Raises
        ------
        ValueError
            Where the source doesn't know its objects.
        """
        source = self.source if isinstance(self.source, SlabSource) else None
        if source is None:
            raise ValueError("a recording doesn't tell its objects apart")
        self._opened = source.slab_object(int(address, 16) if isinstance(address, str) else address)
        self.select(cache=self._opened.cache, address=self._opened.address)
        self.send_changes()
        return self._opened

    def allocate(self) -> int:
        """Take an object of the shown cache, choose it, and return its address."""
        # SLAB asks callers of a cache for DMA to say so.
        wanted = ("GFP_KERNEL|__GFP_DMA",) if "cache_dma" in self.info(self.cache).flags else ()
        address = int(self.source.verbs["kmem_cache_alloc"](self.cache, *wanted))
        self.open_object(address)
        return address

    def free(self, address: int | str | None = None) -> None:
        """Give an object back; without an address, the chosen one."""
        chosen = self.focus.address if address is None else address
        if chosen is None:
            raise ValueError("choose the object to free first")
        chosen = int(chosen, 16) if isinstance(chosen, str) else chosen
        self.source.verbs["kmem_cache_free"](self.cache, chosen)
        self.open_object(chosen)

    def data(self) -> dict[str, Any]:
        """Return the list of caches, and the slabs of the one that is shown."""
        page_size = self.snapshot.page_size
        found = ordered(self.caches, page_size)
        taken = sum(memory(cache, page_size) or 0 for cache in found)
        return {
            "subtitle": f"{self.snapshot.name}: {count(len(found))} caches, {size(taken)}",
            "caches": [cache_row(cache, page_size) for cache in found],
            **self._shown(),
        }

    def summary(self) -> str:
        """List the largest caches, then the figures of the one that is shown."""
        page_size = self.snapshot.page_size
        found = ordered(self.caches, page_size)
        lines = [f"SlabPanel of {self.snapshot.name}: {count(len(found))} caches"]
        for cache in found[:8]:
            taken = memory(cache, page_size)
            lines.append(
                f"  {cache.name:<24} {cache.object_size or cache.slab_size or 0:>6} B"
                f" {'' if cache.active_objs is None else count(cache.active_objs):>8} of"
                f" {'' if cache.num_objs is None else count(cache.num_objs):>8} in use"
                f" {'' if taken is None else size(taken):>9}"
            )
        info = self.info(self.cache)
        lines.append(f"  shown: {info.name}: " + ", ".join(f"{name} {value}" for name, value in facts(info)))
        return "\n".join(lines)

    def picture(self) -> str:
        """Return the largest caches as bars: what is in use, what is free."""
        page_size = self.snapshot.page_size
        found = ordered(self.caches, page_size)[:16]
        most = max(memory(cache, page_size) or 1 for cache in found)
        parts = [words(f"Slab caches of {self.snapshot.name}", 10, 20, size=13, font_weight="600")]
        for row, cache in enumerate(found):
            y = 32 + 20 * row
            taken = memory(cache, page_size) or 0
            long = max(2.0, 300 * taken / most)
            used = long * (cache.active_objs or 0) / cache.num_objs if cache.num_objs else 0.0
            parts += [
                words(cache.name[:26], 190, y + 14, size=12, text_anchor="end"),
                tag("rect", x=200, y=y + 2, width=long, height=15, rx=2, fill="#c9d8ea"),
                tag("rect", x=200, y=y + 2, width=used, height=15, rx=2, fill="#3b78c2"),
                words(size(taken), 206 + long, y + 14, size=11, fill="#454c55"),
            ]
        return svg(640, 44 + 20 * len(found), *parts)

    def _shown(self) -> dict[str, Any]:
        info = self.info(self.cache)
        live = isinstance(self.source, SlabSource)
        slabs = self.source.slabs(info.name, MOST) if isinstance(self.source, SlabSource) else ()
        opened = self._opened if self._opened is not None and self._opened.cache == info.name else None
        if opened is not None and isinstance(self.source, SlabSource) and any(_holds(slab, opened) for slab in slabs):
            opened = self.source.slab_object(opened.address)
        return {
            "shown": info.name,
            "facts": facts(info),
            "live": live,
            "slabs": [slab_row(slab) for slab in slabs],
            "more": max(0, (info.slabs or 0) - len(slabs)) if live else 0,
            "totals": None if live else recorded_slabs(info, self.snapshot.cpus or 1),
            "geometry": geometry(info, self.snapshot.page_size),
            "opened": None if opened is None else object_row(opened, info),
        }

    def _show_cache(self, _change: object) -> None:
        try:
            self.info(self.cache)
            self._wire.delta(self._shown())
        except KeyError as error:
            self._tell(error)


def _holds(slab: Any, opened: SlabObject) -> bool:
    return bool(slab.first <= opened.address < slab.first + len(slab.objects) * slab.size)
