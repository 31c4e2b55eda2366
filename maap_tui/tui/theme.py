"""Glyphs, colours and line filters: what changes with the terminal, in one place."""

from __future__ import annotations

import colorsys
import locale
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rich.color import Color as RichColor
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
    """The sign of bytes that arrive."""
    eighths: str
    """Cells of a bar that are filled in part, the least first; '' where there are none."""
    axis: str
    """Between the scale of a graph and the graph."""
    share_marked: str
    """A cell of files that are marked, in a bar of a baseline; none of the four looks like another."""
    share_here: str
    share_missing: str
    share_failed: str


UNICODE = Glyphs(
    "●", "○", "▌", "■", "◪", "·", "✗", "▶", "…", "‖", "█", "░", "▁▂▃▄▅▆▇█", "─", "·", "↓",
    "▏▎▍▌▋▊▉", "┤", "●", "■", "·", "✗",
)  # fmt: skip
ASCII = Glyphs(
    "*", "o", ">", "#", "+", ".", "x", ">", "~", "=", "#", "-", "._-=+*%#", "_", "-", "v",
    "", "|", "=", "#", "-", "x",
)  # fmt: skip

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
        "⌕": "?", "★": "*", "🔎": "?", "■": "#", "◪": "+", "‖": "=", "⠀": " ", "⭾": ">", "⇥": ">", "␣": "_",
    }
)  # fmt: skip


class AsciiOnly(LineFilter):
    """Makes every line ASCII."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Replace each character by the nearest ASCII one."""
        return [
            segment
            if segment.text.isascii()
            else Segment(as_ascii(segment.text), segment.style, segment.control)
            for segment in segments
        ]


def as_ascii(text: str) -> str:
    """The text with each character replaced by the nearest ASCII one, cell for cell."""
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

    The nearest by distance makes amber the red of an alarm, and the cursor's row white on cyan. Text has the
    bright one of a colour and a ground the dark one, on a light background the other way round.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Rebuild the styles with colours that the terminal names itself."""
        is_light = background.brightness > 0.5
        return [
            Segment(segment.text, _with_few(segment.style, is_light), segment.control)
            if segment.style
            else segment
            for segment in segments
        ]


@lru_cache(maxsize=1024)
def _with_few(style: Style, is_light: bool) -> Style:
    return style + Style(
        color=_of_16(style.color, _GREYS, is_bright=not is_light),
        bgcolor=_of_16(style.bgcolor, _GROUNDS, is_bright=is_light),
    )


_HUES = ((20, 1), (75, 3), (165, 2), (195, 6), (260, 4), (330, 5), (360, 1))
"""The upper limit in degrees of each colour's hue, and the colour's number."""
_GREYS = ((0.15, 0), (0.45, 8), (0.8, 7), (1.01, 15))
"""The same by lightness, for greys."""
_GROUNDS = ((0.15, 0), (0.6, 8), (0.95, 7), (1.01, 15))
"""The same for grounds: a bar on white stands out from it."""
_LEAST_COLOUR = 40
"""Between the strongest and the weakest of red, green and blue: less is a grey."""


def _of_16(
    colour: RichColor | None, greys: Sequence[tuple[float, int]], *, is_bright: bool
) -> RichColor | None:
    """One of sixteen colours, the bright one of its hue or the dark one; None where none is mixed."""
    if colour is None or colour.triplet is None:
        return None
    triplet = colour.triplet
    hue, lightness, _ = colorsys.rgb_to_hls(*triplet.normalized)
    if max(triplet) - min(triplet) < _LEAST_COLOUR:
        return RichColor.from_ansi(next(number for below, number in greys if lightness < below))
    number = next(number for below, number in _HUES if hue * 360 <= below)
    return RichColor.from_ansi(number + 8 if is_bright else number)


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

STATE_SIGNS = {
    "new": UNICODE.none,
    "discovered": UNICODE.none,
    "queued": UNICODE.waiting,
    "waiting": UNICODE.waiting,
    "running": UNICODE.running,
    "retrying": UNICODE.running,
    "paused": UNICODE.paused,
    "finished": UNICODE.done,
    "skipped": UNICODE.done,
    "here": UNICODE.done,
    "downloaded": UNICODE.done,
    "marked": UNICODE.mark,
    "deleted": UNICODE.deleted,
    "cancelled": UNICODE.deleted,
    "interrupted": UNICODE.partly,
    "failed": UNICODE.failed,
    "missing": UNICODE.failed,
    "damaged": UNICODE.failed,
}
"""The sign before the word, which distinguishes states without colour; `AsciiOnly` turns it into ASCII's."""


def with_sign(state: str, word: str) -> str:
    """A word for a state behind the state's sign."""
    return f"{STATE_SIGNS.get(state, ' ')} {word}"


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
