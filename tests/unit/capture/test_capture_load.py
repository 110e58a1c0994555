"""A recording is a folder or a .tar.xz of one; both give the same."""

from __future__ import annotations

import gzip
import json
import lzma
import tarfile
from pathlib import Path

import pytest
from casefinder import BUNDLED, DATA, captures

from kmemwidgets.capture import Capture
from kmemwidgets.records import BadInput, Source

META = {"name": "x", "arch": "amd64", "kernel_release": "6.1.0-9-amd64", "page_size": 4096}


def write(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in {"meta.json": json.dumps(META), **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def test_packed_files_are_found_under_their_plain_name(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt.xz": lzma.compress(b"one"), "proc/b.gz": gzip.compress(b"two"), "c": "three"})
    capture = Capture.load(tmp_path)
    assert capture.files() == ("a.txt", "c", "meta.json", "proc/b")
    assert (capture.text("a.txt"), capture.bytes("proc/b"), capture.text("c")) == ("one", b"two", "three")
    assert capture.has("a.txt")
    assert not capture.has("a")
    assert capture.text_or_none("a") is None


def test_a_plain_file_wins_over_a_packed_one(tmp_path: Path) -> None:
    write(tmp_path, {"a": "plain", "a.xz": lzma.compress(b"packed")})
    assert Capture.load(tmp_path).text("a") == "plain"


def test_folder_and_archive_of_one_recording_agree(tmp_path: Path) -> None:
    packed = Capture.load(BUNDLED / "i386-pae-2g.tar.xz")
    with tarfile.open(BUNDLED / "i386-pae-2g.tar.xz") as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # Debian 12's Python 3.11.2 has none
        tar.extractall(tmp_path)
    folder = Capture.load(tmp_path / "i386-pae-2g")
    assert folder.name == packed.name == "i386-pae-2g"
    assert folder.files() == packed.files()
    assert folder.spec() == packed.spec()
    assert folder.snapshot() == packed.snapshot()


def test_bundled_recordings_are_named_and_load() -> None:
    assert set(Capture.bundled_names()) >= {"amd64-512m", "amd64-2g-numa2", "i386-pae-2g", "arm64-1g"}
    for name in Capture.bundled_names():
        capture = Capture.bundled(name)
        assert capture.name == name
        assert isinstance(capture, Source)
        assert dict(capture.verbs) == {}


def test_an_unknown_bundled_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"no recording 'zx81' ships with the package; one of .*amd64-512m"):
        Capture.bundled("zx81")


def test_bundled_recordings_stay_small() -> None:
    assert sum(path.stat().st_size for path in BUNDLED.glob("*.tar.xz")) < 3_000_000


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"meta.json": "{"}, "meta.json: is no JSON"),
        ({"meta.json": "[" * 100_000}, "meta.json: is no JSON"),
        ({"meta.json": "[]"}, "expected a JSON object"),
        ({"meta.json": '{"page_size": "big"}'}, "page_size is 'big'; expected a number"),
        ({"meta.json": '{"page_size": 4095}'}, "page_size is 4095; expected a power of two"),
        ({"meta.json": '{"arch": 5}'}, "arch is 5; expected a text"),
    ],
)
def test_a_bad_meta_is_refused(tmp_path: Path, files: dict[str, bytes | str], message: str) -> None:
    write(tmp_path, files)
    with pytest.raises(BadInput, match=message):
        Capture.load(tmp_path)


def test_a_folder_without_meta_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no meta\.json; name a recording's folder"):
        Capture.load(tmp_path)
    with pytest.raises(BadInput, match="there is no such file or folder"):
        Capture.load(tmp_path / "nowhere")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"/proc/meminfo: the recording has no such file"):
        Capture.load(write(tmp_path, {})).text("proc/meminfo")


def test_traces_and_moments() -> None:
    capture = Capture.load(DATA / "captures" / "amd64-512m.tar.xz")
    assert capture.traces() == ("t_fork", "t_quiet", "t_tmpfs")
    assert set(capture.moments()) == {
        "proc", "snap", "kpage", "t_fork/before", "t_fork/after", "t_quiet/before", "t_quiet/after", "t_tmpfs/before",
        "t_tmpfs/after",
    }  # fmt: skip
    with pytest.raises(BadInput, match="no moment 'tomorrow'; one of"):
        capture.snapshot("tomorrow")


def test_the_tests_find_their_recordings() -> None:
    assert len(captures()) >= 16
