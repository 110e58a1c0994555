"""What explain_gfp and explain_flags return: bits in words, as a table in text and in HTML."""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass

_WIDTH = 118


@dataclass(frozen=True, slots=True)
class Word:
    """One bit, or one short name, and what it means.

    Attributes
    ----------
    bit : str
        The bit's value (``"0x400"``) or its two letters; empty where the text named it and its bit is unknown.
    name : str
        The kernel's name, or ``"unknown"``.
    meaning : str
        What it says of the request, the page or the area.
    """

    bit: str
    name: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A word of flags, taken apart.

    Attributes
    ----------
    title : str
        What was read: the word, and how the kernel writes it.
    words : tuple of Word
        Its parts, lowest bit first.
    effects : tuple of (str, str)
        What follows from all of them together: a heading and its answer.
    notes : tuple of str
        What the reader should know besides.
    """

    title: str
    words: tuple[Word, ...]
    effects: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parts, lowest bit first."""
        return tuple(word.name for word in self.words)

    def effect(self, heading: str) -> str:
        """Return the answer under a heading; KeyError where there is none."""
        return dict(self.effects)[heading]

    def __repr__(self) -> str:
        lines = [self.title]
        rows = [(word.bit, word.name, word.meaning) for word in self.words]
        wide = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        for bit, name, meaning in rows:
            lines += _wrapped(f"  {bit:>{wide[0]}}  {name:<{wide[1]}}  ", meaning)
        head = max((len(heading) for heading, _ in self.effects), default=0)
        for heading, answer in self.effects:
            lines += _wrapped(f"{heading + ':':<{head + 1}} ", answer)
        for note in self.notes:
            lines += _wrapped("note: ", note)
        return "\n".join(line.rstrip() for line in lines)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:  # noqa: ARG002
        return {"text/plain": repr(self), "text/html": self.to_html()}

    def to_html(self) -> str:
        """Return the same as an HTML fragment; every text in it is escaped."""
        parts = [f"<p><strong>{html.escape(self.title)}</strong></p>"]
        if self.words:
            parts.append("<table><thead><tr><th>bit</th><th>name</th><th>meaning</th></tr></thead><tbody>")
            parts += [
                _row("td", word.bit, f"<code>{html.escape(word.name)}</code>", word.meaning) for word in self.words
            ]
            parts.append("</tbody></table>")
        if self.effects:
            parts.append("<table><tbody>")
            parts += [f"<tr><th>{html.escape(h)}</th><td>{html.escape(a)}</td></tr>" for h, a in self.effects]
            parts.append("</tbody></table>")
        parts += [f"<p>{html.escape(note)}</p>" for note in self.notes]
        return "\n".join(parts)


def _row(tag: str, bit: str, name: str, meaning: str) -> str:
    left = ' style="text-align:left"'
    return (
        f"<tr><{tag}{left}><code>{html.escape(bit)}</code></{tag}><{tag}{left}>{name}</{tag}>"
        f"<{tag}{left}>{html.escape(meaning)}</{tag}></tr>"
    )


def _wrapped(start: str, text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start)) or [start]
