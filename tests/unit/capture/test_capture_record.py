"""Recording a machine: its own /proc, or one made up of files below a folder."""

from __future__ import annotations

import ast
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from kmemwidgets import cli
from kmemwidgets.capture import Capture, command, here, record_host
from kmemwidgets.capture.record_host import Failure, Recorder, Redactor, write

SOURCE = Path(record_host.__file__)
LIMIT = 256 << 20


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A machine's /proc and /sys as files: those of a recording, in a container, with an owner."""
    root = tmp_path / "host"
    capture = Capture.bundled("amd64-2g-numa2")
    files: dict[str, str] = {name: capture.text(name) for name in capture.files() if name.startswith("proc/")}
    for name in ("maps", "smaps", "status"):
        files[f"proc/self/{name}"] = capture.text(f"proc/self_{name}")
    files |= {
        "proc/self/cgroup": "0::/system.slice/alice-secret.service\n",
        "proc/sys/kernel/osrelease": "6.1.0-56-amd64\n",
        "proc/sys/kernel/hostname": "deepthought.example.org\n",
        "proc/sys/vm/min_free_kbytes": "45056\n",
        "proc/sys/vm/watermark_scale_factor": "10\n",
        "proc/sys/vm/compact_memory": "",
        "proc/cmdline": "quiet root=UUID=1b4e28ba-2fa1-11d2-883f-0016d3cca427 slub_debug=FZ token=hunter2 nokaslr\n",
        "etc/passwd": "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n",
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "run/.containerenv": "",
        "sys/fs/cgroup/memory.max": "max\n",
        "sys/fs/cgroup/system.slice/memory.max": f"{LIMIT}\n",
        "sys/fs/cgroup/system.slice/alice-secret.service/memory.max": "max\n",
        "sys/fs/cgroup/system.slice/alice-secret.service/memory.current": "1048576\n",
        "sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n",
        "sys/firmware/memmap/0/start": "0x0\n",
        "sys/firmware/memmap/0/end": "0x9fbff\n",
        "sys/firmware/memmap/0/type": "System RAM\n",
        "sys/kernel/slab/dentry/object_size": "192\n",
        "sys/kernel/slab/dentry/objects": "10 N0=10\n",
        "boot/config-6.1.0-56-amd64": "CONFIG_NUMA=y\n# CONFIG_PREEMPT is not set\nCONFIG_SOUND=y\n",
        # One line that redaction drops, and one of a kind that it keeps and must clean.
        "var/log/dmesg": capture.text("dmesg.txt")
        + "[    9.000000] usb: alice's stick\n"
        + "[    9.000001] zswap: of deepthought.example.org, SerialNumber: 4C530001\n"
        + "[    9.000002] zswap: of 0123456789abcdef0123456789abcdef\n",
        "proc/77/maps": "00400000-00401000 r-xp 00000000 fd:01 5                          /home/alice/plans.txt\n",
        "proc/77/status": "Name:\tplotting\nUid:\t1000\n",
    }
    for name in capture.files():
        if name.startswith("node/"):
            node, _, what = name.removeprefix("node/").partition(".")
            files[f"sys/devices/system/node/{node}/{what}"] = capture.text(name)
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "sys/kernel/slab/:0000192").mkdir()
    (root / "sys/kernel/slab/inode").symlink_to("dentry")
    (root / "proc/kpageflags").write_bytes(capture.bytes("snap/kpageflags.after"))
    (root / "dev").mkdir()
    os.mkfifo(root / "dev/kmsg")  # a log without a line
    return root


def test_the_file_is_python_3_6_and_needs_only_the_standard_library() -> None:
    source = SOURCE.read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 6))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= set(sys.stdlib_module_names)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.NamedExpr)]


def test_old_pythons_that_are_installed_run_it(tmp_path: Path) -> None:
    script = tmp_path / "r.py"
    script.write_text(command.script())
    pythons = [sys.executable, *filter(None, (shutil.which(f"python3.{minor}") for minor in range(6, 11)))]
    for number, python in enumerate(pythons):
        if subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
            continue  # a name that a version manager keeps, without that Python behind it
        out = tmp_path / f"out{number}.tar.xz"
        options = ["-S", str(script), "--no-frames", "--redact", str(out)]
        done = subprocess.run([python, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert Capture.load(out).snapshot().meminfo is not None


def test_a_recording_of_a_folder_s_machine_is_whole(host: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    meta = write(str(out), Recorder(str(host)))
    capture = Capture.load(out)
    original = Capture.bundled("amd64-2g-numa2")
    for name in ("proc/zoneinfo", "proc/vmallocinfo", "node/node1.meminfo"):
        assert capture.bytes(name) == original.bytes(name)
    assert capture.bytes("kpageflags") == original.bytes("snap/kpageflags.after")
    assert capture.has("kpageflags")
    assert (out / "kpageflags.xz").exists()
    shot = capture.snapshot()
    assert shot.frames == original.snapshot().frames
    spec = capture.spec()
    assert [(row.nid, row.start) for row in spec.nodes] == [(0, 0), (0, 0x100000), (1, 0x40000000)]
    assert spec.config == (("CONFIG_NUMA", "y"), ("CONFIG_PREEMPT", "n"))
    assert dict(spec.sysctl) == {"watermark_scale_factor": "10"}
    assert dict(spec.extra)["transparent_hugepage"] == "always"
    assert capture.text("sys/firmware_memmap") == "0x0 0x9fbff System RAM\n"
    assert capture.text("sys/vm_sysctl") == "min_free_kbytes=45056\nwatermark_scale_factor=10\n"
    rows = [line.split("\t")[:3] for line in capture.text("slab.tsv").splitlines()]
    assert rows == [["name", "target", "object_size"], ["dentry", "-", "192"], ["inode", "dentry", "192"]]
    assert meta["cgroup"] == {"version": 2, "limit_bytes": LIMIT, "usage_bytes": 1048576}
    assert meta["container"] == "/run/.containerenv"
    assert "/proc/kcore" in meta["unreadable"]
    assert sorted(meta["files"]) == [name for name in sorted(_stored(out)) if name != "meta.json"]
    assert not any(name.startswith("proc/77") for name in meta["files"])


def _stored(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def test_a_tar_holds_the_same_as_a_folder(host: Path, tmp_path: Path) -> None:
    write(str(tmp_path / "m"), Recorder(str(host)))
    write(str(tmp_path / "m.tar.xz"), Recorder(str(host)))
    folder, packed = Capture.load(tmp_path / "m"), Capture.load(tmp_path / "m.tar.xz")
    assert folder.files() == packed.files()
    assert all(folder.bytes(name) == packed.bytes(name) for name in folder.files())
    with tarfile.open(tmp_path / "m.tar.xz") as tar:
        assert {(member.uid, member.gid, member.mtime) for member in tar} == {(0, 0, 0)}


def test_processes_are_taken_on_request(host: Path, tmp_path: Path) -> None:
    meta = write(str(tmp_path / "m"), Recorder(str(host), processes=True))
    assert {"proc/77_maps", "proc/77_status"} <= set(meta["files"])


SECRETS = (
    "deepthought", "example.org", "alice", "hunter2", "1b4e28ba", "4C530001", "0123456789abcdef0123456789abcdef",
    "plans", "busybox", "plotting", "debian-kernel@",
)  # fmt: skip


def test_redaction_leaves_nothing_of_the_owner(host: Path, tmp_path: Path) -> None:
    recorder = Recorder(str(host), processes=True)
    meta = write(str(tmp_path / "m"), recorder, Redactor(record_host.owner_words(recorder)))
    plain = write(str(tmp_path / "plain"), Recorder(str(host), processes=True))
    everything = {name: (tmp_path / "m" / name).read_bytes().decode("latin-1") for name in _stored(tmp_path / "m")}
    for secret in SECRETS:
        assert any(secret in (tmp_path / "plain" / name).read_bytes().decode("latin-1") for name in plain["files"]), (
            secret
        )
        assert [name for name, text in everything.items() if secret.lower() in text.lower()] == []
    assert set(meta["redacted"]) >= {"host and user names", "paths of files", "serial numbers"}
    assert meta["cmdline"] == "quiet root=redacted slub_debug=FZ token=redacted nokaslr"
    # What the package reads is all still there.
    redacted, whole = Capture.load(tmp_path / "m"), Capture.load(tmp_path / "plain")
    assert redacted.spec().memory == whole.spec().memory
    assert redacted.spec().freed == whole.spec().freed
    assert redacted.spec().kernel == (6, 1, 192)
    assert redacted.snapshot().zones == whole.snapshot().zones
    assert [vma.start for vma in redacted.snapshot("proc").vmas or ()] == []
    assert redacted.text("proc/self_maps").count("[heap]") == 1
    assert redacted.text("proc/77_status").startswith("Name:\tprocess\n")


def test_a_host_called_as_the_kernel_speaks_stays_readable(host: Path, tmp_path: Path) -> None:
    (host / "proc/sys/kernel/hostname").write_text("debian\n")
    (host / "etc/passwd").write_text("zone:x:1000:1000::/home/zone:/bin/sh\n")
    (host / "proc/cmdline").write_text("quiet sysctl.vm.min_free_kbytes=9000 sysctl.kernel.hostname=alice\n")
    recorder = Recorder(str(host))
    write(str(tmp_path / "m"), recorder, Redactor(record_host.owner_words(recorder)))
    spec = Capture.load(tmp_path / "m").spec()
    assert spec.kernel == (6, 1, 192)
    assert {node.nid for node in spec.nodes} == {0, 1}
    assert spec.cmdline == "quiet sysctl.vm.min_free_kbytes=9000 sysctl.kernel.hostname=redacted"


def test_the_same_path_gets_the_same_name_everywhere(host: Path, tmp_path: Path) -> None:
    write(str(tmp_path / "m"), Recorder(str(host)), Redactor({}))
    maps, smaps = ((tmp_path / "m/proc" / name).read_text() for name in ("self_maps", "self_smaps"))
    assert "/file/1" in maps
    assert "/file/1" in smaps
    assert "/file/2" not in smaps


def test_kernel_addresses_are_left_out_on_request(host: Path, tmp_path: Path) -> None:
    write(str(tmp_path / "m"), Recorder(str(host)), Redactor({}, addresses=True))
    capture = Capture.load(tmp_path / "m")
    assert "ffff" not in capture.text("proc/vmallocinfo")
    assert capture.snapshot().vmalloc is not None
    assert "Kernel code" not in capture.text("proc/iomem")
    assert "ffffffff8" not in capture.text("dmesg.txt")
    assert capture.spec().memory == Capture.bundled("amd64-2g-numa2").spec().memory


def test_nothing_is_overwritten(host: Path, tmp_path: Path) -> None:
    (tmp_path / "m").write_text("mine")
    with pytest.raises(Failure, match="is there already; name a new folder"):
        write(str(tmp_path / "m"), Recorder(str(host)))
    assert (tmp_path / "m").read_text() == "mine"
    with pytest.raises(Failure, match="No such file or directory"):
        write(str(tmp_path / "no/where/m"), Recorder(str(host)))


@pytest.mark.parametrize("name", ["m", "m.tar.xz"])
def test_an_interruption_leaves_nothing_half_written(host: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()

    def interrupt(word: str, part: float) -> None:
        if word == "proc/self_maps":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(str(tmp_path / "empty" / name), Recorder(str(host), progress=interrupt))
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_bar_shows_on_a_terminal_after_a_second(
    host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = record_host.Progress()
    write(str(tmp_path / "quick"), Recorder(str(host), progress=progress))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress.start -= 1.5  # as if it had begun that long ago
    write(str(tmp_path / "slow"), Recorder(str(host), progress=progress))
    progress.done()
    assert "[####################] kpageflags" in capsys.readouterr().err


def test_frames_beyond_the_bound_are_left_out_and_named(host: Path, tmp_path: Path) -> None:
    meta = write(str(tmp_path / "m"), Recorder(str(host), max_frames=1000))
    assert meta["unreadable"]["/proc/kpageflags"] == "524253 frames, more than 1000"


def test_kcore_s_headers_become_text() -> None:
    note = b"CORE\0\0\0\0junk"
    info = b"OSRELEASE=6.1\nSYMBOL(_stext)=ffffffff81000000\n"
    notes = struct.pack("<III", 5, 4, 1) + note
    notes += struct.pack("<III", 11, len(info), 0) + b"VMCOREINFO\0\0" + info
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    rows = struct.pack("<IIQQQQQQ", 4, 0, 64 + 112, 0, 0, len(notes), 0, 0)
    rows += struct.pack("<IIQQQQQQ", 1, 7, 4096, 0xFFFF888000000000, 0, 4096, 4096, 0)
    assert record_host.kcore_text(io.BytesIO(head + rows + notes)) == (
        "LOAD vaddr=0xffff888000000000 size=0x1000\n" + info.decode()
    )
    with pytest.raises(ValueError, match="is no ELF file"):
        record_host.kcore_text(io.BytesIO(b"text"))


def test_the_log_s_own_form_becomes_text() -> None:
    assert record_host._unescaped(r"tab\x09end\x5c") == "tab\tend\\"


def test_a_machine_with_version_1_control_groups(host: Path) -> None:
    (host / "proc/self/cgroup").write_text("5:memory:/docker/abc\n0::/\n")
    folder = host / "sys/fs/cgroup/memory"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("134217728\n")
    recorder = Recorder(str(host))
    # The host's path isn't visible in the container: its group is the top of the mount.
    assert recorder.cgroup_levels() == (1, ["sys/fs/cgroup/memory"])
    assert recorder.cgroup_limit()["limit_bytes"] == 128 << 20
    (folder / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert recorder.cgroup_limit()["limit_bytes"] is None


def test_the_running_machine_in_memory_says_what_a_container_hides(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    files, notes = here.record_here(str(host))
    assert "kpageflags" in files.names()
    allowed = "this runs in a container that may use 256 MiB of the 1969 MiB that /proc/meminfo shows"
    assert notes[0] == f"{allowed}, of which 1 MiB are used"
    capture = Capture(files, "here", notes=notes)
    assert capture.snapshot().notes[0] == notes[0]
    (host / "sys/fs/cgroup/system.slice/memory.max").write_text("max\n")
    assert "without a memory limit" in here.record_here(str(host))[1][0]


def test_on_another_system_a_recorded_machine_stands_in_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    capture = Capture.here()
    assert capture.notes == (
        "this is darwin, not Linux; a recorded machine is shown in its place: this is the recorded machine amd64-512m",
    )
    assert capture.snapshot().notes[0] == capture.notes[0]
    assert capture.snapshot().frames is not None


def test_without_a_readable_proc_a_recorded_machine_stands_in(host: Path) -> None:
    shutil.rmtree(host / "proc")
    with pytest.raises(ValueError, match="/proc/meminfo can't be read"):
        here.record_here(str(host))


def test_the_running_machine() -> None:
    capture = Capture.here()
    shot = capture.snapshot()
    assert shot.meminfo is not None
    assert shot.zones


def test_the_command_prints_its_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["capture", "--script"]) == 0
    assert capsys.readouterr().out == SOURCE.read_text(encoding="utf-8")


def test_the_command_tells_what_it_took_and_what_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "m.tar.xz"
    assert cli.main(["capture", "--no-frames", str(out)]) == 0
    said = capsys.readouterr().out
    assert "taken: " in said
    assert "proc/meminfo" in said
    meta = json.loads(Capture.load(out).text("meta.json"))
    assert all(f"not taken: {name} (" in said for name in meta["unreadable"])
    assert cli.main(["capture", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert cli.main(["capture"]) == 2


def test_the_command_s_answer_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "m"
    assert cli.main(["capture", "--no-frames", "--redact", "--json", "-", str(out)]) == 0
    answer = json.loads(capsys.readouterr().out)
    meta = json.loads((out / "meta.json").read_text())
    assert answer == {"out": str(out)} | {key: meta[key] for key in ("files", "unreadable", "notes", "redacted")}


def test_the_command_loads_no_jupyter_package() -> None:
    code = (
        "import sys; from kmemwidgets.cli import build_parser; build_parser('capture'); "
        "import kmemwidgets.capture.command; "
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('ipywidgets', 'anywidget', 'IPython', 'traitlets', 'jupyter_client', 'bqplot', 'numpy')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
