"""Recordings come from strangers: nothing they hold leads out of them, fills the memory or stops the reader."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kmemwidgets.capture import Capture, archive
from kmemwidgets.records import BadInput

GOOD = b'{"arch": "amd64", "kernel_release": "6.1.0", "page_size": 4096}'


def pack(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], format_: int = tarfile.GNU_FORMAT) -> Path:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format_) as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    path.write_bytes(lzma.compress(buffer.getvalue(), preset=0))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    return info


META = (member("m/meta.json"), GOOD)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (member("/etc/passwd"), "leads out of the recording"),
        (member("m/../../x"), "leads out of the recording"),
        (member("..\\x"), "leads out of the recording"),
        (member("m/link", tarfile.SYMTYPE, "/etc/passwd"), "is no ordinary file or folder"),
        (member("m/hard", tarfile.LNKTYPE, "m/meta.json"), "is no ordinary file or folder"),
        (member("m/dev", tarfile.CHRTYPE), "is no ordinary file or folder"),
        (member("m/disk", tarfile.BLKTYPE), "is no ordinary file or folder"),
        (member("m/pipe", tarfile.FIFOTYPE), "is no ordinary file or folder"),
    ],
    ids=lambda value: value.name if isinstance(value, tarfile.TarInfo) else "",
)
def test_members_that_are_no_plain_file_are_refused(tmp_path: Path, bad: tarfile.TarInfo, message: str) -> None:
    path = pack(tmp_path / "m.tar.xz", [META, (bad, b"")])
    with pytest.raises(BadInput, match=message) as caught:
        Capture.load(path)
    assert caught.value.where == str(path)


def test_a_sparse_member_is_refused(tmp_path: Path) -> None:
    # A header of GNU's old sparse format that says: 1 GiB of nothing.
    info = member("m/sparse", tarfile.GNUTYPE_SPARSE)
    raw = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    raw[483:495] = b"%011o\0" % (1 << 30)
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    head = io.BytesIO()
    with tarfile.open(fileobj=head, mode="w") as tar:
        meta = member("m/meta.json")
        meta.size = len(GOOD)
        tar.addfile(meta, io.BytesIO(GOOD))
        end = tar.offset
    path = tmp_path / "m.tar.xz"
    path.write_bytes(lzma.compress(head.getvalue()[:end] + bytes(raw) + bytes(1024)))
    with pytest.raises(BadInput, match="is no ordinary file or folder"):
        Capture.load(path)


def test_the_same_member_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"two members are called m/meta\.json"):
        Capture.load(pack(tmp_path / "m.tar.xz", [META, META]))


def test_an_archive_that_unpacks_beyond_the_bound_is_refused_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_TOTAL", 1 << 21)
    bomb = pack(tmp_path / "m.tar.xz", [META, (member("m/zeros"), bytes(1 << 23))])
    assert bomb.stat().st_size < 1 << 14
    with pytest.raises(BadInput, match="unpacks to more than 2097152 bytes"):
        Capture.load(bomb)


def test_too_large_and_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "m.tar.xz", [META, (member("m/a"), bytes(5000)), (member("m/b"), b"")])
    monkeypatch.setattr(archive, "MAX_FILE", 4999)
    with pytest.raises(BadInput, match="'m/a' has more than 4999 bytes"):
        Capture.load(path)
    monkeypatch.setattr(archive, "MAX_FILE", 5000)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    with pytest.raises(BadInput, match="more than 2 members"):
        Capture.load(path)


@pytest.mark.parametrize("ending", ["xz", "gz"])
def test_a_file_inside_that_unpacks_beyond_the_bound_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    packed = lzma.compress(bytes(100_000)) if ending == "xz" else gzip.compress(bytes(100_000))
    capture = Capture.load(pack(tmp_path / "m.tar.xz", [META, (member(f"m/zeros.{ending}"), packed)]))
    assert len(capture.bytes("zeros")) == 100_000
    monkeypatch.setattr(archive, "MAX_FILE", 99_999)
    with pytest.raises(BadInput, match="unpacks to more than 99999 bytes"):
        capture.bytes("zeros")


@pytest.mark.parametrize("ending", ["xz", "gz"])
def test_a_cut_file_inside_is_refused(tmp_path: Path, ending: str) -> None:
    packed = (lzma.compress if ending == "xz" else gzip.compress)(os.urandom(500))[:-20]
    capture = Capture.load(pack(tmp_path / "m.tar.xz", [META, (member(f"m/x.{ending}"), packed)]))
    with pytest.raises(BadInput, match=r"cut|can't be unpacked"):
        capture.bytes("x")


def test_links_and_pipes_in_a_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    (folder / "proc").mkdir(parents=True)
    (folder / "meta.json").write_bytes(GOOD)
    (tmp_path / "secret").write_text("s3cret")
    (folder / "proc/meminfo").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "proc/vmstat")
    (folder / "out").symlink_to(tmp_path)
    capture = Capture.load(folder)
    assert not any(name.startswith("out") and name != "out" for name in capture.files())
    with pytest.raises(BadInput, match="a link, which may lead out of the recording"):
        capture.bytes("proc/meminfo")
    with pytest.raises(BadInput, match="is no ordinary file"):
        capture.bytes("proc/vmstat")


def test_an_archive_without_meta_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no meta\.json"):
        Capture.load(pack(tmp_path / "m.tar.xz", [(member("m/a"), b"")]))


SMALL = Capture.bundled("amd64-512m")
TEXTS = [
    name for name in SMALL.files()
    if name.startswith(("proc/", "snap/", "sys/", "node/", "meta", "slab", "kcore", "dmesg"))
]  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_recording_with_a_damaged_file_is_refused_or_read(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(TEXTS))
    raw = bytearray(SMALL.bytes(name) or b"x")
    at = data.draw(st.integers(0, len(raw) - 1))
    special = st.sampled_from([b"9" * 15, b"\xc2\xb2", b"-1", b"\n", b" "])
    piece = data.draw(st.one_of(st.binary(max_size=20), special))
    raw[at : at + data.draw(st.integers(0, 200))] = piece
    kept = {other: SMALL.bytes(other) for other in SMALL.files() if not other.startswith("t_")}
    try:
        capture = Capture(archive.MemoryFiles({**kept, name: bytes(raw)}), "x")
        capture.spec()
        for moment in ("proc", "snap"):
            capture.snapshot(moment)
    except BadInput as error:
        assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "text",
    [
        "zone 0 N start_pfn 0 spanned 9999999999999999\nfree 0 N 0 1 1: 5\n",
        "zone 0 N start_pfn 0 spanned 8\nfree 0 N 99 1 1: 0\n",
    ],
)
def test_free_lists_of_impossible_sizes_fill_no_memory(text: str) -> None:
    kept = {name: SMALL.bytes(name) for name in SMALL.files() if not name.startswith(("t_", "snap/"))}
    capture = Capture(archive.MemoryFiles({**kept, "snap/freelists.after": text.encode()}), "x")
    try:
        assert "order" not in capture.snapshot("snap").frame_tables
    except BadInput as error:
        assert "a block of order 99" in str(error)  # noqa: PT017


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_archive_is_refused_or_read(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("damaged") / "m.tar.xz"
    whole = pack(path, [META, (member("m/proc/meminfo"), b"MemTotal: 1 kB\n" * 50)], tarfile.PAX_FORMAT)
    plain = data.draw(st.booleans(), label="damage the archive before it is packed")
    raw = bytearray(lzma.decompress(whole.read_bytes()) if plain else whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(raw), 3000) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(1, len(raw)))] if data.draw(st.booleans()) else raw
    path.write_bytes(lzma.compress(bytes(raw)) if plain else bytes(raw))
    try:
        files = Capture.load(path).files()
    except BadInput as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert all(not name.startswith("/") and ".." not in name.split("/") for name in files)
