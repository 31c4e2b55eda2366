"""What the terminal shows, cell by cell, and the fewest bytes that make it show the next frame.

Textual sends each piece of a line with its whole style, blanks as spaces, and lines that did not change: a
change of place takes two or three times the bytes of a whole screen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len, get_character_cell_size

_PLACE = re.compile(r"[\r\n]*\x1b\[(\d+);(\d+)H")
_STYLE = re.compile(r"\x1b\[[\d;]*m")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MODES = re.compile(r"(?:\x1b\[[?<=>][\d;]*\$?[a-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x07)+")
_TOKEN = re.compile(r"\x1b\[([\d;]*)m|( +|[^ \x1b]+)")

GAP = 4
"""Cells that did not change and are sent all the same, between two that did: a move takes as many bytes."""
SHORT, LONG = 5, 10
"""Blank cells that are sent as spaces, not erased, at the end of what is drawn and before more of it."""
_RESET = "\x1b[m"

_ERASING = (
    "xterm", "tmux", "linux", "rxvt", "alacritty", "foot", "kitty", "wezterm", "ghostty", "konsole", "vte",
    "gnome", "st-", "putty",
)  # fmt: skip
"""What TERM begins with where erased cells take the background colour."""

_ON_BLANKS = {"4", "21", "7", "9", "53"}
"""Attributes that show where there is no letter: lines, and reverse."""
_OFF = {
    "1": "22", "2": "22", "3": "23", "4": "24", "21": "24", "5": "25", "6": "25", "7": "27", "8": "28",
    "9": "29", "51": "54", "52": "54", "53": "55",
}  # fmt: skip


def can_erase(environ: Mapping[str, str]) -> bool:
    """Whether the terminal gives erased cells the background colour; tmux does, GNU screen does not."""
    term = environ.get("TERM", "")
    if environ.get("STY"):
        return False
    return term.startswith(_ERASING) or (term.startswith("screen") and bool(environ.get("TMUX")))


def sets_modes(data: str) -> bool:
    """Whether data draws nothing: it sets modes of the terminal, asks about them, or rings."""
    return _MODES.fullmatch(data) is not None


class Look(NamedTuple):
    """How a cell is drawn, in the codes of SGR."""

    fore: str = ""
    """'' is the terminal's own colour."""
    back: str = ""
    marks: frozenset[str] = frozenset()
    """Attributes that are on."""


PLAIN = Look()


class Piece(NamedTuple):
    """A part of a line, as it came."""

    width: int
    letters: list[str]
    """One a cell; none where a terminal may draw some letter wider or narrower."""
    looks: list[Look]


Line = tuple[list[str | None], list[Look | None]]
"""The letters of a line and their looks; None where it is not known what is shown."""


class Cells:
    """The cells of a terminal, as far as it is known what they show.

    The thread of the app alone may use it.
    """

    def __init__(self, size: tuple[int, int], *, erases: bool) -> None:
        """Take columns and lines, and whether erased cells take the background colour."""
        self._erases = erases
        self.forget(size)

    def forget(self, size: tuple[int, int]) -> None:
        """Know nothing any more, as after another program drew: what is drawn next is sent whole.

        Args:
            size: columns and lines that there are now.
        """
        self._width, height = size
        self._lines: list[Line] = [([None] * self._width, [None] * self._width) for _ in range(height)]
        self._unclear: dict[int, list[tuple[int, str]]] = {}
        """Lines with letters of unclear width: the columns and pieces that they were drawn with."""
        self._at: tuple[int, int] | None = None
        self._is_plain = False
        self._drawn: list[tuple[int, int, int]] | None = None
        """Row, first cell and end of what the last frame drew; None where that is not known."""

    def forget_part(self, row: int, column: int, rows: int, columns: int) -> None:
        """Forget what some cells show: the next frame that has them draws them."""
        for number in range(row, min(row + rows, len(self._lines))):
            end = min(column + columns, self._width)
            for cells in self._lines[number]:
                cells[column:end] = [None] * max(0, end - column)
            self._unclear.pop(number, None)

    def has_drawn(self, row: int, column: int, rows: int, columns: int) -> bool:
        """Whether the last frame may have drawn some of these cells."""
        return self._drawn is None or any(
            row <= number < row + rows and start < column + columns and column < end
            for number, start, end in self._drawn
        )

    def frame(self, data: str) -> str:
        """What to send so that the terminal shows the same as after `data`.

        Args:
            data: places (CUP), styles (SGR) and text, where each text has its style and ends with a reset.
                With anything else it is sent as it is, and nothing is known any more.
        """
        before, *parts = _PLACE.split(data)
        places = [
            (int(row) - 1, int(column) - 1) for row, column in zip(parts[::3], parts[1::3], strict=True)
        ]
        by_row: dict[int, list[tuple[int, str]]] = {}
        for (row, column), text in zip(places, parts[2::3], strict=True):
            if text:
                by_row.setdefault(row, []).append((column, text))
        if before or not all(self._can_draw(row, pieces) for row, pieces in by_row.items()):
            self.forget((self._width, len(self._lines)))
            return data
        self._drawn = []
        out: list[str] = [] if self._is_plain else [_RESET]
        pen = PLAIN
        for row, pieces in sorted(by_row.items()):
            parsed = [(column, piece) for column, text in pieces if (piece := _piece_of(text))]
            if all(piece.letters for _, piece in parsed):
                pen = self._draw(row, parsed, pen, out)
            elif self._unclear.get(row) != pieces:
                out.append(_change(pen, PLAIN))
                out += [f"\x1b[{row + 1};{column + 1}H{text}" for column, text in pieces]
                pen, self._at = PLAIN, None
                self._lines[row] = [None] * self._width, [None] * self._width
                self._unclear[row] = pieces
                self._drawn.append((row, 0, self._width))
        out.append(_change(pen, PLAIN))
        self._is_plain = True
        if parts and not parts[-1]:
            self._move(*places[-1], out)
        return "".join(out)

    def _can_draw(self, row: int, pieces: Sequence[tuple[int, str]]) -> bool:
        """Whether pieces are nothing but text that fits; it does not while another size becomes known."""
        return row < len(self._lines) and all(
            (piece := _piece_of(text)) is not None and column + piece.width <= self._width
            for column, text in pieces
        )

    def _draw(self, row: int, pieces: Sequence[tuple[int, Piece]], pen: Look, out: list[str]) -> Look:
        """Draw what differs of a line with a pen; returns the pen that is left."""
        shown_letters, shown_looks = self._lines[row]
        letters, looks = shown_letters.copy(), shown_looks.copy()
        for column, piece in pieces:
            letters[column : column + piece.width] = piece.letters
            looks[column : column + piece.width] = piece.looks
        if letters == shown_letters and looks == shown_looks:
            return pen
        self._unclear.pop(row, None)
        self._lines[row] = letters, looks
        differs = [
            at
            for at, (letter, shown, look, had) in enumerate(
                zip(letters, shown_letters, looks, shown_looks, strict=True)
            )
            if letter != shown or (look is not had and look != had)
        ]
        for start, end in _spans(differs, looks):
            if self._drawn is not None:
                self._drawn.append((row, start, end))
            cells = list(zip(letters[start:end], looks[start:end], strict=True))
            pen = self._draw_span(row, start, cells, pen, out)
        return pen

    def _draw_span(
        self, row: int, start: int, cells: Sequence[tuple[str | None, Look | None]], pen: Look, out: list[str]
    ) -> Look:
        """Draw neighbours with a pen; returns the pen that is left."""
        runs = [
            (look, is_blank, "".join(letter or "" for letter, _ in group))
            for (look, is_blank), group in groupby(cells, lambda cell: (cell[1] or PLAIN, cell[0] == " "))
        ]
        at = start
        for number, (look, is_blank, text) in enumerate(runs):
            self._move(row, at, out)
            has_next = number + 1 < len(runs)
            if is_blank and not look.marks:
                next_look = runs[number + 1][0] if has_next else pen
                look = next(
                    (one for one in (pen, next_look) if one.back == look.back and not one.marks & _ON_BLANKS),
                    Look(pen.fore, look.back, pen.marks - _ON_BLANKS),
                )
            out.append(_change(pen, look))
            pen = look
            at += len(text)
            if (
                is_blank
                and self._erases
                and not look.marks & _ON_BLANKS
                and len(text) > (LONG if has_next else SHORT)
            ):
                out.append(f"\x1b[{len(text)}X")
            else:
                out.append(text)
                self._at = (row, at) if at < self._width else None
        return pen

    def _move(self, row: int, column: int, out: list[str]) -> None:
        """Place the cursor."""
        if self._at == (row, column):
            return
        if self._at is not None and self._at[0] == row and self._at[1] < column:
            out.append(f"\x1b[{column - self._at[1]}C")
        elif column:
            out.append(f"\x1b[{row + 1};{column + 1}H")
        else:
            out.append(f"\x1b[{row + 1}H" if row else "\x1b[H")
        self._at = row, column


def _spans(differs: Sequence[int], looks: Sequence[Look | None]) -> Iterator[tuple[int, int]]:
    """The first cell and the end of each stretch to draw."""
    start = last = differs[0]
    for at in differs[1:]:
        if at - last > 1 and (at - last > GAP + 1 or any(one != looks[last] for one in looks[last + 1 : at])):
            yield start, last + 1
            start = at
        last = at
    yield start, last + 1


@lru_cache(maxsize=512)
def _piece_of(data: str) -> Piece | None:
    """What is drawn by styles and text that end plain; None for anything else.

    Whoever asks must not change its lists.
    """
    plain = _STYLE.sub("", data)
    if _CONTROL.search(plain) or ("\x1b" in data and not data.endswith("\x1b[0m")):
        return None
    if not plain.isascii() and not all(map(_takes_one_cell, plain)):
        return Piece(cell_len(plain), [], [])
    letters: list[str] = []
    looks: list[Look] = []
    look = PLAIN
    for codes, text in _TOKEN.findall(data):
        if text:
            letters += text
            looks += [look if text[0] != " " else _blank(look)] * len(text)
        else:
            look = _look_after(codes, look)
    return Piece(len(letters), letters, looks)


@lru_cache(maxsize=1024)
def _takes_one_cell(letter: str) -> bool:
    """Whether every terminal draws a letter in one cell; not all do where letters join, or of emoji."""
    code = ord(letter)
    return get_character_cell_size(letter) == 1 and (
        code < 0x590 or 0x2000 <= code < 0x2C00 or code >= 0x1FB00
    )


@lru_cache(maxsize=1024)
def _blank(look: Look) -> Look:
    """What of a look shows on a blank cell."""
    marks = look.marks & _ON_BLANKS
    return Look(look.fore if marks else "", look.back, marks)


@lru_cache(maxsize=1024)
def _look_after(codes: str, look: Look) -> Look:
    """The look that holds after a change of style."""
    fore, back, marks = look
    parts = codes.split(";")
    while parts:
        code = parts.pop(0) or "0"
        number = int(code)
        if code in ("38", "48"):
            count = {"5": 2, "2": 4}.get(parts[0], 0) if parts else 0
            code = ";".join([code, *parts[:count]])
            del parts[:count]
        if number == 0:
            fore, back, marks = PLAIN
        elif number // 10 in (3, 9):
            fore = code if number != 39 else ""
        elif number // 10 in (4, 10):
            back = code if number != 49 else ""
        elif code in _OFF:
            marks |= {code}
        else:
            marks = frozenset(one for one in marks if _OFF[one] != code)
    return Look(fore, back, marks)


@lru_cache(maxsize=1024)
def _change(old: Look, new: Look) -> str:
    """What turns one look into another."""
    if old == new:
        return ""
    codes = ";".join(["", *sorted(new.marks, key=int), *filter(None, new[:2])])
    whole = f"\x1b[0{codes}m" if codes else _RESET
    ends = {_OFF[one] for one in old.marks - new.marks}
    parts = [*sorted(ends), *sorted(one for one in new.marks if one not in old.marks or _OFF[one] in ends)]
    for had, has, own in ((old.fore, new.fore, "39"), (old.back, new.back, "49")):
        if had != has:
            parts.append(has or own)
    return min(f"\x1b[{';'.join(parts)}m", whole, key=len)
