"""axe-core in the page: what it finds serious in a widget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

AXE = Path(__file__).parents[1] / "data" / "axe" / "axe.min.js"


def serious(page: Any, root: Any) -> list[Any]:
    """Return the serious and critical violations in an element: the rule, and where."""
    # Not add_script_tag: JupyterLab's require.js would take the script for a module.
    page.evaluate("source => { const define = undefined; const module = undefined; eval(source) }", AXE.read_text())
    found = page.evaluate("async root => (await axe.run(root)).violations", root.element_handle())
    return [
        (each["id"], [node["html"][:160] for node in each["nodes"]][:3])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
