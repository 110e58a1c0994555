#!/usr/bin/env python3
"""Run chapters and store what their cells give: ``.venv/bin/python course/build.py [NOTEBOOK ...]``.

The notebooks are the source of the course, outputs included: a reader sees them
without a kernel, and nbval compares every run with them. So they are stored
the same on every machine: no widget state, no times, no object ids.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

COURSE = Path(__file__).resolve().parent
WIDGET = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def run(path: Path) -> nbformat.NotebookNode:
    """Run a notebook in its folder and return it with its outputs; an error in a cell ends with that cell's error."""
    book = nbformat.read(path, as_version=4)
    book.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    client = NotebookClient(
        book,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
        record_timing=False,
    )
    client.execute()
    return settled(book)


def settled(book: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take out of a run notebook what differs between two runs of the same code."""
    book.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    count = 0
    for cell in book.cells:
        cell.metadata = {key: cell.metadata[key] for key in ("tags",) if key in cell.metadata}
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        cell.outputs = joined(cell.outputs)
        for place, output in enumerate(cell.outputs):
            if "execution_count" in output:
                output.execution_count = count
            view = output.get("data", {}).get(WIDGET)
            if view is not None:
                view["model_id"] = hashlib.md5(f"{cell.id}/{place}".encode(), usedforsecurity=False).hexdigest()
    return book


def joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Join what was printed in one go: in how many pieces it arrives is chance."""
    result: list[nbformat.NotebookNode] = []
    for output in outputs:
        before = result[-1] if result else {}
        if output.output_type == "stream" and before.get("name") == output.name:
            before["text"] += output.text
        else:
            result.append(output)
    return result


def text(book: nbformat.NotebookNode) -> str:
    """Return the file's text."""
    return nbformat.writes(book) + "\n"


def main(words: list[str]) -> int:
    """Build the notebooks named, or all of them."""
    for path in [Path(word) for word in words] or sorted(COURSE.glob("*.ipynb")):
        print(path.name, flush=True)
        new = text(run(path))
        if new != path.read_text(encoding="utf-8"):
            path.write_text(new, encoding="utf-8")
            print("  changed", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
