"""What the command line asks of the slab allocator: orders, merging, and debugging by cache."""

from __future__ import annotations

from dataclasses import dataclass

from kmemwidgets.records import MachineSpec

from .rules.slub import SlubRules, is_tiny
from .slub_layout import DEBUG_LETTERS, Tunables

#: DEBUG_DEFAULT_FLAGS: what ``slub_debug`` alone switches on (mm/slub.c).
DEFAULT_DEBUG = frozenset({"sanity_checks", "red_zone", "poison", "store_user"})
#: slub_max_order with CONFIG_SLUB_TINY.
TINY_MAX_ORDER = 1
#: DEBUG_METADATA_FLAGS: what makes objects larger, and goes first where that costs a higher order.
METADATA_DEBUG = frozenset({"red_zone", "poison", "store_user"})


@dataclass(frozen=True, slots=True)
class DebugBlock:
    """One block of slub_debug=: debugging for the caches of a list.

    Attributes
    ----------
    flags : frozenset of str
    names : tuple of str
        Names of caches; a star stands for any end.
    """

    flags: frozenset[str]
    names: tuple[str, ...]

    def speaks_of(self, name: str) -> bool:
        """Tell whether a cache is on the list (mm/slub.c, kmem_cache_flags)."""
        return any(
            name.startswith(wanted[: wanted.index("*")]) if "*" in wanted else name == wanted for wanted in self.names
        )


@dataclass(frozen=True, slots=True)
class SlubOptions:
    """The options of one boot.

    Attributes
    ----------
    min_order, max_order, min_objects : int
        As in `Tunables`.
    merge : bool
        Whether caches of like objects may share one.
    debug : frozenset of str
        Debugging of every cache.
    blocks : tuple of DebugBlock
        Debugging of single caches, which then comes in place of `debug`.
    keep_low_order : bool
        ``O``: no debug data where they would raise the order.
    """

    min_order: int = 0
    max_order: int = 3
    min_objects: int = 0
    merge: bool = True
    debug: frozenset[str] = frozenset()
    blocks: tuple[DebugBlock, ...] = ()
    keep_low_order: bool = False

    def debug_flags(self, name: str) -> frozenset[str]:
        """Return the debugging that a cache of this name gets (mm/slub.c, kmem_cache_flags)."""
        for block in self.blocks:
            if block.speaks_of(name):
                return block.flags
        return self.debug


def _number(text: str) -> int | None:
    """get_option: a C number at the start of the text, or nothing."""
    digits = text.split(",")[0].strip()
    try:
        return int(digits, 0)
    except ValueError:
        return int(digits) if digits.isdigit() else None


def _debug_letters(letters: str) -> tuple[frozenset[str], bool]:
    """Read the letters of one block; the flag says whether ``O`` was among them."""
    if not letters:
        return DEFAULT_DEBUG, False
    if letters.startswith("-"):
        return frozenset(), False
    known = (DEBUG_LETTERS.get(letter) for letter in letters.upper())
    return frozenset(flag for flag in known if flag), "O" in letters.upper()


def _parse_debug(value: str, built_in: frozenset[str]) -> tuple[frozenset[str], tuple[DebugBlock, ...], bool]:
    """Read the value of slub_debug= (mm/slub.c, setup_slub_debug): for all, for some, and ``O``."""
    if not value:
        return DEFAULT_DEBUG, (), False
    for_all: frozenset[str] | None = None
    blocks: list[DebugBlock] = []
    low_order = False
    for block in filter(None, value.split(";")):
        letters, _, names = block.partition(",")
        flags, asked = _debug_letters(letters)
        low_order = low_order or asked
        if names:
            blocks.append(DebugBlock(flags, tuple(filter(None, names.split(",")))))
        else:
            for_all = flags
    return (built_in if for_all is None else for_all), tuple(blocks), low_order


def parse_options(rules: SlubRules, spec: MachineSpec) -> SlubOptions:
    """Read the options of a machine's command line. Unknown values are passed over, as the kernel does."""
    highest = 10
    tiny = is_tiny(spec)
    orders = {"min_order": 0, "max_order": TINY_MAX_ORDER if tiny else 3, "min_objects": 0}
    merge = spec.option("CONFIG_SLAB_MERGE_DEFAULT") != "n"
    built_in = DEFAULT_DEBUG if spec.option("CONFIG_SLUB_DEBUG_ON") == "y" else frozenset()
    debug, low_order = built_in, False
    blocks: tuple[DebugBlock, ...] = ()
    for word in spec.cmdline.split():
        key, _, value = word.partition("=")
        key = key.replace("-", "_")
        if key in ("slab_nomerge", "slub_nomerge"):
            merge = False
        elif key in ("slab_merge", "slub_merge"):
            merge = True
        prefix, _, option = key.partition("_")
        if prefix not in rules.option_prefixes:
            continue
        if option == "debug" and spec.option("CONFIG_SLUB_DEBUG") != "n" and not tiny:
            debug, blocks, low_order = _parse_debug(value, built_in)
        elif option in orders and (number := _number(value)) is not None:
            orders[option] = number
            orders["max_order"] = min(orders["max_order"], highest)
            if rules.orders_agree and orders["min_order"] > orders["max_order"]:
                other = "max_order" if option == "min_order" else "min_order"
                orders[other] = orders[option]
    return SlubOptions(orders["min_order"], orders["max_order"], orders["min_objects"], merge, debug, blocks, low_order)


def word_size(spec: MachineSpec) -> int:
    """Bytes of a pointer."""
    return 8 if spec.arch in ("x86_64", "arm64") else 4


def tunables(rules: SlubRules, spec: MachineSpec) -> Tunables:
    """Gather what a machine's description says about all of its caches."""
    options = parse_options(rules, spec)
    possible = dict(spec.extra).get("nr_cpu_ids", "")
    return Tunables(
        present_cpus=spec.cpus,
        possible_cpus=int(possible) if possible.isdigit() else spec.cpus,
        min_order=options.min_order,
        max_order=options.max_order,
        min_objects=options.min_objects,
        page_size=spec.page_size,
        word=word_size(spec),
        cpu_partial=spec.option("CONFIG_SLUB_CPU_PARTIAL") != "n" and not is_tiny(spec),
        tiny=is_tiny(spec),
    )
