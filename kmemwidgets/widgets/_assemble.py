"""Join a widget's ES modules into the one module that anywidget sends to the browser.

The files stay ordinary modules that a browser can load as they are. They keep to
four forms, each on one line at the left margin, so that no JavaScript parser is
needed: ``import { a, b } from "./other.js";``, ``export function``,
``export class``, ``export const``. ``export default`` stands in front.js only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from os.path import normpath
from pathlib import Path

from .strings import TEXT

FRONT = Path(__file__).parent / "_front"

#: Where the visible strings go.
_CATALOGUE = "/* catalogue */ {}"

_IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "([\w./]+\.js)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (async function|function|class|const) (\w+)", re.MULTILINE)
_STRAY = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


class FrontError(ValueError):
    """A front-end file that doesn't keep to the forms this module knows."""


def assemble(folder: Path | str) -> str:
    """Return one ES module made of `folder`/front.js and all that it imports.

    Each file becomes a function's body, so its names are its own.

    Parameters
    ----------
    folder : path
        The widget's folder, or a file in it (``__file__``).
    """
    front = (_folder(folder) / "front.js").resolve()
    modules: dict[Path, tuple[str, list[str]]] = {}
    _collect(front, modules, ())
    parts = ['"use strict";']
    parts += [
        f"const {_scope(path)} = (() => {{\n{body}\nreturn {{ {', '.join(names)} }};\n}})();"
        for path, (body, names) in modules.items()
    ]
    parts.append(f"export default {_scope(front)}.widget;")
    return "\n".join(parts) + "\n"


def styles(folder: Path | str, *shared: str) -> str:
    """Return the style sheet all widgets share, then those of `_front` that `shared` names, then the folder's own."""
    paths = (FRONT / "shell.css", *(FRONT / name for name in shared), _folder(folder) / "style.css")
    return "\n".join(path.read_text("utf-8") for path in paths if path.exists())


def catalogue(texts: Mapping[str, str] = TEXT) -> str:
    """Return the catalogue of visible strings as a JavaScript literal."""
    return json.dumps(dict(texts), ensure_ascii=False, sort_keys=True)


def _folder(folder: Path | str) -> Path:
    path = Path(folder)
    return path if path.is_dir() else path.parent


def _scope(path: Path) -> str:
    return "_" + re.sub(r"\W", "_", f"{path.parent.name}_{path.stem}")


def _collect(path: Path, modules: dict[Path, tuple[str, list[str]]], above: tuple[Path, ...]) -> list[str]:
    """Put what the file imports, then the file, into `modules`, what is used before its user; return its exports."""
    if path in modules:
        return modules[path][1]
    if path in above:
        raise FrontError(f"{path.name} imports itself through {above[-1].name}")
    text = path.read_text("utf-8")

    def bind(found: re.Match[str]) -> str:
        target = Path(normpath(path.parent / found[2]))
        missing = {name.strip() for name in found[1].split(",")} - set(_collect(target, modules, (*above, path)))
        if missing:
            raise FrontError(f"{path.name}: {target.name} has no {', '.join(sorted(missing))}")
        return f"const {{ {found[1].strip()} }} = {_scope(target)};"

    text = _IMPORT.sub(bind, text)
    names = [name for _, name in _EXPORT.findall(text)]
    text = _EXPORT.sub(r"\1 \2", text)
    stray = _STRAY.search(text)
    if stray:
        raise FrontError(f"{path.name}: {stray[0]!r} is not one of the known forms of import and export")
    if _CATALOGUE in text:
        text = text.replace(_CATALOGUE, catalogue())
    modules[path] = text.rstrip(), names
    return names
