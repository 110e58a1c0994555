"""SVG text for fallback pictures: deterministic, without scripts, escaped."""

from __future__ import annotations

from base64 import b64encode
from html import escape

FONT = "system-ui, 'DejaVu Sans', sans-serif"


def tag(name: str, content: str = "", /, **attributes: object) -> str:
    """Return an element; ``_`` in an attribute's name stands for ``-``; `content` is markup already."""
    inside = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{inside}>{content}</{name}>" if content else f"<{name}{inside}/>"


def words(content: str, x: float, y: float, *, size: int = 12, fill: str = "#16191d", **attributes: object) -> str:
    """Return a line of text, escaped."""
    return tag("text", escape(content), x=x, y=y, font_size=size, fill=fill, **attributes)


def number(value: object) -> str:
    """Write a number short and always alike."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def svg(width: int, height: int, *parts: str, background: str = "#ffffff") -> str:
    """Return a whole picture."""
    paper = tag("rect", width=width, height=height, fill=background)
    return tag(
        "svg", paper + "".join(parts),
        xmlns="http://www.w3.org/2000/svg", width=width, height=height, viewBox=f"0 0 {width} {height}",
        font_family=FONT,
    )  # fmt: skip


def image(picture: str, alt: str) -> str:
    """Return the picture as an HTML image.

    An img with a data address is what an untrusted notebook still shows: inline SVG is taken out there.
    """
    data = b64encode(picture.encode()).decode("ascii")
    return f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(alt)}">'
