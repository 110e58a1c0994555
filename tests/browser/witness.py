"""What can be said of a browser test that failed, on a machine that nobody can reach."""

from __future__ import annotations

import os
from typing import Any

from harness import Lab, Server, Watch

#: What the widgets of the notebook in front know; asked of its kernel.
WIDGETS = """[
    (type(w).__name__, w._wire.epoch, w._wire.seq, w.error, w._pace is not None)
    for w in __import__("ipywidgets").widgets.widget._instances.values() if hasattr(w, "_wire")
]"""

#: Milliseconds for the page, and for its kernel: one that hangs shall not hold up what can be said.
SOON = 10_000

PAGE = """async ([code, soon]) => {
    const told = [...document.querySelectorAll(".kmem")].map((root) => [
        root.className, root.dataset.painted ?? "", root.closest(".lm-mod-hidden") ? "hidden" : "in front",
        root.querySelector(".kmem-error:not([hidden])")?.textContent ?? "",
        root.querySelector("[aria-live]")?.textContent ?? "",
    ].join(" | "));
    const kernel = window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel;
    if (!kernel) return [...told, "no kernel"].join("\\n");
    told.push(`kernel: ${kernel.status}, ${kernel.connectionStatus}`);
    const asked = { code: "", user_expressions: { r: code }, store_history: false };
    const late = new Promise((done) => setTimeout(() => done("no answer"), soon / 2));
    const answer = kernel.requestExecute(asked).done.then((reply) => JSON.stringify(reply.content.user_expressions));
    told.push(await Promise.race([answer, late]).catch(String));
    return told.join("\\n");
}"""


def page_says(watch: Watch) -> str:
    """Return a page's address, its widgets, its kernel's answer and its last words."""
    try:
        # Not evaluate(): a page that hangs would never answer.
        shown = watch.page.wait_for_function(PAGE, arg=[WIDGETS, SOON], timeout=SOON).json_value()
    except Exception as error:  # whatever it is, the rest is still worth reading
        shown = f"the page doesn't answer: {error}"
    return "\n".join([watch.page.url, shown, "complaints:", *watch.complaints, "console:", *watch.heard])


def sections(fixtures: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a report gets, by title, from the fixtures of the test that failed."""
    found = [("Machine", f"load {os.getloadavg()}")]
    for name, fixture in fixtures.items():
        if isinstance(fixture, Lab):
            found.append((f"Page of {name}", page_says(fixture.watch)))
        elif isinstance(fixture, Watch):
            found.append((f"Page of {name}", page_says(fixture)))
        elif isinstance(fixture, Server):
            log = (fixture.folder / "server.log").read_text(encoding="utf-8", errors="replace")
            found.append(("Server's log", log[-4000:]))
    return found
