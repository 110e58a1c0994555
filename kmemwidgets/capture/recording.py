"""A recorded machine: its files, its description, and its snapshots."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kmemwidgets.records import BadInput, Changes, FrameInfo, MachineSpec, Snapshot

from .archive import Files, FolderFiles, load_tar, logical, stored, unpack
from .description import describe, meta_problem
from .frame import frame_of
from .here import STAND_IN, record_here
from .moments import moments, take

#: Characters of a meta.json.
MAX_META = 1 << 22

_SETTING = re.compile(r"^== (.+)\n((?:(?!== ).*\n?)*)", re.MULTILINE)
_NODE_FILE = re.compile(r"node/node(\d{1,4})\.\w+")
_BUNDLED = "bundled"


class Capture:
    """A recording of a real machine; a `Source` that never changes and has no verbs.

    Parameters
    ----------
    files : Files
        The recording's files.
    name : str
        How to call it.
    where : str
        Where it came from, for errors.
    notes : tuple of str
        What the reader should know, in words.

    Attributes
    ----------
    meta : mapping
        meta.json: which machine and kernel this is.

    Examples
    --------
    >>> capture = Capture.bundled("amd64-512m")
    >>> capture.spec().arch
    'x86_64'
    >>> capture.snapshot().zone(0, "DMA").present
    3998
    """

    def __init__(self, files: Files, name: str = "", where: str = "", notes: tuple[str, ...] = ()) -> None:
        self._files = files
        self._stored = files.names()
        self.notes = notes
        self.where = where or name
        self.meta: Mapping[str, Any] = MappingProxyType(self._read_meta())
        self.name = name or str(self.meta.get("name", "capture"))
        self._snapshots: dict[str, Snapshot] = {}
        self._spec: MachineSpec | None = None

    @classmethod
    def load(cls, path: str | Path) -> Capture:
        """Read a recording: a folder that holds a meta.json, or a .tar.xz of one.

        Raises
        ------
        BadInput
            Where there is none, or it isn't safe to read.
        """
        path = Path(path)
        if path.is_dir():
            files: Files = FolderFiles(path)
            if "meta.json" not in files.names():
                raise BadInput(
                    "holds no meta.json", where=str(path), todo="name a recording's folder, or a .tar.xz of one"
                )
        elif path.is_file():
            files = load_tar(path)
        else:
            raise BadInput(
                "there is no such file or folder",
                where=str(path),
                todo=f"name a recording's folder or .tar.xz, or one of {', '.join(cls.bundled_names())}",
            )
        return cls(files, path.resolve().name.removesuffix(".tar.xz"), str(path))

    @classmethod
    def bundled(cls, name: str) -> Capture:
        """Read a recording that ships with the package; `bundled_names()` lists them."""
        if name not in cls.bundled_names():
            raise BadInput(
                f"no recording {name!r} ships with the package", todo=f"one of {', '.join(cls.bundled_names())}"
            )
        with resources.as_file(resources.files(__package__).joinpath(_BUNDLED, f"{name}.tar.xz")) as path:
            return cls(load_tar(path), name, f"bundled {name}")

    @classmethod
    def named(cls, name: str) -> Capture:
        """Return what a command line names: a folder, a .tar.xz, or a recording that ships with the package.

        Raises
        ------
        BadInput
            Where the name is none of them.
        """
        if Path(name).exists() or name not in cls.bundled_names():
            return cls.load(name)
        return cls.bundled(name)

    @classmethod
    def here(cls) -> Capture:
        """Record the machine this runs on, in memory; where that can't be, a bundled recording that says so.

        Flags of every frame are read up to 32 GiB. `notes` says what a container hides.
        """
        try:
            files, notes = record_here()
        except BadInput as reason:
            capture = cls.bundled(STAND_IN)
            capture.notes = (f"{reason}: this is the recorded machine {STAND_IN}",)
            return capture
        return cls(files, "here", "this machine", notes)

    @staticmethod
    def bundled_names() -> tuple[str, ...]:
        """Name the recordings that ship with the package."""
        folder = resources.files(__package__).joinpath(_BUNDLED)
        entries = folder.iterdir() if folder.is_dir() else ()
        return tuple(sorted(e.name.removesuffix(".tar.xz") for e in entries if e.name.endswith(".tar.xz")))

    def _read_meta(self) -> dict[str, Any]:
        where = f"{self.where}/meta.json"
        if "meta.json" not in self._stored:
            raise BadInput("the recording has no meta.json", where=self.where)
        raw = self._files.read("meta.json")
        if len(raw) > MAX_META:
            raise BadInput(f"{len(raw)} bytes, more than the {MAX_META} that it may have", where=where)
        try:
            meta = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"is no JSON: {error}", where=where) from error
        if problem := meta_problem(meta):
            raise BadInput(problem, where=where)
        return dict(meta)

    def files(self) -> tuple[str, ...]:
        """Return all paths, sorted, without the .xz and .gz of packed files."""
        return tuple(sorted({logical(name) for name in self._stored}))

    def has(self, path: str) -> bool:
        """Whether there is a file, packed or not."""
        return stored(self._stored, path) is not None

    def bytes(self, path: str) -> bytes:
        """Return a file's bytes, unpacked; `BadInput` where there is none or it is too large."""
        name = stored(self._stored, path)
        if name is None:
            raise BadInput("the recording has no such file", where=f"{self.name}/{path}")
        return unpack(self._files.read(name), name, f"{self.name}/{name}")

    def text(self, path: str) -> str:
        """Return a file's text, unpacked; bytes that are no UTF-8 are kept as escapes."""
        return self.bytes(path).decode("utf-8", "surrogateescape")

    def text_or_none(self, path: str) -> str | None:
        """Return a file's text, None where there is none."""
        return self.text(path) if self.has(path) else None

    def traces(self) -> tuple[str, ...]:
        """Name the recorded traces: the folders ``t_NAME`` that hold one."""
        return tuple(
            name.partition("/")[0] for name in self.files() if name.startswith("t_") and name.endswith("/trace")
        )

    def node_ids(self) -> tuple[int, ...]:
        """Return the NUMA nodes of which files were recorded."""
        return tuple(sorted({int(found[1]) for name in self.files() if (found := _NODE_FILE.fullmatch(name))}))

    def setting(self, path: str) -> str | None:
        """Return a kernel setting that sys/mm_settings holds, such as /sys/kernel/mm/lru_gen/enabled."""
        for found in _SETTING.finditer(self.text_or_none("sys/mm_settings") or ""):
            if found[1] == path:
                return found[2].strip("\n")
        return None

    def spec(self) -> MachineSpec:
        """Describe the machine as it was before it booted, without anything that its boot computed."""
        if self._spec is None:
            self._spec = describe(self)
        return self._spec

    def moments(self) -> tuple[str, ...]:
        """Name the moments that `snapshot` can show: "proc", "snap", "t_NAME/before", "t_NAME/after" ..."""
        return tuple(moments(self))

    def snapshot(self, at: str | None = None) -> Snapshot:
        """Return the machine's state at one of `moments()`; by default the consistent set "snap" if there is one."""
        key = at or ""
        if key not in self._snapshots:
            self._snapshots[key] = take(self, at)
        return self._snapshots[key]

    @property
    def verbs(self) -> Mapping[str, Callable[..., Any]]:
        """What can be done to a recording: nothing."""
        return {}

    def changes(self, since: int) -> Changes:
        """Return that nothing changed."""
        return Changes(since, ())

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002 - it is never called
        """Take note of nothing: a recording doesn't change."""
        return lambda: None

    def frame(self, pfn: int) -> FrameInfo:
        """Return all that the default snapshot knows of one frame."""
        return frame_of(self.snapshot(), pfn)

    def __repr__(self) -> str:
        return f"<Capture {self.name}: {self.meta.get('arch')}, Linux {self.meta.get('kernel_release')}>"
