"""A recording's files, from a folder, a packed folder or memory. What is read is not trusted.

Nothing is ever written to disk. Sizes, numbers of files and what packed files may grow to are bounded, and links,
devices and names that lead out of the recording are refused.
"""

from __future__ import annotations

import io
import lzma
import os
import stat
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from kmemwidgets.records import BadInput

#: Files in one recording.
MAX_MEMBERS = 20_000
#: Bytes of one file, unpacked: kpageflags of 256 GiB.
MAX_FILE = 1 << 29
#: Bytes of all files of a .tar.xz.
MAX_TOTAL = 1 << 29
#: Bytes that one xz decoder may use; xz -9 needs 65 MiB.
MAX_DECODER = 1 << 27

_CHUNK = 1 << 20
_PACKED = (".xz", ".gz")
_AGAIN = "copy it again, or name another file"


class Files(Protocol):
    """A recording's files by their path in it, as stored."""

    def names(self) -> frozenset[str]:
        """Return all paths."""

    def read(self, path: str) -> bytes:
        """Return one file's bytes; `path` is one of `names()`."""


class FolderFiles:
    """Files of a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        found: set[str] = set()
        for folder, folders, files in os.walk(self.root, followlinks=False):
            folders[:] = sorted(name for name in folders if not Path(folder, name).is_symlink())
            found.update(Path(folder, name).relative_to(self.root).as_posix() for name in files)
            if len(found) > MAX_MEMBERS:
                raise BadInput(f"more than {MAX_MEMBERS} files", where=str(root), todo="name one recording's folder")
        self._names = frozenset(found)

    def names(self) -> frozenset[str]:
        """Return all paths."""
        return self._names

    def read(self, path: str) -> bytes:
        """Return one file's bytes."""
        # O_NONBLOCK: opening a fifo must not wait; O_NOFOLLOW: a link may lead out of the recording.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        full = self.root / path
        try:
            descriptor = os.open(full, flags)
        except OSError as error:
            reason = "a link, which may lead out of the recording" if full.is_symlink() else error.strerror
            raise BadInput(f"can't be read: {reason}", where=str(full)) from error
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BadInput("is no ordinary file", where=str(full))
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise BadInput(f"more than {MAX_FILE} bytes", where=str(full))
        return data


class MemoryFiles:
    """Files held in memory."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = dict(files)

    def names(self) -> frozenset[str]:
        """Return all paths."""
        return frozenset(self._files)

    def read(self, path: str) -> bytes:
        """Return one file's bytes."""
        return self._files[path]


class _Bounded(io.RawIOBase):
    """An unpacked stream that ends in an error, not in a full memory."""

    def __init__(self, packed: io.BufferedIOBase | lzma.LZMAFile, where: str) -> None:
        self._packed = packed
        self._where = where
        self._seen = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._packed.read(min(size, _CHUNK) if size >= 0 else _CHUNK)
        self._seen += len(data)
        if self._seen > MAX_TOTAL:
            raise BadInput(f"unpacks to more than {MAX_TOTAL} bytes", where=self._where)
        return data


class _XzStream(io.RawIOBase):
    """Unpacks xz as it is read, with bounded memory for the decoder (LZMAFile has no such bound)."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_DECODER)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        wanted = size if 0 <= size <= _CHUNK else _CHUNK
        while True:
            if self._decoder.eof:
                rest = self._decoder.unused_data or self._file.read(_CHUNK)
                if not rest.lstrip(b"\0"):
                    return b""
                self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_DECODER)
            else:
                rest = self._file.read(_CHUNK) if self._decoder.needs_input else b""
                if self._decoder.needs_input and not rest:
                    raise EOFError("the packed file is cut")
            data = self._decoder.decompress(rest, wanted)
            if data:
                return data


def load_tar(path: Path) -> MemoryFiles:
    """Read a .tar.xz of a recording's folder into memory.

    Raises
    ------
    BadInput
        For a member that is no ordinary file or folder, or whose name leads out of the recording, for sizes and
        numbers beyond the bounds, and for what is no .tar.xz at all.
    """
    where = str(path)
    files: dict[str, bytes] = {}
    try:
        with path.open("rb") as packed:
            stream = _Bounded(_XzStream(packed), where)  # type: ignore[arg-type]
            with tarfile.open(fileobj=stream, mode="r|", errorlevel=1) as tar:
                for count, member in enumerate(tar, 1):
                    if count > MAX_MEMBERS:
                        raise BadInput(f"more than {MAX_MEMBERS} members", where=where)
                    name = _member_name(member, where)
                    if member.isdir() or not name:
                        continue
                    if name in files:
                        raise BadInput(f"two members are called {name}", where=where)
                    file = tar.extractfile(member)
                    files[name] = file.read() if file else b""
    except (tarfile.TarError, lzma.LZMAError, EOFError, OverflowError, RecursionError, UnicodeError) as error:
        raise BadInput(f"is no .tar.xz that can be read: {error}", where=where, todo=_AGAIN) from error
    except ValueError as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"is no .tar.xz that can be read: {error}", where=where, todo=_AGAIN) from error
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror or error}", where=where) from error
    return MemoryFiles(_below_top(files, where))


def _member_name(member: tarfile.TarInfo, where: str) -> str:
    """Return a member's path in the archive, or refuse it."""
    parts = PurePosixPath(member.name).parts
    if member.name.startswith("/") or ".." in parts or "\0" in member.name or "\\" in member.name:
        raise BadInput(f"the member {member.name!r} leads out of the recording", where=where)
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise BadInput(f"the member {member.name!r} is no ordinary file or folder", where=where)
    if member.size > MAX_FILE:
        raise BadInput(f"the member {member.name!r} has more than {MAX_FILE} bytes", where=where)
    return "/".join(part for part in parts if part != ".")


def _below_top(files: dict[str, bytes], where: str) -> dict[str, bytes]:
    """Cut off the folder that holds the recording's meta.json."""
    tops = sorted((name for name in files if name.rpartition("/")[2] == "meta.json"), key=lambda name: name.count("/"))
    if not tops:
        raise BadInput("holds no meta.json", where=where, todo="name a recording: a folder or .tar.xz with a meta.json")
    prefix = tops[0].removesuffix("meta.json")
    return {name.removeprefix(prefix): data for name, data in files.items() if name.startswith(prefix)}


def unpack(data: bytes, name: str, where: str) -> bytes:
    """Unpack a file that ends in .xz or .gz, up to `MAX_FILE` bytes; others are returned as they are."""
    try:
        if name.endswith(".xz"):
            return _unpack_xz(data, where)
        if name.endswith(".gz"):
            decoder = zlib.decompressobj(wbits=31)
            plain = decoder.decompress(data, MAX_FILE)
            if decoder.unconsumed_tail:
                raise BadInput(f"unpacks to more than {MAX_FILE} bytes", where=where)
            if not decoder.eof:
                raise BadInput("the packed file is cut", where=where, todo="copy it again")
            return plain
    except (lzma.LZMAError, zlib.error, EOFError) as error:
        raise BadInput(f"can't be unpacked: {error}", where=where, todo="copy it again") from error
    return data


def _unpack_xz(data: bytes, where: str) -> bytes:
    plain = bytearray()
    stream = _XzStream(io.BufferedReader(io.BytesIO(data)))
    while piece := stream.read(_CHUNK):
        plain += piece
        if len(plain) > MAX_FILE:
            raise BadInput(f"unpacks to more than {MAX_FILE} bytes", where=where)
    return bytes(plain)


def logical(name: str) -> str:
    """Return a path without the ending of its packing: what callers ask for."""
    for ending in _PACKED:
        if name.endswith(ending):
            return name.removesuffix(ending)
    return name


def stored(names: frozenset[str], path: str) -> str | None:
    """Return the path under which a file is stored, packed or not; None where there is none."""
    for candidate in (path, *(path + ending for ending in _PACKED)):
        if candidate in names:
            return candidate
    return None
