"""explain_flags: the flags of a page or of a memory area, from a log line or a /proc file, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kmemwidgets.records import KPF_NAMES, BadInput, Version, format_version, parse_version
from kmemwidgets.records.page_words import KPF_WORDS, PAGE_WORDS
from kmemwidgets.sim.rules import page_flags
from kmemwidgets.sim.rules.table import pick

from .explained import Explained, Word

KINDS = ("page", "kpageflags", "vma")

#: Two letters of a VmFlags line of smaps -> name, meaning (fs/proc/task_mmu.c: show_smap_vma_flags).
VMA_WORDS: Mapping[str, tuple[str, str]] = {
    "rd": ("VM_READ", "may be read"),
    "wr": ("VM_WRITE", "may be written"),
    "ex": ("VM_EXEC", "may be executed"),
    "sh": ("VM_SHARED", "shared: writes are seen by others"),
    "mr": ("VM_MAYREAD", "mprotect may make it readable"),
    "mw": ("VM_MAYWRITE", "mprotect may make it writable"),
    "me": ("VM_MAYEXEC", "mprotect may make it executable"),
    "ms": ("VM_MAYSHARE", "may be shared"),
    "gd": ("VM_GROWSDOWN", "a stack: it grows downward"),
    "pf": ("VM_PFNMAP", "maps frames without struct page, such as device memory"),
    "dw": ("VM_DENYWRITE", "its file may not be written meanwhile"),
    "lo": ("VM_LOCKED", "its pages are locked in memory"),
    "io": ("VM_IO", "maps a device's registers"),
    "sr": ("VM_SEQ_READ", "advised to be read in sequence (MADV_SEQUENTIAL)"),
    "rr": ("VM_RAND_READ", "advised to be read at random (MADV_RANDOM)"),
    "dc": ("VM_DONTCOPY", "a child does not get it on fork"),
    "de": ("VM_DONTEXPAND", "mremap can't enlarge it"),
    "lf": ("VM_LOCKONFAULT", "pages are locked when they are first touched"),
    "ac": ("VM_ACCOUNT", "counts as committed memory (Committed_AS)"),
    "nr": ("VM_NORESERVE", "no swap space is reserved for it"),
    "ht": ("VM_HUGETLB", "uses hugetlb pages"),
    "sf": ("VM_SYNC", "page faults wait for the file system (MAP_SYNC)"),
    "nl": ("VM_NONLINEAR", "a non-linear mapping, gone since 4.0"),
    "ar": ("VM_ARCH_1", "for the architecture's own use"),
    "wf": ("VM_WIPEONFORK", "a child finds zeros here (MADV_WIPEONFORK)"),
    "dd": ("VM_DONTDUMP", "is left out of core dumps"),
    "sd": ("VM_SOFTDIRTY", "is new, or was written since the soft-dirty bits were cleared"),
    "mm": ("VM_MIXEDMAP", "maps frames with and without struct page"),
    "hg": ("VM_HUGEPAGE", "advised to use huge pages (MADV_HUGEPAGE)"),
    "nh": ("VM_NOHUGEPAGE", "advised not to use huge pages"),
    "mg": ("VM_MERGEABLE", "its pages may be merged with equal ones (KSM)"),
    "bt": ("VM_ARM64_BTI", "arm64: indirect branches are guarded"),
    "mt": ("VM_MTE", "arm64: memory tags are in use"),
    "um": ("VM_UFFD_MISSING", "userfaultfd is told of missing pages"),
    "uw": ("VM_UFFD_WP", "userfaultfd is told of writes"),
    "ui": ("VM_UFFD_MINOR", "userfaultfd is told of minor faults"),
    "ss": ("VM_SHADOW_STACK", "a shadow stack of return addresses"),
    "sl": ("VM_SEALED", "sealed: it can't be changed any more (mseal)"),
}

_PAGE_LINE = re.compile(r"\bflags:\s*(0x[0-9a-fA-F]+)\s*(?:\(([^()\n]*)\))?")
_VMA_LINE = re.compile(r"^\s*VmFlags:\s*(.*)$", re.MULTILINE)
_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]{1,16}\Z")
_NAMES = re.compile(r"\w+(?:[|,]\w+)*\Z")
_TODO = (
    'give a line such as "flags: 0x17ffffc0000000(node=0|zone=2)" or "VmFlags: rd wr mr mw", '
    "or a word of /proc/kpageflags"
)


def explain_flags(what: str | int, *, kind: str | None = None, kernel: str | Version = "6.1") -> Explained:
    """Take apart the flags of a page, or of a memory area.

    Parameters
    ----------
    what : str or int
        A line of a log (``page:... flags: 0x17ffffc0000000(node=0|zone=2|...)``), a ``VmFlags:`` line of smaps
        or its letters, or a word of /proc/kpageflags, as a number or in hexadecimal.
    kind : str, optional
        ``"page"`` (struct page), ``"kpageflags"`` or ``"vma"``. Default: told from the text; a lone number is a
        word of /proc/kpageflags, whose bits are the same in all kernels.
    kernel : str
        Whose struct page it is. Only for kind "page".

    Returns
    -------
    Explained

    Raises
    ------
    BadInput
        Where the text is none of these.

    Examples
    --------
    >>> explain_flags(0x400).names
    ('BUDDY',)
    """
    if kind not in (None, *KINDS):
        raise BadInput(f"no kind of flags is called {kind!r}", todo=f"take one of {', '.join(KINDS)}")
    if isinstance(what, bool) or not isinstance(what, (int, str)):
        raise BadInput(f"flags are text or a number, not {type(what).__name__}", todo=_TODO)
    if isinstance(what, int):
        return _page(what, "", kernel) if kind == "page" else _kpageflags(what)
    found = _VMA_LINE.search(what)
    if found or kind == "vma":
        return _vma(found.group(1) if found else what)
    if kind != "kpageflags" and (found := _PAGE_LINE.search(what)):
        return _page(int(found.group(1), 16), found.group(2) or "", kernel)
    text = what.strip()
    if _HEX.match(text) and (text.startswith("0x") or text.isdigit() or len(text) >= 8):
        return explain_flags(int(text, 16), kind=kind, kernel=kernel)
    letters = text.split()
    if len(letters) > 1 and all(len(word) == 2 for word in letters):
        return _vma(text)
    if _NAMES.match(text):
        names = re.split(r"[|,]", text)
        if all(name.upper() in KPF_WORDS for name in names) and kind != "page":
            return _kpageflags(sum(1 << KPF_NAMES.index(name.upper()) for name in set(names)))
        if all(name in PAGE_WORDS for name in names):
            return Explained(f"struct page: {text}", tuple(Word("", name, PAGE_WORDS[name]) for name in names))
    raise BadInput(f"{_short(what)} holds no flags that I know", todo=_TODO)


def _kpageflags(word: int) -> Explained:
    if not 0 <= word < 1 << 64:
        raise BadInput(f"{word:#x} is no word of /proc/kpageflags", todo="it has 64 bits")
    words = []
    for bit in range(word.bit_length()):
        if word >> bit & 1:
            name = KPF_NAMES[bit] if bit < len(KPF_NAMES) and KPF_NAMES[bit] else "unknown"
            words.append(Word(f"{1 << bit:#x}", name, KPF_WORDS.get(name, f"bit {bit} has no name here")))
    names = {entry.name for entry in words}
    return Explained(
        f"/proc/kpageflags word {word:#x}" + ("" if word else ": no bit is set"),
        tuple(words),
        effects=(("in short", _in_short(names)),),
    )


def _in_short(names: set[str]) -> str:
    """Say what kind of page it is: the first that holds of a list from special to plain."""
    for need, text in (
        ({"NOPAGE"}, "no page frame"),
        ({"HWPOISON"}, "broken memory"),
        ({"OFFLINE"}, "offline"),
        ({"BUDDY"}, "free"),
        ({"ZERO_PAGE"}, "the page of zeros"),
        ({"RESERVED"}, "reserved"),
        ({"SLAB"}, "slab"),
        ({"PGTABLE"}, "page table"),
        ({"HUGE"}, "hugetlb page"),
        ({"KSM"}, "merged page of several processes"),
        ({"ANON", "THP"}, "anonymous, in a huge page"),
        ({"ANON"}, "anonymous"),
        ({"SWAPBACKED", "LRU"}, "shared memory or tmpfs"),
        ({"SWAPBACKED", "MMAP"}, "shared memory or tmpfs"),
        ({"LRU"}, "page cache of a file"),
        ({"MMAP"}, "mapped by a process"),
    ):
        if need <= names:
            return text
    return "in use by the kernel, or on a cpu's list of free pages: nothing in the word tells which"


def _page(word: int, inside: str, kernel: str | Version) -> Explained:
    version = parse_version(kernel) if isinstance(kernel, str) else kernel
    rules = pick(page_flags.PageFlagRules, page_flags.TABLE, version)
    if not 0 <= word < 1 << 64:
        raise BadInput(f"{word:#x} is no flags word of a page", todo="it has 64 bits at most")
    fields: list[str] = []
    named: list[str] = []
    for part in filter(None, inside.split("|")):
        (fields if "=" in part else named).append(part.strip())
    words = [
        Word(f"{1 << bit:#x}", name or "unknown", _page_meaning(name, rules.aliases))
        for bit, name in enumerate(rules.names)
        if word >> bit & 1
    ]
    rest = word >> len(rules.names) << len(rules.names)
    known = {entry.name for entry in words}
    extra = [name for name in named if name not in known]
    words += [Word("", name, PAGE_WORDS.get(name, "no meaning is known here")) for name in extra]
    notes = []
    absent = sorted(known - set(named) - {"unknown"}) if inside else []
    if absent or any(name in rules.names for name in extra):
        notes.append(
            f"the line's own names don't fit the bits of Linux {format_version(version)}: "
            "it comes from another kernel; trust the names, or say kernel="
        )
    if rest and not fields:
        notes.append(
            f"the upper bits {rest:#x} hold section, node, zone and last cpu, and flags of some configurations; "
            "where they lie depends on the configuration"
        )
    effects = tuple(
        (key, _FIELD_WORDS.get(key, "{}").format(value)) for key, _, value in (f.partition("=") for f in fields)
    )
    if fields:
        notes.append("a zone is given by its index: 0 is the lowest that this kernel was configured with")
    return Explained(
        f"struct page flags {word:#x} (Linux {format_version(version)})", tuple(words), effects, tuple(notes)
    )


_FIELD_WORDS = {
    "node": "node {}",
    "zone": "zone index {}",
    "section": "memory section {}",
    "lastcpupid": "{}: cpu and task that touched it last, for NUMA balancing; all bits set means never",
    "kasantag": "{}: memory tag",
}


def _page_meaning(name: str, aliases: tuple[tuple[str, str], ...]) -> str:
    if not name:
        return "no flag of this kernel uses the bit"
    also = dict(aliases).get(name)
    return PAGE_WORDS.get(name, "") + (f" (also: {also})" if also else "")


def _vma(text: str) -> Explained:
    letters = text.split()
    if not letters or any(not re.fullmatch(r"[a-z?]{2}", word) for word in letters):
        raise BadInput(f"{_short(text)} is no list of VmFlags", todo='they are pairs of letters, such as "rd wr mr mw"')
    words = []
    for pair in letters:
        name, meaning = VMA_WORDS.get(pair, ("unknown", "these letters have no meaning here"))
        words.append(Word(pair, name, meaning))
    return Explained(f"VmFlags: {' '.join(letters)}", tuple(words))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else line[:57] + "...")
