"""Glyphs, colours and line filters: what changes with the terminal, in one place."""

from __future__ import annotations

import colorsys
import locale
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from rich.color import Color as RichColor
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
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


class FewColours(LineFilter):
    """Turns every colour into one of the sixteen of a plain terminal, by its hue.

    The nearest by distance makes amber the red of an alarm, and the cursor's row white on cyan.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Rebuild the styles with colours that the terminal names itself."""
        return [
            Segment(segment.text, _with_few(segment.style), segment.control) if segment.style else segment
            for segment in segments
        ]


@lru_cache(maxsize=1024)
def _with_few(style: Style) -> Style:
    colour, ground = style.color, style.bgcolor
    return style + Style(
        color=None if colour is None or colour.triplet is None else _of_16(colour.triplet),
        bgcolor=None if ground is None or ground.triplet is None else _of_16(ground.triplet, is_ground=True),
    )


_HUES = ((20, 1), (75, 3), (165, 2), (195, 6), (260, 4), (330, 5), (360, 1))
"""Degrees below which a hue has the number of a colour."""
_GREYS = ((0.15, 0), (0.45, 8), (0.8, 7), (1.01, 15))
"""The same for the lightness of what has no hue."""


def _of_16(triplet: ColorTriplet, *, is_ground: bool = False) -> RichColor:
    """One of sixteen colours; a coloured ground is a dark one, so that bright text stands out on it."""
    hue, lightness, _ = colorsys.rgb_to_hls(*triplet.normalized)
    if max(triplet) - min(triplet) < 48:
        return RichColor.from_ansi(next(number for below, number in _GREYS if lightness < below))
    number = next(number for below, number in _HUES if hue * 360 <= below)
    return RichColor.from_ansi(number if is_ground else number + 8)


def wants_ascii(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the locale has no UTF-8, or the terminal is a console whose font has few signs."""
    environ = os.environ if environ is None else environ
    if environ.get("TERM") == "linux":
        return True
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        if environ.get(name):
            return "utf-8" not in environ[name].lower().replace("utf8", "utf-8")
    return "utf" not in (locale.getpreferredencoding(False) or "").lower()


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
