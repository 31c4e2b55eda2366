"""Glyphs, colours and line filters: what changes with the terminal, in one place."""

from __future__ import annotations

import locale
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.filter import LineFilter


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The signs drawn by our own widgets."""

    mark: str
    deleted: str
    cursor: str
    done: str
    partly: str
    none: str
    failed: str
    running: str
    waiting: str
    paused: str
    full: str
    """A filled cell of a bar."""
    empty: str
    levels: str
    """Eight heights of a sparkline, lowest first."""
    rule: str
    dot: str
    down: str
    """What comes down the line."""


UNICODE = Glyphs("●", "○", "▌", "■", "◪", "·", "✗", "▶", "…", "‖", "█", "░", "▁▂▃▄▅▆▇█", "─", "·", "↓")
ASCII = Glyphs("*", "o", ">", "#", "+", ".", "x", ">", "~", "=", "#", "-", "._-=+*%#", "-", "-", "v")

_FALLBACKS = str.maketrans(
    {
        "─": "-", "━": "-", "│": "|", "┃": "|", "┌": "+", "┐": "+", "└": "+", "┘": "+", "├": "+", "┤": "+",
        "┬": "+", "┴": "+", "┼": "+", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "═": "=", "║": "|", "╔": "+",
        "╗": "+", "╚": "+", "╝": "+", "▔": "-", "▁": "_", "▎": "|", "▏": "|", "▕": "|", "▊": "|", "▌": "|",
        "▐": "|", "█": "#", "▓": "#", "▒": "=", "░": "-", "▀": "-", "▄": "_", "▸": ">", "▶": ">", "►": ">",
        "▼": "v", "▾": "v", "▲": "^", "◀": "<", "•": "*", "●": "*", "○": "o", "◉": "*", "…": "~", "✓": "v",
        "✔": "v", "✗": "x", "✘": "x", "✕": "x", "⭘": "o", "→": ">", "←": "<", "↑": "^", "↓": "v", "↵": "<",
        "⏎": "<", "·": ".", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "°": "d", "\xa0": " ",
        "🭬": " ", "🭮": " ", "▂": "_", "▃": "-", "▅": "=", "▆": "=", "▇": "#", "╸": "-", "╺": "-", "╴": "-",
        "⌕": "?", "🔎": "?", "■": "#", "◪": "+", "‖": "=", "⠀": " ", "⭾": ">", "⇥": ">", "␣": "_",
    }
)  # fmt: skip


class AsciiOnly(LineFilter):
    """Turns every line into bytes below 128."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Replace what is not ASCII by the nearest sign that is."""
        return [
            segment
            if segment.text.isascii()
            else Segment(as_ascii(segment.text), segment.style, segment.control)
            for segment in segments
        ]


def as_ascii(text: str) -> str:
    """The text with the nearest ASCII sign for each other one, cell for cell."""
    from rich.cells import cell_len

    translated = text.translate(_FALLBACKS)
    if translated.isascii():
        return translated
    return "".join(sign if sign.isascii() else "?" * max(cell_len(sign), 0) for sign in translated)


class NoColour(LineFilter):
    """Takes every colour away; bold, reverse and underline stay."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Rebuild the styles without colours."""
        return [
            Segment(segment.text, _plain(segment.style), segment.control) if segment.style else segment
            for segment in segments
        ]


def _plain(style: Style) -> Style:
    return Style(
        bold=style.bold,
        italic=style.italic,
        underline=style.underline,
        reverse=style.reverse,
        strike=style.strike,
        meta=style.meta,
    )


def wants_ascii(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the locale has no UTF-8, or the terminal is a console whose font has few signs."""
    environ = os.environ if environ is None else environ
    if environ.get("TERM") == "linux":
        return True
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        if environ.get(name):
            return "utf-8" not in environ[name].lower().replace("utf8", "utf-8")
    return "utf" not in (locale.getpreferredencoding(False) or "").lower()


class QuickStylesheet(Stylesheet):
    """Parses each source once: Textual asks for all of them whenever a place or a dialog is first shown."""

    _caches: ClassVar[dict[tuple[tuple[str, str], ...], dict[Any, list[RuleSet]]]] = {}
    """What was parsed, for each set of variables that it was parsed with."""

    def __init__(self, *, variables: dict[str, str] | None = None) -> None:
        super().__init__(variables=variables)
        self._take_cache()

    def _take_cache(self) -> None:
        key = tuple(sorted(self._variables.items()))
        self._parse_cache: Any = self._caches.setdefault(key, {})

    def set_variables(self, variables: dict[str, str]) -> None:
        self._parse_cache = {}  # what is there stays for who comes back to its variables
        super().set_variables(variables)
        self._take_cache()

    def reparse(self) -> None:
        """Parse all sources with the variables as they are now."""
        self.parse()


STATE_WORDS = {
    "new": "new",
    "queued": "queued",
    "waiting": "waiting",
    "running": "running",
    "paused": "paused",
    "finished": "done",
    "skipped": "here already",
    "failed": "failed",
    "cancelled": "cancelled",
    "interrupted": "interrupted",
    "here": "here",
    "marked": "marked",
    "missing": "missing",
    "deleted": "deleted",
    "discovered": "new",
    "downloaded": "here",
    "damaged": "bad",
}
"""The word shown for each state."""

STATE_TONES = {
    "finished": "success",
    "here": "success",
    "downloaded": "success",
    "skipped": "success",
    "marked": "accent",
    "running": "primary",
    "queued": "primary",
    "failed": "error",
    "missing": "error",
    "interrupted": "warning",
    "paused": "warning",
    "retrying": "warning",
    "damaged": "error",
    "deleted": "muted",
}
"""State -> the tone of `RowList` it is drawn in; others are plain."""
