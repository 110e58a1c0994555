"""A Jupyter server extension that sends small widget messages at once.

A kernel's websocket carries many small messages. With Nagle's algorithm on, as
jupyter_server leaves it (seen in 2.21), the second of two waits until the
browser has acknowledged the first, which browsers delay by up to 40 ms: a
moved slider feels sticky. This extension sets TCP_NODELAY on that websocket
when it opens, and changes nothing else.

``kmem lab`` and the Binder image load it; any other server does with
``jupyter lab --ServerApp.jpserver_extensions=kmemwidgets.learn.nodelay=True``.
"""

from __future__ import annotations

from typing import Any


def without_delay(open_socket: Any) -> Any:
    """Wrap a websocket handler's ``open`` so that it turns Nagle's algorithm off first."""

    async def open_without_delay(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.set_nodelay(True)
        return await open_socket(self, *args, **kwargs)

    open_without_delay.kmemwidgets_nodelay = True  # type: ignore[attr-defined]
    return open_without_delay


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "kmemwidgets.learn.nodelay"}]


def _load_jupyter_server_extension(server: Any) -> None:
    from jupyter_server.services.kernels.websocket import KernelWebsocketHandler

    handler: Any = KernelWebsocketHandler
    # Loaded once a process, but tests start several servers in one.
    if not hasattr(handler.open, "kmemwidgets_nodelay"):
        handler.open = without_delay(handler.open)
    server.log.info("kmemwidgets: TCP_NODELAY is set on kernel websockets")
