"""The floors of the house: who may import whom, and where versions of kernels may be compared."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "kmemwidgets"

FLOORS = {
    "arch": 0,
    "records": 1,
    "sim": 2, "classic": 2, "capture": 2, "procfs": 2, "tracefs": 2,
    "replay": 3, "explain": 3,
    "widgets": 4, "learn": 4,
    "cli": 5,
}  # fmt: skip
#: Rooms of one floor that may know each other.
NEIGHBOURS = {("capture", "procfs"), ("capture", "tracefs")}
#: Floors that need the standard library only.
BARE = {name for name, floor in FLOORS.items() if floor <= 3}
#: Modules that compare kernel versions though they hold no rules, and why they may.
COMPARES = {
    "learn/claims.py",  # says since when a rule holds
    "widgets/meminfopanel/widget.py",  # says since when a field is printed
    "learn/gfp_words.py",  # refuses kernels whose flags it doesn't know
}
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Yield line, absolute module name, and whether the import is only for type checkers."""
    tree = ast.parse(path.read_text())
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    package = ("kmemwidgets", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, node in typing_only
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join((*base, *((node.module or "").split(".") if node.module else ())))
            for alias in node.names:
                yield node.lineno, f"{name}.{alias.name}", node in typing_only


def test_every_room_has_a_floor() -> None:
    rooms = {room(path) for path in modules()} - {"__init__"}
    assert rooms <= set(FLOORS)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    own = room(path)
    if own == "__init__":
        return
    wrong = []
    for line, name, _typing in imported(path):
        parts = name.split(".")
        if parts[0] != "kmemwidgets" or len(parts) < 2 or parts[1] not in FLOORS or parts[1] == own:
            continue
        if FLOORS[parts[1]] < FLOORS[own] or (own, parts[1]) in NEIGHBOURS:
            continue
        wrong.append(f"line {line}: {name}")
    assert not wrong, f"{own} (floor {FLOORS[own]}) imports {wrong}"


@pytest.mark.parametrize(
    "path", [path for path in modules() if room(path) in BARE], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_the_lower_floors_need_the_standard_library_only(path: Path) -> None:
    import sys

    foreign = [
        f"line {line}: {name}"
        for line, name, typing in imported(path)
        if not typing and name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("kmemwidgets")
    ]
    assert not foreign


def is_version(node: ast.expr) -> bool:
    """Whether an expression looks like a kernel version: by its name, or as a tuple of small numbers."""
    if isinstance(node, ast.Attribute | ast.Name):
        name = node.attr if isinstance(node, ast.Attribute) else node.id
        return name in ("kernel", "version", "release", "since") or name.endswith(("_version", "_release"))
    if isinstance(node, ast.Subscript):
        return is_version(node.value)
    return (
        isinstance(node, ast.Tuple)
        and 2 <= len(node.elts) <= 3
        and all(isinstance(entry, ast.Constant) and isinstance(entry.value, int) for entry in node.elts)
    )


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_rules_compare_versions(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    if name.startswith("sim/rules/") or name in COMPARES:
        return
    found = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare)
        and any(isinstance(op, ORDER) for op in node.ops)
        and any(is_version(side) for side in (node.left, *node.comparators))
    ]
    assert not found, f"compares a kernel version in lines {found}; make it a rule in sim/rules"


def test_the_version_test_sees_versions() -> None:
    for text in ("spec.kernel >= (6, 1)", "version[:2] < (5, 6)", "(6, 12) <= machine.kernel", "kernel_version > old"):
        compare = ast.parse(text, mode="eval").body
        assert isinstance(compare, ast.Compare)
        assert any(is_version(side) for side in (compare.left, *compare.comparators)), text
    assert not is_version(ast.parse("low", mode="eval").body)
