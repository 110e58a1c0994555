from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from casefinder import captures

from kmemwidgets.capture import Capture
from kmemwidgets.cli import main
from kmemwidgets.explain import compare, explain, sections


@pytest.fixture(scope="module")
def capture() -> Path:
    return next(path for path in captures() if path.name.startswith("amd64-512m"))


def test_text_answer(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(capture), "--section", "watermarks"]) == 0
    out = capsys.readouterr().out
    assert "watermarks" in out
    assert "15 of 15" in out
    assert "Linux 6.1.192" in out


def test_a_bundled_recording_is_called_by_its_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    name = Capture.bundled_names()[0]
    assert main(["explain", name, "--section", "zones"]) == 0
    assert capsys.readouterr().out.startswith(f"{name}: Linux ")
    assert main(["proc", name, str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/proc/zoneinfo").is_file()
    capsys.readouterr()
    assert main(["proc", name, str(tmp_path / "again"), "--json", "-"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["machine"], answer["out"]) == (name, str(tmp_path / "again"))
    assert "proc/zoneinfo" in answer["files"]
    assert main(["explain", "no-such-recording"]) == 2
    assert name in capsys.readouterr().err


def test_json_answer_has_the_shape_that_others_rely_on(capture: Path, tmp_path: Path) -> None:
    target = tmp_path / "answer.json"
    assert main(["explain", str(capture), "--json", str(target), "--section", "zones", "--section", "boot"]) == 0
    answer = json.loads(target.read_text())
    assert list(answer) == ["capture", "kernel", "sections"]
    assert [entry["name"] for entry in answer["sections"]] == ["zones", "boot"]
    for entry in answer["sections"]:
        assert list(entry) == ["name", "predicted", "of", "unknowable", "misses"]
        assert entry["predicted"] == entry["of"] > 0
    assert not list(tmp_path.glob("*.part"))


def test_json_to_standard_output_is_nothing_but_json(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(capture), "--json", "-", "--section", "pcp"]) == 0
    assert json.loads(capsys.readouterr().out)["sections"][0]["name"] == "pcp"


def spoil(capture: Path, tmp_path: Path, change: Callable[[str], str]) -> Path:
    """Copy the files that the sections read, with another zoneinfo."""
    whole = Capture.load(capture)
    target = tmp_path / "spoiled"
    for name in (
        "meta.json",
        "proc/zoneinfo",
        "proc/cmdline",
        "proc/version",
        "proc/iomem",
        "dmesg.txt",
        "sys/vm_sysctl",
        "sys/mm_settings",
    ):
        if whole.has(name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_text(whole.text(name))
    path = target / "proc/zoneinfo"
    path.write_text(change(path.read_text()))
    return target


def test_fail_under(capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoiled = spoil(capture, tmp_path, lambda text: text.replace("  batch: 31", "  batch: 33"))
    assert main(["explain", str(spoiled), "--section", "pcp", "--fail-under", "75"]) == 0
    assert main(["explain", str(spoiled), "--section", "pcp", "--fail-under", "76"]) == 1
    out = capsys.readouterr().out
    assert "zone DMA32 cpu 0 batch: predicted 31, recorded 33" in out
    assert main(["explain", str(spoiled), "--section", "zones", "--fail-under", "100"]) == 0


def test_misses_beyond_ten_are_counted(capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoiled = spoil(
        capture,
        tmp_path,
        lambda text: text.replace("        min ", "        boost    9\n        min ").replace(
            "boost    0\n        boost", "boost"
        ),
    )
    main(["explain", str(spoiled), "--section", "watermarks"])
    assert "and 5 more (--json has them all)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{capture}", "--section", "nonsense"], "no section 'nonsense'; one of zones"),
        (["no/such/folder"], "there is no such file or folder"),
        (["{capture}", "--json", "no/such/folder/out.json"], "can't be written"),
    ],
)
def test_bad_usage_is_one_line(
    capture: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *(word.format(capture=capture) for word in arguments)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_cut_zoneinfo_is_refused(capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoiled = spoil(capture, tmp_path, lambda text: text[: len(text) // 2])
    assert main(["explain", str(spoiled), "--section", "zones"]) == 2
    assert "zoneinfo" in capsys.readouterr().err


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["explain", "--help"])
    assert stop.value.code == 0
    assert "example" in capsys.readouterr().out


def test_all_sections_of_the_contract_are_there() -> None:
    names = [section.name for section in sections()]
    assert set(names) == {
        "zones", "min_free_kbytes", "watermarks", "protection", "pcp", "slab_caches", "merging", "kmalloc", "layout",
        "meminfo", "boot",
    }  # fmt: skip
    assert len(names) == len(set(names))


def test_what_was_not_recorded_is_no_figure(capture: Path, tmp_path: Path) -> None:
    spoiled = Capture.load(spoil(capture, tmp_path, lambda text: text))
    by_name = {result.name: result for result in explain(spoiled, ("meminfo", "layout"))}
    assert (by_name["meminfo"].of, by_name["layout"].of) == (0, 0)
    assert by_name["meminfo"].percent == 100
    shutil.rmtree(tmp_path)


def test_comparing_counts_every_recorded_figure() -> None:
    result = compare("x", {"a": 1, "b": 2, "extra": 5}, {"a": 1, "b": 3, "c": (1, 2), "d": "s"}, {"d", "not there"})
    assert (result.predicted, result.of, result.unknowable) == (1, 3, 1)
    assert [(miss.what, miss.predicted, miss.recorded) for miss in result.misses] == [("b", 2, 3), ("c", None, (1, 2))]
    assert result.percent == pytest.approx(100 / 3)


def test_without_a_firmware_map_figures_are_misses(capture: Path, tmp_path: Path) -> None:
    target = spoil(capture, tmp_path, lambda text: text)
    (target / "dmesg.txt").unlink()
    results = explain(Capture.load(target))
    assert [result.predicted for result in results if result.of] == [0] * 5
    assert results[0].of == 12
    assert results[0].misses[0].predicted is None


@pytest.mark.parametrize(
    ("option", "section"),
    [("CONFIG_PHYSICAL_START=0xzz", "layout"), ("CONFIG_CMA=y CONFIG_CMA_SIZE_MBYTES=many", "boot")],
)
def test_a_hostile_description_is_one_line(
    capture: Path, tmp_path: Path, option: str, section: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = spoil(capture, tmp_path, lambda text: text)
    meta = json.loads((target / "meta.json").read_text())
    meta["config"] = option.split()
    (target / "meta.json").write_text(json.dumps(meta))
    assert main(["explain", str(target), "--section", section]) == 2
    error = capsys.readouterr().err
    assert section in error
    assert error.count("\n") == 1
